"""Deletes what is older than its class is kept, some rows at a time, and never waits for a row that somebody holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text

from domain import retention
from domain.retention import Kept

COUNTED_TO = 100_000  # a longer line of what is too old is a number nobody needs


@dataclass(frozen=True, slots=True)
class Swept:
    """Of one batch: rows that were deleted, and whether more may be there at once."""

    removed: int
    more: bool


@dataclass(frozen=True, slots=True)
class _Old:
    """Where a class lies, and which of its rows are older than `:before`; `{lock}` and `:most` are the caller's."""

    table: str
    rows: str


# What has no column of the time alone in an index is found shop by shop, each by the index that begins with the shop.
_OF_EACH_FEED = """
    SELECT old.ctid FROM shops CROSS JOIN unnest(ARRAY['products', 'customers']) AS f(feed)
    CROSS JOIN LATERAL (SELECT ctid FROM {table} AS t WHERE t.shop = shops.domain AND t.feed = f.feed
                          AND t.{time} < :before LIMIT :most {{lock}}) AS old
    LIMIT :most
"""
# The key is followed, so the oldest come first.
_BY_ID = "SELECT ctid FROM {table} WHERE {condition} ORDER BY id LIMIT :most {{lock}}"

_NOBODY_ASKS = "NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.shop = {row}.shop AND d.resource_id = {row}.id)"

_OLD: Mapping[str, _Old] = {
    retention.DELIVERIES.name: _Old(
        "deliveries",
        """SELECT ctid FROM deliveries WHERE closed_at < :before AND outcome <> 'dead'
           ORDER BY closed_at LIMIT :most {lock}""",
    ),
    retention.DEAD.name: _Old(
        "deliveries",
        """SELECT ctid FROM deliveries WHERE closed_at < :before AND outcome = 'dead'
           ORDER BY closed_at LIMIT :most {lock}""",
    ),
    # A feed's latest ones tell its state and its health, however long ago; not those of an erased shop.
    retention.RUNS.name: _Old(
        "runs",
        """SELECT r.ctid FROM runs r WHERE r.finished_at < :before AND r.state <> 'running'
             AND (r.id < (SELECT max(later.id) FROM runs later
                          WHERE later.shop = r.shop AND later.feed = r.feed AND later.state = r.state)
                  OR NOT EXISTS (SELECT 1 FROM shops WHERE shops.domain = r.shop))
           ORDER BY r.finished_at
           LIMIT :most {lock}""",
    ),
    retention.GAPS.name: _Old("gaps", "SELECT ctid FROM gaps WHERE repaired_at < :before LIMIT :most {lock}"),
    retention.ACTIVITY.name: _Old("activity", _OF_EACH_FEED.format(table="activity", time="hour")),
    retention.ISSUES.name: _Old("issues", _OF_EACH_FEED.format(table="issues", time="resolved_at")),
    retention.FAILURES.name: _Old(
        "failures",
        """SELECT ctid FROM failures f WHERE f.last_seen < :before
             AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.fingerprint = f.fingerprint)
           LIMIT :most {lock}""",
    ),
    retention.NOTICES.name: _Old(
        "notices", _BY_ID.format(table="notices", condition="made_at < :before AND state <> 'waiting'")
    ),
    retention.REPLAYS.name: _Old(
        "replays", _BY_ID.format(table="replays", condition="started_at < :before AND state <> 'running'")
    ),
    retention.AUDIT.name: _Old("audit", _BY_ID.format(table="audit", condition="at < :before")),
    retention.REMOVED_PRODUCTS.name: _Old(
        "products",
        f"""SELECT p.ctid FROM products p WHERE p.removed_at < :before AND {_NOBODY_ASKS.format(row="p")}
            ORDER BY p.removed_at LIMIT :most {{lock}}""",  # noqa: S608 — constants of ours
    ),
}

# Customers who are not here have no index by age: see migration 0013. They are walked through by their key, a slice at
# a time, once a day.
_WALKED: Mapping[str, str] = {
    retention.NOT_ELIGIBLE.name: "c.state = 'not_eligible'",
    retention.REMOVED_CUSTOMERS.name: "c.state = 'removed'",
}
_TOO_OLD = f"""NOT c.redacted AND c.seen < :before AND {_NOBODY_ASKS.format(row="c")}"""


def sweep(db: Connection, kept: Kept, now: datetime, most: int) -> Swept:
    """Delete a batch of the class in the caller's transaction. Safe to repeat, and for two at once."""
    if kept.name in _WALKED:
        removed, more = _sweep_slice(db, kept, now, most)
    else:
        old = _OLD[kept.name]
        rows = old.rows.format(lock="FOR UPDATE SKIP LOCKED")
        statement = f"DELETE FROM {old.table} WHERE ctid = ANY(ARRAY({rows}))"  # noqa: S608 — constants of ours
        removed = db.execute(text(statement), {"before": kept.before(now), "most": most}).rowcount
        more = removed == most
    _note(db, kept, removed)
    return Swept(removed, more)


def _sweep_slice(db: Connection, kept: Kept, now: datetime, most: int) -> tuple[int, bool]:
    known = db.execute(_PLACE, {"class": kept.name}).one_or_none()
    if known is not None and known.is_done:
        return 0, False
    place = (known.place if known else None) or {"shop": "", "id": 0}
    values = {"shop": place["shop"], "id": place["id"], "most": most}
    statement = text(f"""
        WITH slice AS MATERIALIZED (
            SELECT shop, id FROM customers WHERE state <> 'member' AND (shop, id) > (:shop, :id)
            ORDER BY shop, id LIMIT :most
        ), gone AS (
            DELETE FROM customers WHERE ctid = ANY(ARRAY(
                SELECT c.ctid FROM slice JOIN customers c ON c.shop = slice.shop AND c.id = slice.id
                WHERE {_WALKED[kept.name]} AND {_TOO_OLD} FOR UPDATE OF c SKIP LOCKED))
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM gone) AS removed, (SELECT count(*) FROM slice) AS walked, last.shop, last.id
        FROM (SELECT shop, id FROM slice ORDER BY shop DESC, id DESC LIMIT 1) AS last
    """)  # noqa: S608 — constants of ours
    row = db.execute(statement, values | {"before": kept.before(now)}).one_or_none()
    more = row is not None and row.walked == most
    reached = orjson.dumps({"shop": row.shop, "id": row.id}).decode() if row is not None and more else None
    db.execute(_REACHED, {"class": kept.name, "place": reached})
    return (int(row.removed) if row is not None else 0), more


_PLACE = text("""
    SELECT place, place IS NULL AND coalesce(walked_at > now() - interval '1 day', false) AS is_done
    FROM swept WHERE class = :class FOR UPDATE
""")
_REACHED = text("""
    INSERT INTO swept (class, place, walked_at) VALUES (:class, CAST(:place AS jsonb), now())
    ON CONFLICT (class) DO UPDATE SET place = excluded.place, walked_at = excluded.walked_at
""")
_NOTE = text("""
    INSERT INTO swept (class, removed) VALUES (:class, :removed)
    ON CONFLICT (class) DO UPDATE SET removed = swept.removed + excluded.removed, at = now()
""")


def _note(db: Connection, kept: Kept, removed: int) -> None:
    db.execute(_NOTE, {"class": kept.name, "removed": removed})


def overdue(db: Connection, kept: Kept, now: datetime) -> int | None:
    """Rows older than their class is kept, counted to `COUNTED_TO`; None for a class that is not swept."""
    if kept.name in _WALKED:
        rows = f"""SELECT 1 FROM customers c WHERE c.state <> 'member' AND {_WALKED[kept.name]} AND {_TOO_OLD}
                   LIMIT :most"""  # noqa: S608 — constants of ours
    elif kept.name in _OLD:
        rows = _OLD[kept.name].rows.format(lock="")
    else:
        return None
    statement = text(f"SELECT count(*) FROM ({rows}) AS old")  # noqa: S608 — constants of ours
    return int(db.execute(statement, {"before": kept.before(now), "most": COUNTED_TO}).scalar_one())


def history(db: Connection) -> dict[str, dict[str, Any]]:
    """By class: how many rows were deleted since the installation, and when it was last looked at."""
    rows = db.execute(text("SELECT class, removed, at FROM swept"))
    return {row[0]: {"removed": row.removed, "at": row.at} for row in rows}
