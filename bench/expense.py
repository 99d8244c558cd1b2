"""What something costs: CPU seconds by process, and what Postgres and Redis were made to do. Counts, not times: another
program on the machine makes them neither more nor less.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import psutil
import psycopg
import redis

ROLES = {
    r"granian": "web",
    r"workers live": "live",
    r"workers bulk": "bulk",
    r"workers clock": "clock",
    r"postgres": "postgres",
    r"valkey": "redis",
}


def cpu_seconds() -> Counter[str]:
    """By role, of all processes that descend from this one; what has ended is counted with who waited for it."""
    found: Counter[str] = Counter()
    roles: dict[int, str] = {}
    for process in psutil.Process().children(recursive=True):
        try:
            times, parent = process.cpu_times(), process.ppid()
            role = roles.get(parent) or _role(" ".join(process.cmdline()))
        except psutil.NoSuchProcess:
            continue
        if role:
            roles[process.pid] = role
            spent = times.user + times.system + times.children_user + times.children_system
            found[role] += spent
    return found


def _role(command: str) -> str | None:
    return next((role for pattern, role in ROLES.items() if re.search(pattern, command)), None)


@dataclass(frozen=True)
class Expense:
    """`cpu` by role; of Postgres bytes of WAL, page images in it, pages touched, statements; of Redis commands."""

    cpu: Mapping[str, float]
    wal_bytes: int
    wal_page_images: int
    blocks: int
    statements: int
    redis_commands: int

    def __sub__(self, before: Self) -> Self:
        cpu = {role: spent - before.cpu.get(role, 0.0) for role, spent in self.cpu.items()}
        return type(self)(cpu, *(getattr(self, name) - getattr(before, name) for name in _COUNTED))

    def each(self, number: int) -> dict[str, Any]:
        """For one of `number`: milliseconds of CPU by role, and the rest as it is."""
        cpu = {role: round(spent * 1000 / number, 4) for role, spent in sorted(self.cpu.items())}
        return {"cpu_ms": cpu} | {name: round(getattr(self, name) / number, 2) for name in _COUNTED}


_COUNTED = ("wal_bytes", "wal_page_images", "blocks", "statements", "redis_commands")
_STATEMENTS = """
    SELECT coalesce(sum(shared_blks_hit + shared_blks_read), 0), coalesce(sum(calls), 0)
    FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Meter:
    """Of one database and one Redis. Pages and statements are none where the database does not count them."""

    def __init__(self, db: psycopg.Connection[Any], client: redis.Redis) -> None:
        self._db = db
        self._redis = client
        (self._counts,) = _row(db, "SELECT to_regclass('pg_stat_statements') IS NOT NULL")

    def read(self) -> Expense:
        blocks, statements = _row(self._db, _STATEMENTS) if self._counts else (0, 0)
        (images,) = _row(self._db, "SELECT wal_fpi FROM pg_stat_wal")
        (wal,) = _row(self._db, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
        commands = self._redis.info("stats")["total_commands_processed"]
        return Expense(cpu_seconds(), int(wal), int(images), int(blocks), int(statements), int(commands))


def _row(db: psycopg.Connection[Any], statement: str) -> tuple[Any, ...]:
    row = db.execute(statement.encode()).fetchone()
    assert row is not None
    return tuple(row)
