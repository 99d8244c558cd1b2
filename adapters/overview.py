"""What the console asks about all shops at once. Bounded: no question walks through the inbox."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from domain.feed_state import FeedFacts

LOOKED_AT = 5_000  # of the newest deliveries: enough to say how fast they come
MOST_DEAD = 100_001  # counted; a screen says "100,000+" beyond
MOST_SHOPS = 1_000


@dataclass(frozen=True, slots=True)
class Ingress:
    """Of the newest deliveries. `per_minute`: webhooks, over the last five minutes or the newest 5,000 deliveries.

    `at_once`: the share of the decided that needed no second try; None when none was decided.
    """

    per_minute: float
    last_at: datetime | None
    at_once: float | None


# By their ids, which rise with the time of arrival.
_NEWEST = text("""
    SELECT max(received_at) FILTER (WHERE source = 'webhook') AS last_at,
           count(*) FILTER (WHERE source = 'webhook' AND received_at > now() - interval '5 minutes') AS came,
           extract(epoch FROM now() - min(received_at))::float8 AS span, count(*) AS looked_at,
           count(*) FILTER (WHERE state = 'closed') AS closed,
           count(*) FILTER (WHERE state = 'closed' AND attempts = 0 AND outcome <> 'dead') AS at_once
    FROM (SELECT source, received_at, state, attempts, outcome FROM deliveries ORDER BY id DESC LIMIT :most) AS newest
""")


def ingress(db: Connection) -> Ingress:
    row = db.execute(_NEWEST, {"most": LOOKED_AT}).one()
    minutes = 5.0
    if row.looked_at == LOOKED_AT:
        minutes = min(5.0, max(row.span, 1.0) / 60)
    return Ingress(row.came / minutes, row.last_at, row.at_once / row.closed if row.closed else None)


@dataclass(frozen=True, slots=True)
class Dead:
    """`now`: dead at this moment, at most MOST_DEAD. The others died within a day, and within the day before it."""

    now: int
    today: int
    yesterday: int
    last_at: datetime | None


_DEAD_NOW = text("SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE outcome = 'dead' LIMIT :most) AS found")
_DIED = text("""
    SELECT coalesce(sum(dead) FILTER (WHERE hour > now() - interval '24 hours'), 0) AS today,
           coalesce(sum(dead) FILTER (WHERE hour <= now() - interval '24 hours'), 0) AS yesterday
    FROM activity WHERE hour > now() - interval '48 hours' AND dead > 0
""")
_LAST_DIED = text("SELECT max(last_seen) FROM failures")


def dead(db: Connection) -> Dead:
    """By hours, from what the clock counts once a minute."""
    died = db.execute(_DIED).one()
    now = int(db.execute(_DEAD_NOW, {"most": MOST_DEAD}).scalar_one())
    return Dead(now, int(died.today), int(died.yesterday), db.execute(_LAST_DIED).scalar())


_GAP_COUNTS = text("""
    SELECT g.cause, g.topic, count(*) AS n FROM shops s JOIN gaps g ON g.shop = s.domain AND g.repaired_at >= :since
    GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
""")


def gap_counts(db: Connection, since: datetime) -> list[dict[str, Any]]:
    """By cause and topic (None: Shopify sends no webhook for it), of all shops, the most frequent first."""
    return [dict(row) for row in db.execute(_GAP_COUNTS, {"since": since}).mappings()]


_GAPS = text("""
    SELECT id AS number, shop, feed, resource_id AS id, topic, cause, changed_at, repaired_at, run FROM gaps
    WHERE repaired_at >= :since AND (CAST(:shop AS text) IS NULL OR shop = :shop)
      AND (CAST(:cause AS text) IS NULL OR cause = :cause) AND (CAST(:topic AS text) IS NULL OR topic = :topic)
      AND (CAST(:before AS bigint) IS NULL OR id < :before)
    ORDER BY id DESC LIMIT :most
""")


def gaps(
    db: Connection,
    since: datetime,
    *,
    shop: str | None = None,
    cause: str | None = None,
    topic: str | None = None,
    before: int | None = None,
    most: int = 50,
) -> list[dict[str, Any]]:
    """Newest first, of all shops or one. `number` is the gap's own, to go on from; `id` is the record's."""
    values = {"since": since, "shop": shop, "cause": cause, "topic": topic, "before": before, "most": most}
    return [dict(row) for row in db.execute(_GAPS, values).mappings()]


def held_runs(db: Connection) -> list[dict[str, Any]]:
    """The newest run of each feed that waits for somebody's word, unless a complete one has ended well since."""
    statement = text("""
        SELECT held.* FROM (SELECT DISTINCT ON (shop, feed) * FROM runs WHERE state = 'held'
                            ORDER BY shop, feed, id DESC) AS held
        WHERE NOT EXISTS (SELECT 1 FROM runs later WHERE later.shop = held.shop AND later.feed = held.feed
                            AND later.id > held.id AND later.complete AND later.state = 'finished')
    """)
    return [dict(row) for row in db.execute(statement).mappings()]


def reconciling(db: Connection) -> Mapping[str, Any]:
    """When a run last ended, when the next is due, and how many are going."""
    statement = text("""
        SELECT max(f.last_import_at) AS last_at, min(f.next_run_at) FILTER (WHERE s.state = 'active') AS next_at,
               (SELECT count(*) FROM runs WHERE state = 'running') AS going
        FROM feeds f JOIN shops s ON s.domain = f.shop
    """)
    return dict(db.execute(statement).mappings().one())


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed of a shop, with what its state is judged by."""

    shop: str
    facts: FeedFacts
    next_run_at: datetime | None


# Whether there are records at all is enough to judge: no feed is counted.
_FEEDS = text("""
    SELECT s.domain, s.state, s.b2b_tag, s.reconcile_seconds, kind.feed, f.checked, f.last_import_at,
           f.last_complete_at, f.failing_because, f.next_run_at,
           CASE kind.feed
               WHEN 'products' THEN EXISTS (SELECT 1 FROM products p WHERE p.shop = s.domain
                                              AND p.removed_at IS NULL AND p.core IS NOT NULL)
               ELSE EXISTS (SELECT 1 FROM customers c WHERE c.shop = s.domain AND c.state = 'member')
           END AS has_records,
           (SELECT count(*) FROM issues i WHERE i.shop = s.domain AND i.feed = kind.feed
                                            AND i.severity = 'error' AND i.resolved_at IS NULL) AS errors
    FROM (SELECT * FROM shops WHERE state <> 'uninstalled' AND (CAST(:only AS text[]) IS NULL OR domain = ANY(:only))
          ORDER BY domain LIMIT :most) AS s
    CROSS JOIN (VALUES ('products'), ('customers')) AS kind (feed)
    LEFT JOIN feeds f ON f.shop = s.domain AND f.feed = kind.feed
    ORDER BY s.domain, kind.feed DESC
""")


def feeds(db: Connection, every: timedelta, only: list[str] | None = None) -> list[Feed]:
    """Both feeds of each installed shop, of the first thousand or of those named. `every`: everybody's interval."""
    return [_feed(row, every) for row in db.execute(_FEEDS, {"only": only, "most": MOST_SHOPS})]


def _feed(row: Any, every: timedelta) -> Feed:
    facts = FeedFacts(
        feed=row.feed,
        shop_state=row.state,
        synchronised=int(row.has_records),
        checked=row.checked,
        last_import_at=row.last_import_at,
        last_complete_at=row.last_complete_at,
        failing_because=row.failing_because,
        errors=row.errors,
        interval=timedelta(seconds=row.reconcile_seconds) if row.reconcile_seconds else every,
        b2b_tag=row.b2b_tag,
    )
    return Feed(row.domain, facts, row.next_run_at)


_SHOPS = text("""
    SELECT s.domain, s.state, s.installed_at, s.uninstalled_at, s.needs_auth_since, s.token IS NOT NULL AS has_token,
           s.token_expires_at, s.refresh_expires_at, s.scopes, h.checked_at, h.next_check_at, h.known, h.open_until,
           ARRAY(SELECT DISTINCT i.code FROM (VALUES ('products'), ('customers')) AS kind (feed)
                 JOIN issues i ON i.shop = s.domain AND i.feed = kind.feed AND i.resource_id = 0
                              AND i.resolved_at IS NULL ORDER BY 1) AS findings
    FROM shops s LEFT JOIN health h ON h.shop = s.domain
    WHERE (CAST(:words AS text) IS NULL OR position(:words IN s.domain) > 0)
      AND (CAST(:state AS text) IS NULL OR s.state = :state) AND s.domain > :after
    ORDER BY s.domain LIMIT :most
""")


def shops(
    db: Connection, *, words: str | None = None, state: str | None = None, after: str = "", most: int = 50
) -> list[dict[str, Any]]:
    """By domain, without anything secret. `known` is what the last check learnt: scopes, versions, flaws.

    `findings` are the codes of what is wrong with the shop itself now.
    """
    values = {"words": words, "state": state, "after": after, "most": most}
    return [dict(row) for row in db.execute(_SHOPS, values).mappings()]


def duties(db: Connection) -> list[dict[str, Any]]:
    """What happens by the clock, and when it is due next."""
    return [dict(row) for row in db.execute(text("SELECT name, due_at FROM duties ORDER BY name")).mappings()]


def first_delivery_at(db: Connection) -> datetime | None:
    moment: datetime | None = db.execute(text("SELECT received_at FROM deliveries ORDER BY id LIMIT 1")).scalar()
    return moment
