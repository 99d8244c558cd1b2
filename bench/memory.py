"""How much memory the processes take while they are under load."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median

import psutil

EVERY = 0.5  # seconds
MIB = 1024 * 1024


class Memory:
    """Samples of resident memory by process name, taken only while `watching`; pages that two share count twice."""

    def __init__(self, family: Callable[[], Mapping[str, list[psutil.Process]]]) -> None:
        self._family = family
        self._samples: dict[str, list[float]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        family, done = self._family(), threading.Event()
        thread = threading.Thread(target=self._watch, args=(family, done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def quarters(self) -> dict[str, dict[str, float]]:
        """MiB by process: the median of the first and of the last quarter, the difference in %, the highest of all."""
        return {name: _quarters(samples) for name, samples in self._samples.items()}

    def _watch(self, family: Mapping[str, list[psutil.Process]], done: threading.Event) -> None:
        while True:
            began = time.monotonic()
            for name, processes in family.items():
                total = sum(process.memory_info().rss for process in processes)
                self._samples.setdefault(name, []).append(total / MIB)
            if done.wait(max(0.0, EVERY - (time.monotonic() - began))):
                return


def _quarters(samples: list[float]) -> dict[str, float]:
    quarter = max(1, len(samples) // 4)
    first, last = median(samples[:quarter]), median(samples[-quarter:])
    return {
        "first_mib": round(first, 1),
        "last_mib": round(last, 1),
        "peak_mib": round(max(samples), 1),
        "growth_percent": round(100 * (last / first - 1), 1),
    }
