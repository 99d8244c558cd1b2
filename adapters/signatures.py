"""Which of the app's secrets verified how many requests lately, so that one can be taken away without losing any.

Counted by minute in Redis, under a digest of the secret, not its place: after a rotation the first becomes the second.
A wiped Redis has forgotten when an old secret was last needed, so what counts as quiet begins again then.
"""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import redis

MINUTES = 60
KEPT_SECONDS = 2 * 3_600
QUIET_SECONDS = 48 * 3_600  # Shopify repeats a delivery for four hours; a weekend's quiet shop may take longer
LAST, SINCE = "signatures:last", "signatures:since"


@dataclass(frozen=True, slots=True)
class SecretUse:
    """`place` 0 is the current one. `safe_to_remove`: the current one works, and this was quiet for two days.

    `last_at` None: not since `counted_since`.
    """

    place: int
    digest: str
    last_hour: int
    last_at: datetime | None
    counted_since: datetime | None
    safe_to_remove: bool


class Signatures:
    """One a process; safe between threads."""

    def __init__(self, client: redis.Redis, secrets: Sequence[str]) -> None:
        self._redis = client
        self._digests = [digest(secret) for secret in secrets]
        self._lock = threading.Lock()
        self._pending: Counter[tuple[int, str]] = Counter()

    def note(self, place: int) -> None:
        """The secret at this place has verified a request now."""
        with self._lock:
            self._pending[int(time.time()) // 60, self._digests[place]] += 1

    def hand_over(self) -> None:
        """Give Redis what has added up. If it is away, keep it for the next time."""
        with self._lock:
            pending, self._pending = self._pending, Counter()
        if not pending:
            return
        try:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.setnx(SINCE, int(time.time()))
                for (minute, secret), times in sorted(pending.items()):
                    pipe.hincrby(_key(minute), secret, times)
                    pipe.expire(_key(minute), KEPT_SECONDS)
                    pipe.hset(LAST, secret, minute * 60)
                pipe.execute()
        except redis.RedisError:
            with self._lock:
                self._pending.update(pending)


def secrets_in_use(client: redis.Redis, secrets: Sequence[str], now: datetime) -> list[SecretUse]:
    """Each secret's use, the current one first. May raise RedisError."""
    this_minute = int(now.timestamp()) // 60
    with client.pipeline(transaction=False) as pipe:
        pipe.get(SINCE)
        pipe.hgetall(LAST)
        for minute in range(this_minute - MINUTES + 1, this_minute + 1):
            pipe.hgetall(_key(minute))
        since, last, *minutes = pipe.execute()
    began = datetime.fromtimestamp(int(since), UTC) if since else None
    names = [digest(secret) for secret in secrets]
    seen = [_moment(last.get(name.encode())) for name in names]
    return [
        SecretUse(
            place=place,
            digest=name,
            last_hour=sum(int(one.get(name.encode(), 0)) for one in minutes),
            last_at=seen[place],
            counted_since=began,
            # Until the current one has verified something, the other may be all that Shopify signs with.
            safe_to_remove=place > 0 and seen[0] is not None and _is_quiet(seen[place] or began, now),
        )
        for place, name in enumerate(names)
    ]


def _moment(seconds: bytes | None) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds else None


def _is_quiet(since: datetime | None, now: datetime) -> bool:
    return since is not None and (now - since).total_seconds() > QUIET_SECONDS


def digest(secret: str) -> str:
    """Names a secret without telling it: eight digits of a hash over what nobody can guess."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


def _key(minute: int) -> str:
    return f"signatures:{minute}"
