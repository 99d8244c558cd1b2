"""Real servers for the tests that ask: one Postgres and one Valkey a test process, started when first asked for."""

import os
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
import redis as redis_client
from cryptography.fernet import Fernet
from sqlalchemy import text

from devstore.servers import Postgres, Valkey


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
