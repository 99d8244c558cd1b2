"""A shop that does not answer is left alone for a while, by all workers: each try would cost the others its time-out.

Open after the first failure, for twice as long after each further one. When that has passed, the next question is the
probe: an answer closes the breaker, silence opens it again.
"""

import time

import redis

SHORTEST = 1.0
LONGEST = 60.0
FORGET_SECONDS = 600


class Breaker:
    """Shared through Redis; while Redis is away, each process knows what it has met itself."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._own: dict[str, float] = {}

    def seconds_open(self, shop: str) -> float:
        """How long the shop is still to be left alone; 0 lets a question through."""
        try:
            left = self._redis.pttl(_open(shop)) / 1000
        except redis.RedisError:
            left = self._own.get(shop, 0.0) - time.monotonic()
        return max(0.0, left)

    def failed(self, shop: str) -> float:
        """The shop did not answer. How long it is left alone now."""
        pause = SHORTEST
        try:
            failures = self._redis.incr(_failures(shop))
            pause = min(LONGEST, SHORTEST * 2.0 ** min(failures - 1, 10))
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.expire(_failures(shop), FORGET_SECONDS)
                pipe.set(_open(shop), 1, px=int(pause * 1000))
                pipe.execute()
        except redis.RedisError:
            self._own[shop] = time.monotonic() + pause
        return pause

    def answered(self, shop: str) -> None:
        """The shop answers: whatever it says, it is reachable."""
        self._own.pop(shop, None)
        try:
            self._redis.delete(_failures(shop), _open(shop))
        except redis.RedisError:
            return


def _open(shop: str) -> str:
    return f"breaker:{shop}"


def _failures(shop: str) -> str:
    return f"breaker:failures:{shop}"
