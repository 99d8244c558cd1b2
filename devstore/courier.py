"""Signs webhooks and posts them, as Shopify does and as the mood of the day allows.

Shopify's rules: 1 s to connect, 5 s in all, only 2xx counts, redirects are not followed, 8 retries over four hours with
the body of the first try to the address of the first try, the same webhook id on every one.
https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
"""

import base64
import hashlib
import heapq
import hmac
import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from devstore.bodies import utc_nanos
from devstore.ledger import Attempt, Entry, Ledger
from devstore.mood import Fate, Mood, decide
from devstore.post import Postman

RETRIES = 8
FIRST_GAP = 14_400 / 255  # seconds; doubled eight times it makes Shopify's four hours


@dataclass(frozen=True)
class Letter:
    """What is to be told to one address, before it has an id and a signature."""

    url: str
    secret: str
    shop: str
    topic: str
    resource: str
    triggered_at: datetime
    body: bytes
    api_version: str
    event_id: str
    subscription: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Parcel:
    """A signed letter. `copy` marks the mood's second copy: it is not retried and does not decide the fate."""

    url: str
    headers: dict[str, str]
    body: bytes
    entry: Entry
    tries: int = 0
    copy: bool = False


def sign(body: bytes, secret: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


class Courier:
    """A heap of parcels by due time and a few threads that post what is due."""

    def __init__(
        self, seed: int, *, mood: Mood, retry_scale: float, gave_up: Callable[[Entry], None], threads: int = 8
    ) -> None:
        """`gave_up` is told of a delivery whose every try failed, by the thread that made the last."""
        self.ledger = Ledger()
        self.retry_scale = retry_scale
        self._gave_up = gave_up
        self._seed = seed
        self._mood = mood
        self._counts: Counter[str] = Counter()
        self._heap: list[tuple[float, int, Parcel]] = []
        self._ticket = itertools.count()
        self._under_way = 0
        lock = threading.Lock()
        self._mail, self._quiet = threading.Condition(lock), threading.Condition(lock)
        self._closing = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def mood(self) -> Mood:
        return self._mood

    def feel(self, mood: Mood) -> None:
        """Holds for what is owed from now on; the end of an outage that held lets everything go."""
        with self._mail:
            self._mood = mood
            self._mail.notify_all()

    def owe(self, letter: Letter) -> Entry:
        """Take a letter: decide its fate, write it into the ledger, and queue it unless it is lost."""
        with self._mail:
            fate = decide(self._mood, self._seed, letter.shop, self._counts[letter.shop])
            self._counts[letter.shop] += 1
        entry = _entry(letter, fate)
        self.ledger.open(entry)
        if not fate.lost:
            self._queue_with(fate, Parcel(letter.url, _headers(letter, entry), letter.body, entry))
        return entry

    def hurry(self) -> None:
        """Everything that waits, for whatever reason, is due now."""
        with self._mail:
            self._heap = [(0.0, ticket, parcel) for _, ticket, parcel in self._heap]
            heapq.heapify(self._heap)
            self._mail.notify_all()

    def settle(self, seconds: float) -> bool:
        """Wait until nothing is due, delayed, being retried or under way. False when the time was not enough."""
        with self._quiet:
            return self._quiet.wait_for(lambda: not self._heap and not self._under_way, timeout=seconds)

    def close(self) -> None:
        with self._mail:
            self._closing = True
            self._mail.notify_all()
        for thread in self._threads:
            thread.join()

    def _queue_with(self, fate: Fate, parcel: Parcel) -> None:
        due = time.monotonic() + fate.delayed_by + fate.jitter
        self._queue(parcel, due)
        if fate.second_copy_after is not None:
            self._queue(replace(parcel, copy=True), due + fate.second_copy_after)

    def _queue(self, parcel: Parcel, due: float) -> None:
        with self._mail:
            heapq.heappush(self._heap, (due, next(self._ticket), parcel))
            self._mail.notify()

    def _work(self) -> None:
        postman = Postman()
        while (parcel := self._next()) is not None:
            attempt = postman.post(parcel.url, parcel.headers, parcel.body)
            self._conclude(parcel, attempt)
            with self._quiet:
                self._under_way -= 1
                self._quiet.notify_all()
        postman.close()

    def _next(self) -> Parcel | None:
        with self._mail:
            while not self._closing:
                held = self._mood.outage == "hold"
                wait = self._heap[0][0] - time.monotonic() if self._heap and not held else None
                if wait is not None and wait <= 0:
                    self._under_way += 1
                    parcel = heapq.heappop(self._heap)[2]
                    self._mail.notify()  # another must watch for what is next, this one is busy now
                    return parcel
                self._mail.wait(wait)
            return None

    def _conclude(self, parcel: Parcel, attempt: Attempt) -> None:
        entry = parcel.entry
        entry.attempts.append(attempt)
        if parcel.copy:
            return
        if attempt.succeeded:
            entry.fate = "delivered"
        elif parcel.tries < RETRIES:
            gap = FIRST_GAP * 2**parcel.tries * self.retry_scale
            self._queue(replace(parcel, tries=parcel.tries + 1), time.monotonic() + gap)
        else:
            entry.fate = "failed"
            self._gave_up(entry)


def _entry(letter: Letter, fate: Fate) -> Entry:
    return Entry(
        # Not from the seed: a second start with the same seed must not repeat ids that an app has already seen.
        webhook_id=str(uuid.uuid4()),
        event_id=letter.event_id,
        shop=letter.shop,
        topic=letter.topic,
        resource=letter.resource,
        triggered_at=letter.triggered_at,
        subscription=letter.subscription,
        fate="lost" if fate.lost else "waiting",
        doubled=fate.second_copy_after is not None and not fate.lost,
        delayed_by=0.0 if fate.lost else fate.delayed_by,
    )


def _headers(letter: Letter, entry: Entry) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Shopify-Captain-Hook",
        "X-Shopify-Topic": letter.topic,
        "X-Shopify-Hmac-Sha256": sign(letter.body, letter.secret),
        "X-Shopify-Shop-Domain": letter.shop,
        "X-Shopify-API-Version": letter.api_version,
        "X-Shopify-Webhook-Id": entry.webhook_id,
        "X-Shopify-Event-Id": entry.event_id,
        "X-Shopify-Triggered-At": utc_nanos(letter.triggered_at),
    }
    return headers | ({"X-Shopify-Name": letter.name} if letter.name else {})
