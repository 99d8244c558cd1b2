"""Where stories happen: the real front door, workers and database, and a pretend Shopify whose post is carried by hand.

Everything is in this process and nothing happens by itself. One step after another decides what Shopify tells, which
letter arrives, who has a turn, and what comes between two transactions of that turn.
"""

import contextlib
import logging
import math
import threading
from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import psycopg
import redis as redis_client
import structlog
from werkzeug.serving import make_server

from devstore import changes, tokens
from devstore.courier import sign
from devstore.invariant import plain
from devstore.server import Server
from devstore.truth import truth
from tests.reliability.story_clock import BEGINNING, Clock, put_on
from tests.reliability.story_hands import API_KEY, SECRETS, Door, Quiet, StoryWorld, Worker

LASTING = "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"
GIVEN_UP = timedelta(days=2)  # of a letter's age; Shopify's own end is four hours, and a late day was seen
REDACTED_AFTER = timedelta(hours=48)


@dataclass
class Theatre:
    """What the stories of a session share; `begin` makes all of it new for the next one."""

    clock: Clock
    world: StoryWorld
    doors: list[Door]
    server: Any
    workers: dict[str, Worker]
    db: psycopg.Connection
    redis: redis_client.Redis
    database_url: str
    empty: str
    reports: list[str]
    opened_at: datetime | None = None

    @property
    def door(self):
        return next(door for door in self.doors if door.app is self.server.app)

    @property
    def post(self):
        return self.world.courier

    @property
    def desk(self):
        return self.door.desk

    def begin(self, stock, opening):
        """`stock` fills the shops, `opening` lets the app know them: it happens once, what came of it is kept."""
        self.world.begin()
        self.deploy(0)
        self.shopify_signs_with(0)
        self.redis.flushall()
        self.reports.clear()
        self.db.execute("UPDATE story.refusal SET refuses = false")
        for worker in self.workers.values():
            worker.leave()
        self.clock.set(BEGINNING)
        stock()
        if self.opened_at is None:
            self.db.execute(self.empty)
            opening()
            self.db.execute(KEEP)
            self.opened_at = self.clock.now()
        else:
            self.db.execute(BRING_BACK)
            self.clock.set(self.opened_at)

    # what surrounds the product

    def deploy(self, secrets):
        """The app's processes with the first secret (0), with both (1), or with the second alone (2)."""
        self.server.app = self.doors[secrets].app

    def shopify_signs_with(self, secret):
        """Its token endpoint takes either until the old one is revoked; here, the one it signs with."""
        self.world.app.secret = SECRETS[secret]
        for endpoint in (*(w.workshop.tokens for w in self.workers.values()), *(d.desk.tokens for d in self.doors)):
            endpoint._app["client_secret"] = SECRETS[secret]

    def deliver(self, parcel, **more):
        status = self.post.post(parcel, **more)
        assert self.door.is_quiet()
        return status

    def pass_time(self, by):
        """For everybody; what Redis keeps for a while grows older, and what Shopify owes by the calendar is owed."""
        self.clock.move(by)
        for key in self.redis.scan_iter():
            left = self.redis.pttl(key)
            if left >= 0:
                left -= int(by.total_seconds() * 1000)
                self.redis.pexpire(key, left) if left > 0 else self.redis.delete(key)
            if key.startswith(b"budget:"):
                self.redis.hincrbyfloat(key, "at", -by.total_seconds())
        self.post.forget(self.world.now() - GIVEN_UP)

    @contextlib.contextmanager
    def no_room(self):
        """The inbox takes nothing, as on a full disk."""
        self.db.execute("UPDATE story.refusal SET refuses = true")
        yield
        self.db.execute("UPDATE story.refusal SET refuses = false")

    # shops

    def tenant(self, shop):
        return self.world.tenants[shop]

    def happens(self, shop, kind, **wishes):
        """At Shopify's end; the letters about it lie in the bag."""
        tenant = self.tenant(shop)
        self.world.tell(tenant, changes.apply(tenant, kind, wishes))

    def open_shop(self, shop):
        tenant = self.world.open_shop(shop)
        tenant.shop.conduct.index_lag = 0
        tenant.shop.conduct.bulk_seconds = 0
        tenant.shop.conduct.customer_metafields_fire_update = True
        tenant.bucket.resize(100_000.0, 100_000.0)

    def merchant_opens_app(self, shop, *, lasting=False):
        """As the embedded page and `flask shops add` do it."""
        from app.installing import installed

        if lasting:
            self.tenant(shop).tokens.admit(LASTING)
            installed(self.desk, shop, LASTING)
        else:
            opened = tokens.id_token(shop, API_KEY, self.world.app.secret, self.world.now())
            installed(self.desk, shop, self.desk.tokens.exchange(shop, opened))

    def spoil(self, parcel):
        """The same letter with half its body, signed as it is: a bug at Shopify's end."""
        body = parcel.body[: len(parcel.body) // 2]
        headers = parcel.headers | {"X-Shopify-Hmac-Sha256": sign(body, self.world.app.secret)}
        spoiled = replace(parcel, body=body, headers=headers)
        self.post.bag[self.post.bag.index(parcel)] = spoiled
        return spoiled

    @contextlib.contextmanager
    def amnesia(self, shop):
        """Shopify knows no product of the shop for a while, neither in lists nor by id."""
        there = self.tenant(shop).shop
        table = there.products
        kept = table.truth, table._index, table._unseen, there.homes
        table.truth, table._index, table._unseen, there.homes = {}, {}, deque(), {}
        table._searches.clear()
        yield
        table.truth, table._index, table._unseen, there.homes = kept
        table._searches.clear()

    # what is seen of it

    def truth(self, shop):
        """As the devstore's control tells it, with the app's own settings of who is imported."""
        row = self.db.execute("SELECT b2b_tag, ignored_keys FROM shops WHERE domain = %s", (shop,)).fetchone()
        rule = {"tag": row[0], "ignored_keys": row[1]} if row else {}
        return truth(self.tenant(shop)) | rule

    def ledger(self):
        return [entry.as_json() for entry in self.post.ledger.entries()]

    def mirror(self, resources):
        from app import lookup
        from app.api import dump

        desk = self.desk
        with desk.db.connect() as db:
            return {
                one: orjson.loads(dump(lookup.look_up(db, desk.vault, one.shop, one.feed, one.gid)))
                for one in resources
            }

    def value(self, statement, *values):
        row = self.db.execute(statement, values).fetchone()
        return row[0] if row else None


REFUSAL = """
CREATE TABLE story.refusal (refuses boolean NOT NULL);
INSERT INTO story.refusal VALUES (false);
CREATE FUNCTION story.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT refuses FROM story.refusal) THEN
        RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full';
    END IF;
    RETURN NULL;
END$$;
CREATE TRIGGER refuse BEFORE INSERT ON deliveries FOR EACH STATEMENT EXECUTE FUNCTION story.refuse();
"""


# All tables as they are, in a schema of their own; and back again, with whatever counts on.
KEEP = """
DO $$
DECLARE name text;
BEGIN
    CREATE SCHEMA scene;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE format('CREATE TABLE scene.%1$I AS TABLE public.%1$I', name);
    END LOOP;
END$$
"""
BRING_BACK = """
DO $$
DECLARE name text; columns text;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name, columns IN SELECT table_name, string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
                         WHERE table_schema = 'public' AND is_generated = 'NEVER'
                           AND table_name IN (SELECT tablename FROM pg_tables WHERE schemaname = 'scene') GROUP BY 1
    LOOP
        EXECUTE format('DELETE FROM public.%I', name);
        EXECUTE format('INSERT INTO public.%1$I (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM scene.%1$I',
                       name, columns);
    END LOOP;
END$$
"""


def hang_refusal(database_url):
    """In a migrated database."""
    with psycopg.connect(plain(database_url), autocommit=True) as db:
        db.execute(REFUSAL)


@contextlib.contextmanager
def theatre(database_url, redis_url, environment, empty, patch):
    """`database_url` is SQLAlchemy's, of a migrated database in which a clock hangs."""
    import app  # noqa: F401  # everything that knows the time is loaded before its clock is changed
    import workers.timetable
    from adapters import access, database, frontdesk, telemetry
    from settings import read_settings

    with contextlib.ExitStack() as stack:
        clock = Clock(plain(database_url))
        stack.callback(clock.close)
        put_on(clock, patch)
        for asks in (access.with_fresh_token, access.refused):
            patch.setattr(asks, "__defaults__", (clock.sleep,))
        patch.setattr(frontdesk, "_sleep_until", lambda _: None)  # its threads would move the clock whenever they like
        patch.setattr(database, "TRUSTED_SECONDS", -math.inf)  # each story begins before the last one has ended
        silence(stack)
        reports: list[str] = []
        patch.setattr(telemetry, "report", lambda sentence, **_: reports.append(sentence))
        world = StoryWorld(clock)
        shopify = stack.enter_context(Server(world))
        surroundings = environment | {
            "DATABASE_URL": database_url,
            "SHOPIFY_ADMIN_ORIGIN": shopify.url + "/{shop}",
            "REMOVAL_BRAKE_PERCENT": "50",
            "REMOVAL_BRAKE_RECORDS": "1",
        }
        doors = [Door(read_settings(surroundings | secrets)) for secrets in _DEPLOYED]
        server = make_server("127.0.0.1", 0, doors[0].app, threaded=True, request_handler=Quiet)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        world.app.url = f"http://127.0.0.1:{server.server_port}"
        workers = {}
        for name, lane, more in _STAFF:
            workers[name] = Worker(name, lane, read_settings(surroundings | more), clock)
            stack.callback(workers[name].close)
        db = stack.enter_context(psycopg.connect(plain(database_url), autocommit=True))
        client = stack.enter_context(redis_client.Redis.from_url(redis_url))
        yield Theatre(clock, world, doors, server, workers, db, client, database_url, empty, reports)
        server.shutdown()
        thread.join()
        server.server_close()
        for door in doors:
            door.close()


def silence(stack):
    """A story of fifty steps writes some hundred lines, and is told again and again while it is made shorter."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    stack.callback(lambda: structlog.configure(**before))


_DEPLOYED = (
    {"SHOPIFY_API_SECRET": SECRETS[0]},
    {"SHOPIFY_API_SECRET": SECRETS[1], "SHOPIFY_API_SECRET_PREVIOUS": SECRETS[0]},
    {"SHOPIFY_API_SECRET": SECRETS[1]},
)
# Two of a lane; the last reads every shop as a bulk operation.
_STAFF = (
    ("ann", "live", {}),
    ("bob", "live", {}),
    ("cleo", "bulk", {}),
    ("dov", "bulk", {"BULK_RUN_RECORDS": "1"}),
)
