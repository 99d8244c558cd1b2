"""A whole installation of its own: servers that may be broken, the product's processes under their real supervisor."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from devstore.client import Devstore
from devstore.demo_compare import expected
from devstore.invariant import breaches, install_witness
from devstore.server import Server
from devstore.servers import Postgres, Valkey, free_port
from devstore.world import App, World

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
TOKEN = "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"
API_KEY, API_SECRET = "test-api-key", "test-api-secret"


@pytest.fixture(scope="session")
def installation(session_folder):
    """installation(name, through=…, postgres_folder=…, durable=…, **environment): a context with an `Installation`.

    `through` is a launcher of this folder that starts the product's processes instead of the product itself.
    """

    @contextlib.contextmanager
    def make(name, *, through=None, postgres_folder=None, durable=False, **environment):
        folder = session_folder / name
        folder.mkdir()
        postgres = Postgres(postgres_folder or folder / "postgres", durable=durable)
        # Two minutes and a half until a webhook is given up: longer than a web process takes to come back anywhere.
        world = World(App(None, API_KEY, API_SECRET), retry_scale=0.01)
        with contextlib.ExitStack() as stack:
            stack.enter_context(postgres)
            stack.callback(postgres.remove)
            valkey = stack.enter_context(Valkey(folder / "valkey"))
            server = stack.enter_context(Server(world))
            store = stack.enter_context(Devstore(server.url))
            alone = {"FORMATION": "live=1"} if through else {}  # who dies is then known
            made = Installation(folder, postgres, valkey, store, alone | environment)
            stack.callback(made.close)
            made.start(_procfile(through))
            yield made

    return make


@pytest.fixture(scope="session")
def at_work():
    """at_work(made, shop): a context in which the shop goes on selling and editing, all of it told by webhooks."""

    @contextlib.contextmanager
    def work(made, shop):
        over, number = threading.Event(), itertools.count()

        def sell():
            while not over.wait(0.05):
                made.store.change(shop, "order")
                made.store.change(shop, "edit_product", title=f"Title {next(number)} of a busy day")

        seller = threading.Thread(target=sell)
        seller.start()
        try:
            made.store.settle(0.5)
            yield
            made.store.settle(0.5)
        finally:
            over.set()
            seller.join()

    return work


_DUE = """SELECT id, shop, lane, topic, attempts, reason, now() - next_attempt_at AS due_since FROM deliveries
          WHERE state = 'waiting' AND next_attempt_at <= now() LIMIT 20"""


class Installation:
    def __init__(self, folder, postgres, valkey, store, environment):
        self.folder, self.postgres, self.valkey, self.store = folder, postgres, valkey, store
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
            "KILLER": str(folder),
            "APP_ENV": "test",
            "APP_URL": self.url,
            "PORT": str(port),
            "WEB_HOST": "127.0.0.1",
            "WEB_THREADS": "8",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
            "SHOPIFY_API_KEY": API_KEY,
            "SHOPIFY_API_SECRET": API_SECRET,
            "SHOPIFY_ADMIN_ORIGIN": store.url + "/{shop}",
            "SECRET_KEY": "a secret key that is only good for tests, and long",
            "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "RECONCILE_SECONDS": "86400",
            "COMPLETE_RUN_SECONDS": "86400",
        } | environment
        self.shops = []
        self.imported = set()
        self.supervisor = None

    def start(self, procfile):
        """Migrated, supervised, and serving."""
        from adapters.database import migrate
        from settings import read_settings
        from workers.workshop import open_workshop

        self.workshop = open_workshop(read_settings(self.environment))
        migrate(self.workshop.settings.database_url)
        install_witness(self.postgres.url)
        home = self.folder / "home"
        home.mkdir()
        (home / "Procfile").write_text(procfile)
        self.start_processes()
        self.store.move_app(url=self.url)

    def start_processes(self):
        command = [sys.executable, str(ROOT / "supervise.py")]
        with (self.folder / "app.log").open("ab") as log:
            self.supervisor = subprocess.Popen(
                command, cwd=self.folder / "home", env=self.environment, stdout=log, stderr=log
            )
        self.until(self.serves, 180, lambda: (self.folder / "app.log").read_text()[-3_000:])

    def stop(self):
        """SIGTERM, as a host that deploys sends it. How long it took."""
        began = time.monotonic()
        self.supervisor.terminate()
        self.supervisor.wait(40)
        return time.monotonic() - began

    def close(self):
        if self.supervisor is not None and self.supervisor.poll() is None:
            self.stop()
        self.workshop.db.dispose()
        self.workshop.bell.redis.close()
        self.workshop.admin.close()
        self.workshop.tokens.close()

    def until(self, fact, seconds=60, else_say=lambda: "never became true"):
        deadline = time.monotonic() + seconds
        while not (found := fact()):
            assert time.monotonic() < deadline, else_say()
            time.sleep(0.05)
        return found

    def serves(self):
        try:
            return httpx.get(f"{self.url}/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def processes(self, role):
        """Those of a role: `web` is granian's, then the worker, which is its child."""
        family = psutil.Process(self.supervisor.pid).children(recursive=True)
        mark = "granian" if role == "web" else role
        found = [one for one in family if mark in _words(one)]
        return sorted(found, key=lambda one: one.create_time())

    # shops

    def open_shop(self, domain, *, token=TOKEN, **stock):
        """Known to both sides, and imported. Without `token` it is let in by a token that expires."""
        self.store.open_shop(domain, token=token, **stock)
        self.store.settings(domain, index_lag=0, bucket=100_000, restore_rate=100_000, bulk_seconds=0.05)
        self.store.settings(domain, customer_metafields_fire_update=True)
        self.let_in(domain, token)
        self.shops.append(domain)
        self.imported |= {one for one, wanted in expected({domain: self.store.truth(domain)}).items() if wanted.core}
        self.until(lambda: self.value(_IMPORTED, shop=domain) == 2)

    def let_in(self, domain, token=None):
        """As `flask shops add` and the embedded page do it."""
        from adapters import inbox, runs, shops

        granted = None if token else self.workshop.tokens.exchange(domain, self.store.id_token(domain))
        with self.workshop.db.begin() as db:
            if granted is None:
                again = shops.add(db, self.workshop.vault, domain, token)
            else:
                again = shops.grant(db, self.workshop.vault, domain, granted)
            runs.open_feeds(db, domain, again=again)
            inbox.hurry(db, domain)

    # what came of it

    def rows(self, statement, **values):
        with self.workshop.db.connect() as db:
            return [dict(row) for row in db.execute(text(statement), values).mappings()]

    def value(self, statement, **values):
        return next(iter(self.rows(statement, **values)[0].values()))

    def execute(self, statement, **values):
        with self.workshop.db.begin() as db:
            db.execute(text(statement), values)

    def mirror(self, resources):
        from app import lookup
        from app.api import dump

        with self.workshop.db.connect() as db:
            vault = self.workshop.vault
            return {one: json.loads(dump(lookup.look_up(db, vault, one.shop, one.feed, one.gid))) for one in resources}

    def breaches(self):
        return breaches(self.store, self.postgres.url, self.mirror, self.shops, imported=self.imported)

    def comes_to_rest(self, seconds=60):
        """Until the invariant holds and nothing that is due waits; how long that took.

        Shopify tries again at once what it had failed to deliver: its pauses of hours are not the product's.
        """
        began = time.monotonic()
        self.workshop.db.dispose()  # our own connections have been cut, too
        self.until(self.serves, seconds)
        self.store.flush()
        found = ["nobody has looked"]

        def at_rest():
            found[:] = [] if self.store.settle(1)["settled"] else ["Webhooks are under way."]
            found.extend(found or self.breaches() or map(str, self.rows(_DUE)))
            return not found

        self.until(at_rest, seconds, lambda: "\n".join(["After all this time:", *found[:20]]))
        return round(time.monotonic() - began, 2)

    def sealed(self, text):
        return self.workshop.vault.seal(text.encode())

    def alter_postgres(self, name, value):
        with psycopg.connect(self.postgres.url, autocommit=True) as db:
            db.execute("SET default_transaction_read_only = off")
            db.execute(f"ALTER SYSTEM SET {name} = {value}")
            db.execute("SELECT pg_reload_conf()")

    def cut_connections(self):
        with psycopg.connect(self.postgres.url, autocommit=True) as db:
            db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'data-sync'")


_IMPORTED = "SELECT count(*) FROM feeds WHERE shop = :shop AND last_complete_at IS NOT NULL"


def _procfile(through):
    """The Procfile's lines, but for `release`, and for who starts the processes."""
    lines = (ROOT / "Procfile").read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith("release"))
    return text.replace("-m workers", f"-m {through}").replace("app:", f"{through}:") if through else text


def _words(process):
    """Of its command line, programs without their folders."""
    with contextlib.suppress(psutil.Error):
        return [Path(word).name for word in " ".join(process.cmdline()).split()]
    return []
