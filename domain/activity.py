"""What happened to a feed, put together for pictures: by hour or by day, and how fresh the mirror was."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Literal, TypeAlias

Step: TypeAlias = Literal["hour", "day"]

# Seconds. A span belongs to the first bound that it is less than; what took a day or longer has a bucket of its own.
BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0)
BUCKETS = len(BOUNDS) + 1
NOTHING = (0,) * BUCKETS


@dataclass(frozen=True, slots=True)
class Period:
    """What was counted from `start` on, for an hour or for a day of the shop.

    `arrived` are webhooks. `applied` (removals included), `filtered` and `dead` are webhooks that were decided in this
    period, whenever they came; the others told nothing new. `repaired` are changes that a run had to find. `freshness`
    counts changes by how long they took to reach the mirror, one number a bucket.
    """

    start: datetime
    arrived: int = 0
    applied: int = 0
    filtered: int = 0
    dead: int = 0
    repaired: int = 0
    freshness: tuple[int, ...] = NOTHING


def periods(hours: Iterable[Period], since: datetime, until: datetime, step: Step, zone: tzinfo) -> list[Period]:
    """One period a step from the one that holds `since` to the one that holds `until`, empty ones included.

    Days begin at midnight in the shop's zone. Where its offset is not of whole hours, an hour belongs to the day in
    which it begins.
    """
    starts = _starts(since, until, step, zone)
    members: dict[datetime, list[Period]] = {start: [] for start in starts}
    for hour in hours:
        start = _beginning(hour.start, step, zone)
        if start in members:
            members[start].append(hour)
    return [together(found, start) for start, found in members.items()]


def _starts(since: datetime, until: datetime, step: Step, zone: tzinfo) -> list[datetime]:
    start, starts = _beginning(since, step, zone), []
    while start <= until:
        starts.append(start)
        # A day may have 23 or 25 hours, when clocks are changed: 36 from its midnight lie well within the next one.
        start = start + timedelta(hours=1) if step == "hour" else _beginning(start + timedelta(hours=36), "day", zone)
    return starts


def _beginning(moment: datetime, step: Step, zone: tzinfo) -> datetime:
    """In UTC: two moments of one zone are compared by the clock on the wall, which shows an hour of autumn twice."""
    if step == "hour":
        return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    midnight = moment.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return midnight.astimezone(UTC)


def together(parts: Sequence[Period], start: datetime) -> Period:
    """The sum of them all, as one period."""
    return Period(
        start,
        arrived=sum(part.arrived for part in parts),
        applied=sum(part.applied for part in parts),
        filtered=sum(part.filtered for part in parts),
        dead=sum(part.dead for part in parts),
        repaired=sum(part.repaired for part in parts),
        freshness=tuple(map(sum, zip(*(part.freshness for part in parts), strict=True))) if parts else NOTHING,
    )


@dataclass(frozen=True, slots=True)
class Within:
    """A span that is known as its bucket: at least `low` seconds, and less than `high` (None: a day or more)."""

    low: float
    high: float | None


RANGES = tuple(Within(low, high) for low, high in pairwise((0.0, *BOUNDS, None)) if low is not None)


def percentile(freshness: Sequence[int], share: float) -> Within | None:
    """The bucket in which the span lies that `share` (0 to 1) of all spans do not exceed; None when there are none.

    Nothing finer is known, so nothing finer is said: an interpolated number would look exact and not be.
    """
    rank, passed = share * sum(freshness), 0
    for bucket, count in zip(RANGES, freshness, strict=True):
        passed += count
        if count and passed >= rank:
            return bucket
    return None
