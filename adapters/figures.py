"""Figures of all processes in one place: each adds up its own and hands them to Redis now and then.

A counter that Redis forgets starts again from zero, which Prometheus expects of counters. Nothing waits for Redis, and
nothing is lost while it is away: what could not be handed over is kept.
"""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import orjson
import redis

KEY = "figures"
SIZES = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0)
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 86400.0)


@dataclass(frozen=True, slots=True)
class Meaning:
    """A figure's name, its help and its labels. `bounds` of a histogram's buckets; none for a plain figure."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


INGRESS = Meaning("ingress", "Webhook requests by topic and answer", ("topic", "answer"))
COPIES = Meaning("ingress_copies", "Deliveries that had been stored before")
ACKNOWLEDGED = Meaning("acknowledgement_seconds", "From request to 200", bounds=BOUNDS)
OUTCOMES = Meaning("outcomes", "Deliveries closed, by feed and outcome", ("feed", "outcome"))
TURNS = Meaning("turn_seconds", "How long a turn took, by lane", ("lane",), BOUNDS)
TURN_SIZES = Meaning("turn_deliveries", "How many deliveries a turn took, by lane", ("lane",), SIZES)
FRESHNESS = Meaning("freshness_seconds", "From Shopify's trigger to the mirror, by feed", ("feed",), BOUNDS)
SECRETS = Meaning("signatures", "Signatures verified, by the secret's age: 0 is the current one", ("secret",))
POINTS = Meaning("api_points", "Points of Shopify's Admin API that queries have cost")
MEANINGS: Mapping[str, Meaning] = {
    meaning.name: meaning
    for meaning in (INGRESS, COPIES, ACKNOWLEDGED, OUTCOMES, TURNS, TURN_SIZES, FRESHNESS, SECRETS, POINTS)
}


class Figures:
    """One a process; safe between threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._lock = threading.Lock()
        self._pending: defaultdict[str, float] = defaultdict(float)

    def count(self, meaning: Meaning, *labels: str, by: float = 1) -> None:
        self._add({_field(meaning, "", labels): by})

    def time(self, meaning: Meaning, amount: float, *labels: str) -> None:
        """Note one duration or size: the bucket it falls into, and the sum."""
        bucket = bisect_left(meaning.bounds, amount)
        self._add({_field(meaning, str(bucket), labels): 1, _field(meaning, "sum", labels): max(amount, 0.0)})

    def _add(self, amounts: Mapping[str, float]) -> None:
        with self._lock:
            for field, amount in amounts.items():
                self._pending[field] += amount

    def hand_over(self) -> None:
        """Give Redis what has added up. If it is away, keep it for the next time."""
        with self._lock:
            pending, self._pending = self._pending, defaultdict(float)
        if not pending:
            return
        try:
            with self._redis.pipeline(transaction=True) as pipe:
                for field, amount in pending.items():
                    pipe.hincrbyfloat(KEY, field, amount)
                pipe.execute()
        except redis.RedisError:
            self._add(pending)


def read(client: redis.Redis) -> dict[tuple[str, str, tuple[str, ...]], float]:
    """Everything handed over so far: (name, bucket or "sum" or "", labels) → amount. May raise RedisError."""
    raw = client.hgetall(KEY)
    figures = {}
    for field, amount in raw.items():
        name, part, *labels = orjson.loads(field)
        figures[name, part, tuple(labels)] = float(amount)
    return figures


@cache
def _field(meaning: Meaning, part: str, labels: tuple[str, ...]) -> str:
    """Labels are few by design, so are these."""
    return orjson.dumps([meaning.name, part, *labels]).decode()
