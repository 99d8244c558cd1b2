"""A handful of measured numbers, in short."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, and how far they lie apart."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    return Spread(round(median(values), 1), round(min(values), 1), round(max(values), 1))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The nearest rank: a value that was really measured. `ordered` ascends and is not empty."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def latencies(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds: p50, p95, p99 and the largest."""
    ordered = sorted(seconds)
    shares = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99}
    found = {name: quantile(ordered, share) * 1000 for name, share in shares.items()}
    return {name: round(value, 2) for name, value in (found | {"max_ms": ordered[-1] * 1000}).items()}
