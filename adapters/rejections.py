"""Requests that were turned away at the front door: nothing of them is stored, but an engineer must see why.

Kept in Redis, the latest thousand, handed over by the thread that rings the bell: an answer never waits for it, and
while Redis is away they are dropped. No body and no signature is kept, only how long the body was and its digest, which
tells whether something on the way had changed it.
"""

import threading
from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson
import redis

KEY = "rejections"
KEPT = 1_000
AT_ONCE = 100  # between two hand-overs; who sends more tells nothing new, and hashing their bodies costs


@dataclass(frozen=True, slots=True)
class Rejection:
    """What the request claimed, unproven. `sha256` is None for a body that was too large to be read."""

    at: datetime
    status: int
    cause: str
    shop: str
    topic: str
    webhook_id: str
    length: int
    sha256: str | None


class Rejections:
    """One a process; safe between threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._pending: deque[Rejection] = deque()
        self._lock = threading.Lock()

    def has_room(self) -> bool:
        """Ask before hashing a body: a flood of forgeries must cost no more than turning it away does."""
        return len(self._pending) < AT_ONCE

    def note(self, rejection: Rejection) -> None:
        if self.has_room():
            self._pending.append(rejection)

    def hand_over(self) -> None:
        """Give Redis what has gathered. If it is away, forget it: the figures still count every one."""
        with self._lock:
            gathered = [self._pending.popleft() for _ in range(len(self._pending))]
        if not gathered:
            return
        try:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.lpush(KEY, *(orjson.dumps(asdict(one), option=orjson.OPT_UTC_Z) for one in gathered))
                pipe.ltrim(KEY, 0, KEPT - 1)
                pipe.execute()
        except redis.RedisError:
            return


def latest(client: redis.Redis, most: int = 100) -> list[dict[str, Any]]:
    """Newest first, JSON-ready but for `at`, which is a time. May raise RedisError."""
    found = [orjson.loads(one) for one in client.lrange(KEY, 0, most - 1)]
    return [one | {"at": datetime.fromisoformat(one["at"])} for one in found]
