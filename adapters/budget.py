"""What Shopify lets us ask, one budget a shop, shared by all processes through Redis.

Shopify gives each app and shop a bucket of points that fills up at a steady rate, and reports its level with every
answer. We remember the last report and take from it before asking. The server's clock counts, so that machines
need not agree on the time. https://shopify.dev/docs/api/usage/limits
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import redis

QUERY_CAP = 1_000  # what one query may cost, on every plan
KNOWN_FOR = 3_600  # seconds; every bucket is full again long before
REDIS_REST = 5.0  # seconds without asking a Redis that failed: each try may cost a time-out

# A reserve is not kept apart from what Shopify reports: queries in flight may be missing from a report, and the worst
# that follows is a THROTTLED answer, which costs nothing and says how long to wait. Holding them back would double
# count those that Shopify has already taken off, and make every shop wait for points it has.
RESERVE = """
local known = redis.call('HMGET', KEYS[1], 'available', 'maximum', 'rate', 'at')
if not known[1] then return '0' end
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local maximum, rate = tonumber(known[2]), tonumber(known[3])
local level = math.min(maximum, tonumber(known[1]) + math.max(0, now - tonumber(known[4])) * rate)
local cost = math.min(tonumber(ARGV[1]), maximum)
local needed = math.min(cost + tonumber(ARGV[2]) * maximum, maximum)
if level < needed then return string.format('%.3f', (needed - level) / rate + 0.001) end
redis.call('HSET', KEYS[1], 'available', string.format('%.3f', level - cost), 'at', string.format('%.6f', now))
return '0'
"""

REPORT = """
local clock = redis.call('TIME')
local now = string.format('%.6f', clock[1] + clock[2] / 1000000)
redis.call('HSET', KEYS[1], 'available', ARGV[1], 'maximum', ARGV[2], 'rate', ARGV[3], 'at', now)
redis.call('EXPIRE', KEYS[1], ARGV[4])
"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A shop's points as last reported: `rate` points a second, `at` on this process' monotonic clock."""

    available: float
    maximum: float
    rate: float
    at: float

    def level(self, now: float) -> float:
        return min(self.maximum, self.available + max(0.0, now - self.at) * self.rate)


class Budget:
    """Never raises: without Redis each process goes by the reports it has seen itself.

    The given client brings its own (short) time-outs and retries. `leave` is the share of each bucket that is not
    touched from here: runs and other bulk work leave it to live mail, which asks for few points and wants them now.
    """

    def __init__(self, client: "redis.Redis", clock: Callable[[], float] = time.monotonic, leave: float = 0.0) -> None:
        self._leave = leave
        self._client = client
        self._reserve = client.register_script(RESERVE)
        self._report = client.register_script(REPORT)
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()
        self._resting_until = float("-inf")

    def reserve(self, shop: str, cost: int) -> float:
        """Take `cost` points: 0 means go, anything else is the seconds to wait before asking again (nothing is taken).

        A shop nobody has heard from may go: its first answer tells. A cost over the whole bucket waits for a full one.
        """
        told = self._ask(lambda: float(self._reserve(keys=[_key(shop)], args=[cost, self._leave])))
        return self._reserve_here(shop, cost) if told is None else told

    def report(self, shop: str, throttle_status: Mapping[str, Any]) -> None:
        """Take note of the `throttleStatus` that Shopify sends with an answer. One that makes no sense is ignored."""
        bucket = _read(throttle_status, self._clock())
        if bucket is None:
            return
        with self._lock:
            self._buckets[shop] = bucket
        args = [bucket.available, bucket.maximum, bucket.rate, KNOWN_FOR]
        self._ask(lambda: self._report(keys=[_key(shop)], args=args))

    def ceiling(self, shop: str) -> int:
        """The most that one query to this shop may cost, in points."""
        maximum = self._ask(lambda: self._client.hget(_key(shop), "maximum"))
        if maximum is None:
            bucket = self._buckets.get(shop)
            maximum = QUERY_CAP if bucket is None else bucket.maximum
        return min(QUERY_CAP, int(float(maximum)))

    def _ask(self, question: Callable[[], Any]) -> Any:
        """Redis' answer, or None while it does not answer."""
        if self._clock() < self._resting_until:
            return None
        try:
            return question()
        except redis.RedisError:
            self._resting_until = self._clock() + REDIS_REST
            return None

    def _reserve_here(self, shop: str, cost: int) -> float:
        with self._lock:
            bucket = self._buckets.get(shop)
            if bucket is None:
                return 0.0
            now = self._clock()
            level, taken = bucket.level(now), min(cost, bucket.maximum)
            needed = min(taken + self._leave * bucket.maximum, bucket.maximum)
            if level < needed:
                return (needed - level) / bucket.rate
            self._buckets[shop] = replace(bucket, available=level - taken, at=now)
            return 0.0


def _read(status: Mapping[str, Any], now: float) -> Bucket | None:
    try:
        available = float(status["currentlyAvailable"])
        maximum, rate = float(status["maximumAvailable"]), float(status["restoreRate"])
    except (KeyError, TypeError, ValueError):
        return None
    sensible = 0 < maximum < float("inf") and 0 < rate < float("inf") and available <= maximum
    return Bucket(available, maximum, rate, now) if sensible else None


def _key(shop: str) -> str:
    return f"budget:{shop}"


def smallest_share(client: "redis.Redis") -> float | None:
    """Of the shops heard from lately, the smallest share of its points that one has left; None if there is none.

    Asks about each of them: for a look now and then, not for a scrape. May raise RedisError.
    """
    keys = list(client.scan_iter(_key("*"), count=1_000))
    now = time.time()  # Redis' own, give or take the difference between two clocks
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hmget(key, ["available", "maximum", "rate", "at"])
        told = pipe.execute()
    shares = []
    for values in told:
        if None not in values:
            available, maximum, rate, at = map(float, values)
            shares.append(Bucket(available, maximum, rate, at).level(now) / maximum)
    return min(shares, default=None)
