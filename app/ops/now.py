"""Is it well, since when, and what is not: the page that is looked at first."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from flask import Response
from sqlalchemy import Connection

from adapters import failures, ground, overview, rejections, stock, workforce
from adapters.bell import LANES
from adapters.overview import Dead, Feed
from adapters.workforce import Hand
from app.doctor import OFTEN
from app.office import office
from app.ops.entrance import console
from app.ops.frame import page
from domain.alerts import KINDS, WINDOW_SECONDS, Facts, firing
from domain.feed_state import FeedState, state_of
from domain.topics import ROUTES

blueprint = console("ops_now", __name__)
LATE_SECONDS = {"live": 60.0, "bulk": 3_600.0}
STOPPED_SECONDS = 60.0  # a duty that is so long overdue: no clock is running
MOST_FEEDS = 20


@dataclass(frozen=True, slots=True)
class Trouble:
    """`tone` is `critical` (failing) or `attention` (degraded). `since`: as far as can be told."""

    tone: str
    sentence: str
    since: datetime | None = None
    page: str = "/ops"


@dataclass(frozen=True, slots=True)
class Unwell:
    """A feed that is not green."""

    feed: Feed
    state: FeedState


@blueprint.get("")
@blueprint.get("/")
def show() -> Response:
    now, hands = datetime.now(UTC), _hands()
    refused = _refused(now)
    with office().db.connect() as db:
        levels = stock.with_what_waits_now(db, stock.read(db)[0])
        lanes = lanes_of(levels)
        dead, feeds = overview.dead(db), _unwell(db, now)
        found = [
            *_of_processes(db, now, hands),
            *_of_deliveries(db, now, lanes),
            *_of_shops(db, feeds),
            *_of_watch(stock.facts(levels, refused), levels),
        ]
        troubles = sorted(found, key=lambda trouble: trouble.tone != "critical")
        gaps = overview.gap_counts(db, now - timedelta(days=1))
        return page(
            "now.html",
            title="Now",
            tab="now",
            troubles=troubles,
            standing=_standing(db, troubles, dead, now),
            ingress=overview.ingress(db),
            lanes=lanes,
            dead=dead,
            most_dead=overview.MOST_DEAD,
            gaps=gaps,
            drift=sum(gap["n"] for gap in gaps),
            feeds=feeds[:MOST_FEEDS],
            feeds_count=len(feeds),
            reconciling=overview.reconciling(db),
            issues=failures.listed(db, state="open", most=5),
            hands=hands,
            secrets=len(office().settings.webhook_secrets),
        )


def _hands() -> list[Hand] | None:
    """None: Redis does not answer."""
    try:
        return workforce.hands(office().redis)
    except redis.RedisError:
        return None


def _refused(now: datetime) -> int | None:
    """Requests of topics that we know whose signature did not fit lately; None: Redis does not answer."""
    try:
        latest = rejections.latest(office().redis)
    except redis.RedisError:
        return None
    since = now - timedelta(seconds=WINDOW_SECONDS)
    return sum(1 for one in latest if one["status"] == 401 and one["topic"] in ROUTES and one["at"] > since)


def lanes_of(levels: stock.Levels) -> dict[str, tuple[int, float | None]]:
    """How many wait in each lane, and the age of the oldest: counted no further than is cheap."""
    waiting = {lane: int(levels.get((stock.WAITING.name, (lane,)), 0)) for lane in LANES}
    return {lane: (n, levels.get((stock.OLDEST.name, (lane,))) if n else None) for lane, n in waiting.items()}


def _unwell(db: Connection, now: datetime) -> list[Unwell]:
    every = timedelta(seconds=office().settings.reconcile_seconds)
    judged = [Unwell(feed, state_of(feed.facts, now)) for feed in overview.feeds(db, every)]
    # What its merchant can mend, and a shop that has none of these records, is amber for the merchant alone.
    return [one for one in judged if one.state.state == "no_data" and one.state.reason != "source_empty"]


def _of_processes(db: Connection, now: datetime, hands: list[Hand] | None) -> Iterator[Trouble]:
    if hands is None:
        yield Trouble("critical", "Redis does not answer: mail is stored, and waits.", None, "/ops/workers")
    else:
        for lane in LATE_SECONDS:
            if not any(hand.lane == lane and not hand.is_silent(now) for hand in hands):
                yield Trouble("critical", f"No worker serves the lane {lane}.", None, "/ops/workers")
    late = ground.clock_is_late(db, OFTEN)
    if late is None or late > STOPPED_SECONDS:
        since = now - timedelta(seconds=late) if late is not None else None
        yield Trouble("critical", "No clock is running.", since, "/ops/workers")


def _of_deliveries(db: Connection, now: datetime, lanes: dict[str, tuple[int, float | None]]) -> Iterator[Trouble]:
    for lane, (waiting, oldest) in lanes.items():
        if oldest is not None and oldest > LATE_SECONDS[lane]:
            since = now - timedelta(seconds=oldest)
            tone = "critical" if lane == "live" and oldest > 600 else "attention"
            yield Trouble(tone, f"Mail is late in the lane {lane}: {waiting:,} wait.", since, "/ops/workers")
    unattended = failures.count_dead(db, overview.MOST_DEAD)
    if unattended:
        many = f"{overview.MOST_DEAD - 1:,}+" if unattended >= overview.MOST_DEAD else f"{unattended:,}"
        what = "delivery is" if unattended == 1 else "deliveries are"
        yield Trouble("attention", f"{many} {what} dead.", failures.dead_since(db), "/ops/issues")


def _of_shops(db: Connection, feeds: list[Unwell]) -> Iterator[Trouble]:
    if feeds:
        what = "feed is" if len(feeds) == 1 else "feeds are"
        yield Trouble("attention", f"{len(feeds):,} {what} without data.", None, "/ops/shops")
    held = overview.held_runs(db)
    if held:
        first = min((run["finished_at"] for run in held if run["finished_at"]), default=None)
        what = "run waits" if len(held) == 1 else "runs wait"
        yield Trouble("attention", f"{len(held):,} {what} for confirmation.", first, "/ops/runs")


def _of_watch(facts: Facts, levels: stock.Levels) -> Iterator[Trouble]:
    """What would be told by mail as well, in the same words; and replays that stopped themselves in the last day."""
    for name, sentence in firing(facts).items():
        if name in ("silence", "drift", "signatures"):
            yield Trouble("attention", sentence, None, KINDS[name].page)
    stopped = int(levels.get((stock.REPLAYS.name, ("stopped",)), 0))
    if stopped:
        what = "replay has stopped itself" if stopped == 1 else "replays have stopped themselves"
        yield Trouble("attention", f"{stopped:,} {what}.", None, "/ops/replays")


def _standing(db: Connection, troubles: list[Trouble], dead: Dead, now: datetime) -> dict[str, Any]:
    """One line. Well since: the last trouble that left a trace, or the first delivery."""
    if troubles:
        failing = any(trouble.tone == "critical" for trouble in troubles)
        since = min((trouble.since for trouble in troubles if trouble.since), default=None)
        return {"word": "Failing" if failing else "Degraded", "tone": troubles[0].tone, "since": since}
    since = dead.last_at or overview.first_delivery_at(db)
    return {"word": "Healthy", "tone": "success", "since": min(since, now) if since else None}
