"""What Postgres does by a plan that it made while a table was empty, and kept: as every process has it that was there
before the first shop, until ANALYZE comes by.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql
from psycopg.adapt import PyFormat, Transformer

from tests.scale.recorder import EXPLAIN, Seen

NAMED = re.compile(r"%\((\w+)\)s")
WAITING = 30_000  # deliveries of another shop, besides

# With the columns that are written.
_TABLES = """
    SELECT relid::regclass::text, string_agg(quote_ident(attname), ', ')
    FROM pg_stat_user_tables JOIN pg_attribute ON attrelid = relid
    WHERE attnum > 0 AND NOT attisdropped AND attgenerated = '' GROUP BY relid
"""
_WAIT = """
    INSERT INTO deliveries (shop, webhook_id, topic, feed, resource_id, triggered_at, received_at, source, lane, state)
    SELECT 'waiting.myshopify.com', n::text, 'products/update', 'products', n, now(), now(), 'webhook',
           CASE WHEN mod(n, 2) = 0 THEN 'live' ELSE 'bulk' END, 'waiting'
    FROM generate_series(1, %s) AS n
"""


@dataclass(frozen=True)
class Kept:
    """A statement that this connection has prepared, and how it is called there with the same values."""

    seen: Seen
    call: sql.Composed


def among_much(url: str, seen: Sequence[Seen]) -> Iterator[Seen]:
    """The same statements by the plans that were made of them in an empty database, when all its rows are back.

    One that cannot be done a second time is left out.
    """
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("SET plan_cache_mode = force_generic_plan")
        with _emptied(db):
            kept = [_planned(db, one, f"kept_{number}") for number, one in enumerate(seen)]
        db.execute(_WAIT, [WAITING])
        for one in kept:
            with suppress(psycopg.errors.UniqueViolation):
                yield _executed(db, one)


@contextmanager
def _emptied(db: psycopg.Connection[Any]) -> Iterator[None]:
    """No row anywhere; afterwards all of them again, and no plan is thrown away for that: nothing is counted."""
    tables = [(sql.SQL(name), sql.SQL(columns)) for name, columns in db.execute(_TABLES).fetchall()]
    db.execute("CREATE SCHEMA aside")
    for number, (table, columns) in enumerate(tables):
        there = sql.Identifier("aside", str(number))
        db.execute(sql.SQL("CREATE UNLOGGED TABLE {} AS SELECT {} FROM {}").format(there, columns, table))
    db.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(table for table, _ in tables)))
    yield
    db.execute("SET session_replication_role = replica")  # rows come back in any order: no foreign key is looked at
    for number, (table, columns) in enumerate(tables):
        back = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE TABLE {}")
        db.execute(back.format(table, columns, sql.Identifier("aside", str(number))))
    db.execute("SET session_replication_role = origin")


def _planned(db: psycopg.Connection[Any], seen: Seen, name: str) -> Kept:
    """By SQL's own PREPARE: what psycopg has prepared it forgets with each ROLLBACK."""
    names = list(dict.fromkeys(NAMED.findall(seen.statement)))
    numbered = NAMED.sub(lambda found: f"${names.index(found[1]) + 1}", seen.statement).replace("%%", "%")
    types = [sql.SQL(_type(db, seen.values[each])) for each in names]
    values = [sql.Literal(seen.values[each]) for each in names]
    call = _with(name, values)
    with suppress(psycopg.Error), _in_its_shop(db, seen):  # it may miss a row that it counts on
        db.execute(sql.SQL("PREPARE {} AS ").format(_with(name, types)) + sql.SQL(numbered))
        db.execute(sql.SQL("EXECUTE {}").format(call))
    return Kept(seen, call)


@contextmanager
def _in_its_shop(db: psycopg.Connection[Any], seen: Seen) -> Iterator[None]:
    with db.transaction(force_rollback=True):
        if seen.shop is not None:
            db.execute("SELECT enter_shop(%s)", [seen.shop])
        yield


def _type(db: psycopg.Connection[Any], value: Any) -> str:
    """What psycopg would say that it sends."""
    dumper = Transformer(db).get_dumper(value, PyFormat.AUTO)
    known = db.adapters.types.get(dumper.oid)
    return "unknown" if known is None else f"{known.regtype}[]" if dumper.oid == known.array_oid else known.regtype


def _with(name: str, listed: Sequence[sql.Composable]) -> sql.Composed:
    named = sql.Composed([sql.Identifier(name)])
    return named + sql.SQL("({})").format(sql.SQL(", ").join(listed)) if listed else named


def _executed(db: psycopg.Connection[Any], kept: Kept) -> Seen:
    explain = sql.SQL(f"{EXPLAIN} EXECUTE {{}}").format(kept.call)
    with _in_its_shop(db, kept.seen):
        row = db.execute(explain).fetchone()
    assert row
    return replace(kept.seen, plan=row[0][0]["Plan"])
