"""Failures in groups: deliveries that died of the same thing, or have failed several times and still wait.

A duty files them a few seconds later, many at once. Were it done where they fail, a flood of poison would be as many
updates of one row, each waiting for the one before; and the front door would have one more table to write.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, DateTime, Integer, Text

from adapters import audit
from domain.fingerprints import Fingerprint, fingerprint

STATES = ("open", "acknowledged", "resolved", "ignored", "snoozed")

# Filing: dead ones at once, waiting ones from their third failed attempt on (the same words stand in the index).

_UNFILED = text("""
    SELECT id, topic, reason, coalesce(closed_at, now()) AS at FROM deliveries
    WHERE fingerprint IS NULL AND (outcome = 'dead' OR (outcome IS NULL AND attempts >= 3))
    ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
""")
_FILE = text("""
    UPDATE deliveries SET fingerprint = v.fingerprint FROM unnest(:ids, :fingerprints) AS v(id, fingerprint)
    WHERE deliveries.id = v.id
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)), bindparam("fingerprints", type_=ARRAY(Text)))
# Sorted, and written by whoever holds the duty alone. What was resolved and happens again is open again.
_COUNT = text("""
    INSERT INTO failures AS f (fingerprint, topic, sentence, events, first_seen, last_seen, hour, this_hour)
    SELECT fingerprint, topic, sentence, events, first_seen, last_seen, date_trunc('hour', now()), events
    FROM unnest(:fingerprints, :topics, :sentences, :events, :firsts, :lasts)
         AS v(fingerprint, topic, sentence, events, first_seen, last_seen)
    ORDER BY fingerprint
    ON CONFLICT (fingerprint) DO UPDATE
    SET events = f.events + excluded.events, first_seen = least(f.first_seen, excluded.first_seen),
        last_seen = greatest(f.last_seen, excluded.last_seen),
        hour_before = CASE f.hour WHEN excluded.hour THEN f.hour_before
                                  WHEN excluded.hour - interval '1 hour' THEN f.this_hour ELSE 0 END,
        this_hour = CASE f.hour WHEN excluded.hour THEN f.this_hour ELSE 0 END + excluded.events,
        hour = excluded.hour,
        state = CASE WHEN f.state = 'resolved' AND excluded.last_seen > f.changed_at THEN 'open' ELSE f.state END,
        changed_at = CASE WHEN f.state = 'resolved' AND excluded.last_seen > f.changed_at THEN now()
                          ELSE f.changed_at END
    RETURNING fingerprint, state = 'open' AND changed_at = now() AS is_news
""").bindparams(
    bindparam("fingerprints", type_=ARRAY(Text)),
    bindparam("topics", type_=ARRAY(Text)),
    bindparam("sentences", type_=ARRAY(Text)),
    bindparam("events", type_=ARRAY(Integer)),
    bindparam("firsts", type_=ARRAY(DateTime(timezone=True))),
    bindparam("lasts", type_=ARRAY(DateTime(timezone=True))),
)


@dataclass(frozen=True, slots=True)
class Filed:
    """How many deliveries were given their group, and the groups that are new, or open again."""

    deliveries: int
    news: tuple[str, ...]


def file(db: Connection, most: int) -> Filed:
    """Give deliveries that have failed their groups, oldest first; fewer than `most` means that none are left."""
    rows = db.execute(_UNFILED, {"most": most}).all()
    if not rows:
        return Filed(0, ())
    known = {pair: fingerprint(*pair) for pair in {(row.topic, row.reason) for row in rows}}
    of_row = {row.id: known[row.topic, row.reason] for row in rows}
    db.execute(_FILE, {"ids": list(of_row), "fingerprints": [one.key for one in of_row.values()]})
    counted = db.execute(_COUNT, _groups(rows, of_row))
    return Filed(len(rows), tuple(row.fingerprint for row in counted if row.is_news))


def _groups(rows: Iterable[Row[Any]], of_row: dict[int, Fingerprint]) -> dict[str, list[Any]]:
    events: Counter[str] = Counter()
    groups: dict[str, tuple[str, str]] = {}
    times: dict[str, list[datetime]] = {}
    for row in rows:
        one = of_row[row.id]
        events[one.key] += 1
        groups[one.key] = row.topic, one.sentence
        times.setdefault(one.key, []).append(row.at)
    keys = sorted(groups)
    return {
        "fingerprints": keys,
        "topics": [groups[key][0] for key in keys],
        "sentences": [groups[key][1] for key in keys],
        "events": [events[key] for key in keys],
        "firsts": [min(times[key]) for key in keys],
        "lasts": [max(times[key]) for key in keys],
    }


# Reading. A snooze ends by itself: nothing has to be written for it.
_STATE = "CASE WHEN f.state = 'snoozed' AND f.snoozed_until <= now() THEN 'open' ELSE f.state END"
_HOURS = """
    CASE f.hour WHEN date_trunc('hour', now()) THEN f.this_hour ELSE 0 END AS in_this_hour,
    CASE f.hour WHEN date_trunc('hour', now()) THEN f.hour_before
                WHEN date_trunc('hour', now()) - interval '1 hour' THEN f.this_hour ELSE 0 END AS in_hour_before
"""
_FAILING = "d.fingerprint IS NOT NULL AND (d.outcome = 'dead' OR d.outcome IS NULL)"
_LISTED = text(f"""
    WITH page AS (
        SELECT f.*, {_STATE} AS state_now, {_HOURS} FROM failures AS f
        WHERE (CAST(:state AS text) IS NULL OR {_STATE} = :state)
          AND (CAST(:topic AS text) IS NULL OR f.topic = :topic)
          AND (CAST(:fingerprint AS text) IS NULL OR f.fingerprint = :fingerprint)
          AND (CAST(:shop AS text) IS NULL OR EXISTS (
               SELECT 1 FROM deliveries AS d WHERE d.fingerprint = f.fingerprint AND d.shop = :shop AND {_FAILING}))
          AND (CAST(:after AS text) IS NULL
               OR (f.last_seen, f.fingerprint) < (SELECT last_seen, fingerprint FROM failures
                                                  WHERE fingerprint = :after))
        ORDER BY f.last_seen DESC, f.fingerprint DESC LIMIT :most
    )
    SELECT page.*, coalesce(now.dead, 0) AS dead, coalesce(now.waiting, 0) AS waiting, now.shops
    FROM page CROSS JOIN LATERAL (
        SELECT CAST(sum(dead) AS bigint) AS dead, CAST(sum(waiting) AS bigint) AS waiting, count(*) AS shops FROM (
            SELECT count(*) FILTER (WHERE d.outcome = 'dead') AS dead,
                   count(*) FILTER (WHERE d.outcome IS NULL) AS waiting
            FROM deliveries AS d
            WHERE d.fingerprint = page.fingerprint AND {_FAILING} AND (CAST(:shop AS text) IS NULL OR d.shop = :shop)
            GROUP BY d.shop
        ) AS by_shop
    ) AS now
    ORDER BY page.last_seen DESC, page.fingerprint DESC
""")  # noqa: S608 — put together from names of ours


def listed(
    db: Connection,
    *,
    state: str | None = None,
    shop: str | None = None,
    topic: str | None = None,
    most: int = 100,
    after: str | None = None,
) -> list[dict[str, Any]]:
    """Groups, the one that happened last first, JSON-ready; the next page is what comes `after` a fingerprint.

    `events` is how often it has ever happened, `this_hour` and `hour_before` how often lately; `dead`, `waiting` and
    `shops` are what is left of it now.
    """
    return _read(db, state=state, shop=shop, topic=topic, most=most, after=after)


def find(db: Connection, fingerprint: str) -> dict[str, Any] | None:
    """One group, and under `outcomes` what has become of all its deliveries so far."""
    found = _read(db, fingerprint=fingerprint)
    if not found:
        return None
    statement = text("""
        SELECT coalesce(outcome, 'waiting') AS outcome, count(*) AS n FROM deliveries
        WHERE fingerprint = :fingerprint GROUP BY 1 ORDER BY 1
    """)
    rows = db.execute(statement, {"fingerprint": fingerprint})
    return found[0] | {"outcomes": {row.outcome: row.n for row in rows}}


SHOWN = (
    *("fingerprint", "state", "topic", "sentence", "events", "this_hour", "hour_before", "dead", "waiting", "shops"),
    *("first_seen", "last_seen", "owner", "note", "snoozed_until", "changed_at"),
)
_COLUMN_OF = {"state": "state_now", "this_hour": "in_this_hour", "hour_before": "in_hour_before"}


def _read(db: Connection, **asked: Any) -> list[dict[str, Any]]:
    usual = {"state": None, "shop": None, "topic": None, "fingerprint": None, "after": None, "most": 1}
    rows = db.execute(_LISTED, usual | asked).mappings()
    return [{name: row[_COLUMN_OF.get(name, name)] for name in SHOWN} for row in rows]


def counts(db: Connection) -> dict[str, int]:
    """How many groups are in which state; every state is named."""
    statement = text(f"SELECT {_STATE} AS state, count(*) AS n FROM failures AS f GROUP BY 1")  # noqa: S608 — our names
    return dict.fromkeys(STATES, 0) | {row.state: row.n for row in db.execute(statement)}


_DEAD = text(f"""
    SELECT count(*) FROM (
        SELECT 1 FROM deliveries AS d LEFT JOIN failures AS f USING (fingerprint)
        WHERE d.outcome = 'dead' AND (f.state IS NULL OR {_STATE} NOT IN ('ignored', 'snoozed')) LIMIT :most
    ) AS found
""")  # noqa: S608 — put together from names of ours


def count_dead(db: Connection, most: int = 100_001) -> int:
    """Dead deliveries that an alert should speak of: what is ignored or snoozed is not counted."""
    return int(db.execute(_DEAD, {"most": most}).scalar_one())


_DEAD_SINCE = text(f"""
    SELECT d.closed_at FROM deliveries AS d LEFT JOIN failures AS f USING (fingerprint)
    WHERE d.outcome = 'dead' AND (f.state IS NULL OR {_STATE} NOT IN ('ignored', 'snoozed')) ORDER BY d.id LIMIT 1
""")  # noqa: S608 — put together from names of ours


def dead_since(db: Connection) -> datetime | None:
    """When the oldest of those died."""
    moment: datetime | None = db.execute(_DEAD_SINCE).scalar()
    return moment


# Acting.

ACTS = {
    "open": "issue reopened",
    "acknowledged": "issue acknowledged",
    "resolved": "issue resolved",
    "ignored": "issue ignored",
    "snoozed": "issue snoozed",
}
_CHANGE = text("""
    UPDATE failures SET state = :state, snoozed_until = :until, changed_at = clock_timestamp(),
           note = coalesce(:note, note), owner = CASE WHEN :state = 'open' THEN NULL ELSE :who END
    WHERE fingerprint = :fingerprint
""").bindparams(bindparam("until", type_=DateTime(timezone=True)), bindparam("note", type_=Text))


def change(
    db: Connection, fingerprint: str, state: str, who: str, *, until: datetime | None = None, note: str | None = None
) -> bool:
    """Give the group a state, and whoever did it as its owner; audited here. False: there is no such group.

    `until` says when a snooze ends and is needed for it. A resolved group opens again when it happens again; an ignored
    one does not, and no alert speaks of it.
    """
    if (state == "snoozed") != (until is not None):
        raise ValueError("A snooze, and nothing else, needs the time it ends.")
    values = {"fingerprint": fingerprint, "state": state, "who": who, "until": until, "note": note}
    if db.execute(_CHANGE, values).rowcount == 0:
        return False
    audit.note(db, who, ACTS[state], why=note, target=fingerprint)
    return True
