"""Every webhook the pretend Shopify owed, and what became of it: the truth that a gap report is compared with."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from devstore.bodies import utc_nanos


@dataclass(frozen=True)
class Attempt:
    """One POST. `status` is None when no answer came, then `error` says why."""

    at: float
    status: int | None
    ms: float
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass
class Entry:
    """`fate` is waiting, lost (by the mood), delivered or failed (every try). Doubled and delayed go beside it."""

    webhook_id: str
    event_id: str
    shop: str
    topic: str
    resource: str
    triggered_at: datetime
    subscription: str | None
    fate: str = "waiting"
    doubled: bool = False
    delayed_by: float = 0.0
    attempts: list[Attempt] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        last = self.attempts[-1] if self.attempts else None
        return {
            "webhook_id": self.webhook_id,
            "event_id": self.event_id,
            "shop": self.shop,
            "topic": self.topic,
            "resource": self.resource,
            "triggered_at": utc_nanos(self.triggered_at),
            "subscription": self.subscription,
            "fate": self.fate,
            "doubled": self.doubled,
            "delayed_by": round(self.delayed_by, 3),
            "status": last and last.status,
            "ms": last and round(last.ms, 1),
            "error": last and last.error,
            "attempts": [vars(attempt) for attempt in self.attempts],
        }


class Ledger:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []

    def open(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)

    def forget(self, before: datetime) -> int:
        """What is older, in a play that goes on for months. How many those were."""
        with self._lock:
            kept = [entry for entry in self._entries if entry.triggered_at >= before]
            forgotten, self._entries = len(self._entries) - len(kept), kept
        return forgotten

    def entries(self, shop: str | None = None) -> list[Entry]:
        with self._lock:
            return [entry for entry in self._entries if shop in (None, entry.shop)]

    def counts(self, shop: str | None = None) -> dict[str, int]:
        """`owed` is all of them; waiting + lost + delivered + failed make it up; `posts` counts requests made."""
        entries = self.entries(shop)
        fates = Counter(entry.fate for entry in entries)
        return {
            "owed": len(entries),
            **{fate: fates[fate] for fate in ("waiting", "lost", "delivered", "failed")},
            "doubled": sum(entry.doubled for entry in entries),
            "delayed": sum(entry.delayed_by > 0 for entry in entries),
            "posts": sum(len(entry.attempts) for entry in entries),
        }
