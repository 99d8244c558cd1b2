"""What is measured in which order. A measurement that breaks off leaves its sentence, and the next one begins."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException

import httpx
import psutil
import psycopg
import redis

from bench import measures, visible
from bench.backfill import backfill
from bench.beside_run import beside_run
from bench.contest import contest
from bench.lookup import lookup
from bench.measures import Bench, Figures, Size
from bench.memory import Memory
from bench.progress import Note
from bench.quiet import quiet
from bench.replay import replay
from bench.scale import scale
from bench.stage import Lost
from devstore.client import DevstoreError
from devstore.servers import ServerError

# As they are called on the command line, and among the figures.
BESIDE_OTHERS = {
    "end-to-end": "end_to_end",
    "ack": "acknowledgement",
    "idle": "idle",
    "load": "under_load",
    "storm": "storm",
    "lookup": "lookup",
    "replay": "replay",
}
ALONE = {"backfill": "backfill", "run": "beside_run", "quiet": "quiet", "scale": "scale"}
# What a machine can do to a measurement. A fault of the bench itself is none of it, and ends it with its traceback.
TROUBLE = (
    Lost,
    OSError,
    RuntimeError,
    ServerError,
    DevstoreError,
    HTTPException,
    httpx.HTTPError,
    psycopg.Error,
    redis.RedisError,
    psutil.Error,
    subprocess.SubprocessError,
)
Take = Callable[[], Figures]


@dataclass
class Course:
    """`found` by measurement, and a sentence for each that broke off."""

    size: Size
    only: str | None = None
    airbyte: bool = False
    found: Figures = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    step: str = ""  # what is being done

    def run(self, note: Note) -> Iterator[None]:
        """Yields whenever there is something new."""

        def noted(step: str, detail: str = "") -> None:
            self.step = step
            note(step, detail)

        yield from self._run(noted)

    def _run(self, note: Note) -> Iterator[None]:
        if self.only is None or self.only in BESIDE_OTHERS:
            with contest(note, self.size.shops) as standing:
                bench = Bench(standing, self.size, note, Memory(standing.data_sync.family))
                measures.warm_up(bench)
                for name, take in self._beside_others(bench).items():
                    self._take(name, BESIDE_OTHERS[name], take)
                    if name == "lookup":
                        self.found["memory"] = bench.memory.quarters()
                    yield
                note("stopping everything")
        for name, take in self._alone(note).items():
            self._take(name, ALONE[name], take)
            yield
        note("everything is stopped")

    def _beside_others(self, bench: Bench) -> dict[str, Take]:
        def rates() -> dict[str, float]:
            if self.only is None and "end_to_end" not in self.found:
                raise Lost("it needs the peak, which could not be measured.")
            return measures.half_the_peak(self.found.get("end_to_end") or measures.end_to_end(bench))

        return {
            "end-to-end": partial(measures.end_to_end, bench),
            "ack": lambda: measures.acknowledgement(bench, rates()),
            "idle": partial(visible.idle, bench),
            "load": lambda: visible.under_load(bench, rates()),
            "storm": partial(visible.storm, bench),
            "lookup": partial(lookup, bench),
            "replay": partial(replay, bench),
        }

    def _alone(self, note: Note) -> dict[str, Take]:
        size = self.size
        amounts = size.backfill_products, size.backfill_customers, size.bulk_above
        return {
            "backfill": lambda: backfill(note, *amounts, airbyte=self.airbyte),
            "run": partial(beside_run, note, size),
            "quiet": partial(quiet, note, size.quiet_shops, size.quiet_sizes, size.bulk_above),
            **({"scale": partial(scale, note, size.reach)} if size.reach else {}),
        }

    def _take(self, name: str, key: str, take: Take) -> None:
        if self.only not in (None, name):
            return
        try:
            self.found[key] = take()
        except TROUBLE as trouble:
            self.problems.append(f"{name} ({self.step}): {sentence(trouble)}")


def sentence(trouble: BaseException) -> str:
    """Its own words; where it has none, its name."""
    return str(trouble).strip() or type(trouble).__name__
