"""What tests of several rooms ask for: real servers, one of each a test process, and the product put up on them."""

import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pytest
import redis as redis_client
from cryptography.fernet import Fernet
from sqlalchemy import text
from werkzeug.serving import WSGIRequestHandler, make_server

from devstore.servers import Postgres, Valkey
from tests.reliability.report import commit, note, note_test


def pytest_addoption(parser):
    parser.addoption("--fuzz-seed", type=int, default=1, help="other seed, other cases; the same seed, the same")
    parser.addoption("--fuzz-cases", type=int, default=200_000, help="how many the long tests try")
    parser.addoption("--soak-minutes", type=float, default=30.0, help="how long the soak goes on")


def pytest_runtest_logreport(report):
    """What became of a long test stands in docs/reliability.md, also when it was nothing good."""
    if "long" in report.keywords and (report.when == "call" or report.outcome != "passed"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else None  # why it was skipped
        note_test(report.nodeid, report.outcome, report.duration, why)


@pytest.fixture(scope="session")
def note_figures(request):
    """note_figures(name, figures) keeps what a long test has counted, for docs/reliability.md."""

    commit()  # as it is when the tests begin

    def keep(name, figures):
        note(name, figures)
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            sys.stdout.write(f"\n{name}: {json.dumps(figures)}\n")

    return keep


@pytest.fixture(scope="session")
def session_folder():
    """Straight in the temporary folder: pytest's own are closed to the account that Postgres runs under for root."""
    with reachable_folder() as folder:
        yield folder


@pytest.fixture
def server_folder():
    """For a test that starts a server of its own, to kill it for instance."""
    with reachable_folder() as folder:
        yield folder


class reachable_folder(tempfile.TemporaryDirectory):  # noqa: N801  # reads as the function it is used as
    def __init__(self):
        super().__init__(prefix="data-sync-test-", ignore_cleanup_errors=True)

    def __enter__(self):
        folder = Path(super().__enter__())
        folder.chmod(0o711)
        return folder


@pytest.fixture(scope="session")
def postgres(session_folder):
    server = Postgres(session_folder / "postgres", durable=False)
    with server:
        yield server
    server.remove()


@pytest.fixture(scope="session")
def create_database(postgres):
    """create_database(name) → the URL of a new, empty database."""

    def create(name):
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return postgres.url_of(name).replace("postgresql://", "postgresql+psycopg://")

    return create


@pytest.fixture(scope="session")
def database_url(create_database):
    """A migrated database, shared by the tests of this process."""
    from adapters.database import migrate

    url = create_database("data_sync")
    migrate(url)
    return url


@pytest.fixture(scope="session")
def engine(database_url):
    from adapters.database import connect

    engine = connect(database_url, pool=10)
    yield engine
    engine.dispose()


@pytest.fixture
def database(engine):
    """The engine, on tables that are all empty."""
    with engine.begin() as connection:
        connection.execute(text(EMPTY_ALL_TABLES))
    return engine


# A table that was not written to is left alone: TRUNCATE makes new files for each, and there are many tests.
EMPTY_ALL_TABLES = """
DO $$
DECLARE
    name text;
    written boolean;
    names text[] := '{}';
BEGIN
    FOR name IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
                WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP
        EXECUTE 'SELECT pg_relation_size($1) > 0' INTO written USING name::regclass;
        IF written THEN names := names || name; END IF;
    END LOOP;
    IF names <> '{}' THEN
        EXECUTE 'TRUNCATE ' || array_to_string(names, ', ') || ' RESTART IDENTITY CASCADE';
    END IF;
END $$
"""


@pytest.fixture(scope="session")
def empty_all_tables():
    """For a test that has a database of its own."""
    return EMPTY_ALL_TABLES


@pytest.fixture(scope="session")
def valkey(session_folder):
    with Valkey(session_folder / "valkey") as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(valkey):
    return valkey.url


@pytest.fixture
def redis(redis_url):
    """A client of an empty Valkey; answers are bytes."""
    with redis_client.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def admin_schema():
    """Shopify's real Admin schema."""
    from devstore.real_schema import admin_schema

    return admin_schema()


@pytest.fixture(scope="session")
def environment(database_url, redis_url):
    """A complete environment for the product's processes; a test changes what it is about with `environment | {…}`."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
        "APP_ENV": "test",
        "APP_URL": "http://127.0.0.1:8000",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SHOPIFY_API_KEY": API_KEY,
        "SHOPIFY_API_SECRET": API_SECRET,
        "SECRET_KEY": "a secret key that is only good for tests, and long",
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    }


API_KEY = "test-api-key"
API_SECRET = "test-api-secret"


@pytest.fixture
def devstore():
    """A pretend Shopify of this test's own: a `devstore.client.Devstore`, whose shops the test opens.

    It signs with `environment`'s secret, and sends nothing anywhere until the test says where the app is.
    """
    from devstore.client import Devstore
    from devstore.server import Server
    from devstore.world import App, World

    with Server(World(App(None, API_KEY, API_SECRET))) as server, Devstore(server.url) as devstore:
        yield devstore


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        """The answers say enough."""


@pytest.fixture(scope="session")
def front_door(environment):
    """The web application's address, served from a thread."""
    from app import build_app
    from settings import read_settings

    app = build_app(read_settings(environment))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    office = app.extensions["office"]
    office.db.dispose()
    office.frontdesk._db.dispose()
    office.admin.close()
    office.tokens.close()


@pytest.fixture
def surroundings(environment, devstore):
    """The environment of a process whose Shopify is this test's devstore."""
    return environment | {"SHOPIFY_ADMIN_ORIGIN": devstore.url + "/{shop}"}


@pytest.fixture
def workshop(database, redis, surroundings):
    """A workshop in this test's own process."""
    from settings import read_settings
    from workers.workshop import open_workshop

    opened = open_workshop(read_settings(surroundings))
    yield opened
    opened.db.dispose()
    opened.admin.close()
    opened.tokens.close()


@pytest.fixture
def until():
    def wait(fact, seconds=40):
        """The fact's answer, once it is true."""
        deadline = time.monotonic() + seconds
        while not (found := fact()):
            assert time.monotonic() < deadline, "never became true"
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture(scope="session")
def chromium():
    """A real browser, one a test process; a test opens a context of its own."""
    from playwright.sync_api import sync_playwright

    from devstore.browser import chromium as find

    path = find()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()
