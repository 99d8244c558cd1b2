"""Feeds whose merchants want to be told, and since when each has not been green."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from domain.feed_state import FeedFacts


@dataclass(frozen=True, slots=True)
class Watched:
    """A feed with what its state is judged by. `since`: not green since then, as far as was seen; None for green."""

    shop: str
    facts: FeedFacts
    channels: tuple[str, ...]
    patience: timedelta
    since: datetime | None
    told_at: datetime | None


# One statement for all shops with a wish. Whether there are records at all is enough to know: no feed is counted.
_WATCHED = text("""
    SELECT s.domain, s.state, s.b2b_tag, s.reconcile_seconds, s.notify_after_minutes,
           s.notify_mail IS NOT NULL AS by_mail, s.notify_url IS NOT NULL AS by_url,
           kind.feed, f.checked, f.last_import_at, f.last_complete_at, f.failing_because, w.since, w.told_at,
           CASE kind.feed
               WHEN 'products' THEN EXISTS (SELECT 1 FROM products p WHERE p.shop = s.domain
                                              AND p.removed_at IS NULL AND p.core IS NOT NULL)
               ELSE EXISTS (SELECT 1 FROM customers c WHERE c.shop = s.domain AND c.state = 'member')
           END AS has_records,
           (SELECT count(*) FROM issues i WHERE i.shop = s.domain AND i.feed = kind.feed
                                            AND i.severity = 'error' AND i.resolved_at IS NULL) AS errors
    FROM shops s
    CROSS JOIN (VALUES ('products'), ('customers')) AS kind (feed)
    LEFT JOIN feeds f ON f.shop = s.domain AND f.feed = kind.feed
    LEFT JOIN feed_watch w ON w.shop = s.domain AND w.feed = kind.feed
    WHERE (:everybody OR s.notify_mail IS NOT NULL OR s.notify_url IS NOT NULL) AND s.state <> 'uninstalled'
""")


def watched(db: Connection, every: timedelta, *, everybody: bool = False) -> list[Watched]:
    """All feeds of shops that want to be told, or of all. `every` is the interval of shops without one of their own."""
    return [_watched(row, every) for row in db.execute(_WATCHED, {"everybody": everybody})]


def _watched(row: Any, every: timedelta) -> Watched:
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
    channels = [name for name, wanted in (("mail", row.by_mail), ("url", row.by_url)) if wanted]
    patience = timedelta(minutes=row.notify_after_minutes)
    return Watched(row.domain, facts, tuple(channels), patience, row.since, row.told_at)


def forget_unwatched(db: Connection) -> None:
    """Whoever wants to be told again later hears of what lasts then, not of what was."""
    db.execute(
        text("""DELETE FROM feed_watch w USING shops s WHERE s.domain = w.shop
                AND (s.state = 'uninstalled' OR (s.notify_mail IS NULL AND s.notify_url IS NULL))""")
    )


def left_green(db: Connection, feeds: Sequence[Watched]) -> None:
    """From now on; whoever has seen it earlier is believed."""
    statement = text("""INSERT INTO feed_watch (shop, feed) SELECT :shop, :feed
                        WHERE EXISTS (SELECT 1 FROM shops WHERE domain = :shop FOR KEY SHARE) ON CONFLICT DO NOTHING""")
    for one in feeds:
        db.execute(statement, {"shop": one.shop, "feed": one.facts.feed})


def may_tell(db: Connection, one: Watched) -> bool:
    """Claim the telling of this trouble: True once, whoever else decides at the same time."""
    statement = text("""UPDATE feed_watch SET told_at = now()
                        WHERE shop = :shop AND feed = :feed AND since = :since AND told_at IS NULL""")
    return db.execute(statement, {"shop": one.shop, "feed": one.facts.feed, "since": one.since}).rowcount == 1


def is_green_again(db: Connection, one: Watched) -> bool:
    """The trouble is over; True, once, if it had been told."""
    statement = text("""DELETE FROM feed_watch WHERE shop = :shop AND feed = :feed AND since = :since
                        RETURNING told_at IS NOT NULL""")
    return bool(db.execute(statement, {"shop": one.shop, "feed": one.facts.feed, "since": one.since}).scalar())
