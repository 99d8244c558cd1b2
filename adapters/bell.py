"""The bell: Redis says which shops have mail, RQ wakes a worker. Nothing here is needed to know what was received.

Redis may be wiped at any moment: the sweep rings again from the inbox. A lane holds one sorted set, shop by due time,
and one lease per shop that is having its turn, so that a shop is served by one worker at a time and the shop longest
waiting is next.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

LANES = ("live", "bulk")
TURN_JOB = "workers.turns.serve"  # by name: the front door never imports the workshop
JOB_SECONDS = 180
LEASE_SECONDS = 120


def connect(url: str, *, seconds: float = 1.0) -> redis.Redis:
    """A client whose every wait ends after `seconds`. It tries once: whoever needs patience brings their own."""
    return redis.Redis.from_url(
        url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=Retry(NoBackoff(), 0), protocol=2
    )


# Take the shop that has been due longest and that nobody serves, and lease it, in one step: between two workers there
# is no moment in which both could take it. Looks at a bounded number of shops; those in front are being served.
_TAKE = """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 64)
for _, shop in ipairs(due) do
  if redis.call('SET', KEYS[2] .. shop, ARGV[2], 'NX', 'EX', ARGV[3]) then
    redis.call('ZREM', KEYS[1], shop)
    return shop
  end
end
return false
"""

# Give the lease back only if it is still ours; it may have expired and be somebody else's by now. A shop that is to
# rest keeps it for that long: whoever rings meanwhile cannot end the rest.
_GIVE_BACK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """A shop's go at being served: the holder's mark on the lease."""

    shop: str
    holder: str


class Bell:
    """Every method may raise redis.RedisError; only the front door's ringing thread shrugs it off."""

    def __init__(self, client: redis.Redis) -> None:
        self.redis = client
        self._take = client.register_script(_TAKE)
        self._give_back = client.register_script(_GIVE_BACK)
        self._queues = {lane: Queue(lane, connection=client, serializer=JSONSerializer) for lane in LANES}

    def ring(self, lane: str, due: Mapping[str, float]) -> None:
        """These shops have mail from then on (seconds since 1970). An earlier due time stands.

        A job is enqueued only when none is queued: it is a bell, it may ring too often but never too seldom. Between
        the look and the enqueueing another may ring as well, which costs a job that finds nothing.
        """
        if not due:
            return
        self.redis.zadd(_mail(lane), dict(due), lt=True)
        if min(due.values()) <= time.time():
            self.wake(lane)

    def wake(self, lane: str) -> None:
        """One job that says "somebody has mail", unless one is queued. It carries no data and leaves no result."""
        if self._queues[lane].count == 0:
            self._queues[lane].enqueue_call(
                TURN_JOB, args=(lane,), timeout=JOB_SECONDS, result_ttl=0, failure_ttl=86_400
            )

    def take(self, lane: str, holder: str) -> Turn | None:
        """The next shop's turn, or None if no mail is due or all of it is being served."""
        shop = self._take(keys=[_mail(lane), _lease(lane, "")], args=[time.time(), holder, LEASE_SECONDS])
        return Turn(shop.decode(), holder) if shop else None

    def give_back(self, lane: str, turn: Turn, rest: float = 0.0) -> None:
        """The turn is over, and after so many seconds of rest whoever rang meanwhile is in line again."""
        self._give_back(keys=[_lease(lane, turn.shop)], args=[turn.holder, int(rest * 1000)])

    def has_due_mail(self, lane: str) -> bool:
        """Whether some shop is due now, served or not."""
        return bool(self.redis.zcount(_mail(lane), "-inf", time.time()))

    def state(self) -> dict[str, Any]:
        """Per lane: how many shops have mail, and how many jobs are queued."""
        lanes = {}
        for lane in LANES:
            lanes[lane] = {"shops": self.redis.zcard(_mail(lane)), "jobs": self._queues[lane].count}
        return lanes


def _mail(lane: str) -> str:
    return f"mail:{lane}"


def _lease(lane: str, shop: str) -> str:
    return f"turn:{lane}:{shop}"
