"""What waits in the inbox, and what several deliveries for one resource amount to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.topics import ROUTES, Act
from domain.versions import Version


class Outcome(StrEnum):
    """What became of a delivery. The words are the ones on screens, in SQL and in the README."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    FILTERED = "filtered"
    DELETED = "deleted"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One undecided delivery, without its body. `changed_at` is the body's own time, if it had a believable one.

    `refreshed`: it was opened again so that Shopify is asked, whatever its body says.
    """

    id: int
    topic: str
    feed: str | None
    resource_id: int | None
    source: str
    attempts: int
    changed_at: datetime | None
    triggered_at: datetime
    received_at: datetime
    body_bytes: int = 0
    run: int | None = None
    replay: int | None = None
    refreshed: bool = False

    @property
    def act(self) -> Act:
        """What was not kept of a body, Shopify is asked for."""
        act = ROUTES[self.topic].act
        if act is Act.CORE and not self.body_bytes:
            return Act.FETCH
        return Act.FETCH if self.refreshed and act in (Act.CORE, Act.DELETE) else act

    @property
    def version(self) -> Version:
        """A delete carries no time of its own: it stands where Shopify triggered it."""
        if self.act is Act.CORE and self.changed_at:
            return Version(self.changed_at, self.triggered_at)
        return Version.moment(self.triggered_at)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which resource a body is about (None for a topic without any), and the body's own time, if it is believable."""

    resource_id: int | None
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision about one delivery. `reason` is a plain sentence without any value of the body."""

    outcome: Outcome
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Fold:
    """All that waits for one resource.

    `told` is the newest delivery that says by itself what the resource is now (a body, or a delete); `older` are those
    it overtakes. `asked` are signals: one fetch answers them all. `metafields` ask for that facet alone.
    """

    feed: str
    resource_id: int
    told: Waiting | None
    older: tuple[Waiting, ...]
    asked: tuple[Waiting, ...]
    metafields: tuple[Waiting, ...]

    @property
    def deliveries(self) -> tuple[Waiting, ...]:
        told = (self.told,) if self.told else ()
        return (*told, *self.older, *self.asked, *self.metafields)


def fold(waiting: Iterable[Waiting]) -> list[Fold]:
    """Coalesce per resource, in the order of first arrival. Deliveries without a resource are not for this function."""
    by_resource: dict[tuple[str, int], list[Waiting]] = {}
    for delivery in waiting:
        if delivery.feed and delivery.resource_id is not None:
            by_resource.setdefault((delivery.feed, delivery.resource_id), []).append(delivery)
    return [_fold_one(feed, resource, deliveries) for (feed, resource), deliveries in by_resource.items()]


def _fold_one(feed: str, resource_id: int, deliveries: list[Waiting]) -> Fold:
    telling = sorted((d for d in deliveries if d.act in (Act.CORE, Act.DELETE)), key=lambda d: (d.version, d.id))
    return Fold(
        feed=feed,
        resource_id=resource_id,
        told=telling[-1] if telling else None,
        older=tuple(telling[:-1]),
        asked=tuple(d for d in deliveries if d.act is Act.FETCH),
        metafields=tuple(d for d in deliveries if d.act is Act.METAFIELDS),
    )


def believable(changed_at: datetime | None, received_at: datetime) -> datetime | None:
    """A body's own time, unless it is absurd: year 0001, or a tomorrow that would win over everything for ever."""
    if changed_at is None or changed_at.year < 2000 or changed_at > received_at + timedelta(days=1):
        return None
    return changed_at


PATIENCE = timedelta(days=2)
FIRST_PAUSE = 2.0
LONGEST_PAUSE = 600.0


def next_pause(attempts: int, chance: float) -> float:
    """Seconds until the next try after `attempts` failed ones: doubling from 2 s to 10 min, half of it jitter.

    `chance` is a number in [0, 1): shops that failed together must not come back together.
    """
    pause = min(FIRST_PAUSE * 2.0 ** min(attempts, 20), LONGEST_PAUSE)
    return pause * (0.5 + chance / 2)


LONGEST_REST = 4.0


def rest_after(verdicts: Mapping[int, Verdict]) -> float:
    """Seconds that a shop is left to gather mail after such a turn.

    Who changes the same hundred products all day would have each of them written at every turn. Where much of a turn
    was overtaken within it, more of the same is on its way: a hundredth of a second for each. Late copies of what is
    known already are no reason to wait.
    """
    counts = count_outcomes(verdicts)
    overtaken = counts.get(Outcome.SUPERSEDED, 0)
    if Outcome.APPLIED not in counts or 4 * overtaken < len(verdicts):
        return 0.0
    return min(LONGEST_REST, overtaken / 100)


def has_waited_enough(delivery: Waiting, now: datetime) -> bool:
    """After two days a delivery that still cannot be served is given up: dead, with its last error."""
    return now - delivery.received_at > PATIENCE


def count_outcomes(verdicts: Mapping[int, Verdict]) -> dict[str, int]:
    """How many deliveries met which outcome, for logs and metrics."""
    counts: dict[str, int] = {}
    for verdict in verdicts.values():
        counts[verdict.outcome.value] = counts.get(verdict.outcome.value, 0) + 1
    return counts
