"""What both sides stand on: one real Postgres (fsync on) and one real Valkey, and the processes of each, kept running.

Each has a database of its own in that Postgres and a number of its own in that Valkey. One web process with the same
flags and two processes that apply: Data Sync's live and bulk worker, the plain app's two RQ workers.
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

import psutil  # type: ignore[import-untyped]  # publishes no types
import psycopg
import redis
from cryptography.fernet import Fernet
from rq import Queue
from rq.registry import StartedJobRegistry

from bench.mail import VARIANTS
from bench.plain_flask_rq import QUEUE, metadata
from bench.plain_flask_rq import engine as plain_engine
from bench.progress import Note
from devstore.servers import Child, Postgres, Valkey, free_port

CHECKOUT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
LOOKUP_SHOP = "bench-lookup.myshopify.com"
API_KEY = "bench"
PATIENCE = 60.0  # seconds without anything getting done
LOOK = 0.05  # seconds between two looks at a database
Family = dict[str, list[psutil.Process]]


class Lost(Exception):
    """A delivery that was answered with 200 did not reach the tables. This ends the bench."""


@dataclass(frozen=True)
class Side:
    """One of the two that are compared, running. `unapplied` counts what was answered and is not yet in the tables."""

    name: str
    port: int
    db: psycopg.Connection[Any]
    family: Callable[[], Mapping[str, list[psutil.Process]]]
    unapplied: Callable[[int], int]
    applied: Callable[[], int]
    clear: Callable[[], None]

    def await_applied(self, sent: int, note: Callable[[int], None]) -> float:
        """The monotonic clock when the last of `sent` deliveries was found in the tables, to 0.05 s."""
        left, moved = sent, time.monotonic()
        while now_left := self.unapplied(sent):
            if now_left != left:
                left, moved = now_left, time.monotonic()
                note(left)
            if time.monotonic() - moved > PATIENCE:
                raise Lost(f"{self.name}: {left:,} of {sent:,} deliveries were not applied within a minute.")
            time.sleep(LOOK)
        return time.monotonic()

    def verify(self, sent: int, statuses: Mapping[str, int]) -> None:
        """Every delivery was answered with 200, and is a product with its variants in the tables."""
        found = self.applied(), _count(self.db, "products"), _count(self.db, "variants")
        if dict(statuses) != {"200": sent} or found != (sent, sent, sent * VARIANTS):
            raise Lost(f"{self.name}: {sent:,} sent, answers {dict(statuses)}, (applied, products, variants) {found}.")


@dataclass(frozen=True)
class Stage:
    folder: Path
    secret: str
    shops: list[str]
    data_sync: Side
    plain: Side


@contextmanager
def stage(note: Note, shops: int) -> Iterator[Stage]:
    """Everything started, warm and empty; all of it stopped and removed at the end."""
    (CHECKOUT / ".run").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=CHECKOUT / ".run"))
    secret = secrets.token_hex(16)
    domains = [f"bench-{number:02d}.myshopify.com" for number in range(1, shops + 1)]
    postgres, valkey = Postgres(folder / "postgres"), Valkey(folder / "valkey")
    try:
        note("starting Postgres and Valkey")
        with postgres, valkey:
            environment = {"PATH": f"{BIN}:{os.defpath}", "LC_ALL": "C.UTF-8", "SHOPIFY_API_SECRET": secret}
            with (
                _data_sync(folder, postgres, valkey, environment, domains, note) as data_sync,
                _plain(folder, postgres, valkey, environment, note) as plain,
            ):
                yield Stage(folder, secret, domains, data_sync, plain)
    finally:
        postgres.remove()
        valkey.remove()
        shutil.rmtree(folder, ignore_errors=True)


def settle(stage: Stage) -> None:
    """Empty tables and a written checkpoint, so that no round pays for the one before it."""
    for side in (stage.data_sync, stage.plain):
        side.clear()
    stage.data_sync.db.execute("CHECKPOINT")


@contextmanager
def _data_sync(
    folder: Path, postgres: Postgres, valkey: Valkey, shared: Mapping[str, str], shops: list[str], note: Note
) -> Iterator[Side]:
    url = create_database(postgres, "data_sync")
    # Nobody listens there: what must be asked of Shopify waits in the lane `bulk`.
    origin = f"http://127.0.0.1:{free_port()}/{{shop}}"
    environment = {**shared, **environment_of_data_sync(free_port(), url, valkey.url, origin, reconcile_seconds=86_400)}
    with procfile(folder, environment, note) as family, psycopg.connect(url, autocommit=True) as db:
        add_shops([*shops, LOOKUP_SHOP], environment, note)
        yield Side(
            "Data Sync",
            int(environment["PORT"]),
            db,
            family,
            lambda _sent: number(db, "SELECT count(*) FROM deliveries WHERE lane = 'live' AND state = 'waiting'"),
            lambda: number(db, "SELECT count(*) FROM deliveries WHERE source = 'webhook' AND outcome = 'applied'"),
            lambda: _clear_data_sync(db),
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
        if not supervisor.becomes(lambda _: _answers(int(environment["PORT"]), "/ready")):
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
        command, check=False, cwd=CHECKOUT, env=dict(environment), input=words, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"The shops were not added:\n{done.stdout}{done.stderr}")


def _clear_data_sync(db: psycopg.Connection[Any]) -> None:
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


@contextmanager
def _plain(folder: Path, postgres: Postgres, valkey: Valkey, shared: Mapping[str, str], note: Note) -> Iterator[Side]:
    port, url = free_port(), create_database(postgres, "plain_flask_rq")
    redis_url = valkey.url.removesuffix("/0") + "/1"
    environment = {**shared, "DATABASE_URL": url, "REDIS_URL": redis_url}
    note("starting the plain Flask + RQ app")
    _create_plain_tables(url)
    web = [str(BIN / word) if word == "granian" else word for word in _granian_of_the_procfile()]
    web += ["--host", "127.0.0.1", "--port", str(port), "--factory", "bench.plain_flask_rq:create_app"]
    commands = [web, *([[sys.executable, "-c", _PLAIN_WORKER]] * 2)]
    children = [
        Child(command, folder / f"plain_{n}.log", cwd=CHECKOUT, environment=environment)
        for n, command in enumerate(commands)
    ]
    try:
        if not children[0].becomes(lambda _: _answers(port, "/shops/none/products?q=none")):
            raise RuntimeError(f"The plain app does not start:\n{children[0].log_text()[-2000:]}")
        with psycopg.connect(url, autocommit=True) as db, redis.Redis.from_url(redis_url) as client:
            queue = Queue(QUEUE, connection=client)
            yield Side(
                "plain Flask + RQ",
                port,
                db,
                lambda: {"web": _with_children(children[0].pid)},
                lambda sent: sent - _count(db, "products"),
                lambda: _count(db, "products"),
                lambda: _clear_plain(db, queue),
            )
    finally:
        for child in children:
            child.stop()


_PLAIN_WORKER = "from bench.plain_flask_rq import work; work()"


def _granian_of_the_procfile() -> list[str]:
    """The same command with the same flags, but for where it listens and what it serves."""
    line = next(line for line in (CHECKOUT / "Procfile").read_text().splitlines() if line.startswith("web:"))
    line = re.sub(r"--(host|port|factory) \S+|\S+:create_app", "", line.removeprefix("web:"))
    return re.sub(r"\$\{\w+:-(\w+)\}", r"\1", line).replace("--factory", "").split()


def _create_plain_tables(url: str) -> None:
    os.environ["DATABASE_URL"] = url
    metadata.create_all(plain_engine())
    plain_engine().dispose()


def _clear_plain(db: psycopg.Connection[Any], queue: Queue) -> None:
    queue.empty()  # type: ignore[no-untyped-call]  # RQ says nothing of its types here
    started = StartedJobRegistry(queue=queue)
    deadline = time.monotonic() + PATIENCE
    while started.count and time.monotonic() < deadline:
        time.sleep(LOOK)
    db.execute("TRUNCATE products, variants")


def _with_children(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def create_database(postgres: Postgres, name: str) -> str:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return postgres.url_of(name)


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _count(db: psycopg.Connection[Any], table: str) -> int:
    return number(db, f"SELECT count(*) FROM {table}")  # noqa: S608  # products or variants


def number(db: psycopg.Connection[Any], statement: str) -> int:
    row = db.execute(statement.encode()).fetchone()
    assert row is not None
    return int(row[0])
