"""A shop at Shopify's end and a bulk worker at ours, taken step by step: nothing waits for a clock."""

import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest
from sqlalchemy import text

SHOP = "northwind-trade.myshopify.com"
OTHER = "hearth-and-co.myshopify.com"
API_KEY = "test-api-key"
API_SECRET = "test-api-secret"
TOKEN = "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"


@pytest.fixture
def devstore():
    """As everywhere, and with its `world` within reach: what stands in it may be made older than it is."""
    from devstore.client import Devstore
    from devstore.server import Server
    from devstore.world import App, World

    world = World(App(None, API_KEY, API_SECRET))
    with Server(world) as server, Devstore(server.url) as devstore:
        devstore.world = world
        yield devstore


@pytest.fixture
def open_shop(database, redis, devstore, environment, front_door):
    """open_shop(domain, changes={of the environment}, **stock) → a Scene, known to both sides, nothing imported."""
    from settings import read_settings
    from workers.workshop import open_workshop

    workshops = []
    devstore.move_app(url=front_door)

    def make(domain=SHOP, *, workshop=None, token=TOKEN, changes=None, **stock):
        if workshop is None:
            surroundings = environment | {"SHOPIFY_ADMIN_ORIGIN": devstore.url + "/{shop}"} | (changes or {})
            workshop = open_workshop(read_settings(surroundings))
            workshops.append(workshop)
        devstore.open_shop(domain, token=token, **stock)
        devstore.settings(domain, index_lag=0, bulk_seconds=0, bucket=100_000, restore_rate=100_000)
        scene = Scene(database, workshop, devstore, front_door, domain)
        scene.add(token)
        return scene

    yield make
    for workshop in workshops:
        workshop.db.dispose()
        workshop.admin.close()
        workshop.tokens.close()


@pytest.fixture
def scene(open_shop):
    """A small shop whose first import is done, and whose webhooks arrive."""
    scene = open_shop(products=12, customers=20)
    scene.install()
    return scene


class Scene:
    """A shop with everything that a test does to it."""

    def __init__(self, db, workshop, devstore, web, shop):
        self.db = db
        self.workshop = workshop
        self.devstore = devstore
        self.web = web
        self.shop = shop

    def add(self, token=TOKEN):
        """As `flask shops add` does it."""
        from adapters import inbox, runs, shops

        with self.db.begin() as db:
            shops.add(db, self.workshop.vault, self.shop, token)
            runs.open_feeds(db, self.shop)
            inbox.hurry(db, self.shop)

    def install(self):
        """The first import of both feeds, by the clock's hand. The runs by feed."""
        from workers.starts import start_due_runs

        start_due_runs(self.workshop)
        self.work()
        return {run["feed"]: run for run in self.runs()}

    # what happens in the shop

    def change(self, kind, **wishes):
        """Something happens, its webhooks arrive and have had their turn."""
        fired = self.devstore.change(self.shop, kind, **wishes)
        assert self.devstore.settle(20)["settled"]
        self.turns()
        return fired

    def lose(self, kind, **wishes):
        """Something happens, and its webhooks are lost."""
        self.devstore.mood(outage="lose")
        fired = self.devstore.change(self.shop, kind, **wishes)
        self.devstore.mood(outage="none")
        return fired

    def hold(self, kind, **wishes):
        """Something happens, and its webhooks are under way until `arrive`."""
        self.devstore.mood(outage="hold")
        return self.devstore.change(self.shop, kind, **wishes)

    def arrive(self):
        self.devstore.mood(outage="none")
        assert self.devstore.settle(20)["settled"]
        self.turns()

    @property
    def table(self):
        """The devstore's own products, truth and index."""
        return self.devstore.world.tenants[self.shop].shop.products

    def hide(self, product_ids):
        """No search finds these products any more, though they exist."""
        for product in product_ids:
            del self.table._index[product]
        self.table._searches.clear()

    def backdate(self, product_id, seconds):
        """The product was last changed so much earlier than it says, for the index as well."""
        product = self.table.truth[product_id]
        self.table.stock([replace(product, updated_at=product.updated_at - timedelta(seconds=seconds))])

    @property
    def truth(self):
        return self.devstore.truth(self.shop)

    @property
    def products(self):
        return self.truth["products"]

    @property
    def members(self):
        """Customers who belong, in the truth's order."""
        return [c for c in self.truth["customers"] if belongs(c)]

    @property
    def strangers(self):
        return [c for c in self.truth["customers"] if not belongs(c) and not c["metafields"]]

    # work

    def start(self, feed, *, complete=False, trigger="schedule"):
        from adapters import runs

        with self.db.begin() as db:
            run, is_new = runs.start(db, self.shop, feed, trigger, complete=complete)
        assert is_new
        return run.id

    def run(self, feed, *, complete=False, trigger="schedule"):
        """A run from its start to where its differences are applied. Its row."""
        number = self.start(feed, complete=complete, trigger=trigger)
        self.work()
        return self.row(number)

    def step(self):
        """One step of whatever is due, pauses left out."""
        from workers import runs

        self.hurry()
        return runs.step(self.workshop)

    def hurry(self):
        """The time has come that a run waits for, and a shop that did not answer may be asked again."""
        self.workshop.bell.redis.delete(f"breaker:{self.shop}")
        self.execute("UPDATE runs SET next_step_at = now() WHERE state = 'running' AND next_step_at > now()")

    def steps(self, until=None, seconds=30):
        """Steps until none is due, or until the fact is true."""
        deadline = time.monotonic() + seconds
        while not (until and until()):
            assert time.monotonic() < deadline, "never became true"
            if not self.step():
                return

    def work(self):
        """Steps and turns until there is nothing left to do."""
        self.steps()
        self.turns()

    def turns(self):
        from workers.turns import take_turn

        for _ in range(200):
            due = [lane for lane in ("live", "bulk") if self.due(lane)]
            if not due:
                return
            for lane in due:
                take_turn(self.workshop, lane, self.shop)
        raise AssertionError("There is always more mail due.")

    def due(self, lane):
        return self.value(
            """SELECT count(*) FROM deliveries
               WHERE shop = :shop AND lane = :lane AND state = 'waiting' AND next_attempt_at <= now()""",
            lane=lane,
        )

    # what came of it

    def rows(self, statement, **values):
        with self.db.connect() as db:
            found = db.execute(text(statement), {"shop": self.shop} | values)
            return [dict(row) for row in found.mappings()]

    def value(self, statement, **values):
        return next(iter(self.rows(statement, **values)[0].values()))

    def execute(self, statement, **values):
        with self.db.begin() as db:
            db.execute(text(statement), {"shop": self.shop} | values)

    def runs(self):
        return self.rows("SELECT * FROM runs WHERE shop = :shop ORDER BY id")

    def row(self, number):
        return self.rows("SELECT * FROM runs WHERE id = :id", id=number)[0]

    def feed(self, name):
        from adapters import shops
        from app import feeds

        with self.db.connect() as db:
            shop = shops.find(db, self.workshop.vault, self.shop)
            return feeds.feed(db, shop, self.workshop.settings, name)

    def timetable(self, name):
        return self.rows("SELECT * FROM feeds WHERE shop = :shop AND feed = :feed", feed=name)[0]

    def gaps(self):
        """Causes by (feed, id); a record has one gap in these tests."""
        answer = self.gap_report()
        found = {(gap["feed"], gap["id"]): gap["cause"] for gap in answer["gaps"]}
        assert len(found) == len(answer["gaps"])
        return found

    def gap_report(self):
        from app import feeds

        with self.db.connect() as db:
            return feeds.gaps(db, self.shop, datetime.now(UTC) - timedelta(days=1))

    def mirror(self, resources):
        """The answers of the API's lookup, by resource."""
        from app import lookup
        from app.api import dump

        with self.db.connect() as db:
            return {
                one: orjson.loads(dump(lookup.look_up(db, self.workshop.vault, self.shop, one.feed, one.gid)))
                for one in resources
            }

    def differences(self):
        """Between the mirror and the store, every field of every record; what nobody could know is left out."""
        from devstore.demo_compare import differences, expected, unknowable

        truth = {self.shop: self.truth}
        resources = expected(truth)
        imported = [one for one, wanted in resources.items() if wanted.core]
        unsaid = unknowable(truth, self.devstore.ledger(self.shop), imported)
        return differences(truth, self.mirror(resources), unsaid)

    def product(self, product_id):
        from adapters import mirror_products

        with self.db.connect() as db:
            return mirror_products.load(db, self.shop, [product_id]).get(product_id)

    def customer(self, customer_id):
        from adapters import mirror_customers

        with self.db.connect() as db:
            return mirror_customers.load(db, self.workshop.vault, self.shop, [customer_id]).get(customer_id)

    def asked(self):
        """What Shopify was asked since the last time: requests and points, and by operation."""
        tally = self.devstore.requests()[self.shop]
        now = {"requests": tally["requests"], "points": tally["requested_points"]} | tally["operations"]
        before = getattr(self, "_asked", {})
        self._asked = now
        return {name: count - before.get(name, 0) for name, count in now.items() if count != before.get(name, 0)}

    def send(self, topic, body, triggered_at=None):
        """By the front door, signed."""
        from devstore.courier import sign

        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": sign(raw, self.workshop.settings.shopify_api_secret),
            "X-Shopify-Shop-Domain": self.shop,
            "X-Shopify-Webhook-Id": str(uuid.uuid4()),
            "X-Shopify-Triggered-At": (triggered_at or datetime.now(UTC)).isoformat(),
        }
        assert httpx.post(f"{self.web}/webhooks", content=raw, headers=headers).status_code == 200


def belongs(customer):
    tagged = any(tag.strip().casefold() == "b2b" for tag in customer["tags"])
    return tagged or any(metafield["namespace"] == "sparklayer" for metafield in customer["metafields"])
