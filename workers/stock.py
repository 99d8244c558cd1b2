"""Takes stock, so that a scrape need not: what waits and is dead every few seconds, how the shops are every minute."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from adapters import budget, feed_watch, inbox, stock, workforce
from adapters.bell import LANES
from domain.feed_state import state_of
from workers.workshop import Workshop

FEED_STATES = ("ok", "ok_with_errors", "no_data")


def take_stock(workshop: Workshop) -> None:
    """What Postgres knows first: a Redis that is away must not hide it."""
    with workshop.db.begin() as db:
        levels = stock.of_inbox(db)
        for lane, (waiting, oldest) in inbox.lane_figures(db).items():
            levels |= {(stock.WAITING.name, (lane,)): float(waiting), (stock.OLDEST.name, (lane,)): oldest}
        names = (stock.WAITING, stock.OLDEST, stock.DEAD, stock.REPLAYS, stock.REPLAYING)
        stock.write(db, [meaning.name for meaning in names], levels)
    redis = workshop.bell.redis
    hands = [hand.lane for hand in workforce.hands(redis)]
    broken_off = [job.lane for job in workforce.failed_jobs(redis)]
    told: dict[tuple[str, tuple[str, ...]], float]
    told = {(stock.WORKERS.name, (lane,)): float(hands.count(lane)) for lane in LANES}
    told |= {(stock.FAILED_JOBS.name, (lane,)): float(broken_off.count(lane)) for lane in LANES}
    with workshop.db.begin() as db:
        stock.write(db, [stock.WORKERS.name, stock.FAILED_JOBS.name], told)


def take_stock_of_shops(workshop: Workshop) -> None:
    names = (stock.FEEDS, stock.SHOPS, stock.FINDINGS, stock.GAPS, stock.HELD, stock.TOKENS)
    with workshop.db.begin() as db:
        levels = stock.of_shops(db) | _feeds(db, workshop.settings.reconcile_seconds)
        stock.write(db, [meaning.name for meaning in names], levels)
    share = budget.smallest_share(workshop.bell.redis)
    with workshop.db.begin() as db:
        stock.write(db, [stock.POINTS_LEFT.name], {} if share is None else {(stock.POINTS_LEFT.name, ()): share})


def _feeds(db: Connection, every: float) -> dict[tuple[str, tuple[str, ...]], float]:
    now = datetime.now(UTC)
    levels: dict[tuple[str, tuple[str, ...]], float]
    levels = {(stock.FEEDS.name, (feed, state)): 0.0 for feed in ("products", "customers") for state in FEED_STATES}
    for one in feed_watch.watched(db, timedelta(seconds=every), everybody=True):
        levels[stock.FEEDS.name, (one.facts.feed, state_of(one.facts, now).state)] += 1
    return levels
