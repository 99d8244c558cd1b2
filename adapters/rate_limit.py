"""How often a shop's programs may ask the API: a bucket of calls a shop, shared by all processes through Redis.

A page of the app never comes near it. It keeps one shop's endless loop from taking the others' time. Redis' clock
counts, so that machines need not agree on the time.
"""

import time
from dataclasses import dataclass
from typing import Any

import redis

PER_SECOND = 200
BURST = 2_000
REDIS_REST = 5.0  # seconds without asking a Redis that failed: each try may cost a time-out

_TAKE = """
local known = redis.call('HMGET', KEYS[1], 'level', 'at')
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local level = burst
if known[1] then level = math.min(burst, tonumber(known[1]) + math.max(0, now - tonumber(known[2])) * rate) end
local taken = level >= 1
if taken then level = level - 1 end
redis.call('HSET', KEYS[1], 'level', string.format('%.3f', level), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], ARGV[3])
return {taken and 1 or 0, string.format('%.3f', level)}
"""


@dataclass(frozen=True, slots=True)
class Allowance:
    """`left` calls may follow at once."""

    is_granted: bool
    left: int

    @property
    def seconds_to_full(self) -> int:
        return -(-(BURST - self.left) // PER_SECOND)


class RateLimit:
    """Never raises: while Redis is away nobody is counted. The given client brings its own short time-outs."""

    def __init__(self, client: "redis.Redis") -> None:
        self._take = client.register_script(_TAKE)
        self._resting_until = float("-inf")

    def take(self, shop: str) -> Allowance:
        """One call of this shop's."""
        if time.monotonic() < self._resting_until:
            return Allowance(is_granted=True, left=BURST)
        try:
            # after so many seconds a bucket is full again and may be forgotten
            told: Any = self._take(keys=[f"calls:{shop}"], args=[PER_SECOND, BURST, BURST // PER_SECOND + 1])
        except redis.RedisError:
            self._resting_until = time.monotonic() + REDIS_REST
            return Allowance(is_granted=True, left=BURST)
        granted, level = told
        return Allowance(bool(granted), int(float(level)))
