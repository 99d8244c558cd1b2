"""Postgres: forward migrations, time-outs on everything, errors that quote nothing."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from adapters import database
from adapters.database import Clock, connect, is_current, migrate
from devstore.servers import free_port

ROOT = Path(__file__).parent.parent.parent


def test_a_new_database_becomes_current_by_migrating_and_stays_so(create_database):
    url = create_database("to-be-migrated")
    engine = connect(url, pool=1)

    assert is_current(engine) is False
    migrate(url)
    migrate(url)

    assert is_current(engine) is True
    engine.dispose()


def test_two_processes_may_migrate_at_once(create_database):
    url = create_database("migrated-twice-at-once")
    command = [sys.executable, "-c", "import sys; from adapters.database import migrate; migrate(sys.argv[1])", url]

    both = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0]
    engine = connect(url, pool=1)
    assert is_current(engine) is True
    engine.dispose()


def test_a_url_with_percent_signs_is_no_trouble_for_a_migration(create_database):
    url = create_database("per%cent").replace("per%cent", "per%25cent")

    migrate(url)

    engine = connect(url, pool=1)
    assert is_current(engine) is True
    engine.dispose()


@pytest.fixture
def engine_with(database_url, database):
    engines = []

    def build(**limits):
        engines.append(connect(database_url, **limits))
        return engines[-1]

    yield build
    for engine in engines:
        engine.dispose()


def test_a_statement_ends_in_time(engine_with):
    with engine_with(statement_ms=50).connect() as db, pytest.raises(OperationalError, match="statement timeout"):
        db.execute(text("SELECT pg_sleep(30)"))


def test_a_connection_that_is_not_free_in_time_is_an_error_and_not_a_wait(engine_with):
    engine = engine_with(pool=1, pool_seconds=0.05)

    with engine.connect(), pytest.raises(PoolTimeout):
        engine.connect()


def test_a_session_is_bounded_in_every_way(engine_with):
    names = ("lock_timeout", "idle_in_transaction_session_timeout", "application_name", "statement_timeout")
    with engine_with().connect() as db:
        told = [db.execute(text(f"SHOW {name}")).scalar() for name in names]

    assert told == ["5s", "30s", "data-sync", "30s"]


def test_an_error_does_not_quote_the_values_of_the_statement(engine_with):
    with engine_with().connect() as db, pytest.raises(DBAPIError) as caught:
        db.execute(text("SELECT CAST('x' AS integer) WHERE :email <> ''"), {"email": "jane.doe@example.com"})

    assert "jane.doe@example.com" not in str(caught.value)


def test_a_server_that_is_not_there_is_an_operational_error():
    engine = connect(f"postgresql+psycopg://postgres@127.0.0.1:{free_port()}/none")

    with pytest.raises(OperationalError):
        engine.connect()


def test_a_pool_recovers_when_its_connections_were_cut(engine_with, database):
    engine = engine_with(pool=1)
    with engine.connect() as db:
        backend = db.execute(text("SELECT pg_backend_pid()")).scalar()
    with database.connect() as db:
        db.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": backend})

    with pytest.raises(OperationalError), engine.connect() as db:
        db.execute(text("SELECT 1"))
    with engine.connect() as db:
        assert db.execute(text("SELECT 1")).scalar() == 1


def test_with_autocommit_others_see_each_statement_at_once(engine_with):
    alone, other = engine_with(pool=1, autocommit=True), engine_with(pool=1)

    with alone.begin() as db, other.connect() as elsewhere:
        db.execute(text("INSERT INTO duties (name, due_at) VALUES ('by itself', now())"))
        assert elsewhere.execute(text("SELECT count(*) FROM duties WHERE name = 'by itself'")).scalar_one() == 1


def test_the_clock_is_the_databases_not_the_machines(engine):
    """A database in which it is 2040."""
    clock = Clock()
    with engine.connect() as db:
        make_it(db, "2040-05-01Z")
        read = clock.read(db)

    assert datetime(2040, 5, 1, tzinfo=UTC) < read < datetime(2040, 5, 1, 1, tzinfo=UTC)
    assert read < clock.now() < read + timedelta(hours=1)


def test_the_clock_is_read_anew_after_a_second(engine, monkeypatch):
    clock = Clock()
    with engine.connect() as db:
        make_it(db, "2040-05-01Z")
        clock.read(db)
        make_it(db, "2041-05-01Z")
        counted_on = clock.read(db)
        monkeypatch.setattr(database, "TRUSTED_SECONDS", 0)
        asked = clock.read(db)

    assert (counted_on.year, asked.year) == (2040, 2041)


def make_it(db, moment):
    db.execute(text("CREATE SCHEMA IF NOT EXISTS later"))
    db.execute(
        text(f"CREATE OR REPLACE FUNCTION later.clock_timestamp() RETURNS timestamptz RETURN timestamptz '{moment}'")
    )
    db.execute(text("SET LOCAL search_path = later, pg_catalog"))
