"""How badly the post behaves: what is lost, doubled, held back, shuffled. The same seed decides the same again."""

import random
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

Outage = Literal["none", "hold", "lose"]


@dataclass(frozen=True)
class Mood:
    """Shares are between 0 and 1. `outage`: `hold` sends nothing until it ends, `lose` sends nothing and forgets it."""

    loss: float = 0.0
    doubles: float = 0.0
    delay: float = 0.0
    delay_seconds: tuple[float, float] = (0.5, 3.0)
    reorder_seconds: float = 0.0
    """Each delivery leaves up to this much later than it should, so neighbours overtake each other."""
    outage: Outage = "none"

    def changed(self, **wanted: Any) -> "Mood":
        unknown = set(wanted) - {field.name for field in fields(self)}
        if unknown:
            raise ValueError(f"A mood has no {', '.join(sorted(unknown))}.")
        if "delay_seconds" in wanted:
            low, high = wanted["delay_seconds"]
            wanted["delay_seconds"] = (float(low), float(high))
        if wanted.get("outage", "none") not in get_args(Outage):
            raise ValueError(f"An outage is one of {', '.join(get_args(Outage))}.")
        return replace(self, **wanted)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


MOODS = {
    "calm": Mood(),
    "bad": Mood(loss=0.08, doubles=0.10, delay=0.10, delay_seconds=(0.5, 4.0), reorder_seconds=0.6),
}


@dataclass(frozen=True)
class Fate:
    """What befalls one delivery, decided before it leaves. `second_copy_after` is None for a single one."""

    lost: bool
    delayed_by: float
    jitter: float
    second_copy_after: float | None


def decide(mood: Mood, seed: int, shop: str, count: int) -> Fate:
    """`count` numbers the shop's deliveries, so threads of other shops cannot change what is decided for this one."""
    chance = random.Random(f"{seed}:{shop}:{count}")
    lost, doubled, delayed = chance.random(), chance.random(), chance.random()
    low, high = mood.delay_seconds
    wait, jitter, gap = chance.uniform(low, high), chance.random(), chance.uniform(0.0, 1.0)
    return Fate(
        lost=mood.outage == "lose" or lost < mood.loss,
        delayed_by=wait if delayed < mood.delay else 0.0,
        jitter=jitter * mood.reorder_seconds,
        second_copy_after=gap if doubled < mood.doubles else None,
    )
