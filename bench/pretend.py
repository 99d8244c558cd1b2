"""What runs are measured on: Data Sync's Procfile against a pretend Shopify, which is a process of its own."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg

from bench.caller import API_KEY
from bench.memory import Memory
from bench.progress import Note
from bench.stage import (
    BIN,
    CHECKOUT,
    PATIENT,
    START_SECONDS,
    Ground,
    Lost,
    add_shops,
    create_database,
    environment_of_data_sync,
    ground,
    procfile,
)
from devstore.client import Devstore
from devstore.servers import Child, free_port

LOOK = 0.25  # seconds between two looks at a database
PATIENCE = 300.0  # seconds without anything getting done; a large file takes Shopify a while
TOKEN = "shpat_bench"  # noqa: S105  # the pretend Shopify's


@dataclass(frozen=True)
class Asked:
    """What Shopify was asked: queries, points that had to be there for them, points they cost, queries by name."""

    queries: int
    requested_points: float
    actual_points: float
    operations: Counter[str]

    def __sub__(self, before: Self) -> Self:
        return type(self)(
            self.queries - before.queries,
            round(self.requested_points - before.requested_points, 1),
            round(self.actual_points - before.actual_points, 1),
            self.operations - before.operations,
        )

    def as_figures(self) -> dict[str, Any]:
        return {**vars(self), "operations": dict(self.operations)}


@dataclass(frozen=True)
class Pretend:
    """`install` is `flask shops add`; `db` is Data Sync's database, at `database_url`."""

    folder: Path
    devstore: Devstore
    database_url: str
    db: psycopg.Connection[Any]
    memory: Memory
    install: Callable[[list[str]], None]
    note: Note
    port: int
    secret: str
    redis_url: str

    def open_shop(self, domain: str, **wanted: Any) -> float:
        """A shop with an invented catalogue at the pretend Shopify; how many seconds that took."""
        began = time.monotonic()
        self.devstore.open_shop(domain, token=TOKEN, **wanted)
        # As a Plus shop has it: a small bucket would be all that is measured.
        self.devstore.settings(domain, bucket=20_000, restore_rate=1_000)
        return time.monotonic() - began

    def asked(self) -> Asked:
        """Of all shops together, since the start."""
        operations: Counter[str] = Counter()
        tallies = self.devstore.requests().values()
        for tally in tallies:
            operations.update(tally["operations"])
        names = "requests", "requested_points", "actual_points"
        queries, requested, actual = (sum(tally[name] for tally in tallies) for name in names)
        return Asked(int(queries), float(requested), float(actual), operations)

    def await_none(self, what: str, left: Callable[[], int]) -> None:
        """Until nothing is left, looked for every quarter of a second."""
        before, moved = -1, time.monotonic()
        while now_left := left():
            if now_left != before:
                before, moved = now_left, time.monotonic()
                self.note(what, f"{now_left:,} left")
            if time.monotonic() - moved > PATIENCE:
                raise Lost(f"{what}: {now_left:,} still left, and nothing moves.")
            time.sleep(LOOK)


@contextmanager
def pretend(note: Note, bulk_above: int) -> Iterator[Pretend]:
    """Everything started and empty; all of it stopped and removed at the end.

    Complete runs of feeds with more than `bulk_above` records are bulk operations.
    """
    with ground(note) as on, _connect(on) as db:
        port = free_port()
        with _devstore(on.folder, port, on.secret) as (devstore, process):
            origin = f"{devstore.url}/{{shop}}"
            told = environment_of_data_sync(
                port, on.postgres.url_of("data_sync"), on.valkey.url, origin, reconcile_seconds=600
            )
            environment = {**on.environment, **told, "BULK_RUN_RECORDS": str(bulk_above)}

            def install(shops: list[str]) -> None:
                add_shops(shops, environment, note)

            with procfile(on.folder, environment, note) as family:
                memory = Memory(lambda: family() | {"devstore": [process]})
                url = on.postgres.url_of("data_sync")
                yield Pretend(on.folder, devstore, url, db, memory, install, note, port, on.secret, on.valkey.url)


def _connect(on: Ground) -> psycopg.Connection[Any]:
    return psycopg.connect(create_database(on.postgres, "data_sync"), autocommit=True, options=PATIENT)


@contextmanager
def _devstore(folder: Path, app_port: int, secret: str) -> Iterator[tuple[Devstore, psutil.Process]]:
    command = [sys.executable, "-m", "devstore", "--app-url", f"http://127.0.0.1:{app_port}"]
    command += ["--api-key", API_KEY, "--secret", secret]
    environment = {"PATH": f"{BIN}:{os.defpath}", "LC_ALL": "C.UTF-8"}
    child = Child(command, folder / "devstore.log", cwd=CHECKOUT, environment=environment)
    try:
        if not child.becomes(lambda child: child.log_text().endswith("\n"), START_SECONDS):
            raise RuntimeError(f"The pretend Shopify does not start:\n{child.log_text()[-2000:]}")
        with Devstore(json.loads(child.log_text())["url"], seconds=600) as devstore:
            yield devstore, psutil.Process(child.pid)
    finally:
        child.stop()
