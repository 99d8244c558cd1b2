"""Takes deliveries from many request threads and stores them together (group commit).

One commit costs one fsync whoever shares it. A thread hands its arrival over and waits for the batch it went with;
while a batch is being committed the next one gathers, and a moment longer while several come at once. The bell is rung
afterwards, by another thread: Redis may hang or be gone, and Shopify's answer does not wait for it.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from adapters import inbox
from adapters.bell import Bell
from adapters.figures import COPIES, Figures
from adapters.inbox import Arrival

log = structlog.get_logger()
T = TypeVar("T")

MOST = 200  # arrivals a statement
MOST_BYTES = 16 * 1024 * 1024
MOST_WAITING = 1_000  # arrivals kept, given up ones included, while Postgres hangs: they hold their bodies
PACE_SECONDS = 0.005  # from one batch that several shared to the next: without it they would be twos and threes
RING_SECONDS = 0.02  # from one ringing to the next: whoever was just rung for is still being served
QUIET_SECONDS = 1.0  # how long a bell that cannot be rung is left alone


class NotStored(Exception):
    """Postgres did not take it in time. Whoever brought it must bring it again."""


class Gathering(Protocol):
    """What adds up in this process, and is given to Redis now and then by the thread that rings."""

    def hand_over(self) -> None: ...


class FrontDesk:
    """Starts its two threads when it opens, with the first request: a process which forks after import loses none.

    All it says to `db` is one statement at a time, so that engine may as well commit each by itself.
    """

    def __init__(self, db: Engine, bell: Bell, figures: Figures, *gathering: Gathering) -> None:
        self._db = db
        self._bell = bell
        self._figures = figures
        self._gathering: tuple[Gathering, ...] = (figures, *gathering)
        self._arrivals: queue.SimpleQueue[tuple[Arrival, Future[bool]]] = queue.SimpleQueue()
        self._stored: queue.SimpleQueue[tuple[Arrival, bool]] = queue.SimpleQueue()
        self._start = threading.Lock()
        self._started = False

    def accept(self, arrival: Arrival, seconds: float) -> bool:
        """Store it; True if it was new. Raises NotStored if that did not happen within `seconds`.

        Giving up does not take the arrival back: it may still be stored a moment later, and its next copy is then
        known.
        """
        self.open()
        if self._arrivals.qsize() >= MOST_WAITING:
            raise NotStored("Postgres does not answer, and others wait already")
        done: Future[bool] = Future()
        self._arrivals.put((arrival, done))
        try:
            return done.result(seconds)
        except TimeoutError:
            done.cancel()
            raise NotStored("Postgres did not answer in time") from None

    def open(self) -> None:
        """Safe to repeat. A request that stores nothing opens it too: its figures are handed over from here."""
        if not self._started:
            with self._start:
                if not self._started:
                    for duty in (self._commit_for_ever, self._ring_for_ever):
                        threading.Thread(target=duty, name=duty.__name__, daemon=True).start()
                    self._started = True

    def _commit_for_ever(self) -> None:
        next_at = 0.0
        while True:
            batch = self._gather(next_at)
            # Who comes alone, one after the other, is never kept waiting.
            next_at = time.monotonic() + PACE_SECONDS if len(batch) > 1 else 0.0
            waiting = [(arrival, done) for arrival, done in batch if done.set_running_or_notify_cancel()]
            if not waiting:
                continue
            try:
                fresh = self._store([arrival for arrival, _ in waiting])
            except Exception as error:  # noqa: BLE001 — each requester is told; this thread must live
                self._refuse(waiting, error)
            else:
                self._tell(waiting, fresh)

    def _store(self, arrivals: Sequence[Arrival]) -> set[tuple[str, str]]:
        """In one statement. A connection that was cut while it lay in the pool does not mean that Postgres is away:
        the pool forgets all its old ones, and storing again is safe, for what is stored once stays stored once.
        """
        try:
            with self._db.begin() as db:
                return inbox.store(db, arrivals)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        with self._db.begin() as db:
            return inbox.store(db, arrivals)

    def _tell(self, waiting: Sequence[tuple[Arrival, "Future[bool]"]], fresh: set[tuple[str, str]]) -> None:
        """Of two copies that went in one batch the first is the new one."""
        for arrival, done in waiting:
            is_new = arrival.key in fresh
            fresh.discard(arrival.key)
            done.set_result(is_new)
            self._stored.put((arrival, is_new))

    def _gather(self, not_before: float) -> list[tuple[Arrival, "Future[bool]"]]:
        """At least one; whatever else has come meanwhile, up to the limits."""
        batch = [self._arrivals.get()]
        _sleep_until(not_before)
        total = len(batch[0][0].body or b"")
        while len(batch) < MOST and total < MOST_BYTES:
            try:
                batch.append(self._arrivals.get_nowait())
            except queue.Empty:
                break
            total += len(batch[-1][0].body or b"")
        return batch

    def _refuse(self, waiting: Sequence[tuple[Arrival, "Future[bool]"]], error: Exception) -> None:
        """All were rolled back. If only one row was at fault, the others must not be refused with it: one by one."""
        log.error("not_stored", deliveries=len(waiting), error=type(error).__name__)
        together = len(waiting) > 1 and not _is_away(error)
        for arrival, done in waiting:
            if together:
                self._store_alone(arrival, done)
            else:
                done.set_exception(NotStored("Postgres refused it or is away"))

    def _store_alone(self, arrival: Arrival, done: "Future[bool]") -> None:
        try:
            with self._db.begin() as db:
                fresh = inbox.store(db, [arrival])
        except Exception as error:  # noqa: BLE001 — its requester is told; this thread must live
            kind = type(error).__name__
            told = {"shop": arrival.shop, "webhook_id": arrival.webhook_id, "error": kind}
            log.error("not_stored", **told)  # noqa: TRY400 — a traceback would quote the row
            done.set_exception(NotStored("Postgres refused it"))
        else:
            self._tell([(arrival, done)], fresh)

    def _ring_for_ever(self) -> None:
        next_at = quiet_until = 0.0
        while True:
            stored = self._take_stored(next_at)
            next_at = time.monotonic() + RING_SECONDS
            rung = [arrival for arrival, is_new in stored if is_new]
            if time.monotonic() >= quiet_until and not self._attempt(self._ring, rung):
                # Not lost: the sweep rings for whatever lies in the inbox.
                quiet_until = time.monotonic() + QUIET_SECONDS
            # After the bell: the copied row may be locked by its turn.
            self._attempt(self._note_copies, [arrival.key for arrival, is_new in stored if not is_new])
            self._attempt(self._hand_over, stored)

    def _take_stored(self, not_before: float) -> list[tuple[Arrival, bool]]:
        """What was stored since, and whether it was new; nothing after a second of silence."""
        stored = []
        try:
            stored.append(self._stored.get(timeout=1.0))
            _sleep_until(not_before)
            while len(stored) < MOST:
                stored.append(self._stored.get_nowait())
        except queue.Empty:
            pass
        return stored

    def _ring(self, arrivals: Sequence[Arrival]) -> None:
        now = time.time()
        for lane in sorted({arrival.lane for arrival in arrivals}):
            waiting = {a.shop: now for a in arrivals if a.lane == lane and a.dead_because is None}
            self._bell.ring(lane, waiting)

    def _note_copies(self, keys: Sequence[tuple[str, str]]) -> None:
        if keys:
            self._figures.count(COPIES, by=len(keys))
            with self._db.begin() as db:
                inbox.count_copies(db, keys)

    def _hand_over(self, _stored: Sequence[tuple[Arrival, bool]]) -> None:
        for one in self._gathering:
            one.hand_over()

    def _attempt(self, duty: Callable[[Sequence[T]], None], what: Sequence[T]) -> bool:
        try:
            duty(what)
        except Exception as error:  # noqa: BLE001 — this thread must live; what was not rung is found by the sweep
            log.warning("after_storing_failed", duty=duty.__name__, error=type(error).__name__)
            return False
        return True


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _is_away(error: Exception) -> bool:
    return isinstance(error, OperationalError | InterfaceError | PoolTimeout)
