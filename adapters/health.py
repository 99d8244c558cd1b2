"""What is known of each shop's health, whose check is due, and how often its webhooks come."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text

from domain.health import Breaker, Failures, Heard

LEASE_SECONDS = 120
SHOWN_FAILURES = 20  # failed runs of a feed that are counted; beyond, one more changes nothing


@dataclass(frozen=True, slots=True)
class Check:
    """A shop whose check is due, leased since `began`. `known` is what earlier checks learnt, as JSON."""

    shop: str
    began: datetime
    known: Mapping[str, Any]
    breaker: Breaker


# Three reasons why a check is due, each found by an index of its own: a question that has all of them in one condition
# would read every shop, for each shop that is checked.
_IS_FREE = "(h.leased_until IS NULL OR h.leased_until < now())"
_DUE = (
    # It came, or lost its token, or found it again.
    f"FROM shops s JOIN health h ON h.shop = s.domain WHERE s.is_news AND {_IS_FREE}",
    # A run has failed since.
    f"""FROM feeds f JOIN health h ON h.shop = f.shop JOIN shops s ON s.domain = f.shop
        WHERE f.failing_because IS NOT NULL AND f.last_attempt_at > h.checked_at
          AND s.state <> 'uninstalled' AND {_IS_FREE}""",
    # Its time has come.
    f"""FROM health h JOIN shops s ON s.domain = h.shop
        WHERE h.next_check_at <= now() AND s.state <> 'uninstalled' AND {_IS_FREE}""",
)
_ADMIT = text("""
    INSERT INTO health (shop) SELECT domain FROM shops s
    WHERE s.is_news AND NOT EXISTS (SELECT 1 FROM health h WHERE h.shop = s.domain)
    ON CONFLICT DO NOTHING
""")
_CLAIMS = tuple(
    text(f"""
        UPDATE health SET leased_until = now() + make_interval(secs => :lease),
                          next_check_at = now() + make_interval(secs => :every)
        WHERE shop = (SELECT h.shop {due} ORDER BY h.next_check_at LIMIT 1 FOR UPDATE OF h SKIP LOCKED)
        RETURNING shop, now() AS began, known, open_until, failed_probes, judged_run
    """)  # noqa: S608 — put together from names of our own
    for due in _DUE
)


def claim(db: Connection, every: float) -> Check | None:
    """A shop whose check is due, leased: news first, then who has waited longest. Who dies with it costs one check."""
    db.execute(_ADMIT)
    for statement in _CLAIMS:
        row = db.execute(statement, {"lease": LEASE_SECONDS, "every": every}).one_or_none()
        if row is not None:
            return Check(row.shop, row.began, row.known, Breaker(row.open_until, row.failed_probes, row.judged_run))
    return None


_ANY_DUE = text(f"""
    SELECT EXISTS (SELECT 1 FROM shops s WHERE s.is_news AND NOT EXISTS (SELECT 1 FROM health WHERE shop = s.domain))
           OR {" OR ".join(f"EXISTS (SELECT 1 {due})" for due in _DUE)}
""")  # noqa: S608 — put together from names of our own


def is_due(db: Connection) -> bool:
    return bool(db.execute(_ANY_DUE).scalar_one())


def hold_shop(db: Connection, shop: str) -> bool:
    """Whether the shop is still there; it cannot be erased before this transaction ends."""
    statement = text("SELECT 1 FROM shops WHERE domain = :shop FOR KEY SHARE")
    return db.execute(statement, {"shop": shop}).one_or_none() is not None


_DONE = text("""
    UPDATE health SET known = CAST(:known AS jsonb), open_until = :open_until, failed_probes = :failed_probes,
                      judged_run = :judged_run, checked_at = :checked_at,
                      next_check_at = CASE WHEN next_check_at = to_timestamp(0) THEN now() ELSE :next_check_at END,
                      leased_until = NULL
    WHERE shop = :shop
""")
_CHECKED = text("UPDATE shops SET checked_state = state WHERE domain = :shop AND state IS DISTINCT FROM checked_state")


def done(
    db: Connection,
    check: Check,
    breaker: Breaker,
    known: Mapping[str, Any],
    *,
    next_check_at: datetime,
) -> None:
    """Whatever happened to the shop after the check began is looked at by the next one."""
    values = {
        "shop": check.shop,
        "known": orjson.dumps(known).decode(),
        "open_until": breaker.open_until,
        "failed_probes": breaker.failed_probes,
        "judged_run": breaker.judged_run,
        "checked_at": check.began,
        "next_check_at": next_check_at,
    }
    db.execute(_DONE, values)
    db.execute(_CHECKED, {"shop": check.shop})


def check_soon(db: Connection, shop: str) -> None:
    """As soon as a worker comes to it; once more if one is at it now, for it may have asked before."""
    db.execute(text("UPDATE health SET next_check_at = to_timestamp(0) WHERE shop = :shop"), {"shop": shop})


_FAILURES = text("""
    SELECT f.feed, count(r.id) FILTER (WHERE r.id > coalesce(good.id, 0)) AS in_a_row, max(r.id) AS newest
    FROM feeds f
    LEFT JOIN LATERAL (SELECT id FROM runs WHERE shop = f.shop AND feed = f.feed AND state IN ('finished', 'held')
                       ORDER BY id DESC LIMIT 1) AS good ON true
    LEFT JOIN LATERAL (SELECT id FROM runs WHERE shop = f.shop AND feed = f.feed AND state = 'failed'
                       ORDER BY id DESC LIMIT :most) AS r ON true
    WHERE f.shop = :shop GROUP BY f.feed
""")


def failures(db: Connection, shop: str) -> Failures:
    """Failed runs in a row that every feed has, and the newest failed one."""
    rows = db.execute(_FAILURES, {"shop": shop, "most": SHOWN_FAILURES}).all()
    return Failures(min((row.in_a_row for row in rows), default=0), max((row.newest or 0 for row in rows), default=0))


def failing_because(db: Connection, shop: str) -> dict[str, str]:
    """By feed: why its last run failed. A run that is held has not failed."""
    statement = text("""
        SELECT f.feed, f.failing_because FROM feeds f
        WHERE f.shop = :shop AND f.failing_because IS NOT NULL
          AND 'failed' = (SELECT state FROM runs WHERE shop = f.shop AND feed = f.feed AND state <> 'running'
                          ORDER BY id DESC LIMIT 1)
    """)
    return {row.feed: row.failing_because for row in db.execute(statement, {"shop": shop})}


def hold_back(db: Connection, shop: str, until: datetime, every: float) -> None:
    """No run before then. Should nobody probe, they start by themselves one interval later."""
    statement = text("""UPDATE feeds SET next_run_at = greatest(next_run_at, :until + make_interval(secs => :every))
                        WHERE shop = :shop""")
    db.execute(statement, {"shop": shop, "until": until, "every": every})


def release(db: Connection, shop: str) -> None:
    """The shop's feeds are due now."""
    db.execute(text("UPDATE feeds SET next_run_at = least(next_run_at, now()) WHERE shop = :shop"), {"shop": shop})


# What was heard


MOST_COUNTED = 200_000  # deliveries at once; each is counted once, however large the inbox is
_UP_TO = text("SELECT delivery FROM heard_up_to FOR UPDATE")
_COUNT = text("""
    INSERT INTO heard (shop, feed, hour, deliveries, last_at)
    SELECT d.shop, d.feed, date_trunc('hour', d.received_at), count(*), max(d.received_at)
    FROM deliveries d JOIN shops s ON s.domain = d.shop
    WHERE d.id > :after AND d.id <= :upto AND d.source = 'webhook' AND d.feed IS NOT NULL
      AND d.received_at > now() - interval '8 days'
    GROUP BY 1, 2, 3
    ON CONFLICT (shop, feed, hour) DO UPDATE
    SET deliveries = heard.deliveries + excluded.deliveries, last_at = greatest(heard.last_at, excluded.last_at)
""")


def count_heard(db: Connection) -> None:
    """Add the webhooks that came since the last count to their hours. Two at once: the second waits for the first."""
    db.execute(text("INSERT INTO heard_up_to (delivery) VALUES (0) ON CONFLICT DO NOTHING"))
    after = db.execute(_UP_TO).scalar_one()
    newest = db.execute(text("SELECT coalesce(max(id), 0) FROM deliveries")).scalar_one()
    upto = min(newest, after + MOST_COUNTED)
    if upto > after:
        db.execute(_COUNT, {"after": after, "upto": upto})
        db.execute(text("UPDATE heard_up_to SET delivery = :upto"), {"upto": upto})


def forget_heard(db: Connection) -> None:
    """Only the week before the last webhook is needed, however long ago that was."""
    db.execute(_FORGET)


# Feed by feed along the key: what is kept, which is nearly all, is not read.
_FORGET = text("""
    DELETE FROM heard WHERE ctid = ANY(ARRAY(
        SELECT old.ctid FROM shops CROSS JOIN (VALUES ('products'), ('customers')) AS kind (feed)
        CROSS JOIN LATERAL (SELECT max(hour) AS hour FROM heard
                            WHERE shop = shops.domain AND heard.feed = kind.feed) AS last
        CROSS JOIN LATERAL (SELECT ctid FROM heard WHERE shop = shops.domain AND heard.feed = kind.feed
                              AND heard.hour < last.hour - interval '7 days' OFFSET 0) AS old))
""")


def heard(db: Connection, shop: str, feed: str) -> list[Heard]:
    """The week up to the last webhook, by hour, oldest first."""
    statement = text("""
        SELECT hour, deliveries, last_at FROM heard
        WHERE shop = :shop AND feed = :feed
          AND hour >= (SELECT max(hour) FROM heard WHERE shop = :shop AND feed = :feed) - interval '7 days'
        ORDER BY hour
    """)
    return [Heard(row.hour, row.deliveries, row.last_at) for row in db.execute(statement, {"shop": shop, "feed": feed})]


def missed(db: Connection, shop: str, feed: str, heard_before: Iterable[Heard]) -> int:
    """Changes that runs found since the last webhook."""
    last = max((one.last_at for one in heard_before), default=None)
    statement = text("SELECT count(*) FROM gaps WHERE shop = :shop AND feed = :feed AND repaired_at > :last")
    return int(db.execute(statement, {"shop": shop, "feed": feed, "last": last}).scalar_one()) if last else 0
