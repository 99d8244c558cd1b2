"""What happened to each feed, hour by hour. Counted from the inbox while its deliveries are there, kept long after."""

from datetime import UTC, datetime, timedelta, tzinfo

from sqlalchemy import Connection, text

from domain.activity import BOUNDS, BUCKETS, Period, Step, periods

FARTHEST = timedelta(days=31)
SETTLES = timedelta(minutes=15)  # a transaction that closed deliveries before the hour ended has been committed by then


def roll_up(db: Connection) -> None:
    """Count anew the hours that are not counted for good: the present one, and a while longer the one before.

    Safe to repeat, and two at once do no harm: the second waits for the first. Each hour tells what happened in it: a
    delivery that is replayed stays counted where it was first decided, and counts once more when it is decided again.
    """
    counted = db.execute(text("SELECT hour, delivery FROM activity_counted FOR UPDATE")).one_or_none()
    hour, delivery = (counted.hour, counted.delivery) if counted else (datetime.now(UTC) - FARTHEST, 0)
    db.execute(_COUNT, {"hour": hour, "delivery": delivery, "bounds": list(BOUNDS)})
    db.execute(_GO_ON, {"hour": hour, "delivery": delivery, "settles": SETTLES})


_BUCKET = "width_bucket(extract(epoch FROM {span})::float8, CAST(:bounds AS float8[]))"

# The first part reads the newest rows by their ids, which rise with the time of arrival; the second goes by the index
# of the closed, the third by that of gaps. A replay (lane `bulk`) says nothing of freshness: somebody chose its time. A
# change that a run had to find does, or the figures would look better the more webhooks are lost.
_COUNT = text(f"""
    INSERT INTO activity (shop, feed, hour, arrived, applied, filtered, dead, repaired, freshness)
    SELECT shop, feed, hour,
           coalesce(sum(n) FILTER (WHERE what = 'arrived'), 0), coalesce(sum(n) FILTER (WHERE what = 'applied'), 0),
           coalesce(sum(n) FILTER (WHERE what = 'filtered'), 0), coalesce(sum(n) FILTER (WHERE what = 'dead'), 0),
           coalesce(sum(n) FILTER (WHERE what = 'repaired'), 0),
           ARRAY[{", ".join(f"coalesce(sum(n) FILTER (WHERE bucket = {b}), 0)" for b in range(BUCKETS))}]
    FROM (
        SELECT shop, feed, date_trunc('hour', received_at, 'UTC') AS hour, 'arrived' AS what, NULL AS bucket,
               count(*) AS n
        FROM deliveries
        WHERE id >= :delivery AND received_at >= :hour AND source = 'webhook' AND feed IS NOT NULL
        GROUP BY 1, 2, 3
        UNION ALL
        SELECT shop, feed, date_trunc('hour', closed_at, 'UTC'),
               CASE outcome WHEN 'deleted' THEN 'applied' ELSE outcome END,
               CASE WHEN outcome IN ('applied', 'deleted') AND lane = 'live'
                    THEN {_BUCKET.format(span="closed_at - coalesce(changed_at, triggered_at)")} END,
               count(*)
        FROM deliveries
        WHERE closed_at >= :hour AND source = 'webhook' AND feed IS NOT NULL
          AND outcome IN ('applied', 'deleted', 'filtered', 'dead')
        GROUP BY 1, 2, 3, 4, 5
        UNION ALL
        SELECT g.shop, g.feed, date_trunc('hour', g.repaired_at, 'UTC'), 'repaired',
               {_BUCKET.format(span="g.repaired_at - g.changed_at")}, count(*)
        FROM shops JOIN gaps g ON g.shop = shops.domain AND g.repaired_at >= :hour
        GROUP BY 1, 2, 3, 4, 5
    ) AS happened
    WHERE shop IN (SELECT domain FROM shops)
    GROUP BY shop, feed, hour
    ON CONFLICT (shop, feed, hour) DO UPDATE
    SET arrived = excluded.arrived, applied = excluded.applied, filtered = excluded.filtered, dead = excluded.dead,
        repaired = excluded.repaired, freshness = excluded.freshness
""")  # noqa: S608 — put together from constants of ours

_GO_ON = text("""
    INSERT INTO activity_counted (hour, delivery)
    SELECT reached.hour, coalesce(
        (SELECT min(id) FROM deliveries WHERE id >= :delivery AND received_at >= reached.hour), :delivery)
    FROM (SELECT greatest(:hour, date_trunc('hour', now() - :settles, 'UTC')) AS hour) AS reached
    ON CONFLICT (one) DO UPDATE SET hour = excluded.hour, delivery = excluded.delivery
""")


def of_feed(db: Connection, shop: str, feed: str, since: datetime, step: Step, zone: tzinfo = UTC) -> list[Period]:
    """A feed's activity from `since` until now, one period an hour or a day (of the shop's zone), oldest first."""
    statement = text("""
        SELECT hour AS start, arrived, applied, filtered, dead, repaired, freshness FROM activity
        WHERE shop = :shop AND feed = :feed AND hour >= :since ORDER BY hour
    """)
    rows = db.execute(statement, {"shop": shop, "feed": feed, "since": since - timedelta(days=1)}).mappings()
    hours = [Period(**{**row, "freshness": tuple(row["freshness"])}) for row in rows]
    return periods(hours, since, datetime.now(UTC), step, zone)


def arrived(db: Connection, shop: str, since: datetime, feed: str | None = None) -> int:
    """Webhooks since the hour in which `since` lies; those of the last minute may be missing.

    Counted from the inbox itself it would read all that all shops were told in a day.
    """
    statement = text("""
        SELECT coalesce(sum(arrived), 0) FROM activity
        WHERE shop = :shop AND feed = ANY(:feeds) AND hour > CAST(:since AS timestamptz) - interval '1 hour'
    """)
    feeds = ["products", "customers"] if feed is None else [feed]
    return int(db.execute(statement, {"shop": shop, "feeds": feeds, "since": since}).scalar_one())
