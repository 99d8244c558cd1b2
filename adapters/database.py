"""Postgres: one engine a process, time-outs on everything, and the migrations."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"

TRUSTED_SECONDS = 1.0  # how long the database's time is counted on here

# A wait for a lock ends before a caller's patience does; a forgotten transaction never holds rows for long.
SESSION = "-c lock_timeout=5000 -c statement_timeout={statement} -c idle_in_transaction_session_timeout=30000"


def connect(
    url: str, *, pool: int = 5, statement_ms: int = 30_000, pool_seconds: float = 5, autocommit: bool = False
) -> Engine:
    """An engine with at most `pool` connections, each statement bounded by `statement_ms`.

    With `autocommit` each statement is a transaction of its own, in one round trip instead of three.

    `pre_ping` is off: a broken connection raises, the caller's transaction is retried as a whole, and the pool forgets
    all older connections by itself. A ping before each statement would cost every healthy request a round trip.
    """
    engine = create_engine(
        url,
        pool_size=pool,
        max_overflow=0,
        pool_timeout=pool_seconds,
        pool_recycle=1800,
        isolation_level="AUTOCOMMIT" if autocommit else None,
        hide_parameters=True,  # an error's text must not quote a record
        connect_args={
            "connect_timeout": 2,
            "options": SESSION.format(statement=statement_ms),
            "application_name": "data-sync",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
    )
    event.listen(engine, "begin", _enter_shop)
    return engine


def for_looks(engine: Engine) -> Engine:
    """The same connections, but each statement is a transaction of its own: a look costs one trip instead of three."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def of_shop(engine: Engine, shop: str) -> Engine:
    """The same connections, but in each transaction Postgres itself keeps to this shop: see `adapters.wall`.

    `begin()` it even to read. At a ROLLBACK, which ends what was only connected, psycopg forgets all that it has
    prepared, and whoever comes next has everything parsed and planned anew.
    """
    return engine.execution_options(shop=shop)


def _enter_shop(db: Connection) -> None:
    """One statement a transaction, at its beginning. Other engines' transactions have no shop to enter."""
    shop = db.get_execution_options().get("shop")
    if shop is not None:
        db.exec_driver_sql("SELECT enter_shop(%s)", (shop,))


class Clock:
    """The database's time, for all processes: on a machine whose clock was set wrong, what is read now would be
    "read three hours from now", and win over every edit of those hours.

    `read` where a connection is open anyway; in between, seconds are counted here.
    """

    def __init__(self) -> None:
        self._read, self._at = datetime.now(UTC), -TRUSTED_SECONDS

    def read(self, db: Connection) -> datetime:
        """The time now. Asked for once a second, in which two clocks drift apart by half a millisecond at most."""
        if time.monotonic() - self._at >= TRUSTED_SECONDS:
            self._read = db.execute(text("SELECT clock_timestamp()")).scalar_one()
            self._at = time.monotonic()  # after the answer: a reading may seem older than it is, never younger
        return self.now()

    def now(self) -> datetime:
        return self._read + timedelta(seconds=time.monotonic() - self._at)


def sole_writer(db: Connection, shop: str, feed: str) -> None:
    """Until the transaction ends nobody else writes this shop's feed: the mirror has one writer at a time.

    Row locks alone would let two lanes bring the same new SKU at once, neither seeing the other's.
    """
    statement = text("SELECT pg_advisory_xact_lock(hashtextextended(:feed_of_shop, 0))")
    db.execute(statement, {"feed_of_shop": f"{shop}/{feed}"})


def migrate(url: str) -> None:
    """Bring the schema to the newest revision. Two at once are safe: the second waits, then finds nothing to do."""
    command.upgrade(_alembic(url), "head")


def is_current(engine: Engine) -> bool:
    """Whether the database stands at the newest revision this code knows."""
    head = ScriptDirectory.from_config(_alembic("")).get_current_head()
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head


def _alembic(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config
