"""What everybody stands on: one real Postgres (fsync on) and one real Valkey; and Data Sync's own processes there.

Each side has a database of its own in that Postgres and a number of its own in that Valkey. One web process and two
processes that apply: of Data Sync the two live workers of its formation, beside which its bulk worker and clock run.
"""

import os
import re
import secrets
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import run
from typing import Any
from urllib.error import URLError

import psutil
import psycopg
from cryptography.fernet import Fernet

from bench.caller import API_KEY, Caller
from bench.mail import VARIANTS
from bench.progress import Note
from devstore.servers import Child, Postgres, Valkey, free_port

CHECKOUT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
OURS = "Data Sync"
LOOKUP_SHOP = "bench-lookup.myshopify.com"
COMMAND_SECONDS = 600.0  # for one of `flask …`
START_SECONDS = 180.0  # for a process to become ready in, on a machine that is busy with something else
PATIENCE = 300.0  # seconds without anything getting done
PATIENT = (
    "-c lock_timeout=300s -c statement_timeout=600s"  # for our own looks: a stuck server must not be a stuck bench
)
LOOK = 0.05  # seconds between two looks at a database
Family = dict[str, list[psutil.Process]]


class Lost(Exception):
    """A delivery that was answered with 200 did not reach the tables, or nothing moves any more."""


@dataclass(frozen=True)
class Ground:
    """The two servers, where logs go, and the app's secret that all sides verify with."""

    folder: Path
    postgres: Postgres
    valkey: Valkey
    secret: str
    note: Note

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{BIN}:{os.defpath}", "LC_ALL": "C.UTF-8", "SHOPIFY_API_SECRET": self.secret}

    def redis_url(self, number: int) -> str:
        return f"{self.valkey.url.removesuffix('/0')}/{number}"


@contextmanager
def ground(note: Note) -> Iterator[Ground]:
    """Both servers running and empty; stopped and removed at the end."""
    (CHECKOUT / ".run").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=CHECKOUT / ".run"))
    postgres, valkey = Postgres(folder / "postgres"), Valkey(folder / "valkey")
    try:
        note("starting Postgres and Valkey")
        with postgres, valkey:
            yield Ground(folder, postgres, valkey, secrets.token_hex(16), note)
    finally:
        postgres.remove()
        valkey.remove()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Side:
    """One of those that are compared, running. `unapplied` counts what was answered and is not yet in the tables.

    `share`: its part of a round's deliveries; a slow side gets fewer, and rates are compared. `changed_at`: where its
    products keep Shopify's `updated_at`.
    """

    name: str
    port: int
    db: psycopg.Connection[Any]
    family: Callable[[], Mapping[str, list[psutil.Process]]]
    unapplied: Callable[[int], int]
    applied: Callable[[], int]
    clear: Callable[[], None]
    finds: Callable[[Caller, str], bool]
    changed_at: str = "updated_at"
    share: float = 1.0

    def await_applied(self, sent: int, note: Callable[[int], None]) -> float:
        """The monotonic clock when the last of `sent` deliveries was found in the tables, to 0.05 s."""
        left, moved = sent, time.monotonic()
        while now_left := self.unapplied(sent):
            if now_left != left:
                left, moved = now_left, time.monotonic()
                note(left)
            if time.monotonic() - moved > PATIENCE:
                raise Lost(f"{self.name}: {left:,} of {sent:,} deliveries were not applied, and nothing moves.")
            time.sleep(LOOK)
        return time.monotonic()

    def verify(self, sent: int, statuses: Mapping[str, int], besides: int = 0) -> None:
        """Every delivery was answered with 200, and is a product with its variants in the tables.

        `besides`: deliveries that were posted one by one besides those.
        """
        there = sent + besides
        found = self.applied(), number(self.db, "SELECT count(*) FROM products"), _variants(self.db)
        if dict(statuses) != {"200": sent} or found != (there, there, there * VARIANTS):
            raise Lost(f"{self.name}: {there:,} sent, answers {dict(statuses)}, (applied, products, variants) {found}.")


def _variants(db: psycopg.Connection[Any]) -> int:
    return number(db, "SELECT count(*) FROM variants")


@contextmanager
def data_sync(on: Ground, shops: list[str]) -> Iterator[Side]:
    url = create_database(on.postgres, "data_sync")
    # Nobody listens there: what must be asked of Shopify waits in the lane `bulk`.
    origin = f"http://127.0.0.1:{free_port()}/{{shop}}"
    told = environment_of_data_sync(free_port(), url, on.valkey.url, origin, reconcile_seconds=86_400)
    environment = {**on.environment, **told}
    with (
        procfile(on.folder, environment, on.note) as family,
        psycopg.connect(url, autocommit=True, options=PATIENT) as db,
    ):
        add_shops([*shops, LOOKUP_SHOP], environment, on.note)
        yield Side(
            OURS,
            int(environment["PORT"]),
            db,
            family,
            lambda _sent: number(db, "SELECT count(*) FROM deliveries WHERE lane = 'live' AND state = 'waiting'"),
            lambda: number(db, "SELECT count(*) FROM deliveries WHERE source = 'webhook' AND outcome = 'applied'"),
            lambda: _clear(db),
            Caller.finds,
            changed_at="core_at",
        )


def environment_of_data_sync(
    port: int, database_url: str, redis_url: str, origin: str, *, reconcile_seconds: int
) -> dict[str, str]:
    """All that the processes must be told but the app's secret and a PATH."""
    return {
        "APP_ENV": "test",
        "APP_URL": f"http://127.0.0.1:{port}",
        "WEB_HOST": "127.0.0.1",
        "PORT": str(port),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SHOPIFY_API_KEY": API_KEY,
        "SHOPIFY_ADMIN_ORIGIN": origin,
        "SECRET_KEY": secrets.token_hex(32),
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "RECONCILE_SECONDS": str(reconcile_seconds),
        "COMPLETE_RUN_SECONDS": "86400",
    }


@contextmanager
def procfile(folder: Path, environment: Mapping[str, str], note: Note) -> Iterator[Callable[[], Family]]:
    """Data Sync's processes under their supervisor, ready; yields how to find them by name."""
    note("starting Data Sync's Procfile")
    supervisor = Child(
        [sys.executable, "supervise.py"], folder / "data_sync.log", cwd=CHECKOUT, environment=environment
    )
    try:
        if not supervisor.becomes(lambda _: answers(int(environment["PORT"]), "/ready"), START_SECONDS):
            raise RuntimeError(f"Data Sync does not start:\n{supervisor.log_text()[-2000:]}")
        yield lambda: _procfile_family(supervisor.pid)
    finally:
        supervisor.stop()


# `flask shops add` for each line: hundreds of shops, and the app is imported once.
_ADD_SHOPS = """
import sys
from app import create_command_line
flask = create_command_line().test_cli_runner()
for shop in sys.stdin.read().split():
    done = flask.invoke(args=["shops", "add", shop, "--token", "shpat_bench"])
    if done.exit_code:
        sys.exit(f"`flask shops add {shop}` ended with {done.exit_code}: {done.output}")
"""


def add_shops(shops: list[str], environment: Mapping[str, str], note: Note) -> None:
    note(f"flask shops add, {len(shops)} shops")
    command, words = [sys.executable, "-c", _ADD_SHOPS], "\n".join(shops)
    done = run(  # noqa: S603  # a command put together here
        command,
        check=False,
        cwd=CHECKOUT,
        env=dict(environment),
        input=words,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    if done.returncode != 0:
        raise RuntimeError(f"The shops were not added:\n{done.stdout}{done.stderr}")


def _clear(db: psycopg.Connection[Any]) -> None:
    # Identities go on: a bulk turn that is just under way must not meet its old numbers on new rows.
    db.execute("TRUNCATE deliveries, attempts, failures, replays, products, variants, issues")


_NAMES = {r"granian": "web", r"workers live": "live", r"workers bulk": "bulk", r"workers clock": "clock"}


def _procfile_family(supervisor: int) -> Family:
    """By the Procfile's names. Granian's own worker belongs to `web`."""
    family: Family = {name: [] for name in _NAMES.values()}
    for process in psutil.Process(supervisor).children(recursive=True):
        words = " ".join(process.cmdline())
        parent = process.parent()
        words += " " + " ".join(parent.cmdline()) if parent and parent.pid != supervisor else ""
        for pattern, name in _NAMES.items():
            if re.search(pattern, words):
                family[name].append(process)
                break
    return family


def granian_of_the_procfile(factory: str, port: int) -> list[str]:
    """The same command with the same flags, but for where it listens and what it serves."""
    line = next(line for line in (CHECKOUT / "Procfile").read_text().splitlines() if line.startswith("web:"))
    line = re.sub(r"--(host|port|factory) \S+|\S+:create_app", "", line.removeprefix("web:"))
    words = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", line).replace("--factory", "").split()
    where = ["--host", "127.0.0.1", "--port", str(port), "--factory", factory]
    return [str(BIN / word) if word == "granian" else word for word in words] + where


def with_children(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def create_database(postgres: Postgres, name: str) -> str:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return postgres.url_of(name)


def answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def number(db: psycopg.Connection[Any], statement: str) -> int:
    row = db.execute(statement.encode()).fetchone()
    assert row is not None
    return int(row[0])
