"""A clock that stands still until a story moves it: for the product, the pretend Shopify and Postgres alike.

Nothing in the product is made for it. Its modules find another `datetime` and `time` under these names, and its
database another `now()` before Postgres' own. So a day passes in no time, two edits fall into one second whenever the
story wants them to, and the same story happens a second time exactly as it did.
"""

import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg

from devstore.invariant import plain

ROOMS = ("adapters", "app", "domain", "schemas", "workers")
POST = "devstore.post"  # writes into the ledger when it tried
BEGINNING = datetime(2026, 3, 2, 12, tzinfo=UTC)
GRAIN = timedelta(microseconds=1)
BREATH = timedelta(milliseconds=1)


class Clock:
    """Each look at it comes a microsecond after the one before; `strike` and `move` are told to Postgres as well."""

    def __init__(self, database_url):
        self._at = BEGINNING
        self._lock = threading.Lock()
        self._db = psycopg.connect(plain(database_url), autocommit=True)
        self._tell()

    def close(self):
        self._db.close()

    def set(self, at):
        self._at = at
        self._tell()

    def now(self, zone=UTC):
        with self._lock:
            self._at += GRAIN
            return self._at.astimezone(zone)

    def time(self):
        return self.now().timestamp()

    def strike(self):
        """Whatever comes next is later than all that was."""
        self.move(BREATH)

    def move(self, by):
        with self._lock:
            self._at += by
        self._tell()

    def sleep(self, seconds):
        """Who sleeps finds that the time has passed; Postgres hears of it with the next strike."""
        with self._lock:
            self._at += timedelta(seconds=seconds)

    def _tell(self):
        self._db.execute("UPDATE story.clock SET at = %s", (self._at,))


# `public` comes before `pg_catalog` for this database, so that its statements, and the defaults of tables that are made
# from now on, mean these functions.
CLOCK = """
CREATE SCHEMA story;
CREATE TABLE story.clock (at timestamptz NOT NULL);
INSERT INTO story.clock VALUES (pg_catalog.now());
CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT at FROM story.clock';
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT at FROM story.clock';
"""


def hang_clock(database_url):
    """In an empty database, before it is migrated."""
    with psycopg.connect(plain(database_url), autocommit=True) as db:
        db.execute(CLOCK)
        name = db.info.dbname
        db.execute(f'ALTER DATABASE "{name}" SET search_path = public, pg_catalog')


def put_on(clock, patch):
    """Every module of the product that knows the time goes by this clock, until the patch is undone."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ROOMS or name == POST:
            if getattr(module, "datetime", None) is datetime:
                patch.setattr(module, "datetime", _datetime(clock))
            if getattr(module, "time", None) is time:
                patch.setattr(module, "time", _Time(clock))


class _Time:
    def __init__(self, clock):
        self.time, self.monotonic, self.sleep = clock.time, clock.time, clock.sleep

    def __getattr__(self, name):
        return getattr(time, name)


def _datetime(clock):
    """In all but `now` the one that it stands for; what it makes are true ones, which orjson and psycopg insist on."""

    class Meta(type):
        def __call__(cls, *words, **more):
            return datetime(*words, **more)  # noqa: DTZ001  # whatever the caller said

        def __instancecheck__(cls, one):
            return isinstance(one, datetime)

        def __getattr__(cls, name):
            return getattr(datetime, name)

    class Datetime(metaclass=Meta):
        now = staticmethod(clock.now)

    return Datetime
