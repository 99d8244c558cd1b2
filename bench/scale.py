"""Does a delivery cost the same however many shops, products and old deliveries there are? And what is all the rest?

Everything is told as CPU seconds by process and as what Postgres and Redis had to do: another program on the machine
changes rates, and hardly these.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
import redis

from adapters.database import migrate
from adapters.vault import Vault
from bench import crowd, mail
from bench.crowd import Amount
from bench.expense import Expense, Meter
from bench.mail import LENGTH
from bench.progress import Note
from bench.sender import send
from bench.stage import (
    LOOK,
    PATIENCE,
    Family,
    Lost,
    create_database,
    environment_of_data_sync,
    ground,
    number,
    procfile,
)
from devstore.servers import Postgres, free_port

Figures = dict[str, Any]
IDLE_SECONDS = 4.0
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reach:
    """How far. A wave is one round's deliveries of one kind, each of another product."""

    rounds: int = 3
    wave: int = 1_000
    per_second: float = 200.0
    few_shops: int = 10
    many_shops: int = 1_000
    few_products: int = 1_000
    many_products: int = 1_000_000
    inbox: int = 10_000_000
    workers: tuple[int, ...] = (1, 2, 4)
    drained: int = 6_000
    clock_shops: tuple[int, ...] = (1_000, 10_000, 100_000)
    bell_shops: int = 100_000
    run_shops: int = 100


QUICK = Reach(
    rounds=1,
    wave=100,
    few_shops=2,
    many_shops=20,
    few_products=100,
    many_products=400,
    inbox=2_000,
    workers=(1, 2),
    drained=200,
    clock_shops=(20, 40),
    bell_shops=200,
    run_shops=2,
)


@dataclass(frozen=True)
class Place:
    """Two servers, of which Postgres counts statements, and what the processes are told but for their database."""

    folder: Path
    postgres: Postgres
    redis: redis.Redis
    environment: Mapping[str, str]
    note: Note

    @property
    def port(self) -> int:
        return int(self.environment["PORT"])

    def told(self, url: str) -> dict[str, str]:
        return {**self.environment, "DATABASE_URL": url}

    def create(self, name: str, amount: Amount) -> "Crowd":
        """A database of that name, and a crowd in it."""
        self.note(f"scale: making {name}")
        url = create_database(self.postgres, name.replace(",", "").replace(" ", "_"))
        migrate(url.replace("postgresql:", "postgresql+psycopg:"))
        db = psycopg.connect(url, autocommit=True)
        db.execute("CREATE EXTENSION pg_stat_statements")
        began = time.monotonic()
        crowd.fill(db, Vault([self.environment["ENCRYPTION_KEYS"]]), amount)
        return Crowd(name, url, db, amount, round(time.monotonic() - began, 1))


@dataclass(frozen=True)
class Crowd:
    name: str
    url: str
    db: psycopg.Connection[Any]
    amount: Amount
    made_in_seconds: float


@contextmanager
def place(note: Note) -> Iterator[Place]:
    """Started, and removed with all databases at the end."""
    with ground(note) as on:
        with psycopg.connect(on.postgres.url, autocommit=True) as db:
            db.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        on.postgres.restart()
        # Nobody listens there: what must be asked of Shopify waits in the lane `bulk`.
        origin = f"http://127.0.0.1:{free_port()}/{{shop}}"
        told = environment_of_data_sync(free_port(), "", on.valkey.url, origin, reconcile_seconds=86_400)
        with redis.Redis.from_url(on.valkey.url) as client:
            yield Place(on.folder, on.postgres, client, on.environment | told, note)


def scale(note: Note, reach: Reach) -> Figures:
    """All of it, one after the other."""
    from bench import clockwork, run_costs  # noqa: PLC0415  # they know this module

    with place(note) as standing, ExitStack() as stack:
        crowds = [standing.create(name, amount) for name, amount in amounts(reach).items()]
        for among in crowds:
            stack.enter_context(among.db)
        figures: Figures = {
            "deliveries": deliveries(standing, crowds, reach),
            "workers": workers(standing, crowds[1], reach),
            "storage": storage(crowds),
            "clock": clockwork.clock(standing, reach.clock_shops),
            "bell": clockwork.bell(standing, reach.bell_shops),
        }
    return figures | {"runs": run_costs.runs(note, reach.run_shops)}


def amounts(reach: Reach) -> dict[str, Amount]:
    """By name. The first is the small one; each other has more of one thing."""
    small = Amount(shops=reach.few_shops, products=reach.few_products)
    return {
        "small": small,
        # What lies in other tables beside it is there to be weighed.
        f"{reach.many_shops:,} shops": replace(
            small, shops=reach.many_shops, bystanders=50 * reach.many_shops, runs=20
        ),
        f"{reach.many_products:,} products": replace(
            small, products=reach.many_products, members=20 * reach.many_shops
        ),
        f"{reach.inbox:,} old deliveries": replace(small, deliveries=reach.inbox),
    }


# Deliveries


def deliveries(standing: Place, crowds: Sequence[Crowd], reach: Reach) -> Figures:
    """Rounds in turn (A B C D A B C D …). Of each crowd the medians for one delivery, by kind."""
    seen: dict[str, list[Figures]] = {among.name: [] for among in crowds}
    for nth in range(1, reach.rounds + 1):
        for among in crowds:
            standing.note(f"scale: round {nth} of {reach.rounds}, {among.name}")
            seen[among.name].append(_round(standing, among, reach, nth))
    return {
        among.name: {kind: _median([one[kind] for one in seen[among.name]]) for kind in ("changed", "unchanged")}
        | {"memory_mib": [one["memory_mib"] for one in seen[among.name]], "made_in_seconds": among.made_in_seconds}
        for among in crowds
    }


def _round(standing: Place, among: Crowd, reach: Reach, nth: int) -> Figures:
    """Products that changed, and the same once more: nothing has changed by then. The processes run for this alone."""
    standing.redis.flushall()
    products = among.amount.products
    numbers = range(0, products, max(1, products // reach.wave))[: reach.wave]
    with procfile(standing.folder, standing.told(among.url), standing.note) as family:
        _send(standing, among, numbers[: max(10, reach.wave // 10)], 2 * nth, reach.per_second)  # warm
        among.db.execute("CHECKPOINT")
        meter = Meter(among.db, standing.redis)
        idle = _while_idle(meter)
        found: Figures = {}
        for kind, outcome in (("changed", "applied"), ("unchanged", "unchanged")):
            last, before, began = number(among.db, _LAST), meter.read(), time.monotonic()
            _send(standing, among, numbers, 2 * nth + 1, reach.per_second)
            spent, seconds = meter.read() - before, time.monotonic() - began
            _verify(among, last, len(numbers), outcome)
            found[kind] = _less(spent, idle, seconds / IDLE_SECONDS).each(len(numbers))
        return found | {"memory_mib": _memory(family())}


_LAST = "SELECT coalesce(max(id), 0) FROM deliveries"


def _while_idle(meter: Meter) -> Expense:
    before = meter.read()
    time.sleep(IDLE_SECONDS)
    return meter.read() - before


def _less(spent: Expense, idle: Expense, times: float) -> Expense:
    """Without what the processes would have done in that time with nothing to do."""
    cpu = {role: max(0.0, cost - idle.cpu.get(role, 0.0) * times) for role, cost in spent.cpu.items()}
    return replace(
        spent,
        cpu=cpu,
        **{
            name: max(0, int(getattr(spent, name) - getattr(idle, name) * times))
            for name in ("statements", "blocks", "redis_commands")
        },
    )


def _send(standing: Place, among: Crowd, numbers: Sequence[int], revision: int, per_second: float) -> None:
    """Webhooks about this revision of these products, until all are decided."""
    path = standing.folder / "wave"
    secret = standing.environment["SHOPIFY_API_SECRET"]
    with path.open("wb") as file:
        for n in numbers:
            request = mail.delivery(secret, crowd.shop(n % among.amount.shops), n, revision).request()
            file.write(LENGTH.pack(len(request)) + request)
    sent = send(path, standing.port, len(numbers), per_second=per_second)
    if sent.statuses != {"200": len(numbers)}:
        raise Lost(f"Scale: {len(numbers):,} sent, answers {sent.statuses}.")
    await_none(among.db, _WAITING)


_WAITING = "SELECT count(*) FROM deliveries WHERE lane = 'live' AND state = 'waiting'"


def await_none(db: psycopg.Connection[Any], statement: str) -> None:
    left, moved = -1, time.monotonic()
    while now_left := number(db, statement):
        if now_left != left:
            left, moved = now_left, time.monotonic()
        if time.monotonic() - moved > PATIENCE:
            raise Lost(f"Scale: {now_left:,} deliveries are not decided, and nothing moves.")
        time.sleep(LOOK)


def _verify(among: Crowd, last: int, sent: int, outcome: str) -> None:
    statement = "SELECT count(*) FROM deliveries WHERE id > %s AND lane = 'live' AND outcome = %s"
    row = among.db.execute(statement, (last, outcome)).fetchone()
    if row is None or row[0] != sent:
        raise Lost(f"Scale, {among.name}: of {sent:,} deliveries {row and row[0]:,} are {outcome}.")


def _memory(family: Family) -> dict[str, float]:
    return {role: round(sum(p.memory_info().rss for p in of) / MIB, 1) for role, of in family.items()}


def _median(of: Sequence[Figures]) -> Figures:
    """Name by name, and within `cpu_ms` role by role."""
    roles = of[0]["cpu_ms"]
    cpu = {role: round(median(one["cpu_ms"].get(role, 0.0) for one in of), 4) for role in roles}
    return {"cpu_ms": cpu} | {name: median(one[name] for one in of) for name in of[0] if name != "cpu_ms"}


# Worker processes


def workers(standing: Place, among: Crowd, reach: Reach) -> Figures:
    """How fast a full inbox is decided by so many live workers, and what that costs. Nobody sends meanwhile."""
    from bench.drain import drain  # noqa: PLC0415  # it knows this module

    return {str(count): drain(standing, among, count, reach.drained) for count in reach.workers}


# Storage

_SIZES = """
    SELECT relname, greatest(reltuples, 0)::bigint, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


def storage(crowds: Sequence[Crowd]) -> Figures:
    """Bytes a row, of the table and of its indexes, where there are most of them; deliveries with their bodies."""
    small, shops, products, inbox = crowds
    found = {}
    for what, table, among in (
        *(("deliveries", "deliveries", small), ("old deliveries", "deliveries", inbox)),
        *(("products", "products", products), ("variants", "variants", products), ("members", "customers", products)),
        *(("bystanders", "customers", shops), ("runs", "runs", shops)),
    ):
        among.db.execute("VACUUM ANALYZE")
        rows, size, indexes = next(row[1:] for row in among.db.execute(_SIZES.encode()) if row[0] == table)
        found[what] = {"rows": rows, "table": round(size / max(rows, 1)), "indexes": round(indexes / max(rows, 1))}
    return found
