"""Waiting that can be told to stop, and that knows what it was waiting for when the time is up."""

import signal
import threading
import time
from collections.abc import Callable


class Stopped(Exception):
    """Somebody pressed Ctrl-C or ended us."""


class TimeUp(Exception):
    """The message says what was being waited for."""


class Patience:
    """Signals only raise a flag, looked at between steps and while waiting: an exception out of nowhere, in the middle
    of starting a process, could leave that process behind.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._began = time.monotonic()
        self._stop = threading.Event()

    def heed_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._stop.set())

    def stop(self) -> None:
        self._stop.set()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def check(self, waiting_for: str) -> None:
        """Raises Stopped or TimeUp when that is so."""
        if self._stop.is_set():
            raise Stopped
        if self._seconds is not None and self.elapsed > self._seconds:
            raise TimeUp(f"The {self._seconds:.0f} s are over; it was still waiting for {waiting_for}.")

    def pause(self, seconds: float, waiting_for: str) -> None:
        self._stop.wait(max(0.0, seconds))
        self.check(waiting_for)

    def until(self, fact: Callable[[], bool], waiting_for: str, every: float = 0.1) -> None:
        self.check(waiting_for)
        while not fact():
            self.pause(every, waiting_for)
