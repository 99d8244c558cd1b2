"""Runs and feeds: what is being read, how far, and when next. One run a shop and feed, which the database enforces."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Result, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Boolean, Text

FEEDS = ("products", "customers")
LEASE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its next step needs it. `place` says where the last step ended; a crash goes on from there."""

    id: int
    shop: str
    feed: str
    trigger: str
    complete: bool
    state: str
    place: Mapping[str, Any]
    attempts: int
    seen: int
    started_at: datetime
    expected: int | None
    read_until: datetime | None


_COLUMNS = "id, shop, feed, trigger, complete, state, place, attempts, seen, started_at, expected, read_until"

_START = text(f"""
    INSERT INTO runs (shop, feed, trigger, who, complete) VALUES (:shop, :feed, :trigger, :who, :complete)
    ON CONFLICT (shop, feed) WHERE state = 'running' DO NOTHING
    RETURNING {_COLUMNS}
""")  # noqa: S608 — names of our own columns

_GOING = text(f"""
    SELECT {_COLUMNS} FROM runs WHERE shop = :shop AND feed = :feed AND state = 'running'
""")  # noqa: S608 — names of our own columns


def start(
    db: Connection, shop: str, feed: str, trigger: str, *, complete: bool, who: str | None = None
) -> tuple[Run, bool]:
    """A new run, or the one that is going: (run, whether it is new). Two at once cannot both be new."""
    values = {"shop": shop, "feed": feed, "trigger": trigger, "who": who, "complete": complete}
    while True:
        row = db.execute(_START, values).mappings().one_or_none()
        if row is not None:
            return Run(**row), True
        going = db.execute(_GOING, {"shop": shop, "feed": feed}).mappings().one_or_none()
        if going is not None:
            return Run(**going), False


_CLAIM = text(f"""
    UPDATE runs SET leased_until = now() + make_interval(secs => :lease)
    WHERE id = (
        SELECT id FROM runs
        WHERE state = 'running' AND next_step_at <= now() AND (leased_until IS NULL OR leased_until < now())
        ORDER BY next_step_at LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING {_COLUMNS}
""")  # noqa: S608 — names of our own columns


def claim(db: Connection) -> Run | None:
    """The run that has been due longest, leased. Whoever dies with it loses the lease, and another goes on."""
    row = db.execute(_CLAIM, {"lease": LEASE_SECONDS}).mappings().one_or_none()
    return Run(**row) if row is not None else None


def is_due(db: Connection) -> bool:
    statement = text("""SELECT EXISTS (SELECT 1 FROM runs WHERE state = 'running' AND next_step_at <= now()
                                       AND (leased_until IS NULL OR leased_until < now()))""")
    return bool(db.execute(statement).scalar_one())


@dataclass(frozen=True, slots=True)
class Progress:
    """What one step found, added to what the run had."""

    seen: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    rejected: int = 0


def is_going(db: Connection, run: Run) -> bool:
    """Whether it still is, and stays so until the transaction ends: its shop may be erased while Shopify is asked."""
    statement = text("SELECT 1 FROM runs WHERE id = :id AND state = 'running' FOR UPDATE")
    return db.execute(statement, {"id": run.id}).one_or_none() is not None


_ADVANCE = text("""
    UPDATE runs
    SET place = CAST(:place AS jsonb), seen = seen + :seen, created = created + :created, changed = changed + :changed,
        unchanged = unchanged + :unchanged, removed = removed + :removed, rejected = rejected + :rejected,
        expected = coalesce(:expected, expected), read_until = greatest(read_until, :read_until), attempts = 0,
        next_step_at = now() + make_interval(secs => :pause), leased_until = CASE WHEN :keep_lease THEN leased_until END
    WHERE id = :id AND state = 'running'
""")


def advance(
    db: Connection,
    run: Run,
    place: Mapping[str, Any],
    progress: Progress,
    *,
    expected: int | None = None,
    read_until: datetime | None = None,
    pause: float = 0,
    keep_lease: bool = False,
) -> None:
    """A step is done, in the same transaction that posted what it found: a crash repeats a step or nothing."""
    values: dict[str, Any] = {name: getattr(progress, name) for name in Progress.__dataclass_fields__}
    more = {
        "place": orjson.dumps(place).decode(),
        "expected": expected,
        "read_until": read_until,
        "pause": pause,
        "keep_lease": keep_lease,
    }
    db.execute(_ADVANCE, values | more | {"id": run.id})


def stumble(db: Connection, run: Run, seconds: float, reason: str, *, counts: bool) -> None:
    """The world is in the way; the same step again later."""
    statement = text("""UPDATE runs SET attempts = attempts + :counts, reason = :reason, leased_until = NULL,
                               next_step_at = now() + make_interval(secs => :seconds)
                        WHERE id = :id AND state = 'running'""")
    db.execute(statement, {"id": run.id, "seconds": seconds, "reason": reason, "counts": int(counts)})


_END = text("""
    UPDATE runs SET state = :state, reason = :reason, finished_at = now(), leased_until = NULL
    WHERE id = :id AND state = 'running'
    RETURNING seen, read_until, expected, complete
""")
_FEED_FINISHED = text("""
    UPDATE feeds
    SET last_import_at = now(), last_attempt_at = now(), failing_because = NULL,
        watermark = greatest(watermark, :watermark),
        expected = coalesce(:expected, expected),
        last_complete_at = CASE WHEN :complete THEN now() ELSE last_complete_at END,
        checked = CASE WHEN :complete THEN :seen ELSE checked END
    WHERE shop = :shop AND feed = :feed
""")
_FEED_FAILED = text("""
    UPDATE feeds SET last_attempt_at = now(), failing_because = :reason WHERE shop = :shop AND feed = :feed
""")


def finish(db: Connection, run: Run, watermark: datetime | None, expected: int | None) -> None:
    """Only a finished run moves the watermark and the last success."""
    row = db.execute(_END, {"id": run.id, "state": "finished", "reason": None}).one_or_none()
    if row is not None:
        values = {"shop": run.shop, "feed": run.feed, "watermark": watermark, "seen": row.seen}
        db.execute(_FEED_FINISHED, values | {"expected": expected, "complete": row.complete})
        _forget_seen(db, run)


def fail(db: Connection, run: Run, reason: str, *, held: bool = False) -> None:
    """The run is over without success (`held`: it waits for somebody's word). Nothing else of the feed moves."""
    state = "held" if held else "failed"
    if db.execute(_END, {"id": run.id, "state": state, "reason": reason}).one_or_none() is not None:
        db.execute(_FEED_FAILED, {"shop": run.shop, "feed": run.feed, "reason": reason})
        _forget_seen(db, run, but_its_own=held)


def confirm(db: Connection, run_id: int) -> Run | None:
    """A held run goes on with its removals; None if it is not held, or another run is going meanwhile."""
    statement = text(f"""
        UPDATE runs SET state = 'running', place = place || '{{"confirmed": true}}', finished_at = NULL, reason = NULL,
               next_step_at = now()
        WHERE id = :id AND state = 'held'
          AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.shop = runs.shop AND r.feed = runs.feed AND r.state = 'running')
        RETURNING {_COLUMNS}
    """)  # noqa: S608 — names of our own columns
    row = db.execute(statement, {"id": run_id}).mappings().one_or_none()
    return Run(**row) if row is not None else None


def note_seen(db: Connection, run: Run, ids: Collection[int]) -> int:
    """Remember what a complete run has read; how many of them were new to it."""
    statement = text("""INSERT INTO run_seen (run, resource_id) SELECT :run, i FROM unnest(:ids) AS i
                        ON CONFLICT DO NOTHING""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))
    return db.execute(statement, {"run": run.id, "ids": sorted(set(ids))}).rowcount if ids else 0


_FORGET = text("""
    WITH older AS (UPDATE runs SET place = place - 'checked'
                   WHERE shop = :shop AND feed = :feed AND state = 'held' AND id < :run RETURNING id)
    DELETE FROM run_seen WHERE run IN (SELECT id FROM older) OR (run = :run AND NOT :but_its_own)
""")


def _forget_seen(db: Connection, run: Run, *, but_its_own: bool = False) -> None:
    """Of this run and of those held before it: one of them that is confirmed after all asks about each record again."""
    db.execute(_FORGET, {"run": run.id, "shop": run.shop, "feed": run.feed, "but_its_own": but_its_own})


_UNSEEN = {
    "products": "SELECT id FROM products WHERE shop = :shop AND removed_at IS NULL AND core IS NOT NULL",
    "customers": "SELECT id FROM customers WHERE shop = :shop AND state = 'member'",
}


def unseen(db: Connection, run: Run) -> list[int]:
    """Live records of the mirror that this complete run did not read: candidates for removal, nothing more."""
    statement = text(f"""
        SELECT m.id FROM ({_UNSEEN[run.feed]}) AS m
        WHERE NOT EXISTS (SELECT 1 FROM run_seen s WHERE s.run = :run AND s.resource_id = m.id) ORDER BY m.id
    """)  # noqa: S608 — our own statements
    return [row.id for row in db.execute(statement, {"shop": run.shop, "run": run.id})]


def live_records(db: Connection, run: Run) -> int:
    """Live records of the run's feed."""
    statement = text(f"SELECT count(*) FROM ({_UNSEEN[run.feed]}) AS m")  # noqa: S608 — our own statements
    return int(db.execute(statement, {"shop": run.shop}).scalar_one())


def renew_lease(db: Connection, run: Run) -> None:
    """A long step says that it is still there."""
    statement = text("UPDATE runs SET leased_until = now() + make_interval(secs => :lease) WHERE id = :id")
    db.execute(statement, {"id": run.id, "lease": LEASE_SECONDS})


# Feeds and their timetable.


def open_feeds(db: Connection, shop: str, *, again: bool = True) -> None:
    """A newly installed shop's feeds, both due for their first complete run. Known ones are due again; without `again`
    only those that have never been imported and are not being imported now.
    """
    statement = text("""INSERT INTO feeds (shop, feed) VALUES (:shop, 'products'), (:shop, 'customers')
                        ON CONFLICT (shop, feed) DO UPDATE SET next_complete_at = now(), next_run_at = now()
                        WHERE :again OR (feeds.last_complete_at IS NULL
                                         AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.shop = feeds.shop
                                                         AND r.feed = feeds.feed AND r.state = 'running'))""")
    db.execute(statement, {"shop": shop, "again": again})


# An interval is the shop's own, or else everybody's. A feed keeps its rhythm: due again one interval after it was due.
# Only when that has passed as well (no clock was running) it starts anew, at a share of the interval that depends on
# the shop: a thousand shops that were all late must not start together ever after. A feed whose run is still going
# stays due until that has ended. Until the first import has succeeded there is nothing to add to, and each run is a
# complete one; so it is for customers until all of them have been read since the shop's rule changed.
_DUE = text("""
    UPDATE feeds
    SET next_run_at = CASE WHEN feeds.next_run_at + make_interval(secs => due.every) > now()
                           THEN feeds.next_run_at + make_interval(secs => due.every)
                           ELSE now() + make_interval(secs => due.every * due.share) END,
        next_complete_at = CASE WHEN due.complete THEN now() + make_interval(secs => due.complete_every)
                                ELSE feeds.next_complete_at END
    FROM (SELECT f.shop, f.feed, f.last_complete_at IS NULL AS first,
                 (f.next_complete_at <= now() OR f.last_complete_at IS NULL
                  OR (f.feed = 'customers' AND s.rule_changed_at > coalesce(judged.at, '-infinity'))) AS complete,
                 coalesce(s.reconcile_seconds, :every)::float8 AS every,
                 coalesce(s.complete_run_seconds, :complete_every)::float8 AS complete_every,
                 (1 + abs(hashtext(f.shop || f.feed) % 1000)) / 1001.0::float8 AS share
          FROM feeds f JOIN shops s ON s.domain = f.shop AND s.state = 'active'
          LEFT JOIN LATERAL (SELECT r.started_at AS at FROM runs r
                             WHERE s.rule_changed_at IS NOT NULL AND r.shop = f.shop AND r.feed = f.feed AND r.complete
                               AND r.state IN ('finished', 'held')
                             ORDER BY r.id DESC LIMIT 1) AS judged ON true
          WHERE f.next_run_at <= now()
            AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.shop = f.shop AND r.feed = f.feed AND r.state = 'running')
          ORDER BY f.next_run_at LIMIT :most FOR UPDATE OF f SKIP LOCKED) AS due
    WHERE feeds.shop = due.shop AND feeds.feed = due.feed
    RETURNING feeds.shop, feeds.feed, due.complete IS TRUE AS complete, due.first
""")


def take_due(db: Connection, every: float, complete_every: float, most: int = 1_000) -> list[dict[str, Any]]:
    """Feeds whose run is due, each given its next time: shop, feed, whether a complete one, whether the first."""
    values = {"every": every, "complete_every": complete_every, "most": most}
    return [dict(row) for row in db.execute(_DUE, values).mappings()]


_START_TAKEN = text("""
    INSERT INTO runs (shop, feed, trigger, complete)
    SELECT shop, feed, CASE WHEN first THEN 'install' ELSE 'schedule' END, complete
    FROM unnest(:shops, :feeds, :completes, :firsts) AS taken (shop, feed, complete, first)
    ON CONFLICT (shop, feed) WHERE state = 'running' DO NOTHING
""").bindparams(
    bindparam("shops", type_=ARRAY(Text)),
    bindparam("feeds", type_=ARRAY(Text)),
    bindparam("completes", type_=ARRAY(Boolean)),
    bindparam("firsts", type_=ARRAY(Boolean)),
)


def start_taken(db: Connection, due: Sequence[Mapping[str, Any]]) -> None:
    """Runs of the feeds that `take_due` took, in one statement: of 100,000 shops 333 feeds are due a second.

    Where one has begun meanwhile, that one is meant.
    """
    names = {"shops": "shop", "feeds": "feed", "completes": "complete", "firsts": "first"}
    if due:
        db.execute(_START_TAKEN, {column: [feed[name] for feed in due] for column, name in names.items()})


def feed(db: Connection, shop: str, name: str) -> dict[str, Any] | None:
    """A feed's row, with the shop's own intervals; they are null where everybody's hold."""
    statement = text("""SELECT f.*, s.reconcile_seconds, s.complete_run_seconds
                        FROM feeds f LEFT JOIN shops s ON s.domain = f.shop WHERE f.shop = :shop AND f.feed = :feed""")
    return _one(db.execute(statement, {"shop": shop, "feed": name}))


def _one(result: Result[Any]) -> dict[str, Any] | None:
    row = result.mappings().one_or_none()
    return dict(row) if row is not None else None


def going(db: Connection, shop: str, name: str) -> dict[str, Any] | None:
    statement = text("SELECT * FROM runs WHERE shop = :shop AND feed = :feed AND state = 'running'")
    return _one(db.execute(statement, {"shop": shop, "feed": name}))


def find(db: Connection, run_id: int) -> dict[str, Any] | None:
    statement = text("SELECT * FROM runs WHERE id = :id")
    return _one(db.execute(statement, {"id": run_id}))


_LISTED = text("""
    SELECT * FROM runs
    WHERE (CAST(:feed AS text) IS NULL OR feed = :feed) AND (CAST(:state AS text) IS NULL OR state = :state)
      AND (CAST(:before AS bigint) IS NULL OR id < :before)
    ORDER BY id DESC LIMIT :most
""")
# Feed by feed, and numbers first: asked for the rows of both feeds, Postgres reads and sorts all that the shop has. And
# between two ends of the index instead of at one shop: it takes a shop that it has no count of for ten rows, which are
# soon sorted, where there may be thousands.
_LISTED_OF_SHOP = text("""
    SELECT * FROM runs WHERE id = ANY(ARRAY(
        SELECT newest.id FROM (VALUES ('products'), ('customers')) AS kind (feed)
        CROSS JOIN LATERAL (SELECT id FROM runs
                            WHERE (shop, feed) >= (:shop, kind.feed)
                              AND (shop, feed, id) < (:shop, kind.feed, coalesce(CAST(:before AS bigint), :last))
                              AND (CAST(:state AS text) IS NULL OR state = :state)
                            ORDER BY shop DESC, feed DESC, id DESC LIMIT :most) AS newest
        WHERE CAST(:feed AS text) IS NULL OR kind.feed = :feed
        ORDER BY 1 DESC LIMIT :most))
    ORDER BY id DESC
""").bindparams(last=2**63 - 1)


def listed(
    db: Connection,
    shop: str | None,
    feed: str | None = None,
    *,
    state: str | None = None,
    before: int | None = None,
    most: int = 50,
) -> list[dict[str, Any]]:
    """Newest first, of all shops or one, of both feeds or one, those before `before` (an id)."""
    values = {"shop": shop, "feed": feed, "state": state, "before": before, "most": most}
    rows = db.execute(_LISTED if shop is None else _LISTED_OF_SHOP, values)
    return [dict(row) for row in rows.mappings()]


def count_waiting(db: Connection, run_id: int) -> int:
    """Differences this run posted that are not applied yet."""
    statement = text("SELECT count(*) FROM deliveries WHERE run = :run AND state = 'waiting'")
    return int(db.execute(statement, {"run": run_id}).scalar_one())


# Gaps.


@dataclass(frozen=True, slots=True)
class Repair:
    """A difference that a run found and a turn has just repaired. `known_at`: the state the mirror held was seen then.

    `topic`: what should have told of it; None when what differed is something Shopify sends no webhook for.
    """

    resource_id: int
    run: int
    changed_at: datetime | None
    known_at: datetime | None
    topic: str | None


# A webhook that would have told is one triggered after what the mirror knew. It came and died, came and was filtered,
# came and still waits, or it never came.
_RECORD = text("""
    INSERT INTO gaps (shop, feed, resource_id, topic, cause, changed_at, run)
    SELECT :shop, :feed, r.id, r.topic,
           CASE WHEN r.topic IS NULL THEN 'no_webhook'
                WHEN told.dead THEN 'dead'
                WHEN told.filtered THEN 'wrongly_filtered'
                WHEN told.came THEN 'late'
                ELSE 'never_delivered' END,
           r.changed_at, r.run
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
         AS r(id bigint, run bigint, changed_at timestamptz, known_at timestamptz, topic text)
    CROSS JOIN LATERAL (
        SELECT bool_or(d.outcome = 'dead') AS dead, bool_or(d.outcome = 'filtered') AS filtered, count(*) > 0 AS came
        FROM deliveries d
        WHERE d.shop = :shop AND d.resource_id = r.id AND d.feed = :feed AND d.source = 'webhook'
          AND (r.known_at IS NULL OR d.triggered_at > r.known_at)
    ) AS told
    WHERE EXISTS (SELECT 1 FROM runs JOIN shops ON shops.domain = runs.shop
                  WHERE runs.id = r.run AND runs.trigger <> 'install'
                    AND (r.topic IS NULL OR r.changed_at IS NULL
                         OR r.changed_at >= shops.installed_at - interval '1 second'))
""")


def record_gaps(db: Connection, shop: str, feed_name: str, repairs: Sequence[Repair]) -> None:
    """Say of each repair why its webhook had not done the work. The first import repairs nothing."""
    if repairs:
        rows = [
            {"id": r.resource_id, "run": r.run, "changed_at": r.changed_at, "known_at": r.known_at, "topic": r.topic}
            for r in repairs
        ]
        db.execute(_RECORD, {"shop": shop, "feed": feed_name, "rows": orjson.dumps(rows).decode()})


# Late is what was on its way while the run repaired the record; but not what a word that came in time had overtaken.
# A webhook that came after its run had repaired it was late, not lost.
_CAUSE = """
    CASE WHEN g.cause = 'never_delivered' AND EXISTS (
             SELECT 1 FROM deliveries d
             WHERE d.shop = g.shop AND d.resource_id = g.resource_id AND d.feed = g.feed
               AND d.source = 'webhook' AND d.received_at > g.repaired_at AND d.triggered_at <= g.repaired_at
               AND (g.changed_at IS NULL OR d.triggered_at >= g.changed_at)
               AND NOT EXISTS (
                   SELECT 1 FROM deliveries before
                   WHERE before.shop = d.shop AND before.resource_id = d.resource_id AND before.feed = d.feed
                     AND before.run IS DISTINCT FROM g.run AND before.received_at <= g.repaired_at
                     AND before.triggered_at > d.triggered_at))
         THEN 'late' ELSE g.cause END AS cause
"""
_OF_FEED = "g.shop = :shop AND g.repaired_at >= :since AND (CAST(:feed AS text) IS NULL OR g.feed = :feed)"
_GAPS = text(f"""
    SELECT g.id AS number, g.feed, g.resource_id AS id, g.topic, g.changed_at, g.repaired_at, g.run, {_CAUSE}
    FROM gaps g
    WHERE {_OF_FEED} AND (CAST(:run AS bigint) IS NULL OR g.run = :run)
      AND (CAST(:before AS bigint) IS NULL OR g.id < :before)
    ORDER BY g.id DESC LIMIT :most
""")  # noqa: S608 — put together from constants of ours


def gaps(
    db: Connection,
    shop: str,
    since: datetime,
    most: int,
    *,
    feed: str | None = None,
    run: int | None = None,
    before: int | None = None,
) -> list[dict[str, Any]]:
    """Gaps newest first. `number` is the gap's own, to go on from (`before`); `id` is the record's."""
    values = {"shop": shop, "since": since, "feed": feed, "run": run, "before": before, "most": most}
    return [dict(row) for row in db.execute(_GAPS, values).mappings()]


_GAP_COUNTS = text(f"""
    SELECT cause, topic, to_char(repaired_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, count(*) AS n,
           max(repaired_at - changed_at) AS slowest
    FROM (SELECT g.topic, g.changed_at, g.repaired_at, {_CAUSE} FROM gaps g WHERE {_OF_FEED}) AS found
    GROUP BY 1, 2, 3 ORDER BY 3 DESC, 4 DESC
""")  # noqa: S608 — as above


def gap_counts(db: Connection, shop: str, since: datetime, feed: str | None = None) -> list[dict[str, Any]]:
    """How many by cause, topic (None: Shopify sends no webhook for it) and day in UTC, and the longest repair."""
    return [dict(row) for row in db.execute(_GAP_COUNTS, {"shop": shop, "since": since, "feed": feed}).mappings()]
