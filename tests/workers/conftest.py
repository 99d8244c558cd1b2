"""A shop at Shopify's end and a workshop at ours: what is sent comes in by the front door, and turns serve it."""

import uuid
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest
from sqlalchemy import text

SHOP = "northwind-trade.myshopify.com"
OTHER = "hearth-and-co.myshopify.com"
TOKEN = "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"
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture
def floor(database, workshop, devstore, front_door):
    """One shop, installed on both sides, whose webhooks reach the front door."""
    devstore.move_app(url=front_door)
    with httpx.Client() as client:
        floor = Floor(database, workshop, devstore, front_door, client, SHOP)
        floor.install()
        yield floor


@pytest.fixture
def other(floor):
    """A second shop beside the first."""
    second = Floor(floor.db, floor.workshop, floor.devstore, floor.front_door, floor.client, OTHER)
    second.install()
    return second


class Floor:
    """A shop with everything that a test does to it."""

    def __init__(self, db, workshop, devstore, front_door, client, shop):
        self.db = db
        self.workshop = workshop
        self.devstore = devstore
        self.front_door = front_door
        self.client = client
        self.shop = shop
        self.token = TOKEN

    def install(self, token=TOKEN):
        from adapters import shops

        self.devstore.open_shop(self.shop, token=token)
        self.devstore.settings(self.shop, index_lag=0)
        with self.db.begin() as db:
            shops.add(db, self.workshop.vault, self.shop, token)

    # what comes

    def at(self, second):
        return START + timedelta(seconds=second)

    def body(self, product_id, second, **fields):
        """A product as a webhook tells it, last changed at that second."""
        variant = {"id": product_id * 10, "sku": f"SKU-{product_id}", "price": "10.00", "position": 1}
        core = {
            "id": product_id,
            "title": "Mug",
            "handle": "mug",
            "status": "active",
            "tags": "",
            "variants": [variant],
        }
        return core | {"updated_at": self.at(second).isoformat()} | fields

    def send(self, topic, content, second=None, *, webhook_id=None, shop=None):
        """By the front door, signed, triggered at that second. The webhook's id."""
        from devstore.courier import sign

        raw = content if isinstance(content, bytes) else orjson.dumps(content)
        webhook_id = webhook_id or str(uuid.uuid4())
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": sign(raw, self.workshop.settings.shopify_api_secret),
            "X-Shopify-Shop-Domain": shop or self.shop,
            "X-Shopify-Webhook-Id": webhook_id,
        }
        if second is not None:
            headers["X-Shopify-Triggered-At"] = self.at(second).isoformat()
        answer = self.client.post(f"{self.front_door}/webhooks", content=raw, headers=headers)
        assert answer.status_code == 200, answer.text
        return webhook_id

    def store(self, bodies, topic="products/update", second=0):
        """Many deliveries at once, straight into the inbox, as the front door stores them."""
        from adapters import inbox
        from adapters.inbox import Arrival

        now = datetime.now(UTC)
        arrivals = [
            Arrival(
                shop=self.shop,
                webhook_id=str(uuid.uuid4()),
                topic=topic,
                feed="customers" if topic.startswith("customer") else "products",
                resource_id=body["id"],
                triggered_at=datetime.fromisoformat(body.get("updated_at", self.at(second).isoformat())),
                changed_at=datetime.fromisoformat(body["updated_at"]) if "updated_at" in body else None,
                received_at=now,
                body=orjson.dumps(body),
            )
            for body in bodies
        ]
        with self.db.begin() as db:
            inbox.store(db, arrivals)
        return [arrival.webhook_id for arrival in arrivals]

    def change(self, kind, **wishes):
        """Something happens in the shop, and Shopify's webhooks about it have arrived."""
        self.devstore.change(self.shop, kind, **wishes)
        assert self.devstore.settle(20)["settled"]

    def silently(self, kind, **wishes):
        """Something happens in the shop, and its webhooks are lost."""
        self.devstore.mood(outage="lose")
        self.devstore.change(self.shop, kind, **wishes)
        self.devstore.mood(outage="none")

    # turns

    def turn(self, lane="live"):
        """One turn. Its outcomes by webhook id."""
        from workers.turns import take_turn

        verdicts = take_turn(self.workshop, lane, self.shop)
        ids = {row["id"]: row["webhook_id"] for row in self.rows("SELECT id, webhook_id FROM deliveries")}
        return {ids[i]: verdict.outcome.value for i, verdict in verdicts.items() if i in ids}

    def serve(self, lanes=("live", "bulk")):
        """Turns until nothing is due in these lanes."""
        for _ in range(50):
            due = [lane for lane in lanes if self.due(lane)]
            if not due:
                return
            for lane in due:
                self.turn(lane)
        raise AssertionError("There is always more mail due.")

    def due(self, lane="live"):
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

    def delivery(self, webhook_id):
        return self.rows("SELECT * FROM deliveries WHERE webhook_id = :id", id=webhook_id)[0]

    def outcomes(self):
        """How many deliveries of the shop met which outcome; those that wait under `waiting`."""
        found = self.rows(
            "SELECT coalesce(outcome, state) AS what, count(*) AS n FROM deliveries WHERE shop = :shop GROUP BY 1"
        )
        return {row["what"]: row["n"] for row in found}

    def product(self, product_id):
        from adapters import mirror_products

        with self.db.connect() as db:
            return mirror_products.load(db, self.shop, [product_id]).get(product_id)

    def customer(self, customer_id):
        from adapters import mirror_customers

        with self.db.connect() as db:
            return mirror_customers.load(db, self.workshop.vault, self.shop, [customer_id]).get(customer_id)

    def issues(self, feed, record_id):
        from adapters import issue_log

        with self.db.connect() as db:
            return issue_log.open_of(db, self.shop, feed, [record_id])[record_id]

    def codes(self, feed, record_id):
        return sorted(issue["code"] for issue in self.issues(feed, record_id))

    def state(self):
        return self.value("SELECT state FROM shops WHERE domain = :shop")

    def requests(self):
        """How often Shopify was asked, by the name of the operation, and `all` in all."""
        tally = self.devstore.requests()[self.shop]
        return tally["operations"] | {"all": tally["requests"]}

    def mentions(self, words):
        """Tables, and keys of Redis, in which the words can be read, as text or as bytes."""
        tables = self.rows("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
        spellings = [words.lower(), words.encode().hex()]
        found = []
        for table in tables:
            rows = self.rows(f"SELECT lower(t::text) AS row FROM {table['name']} AS t")
            found += [table["name"] for row in rows if any(spelling in row["row"] for spelling in spellings)]
        client = self.workshop.bell.redis
        kept = [key for key in client.scan_iter() if words.lower() in repr(_content(client, key)).lower()]
        return found + kept


def _content(client, key):
    read = {
        b"string": lambda: client.get(key),
        b"hash": lambda: client.hgetall(key),
        b"list": lambda: client.lrange(key, 0, -1),
        b"set": lambda: client.smembers(key),
        b"zset": lambda: client.zrange(key, 0, -1),
    }
    return read[client.type(key)]()


@pytest.fixture
def sabotage(database):
    """sabotage(table, when, sqlstate="P0001") makes each write of such a row fail; the answer ends that.

    `sqlstate` None: the write sleeps for a minute instead.
    """
    made = []

    def make(table, when, sqlstate="P0001"):
        name = f"sabotage_{len(made)}"
        deed = (
            f"RAISE EXCEPTION 'the row says %', NEW USING ERRCODE = '{sqlstate}'"
            if sqlstate
            else "PERFORM pg_sleep(60)"
        )
        with database.begin() as db:
            db.execute(
                text(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {deed}; RETURN NEW; END$$")
            )
            db.execute(
                text(
                    f"""CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table}
                        FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {name}()"""
                )
            )
        made.append((name, table))
        return lambda: lift(name)

    def lift(name):
        with database.begin() as db:
            db.execute(text(f"DROP FUNCTION IF EXISTS {name} CASCADE"))

    yield make
    for name, _ in made:
        lift(name)


@pytest.fixture
def witness(database):
    """witness(table) → a function that answers every row written to the table since, as it was written."""
    made = []

    def make(table):
        name = f"witness_{table}"
        made.append(name)
        with database.begin() as db:
            db.execute(text(f"CREATE TABLE {name} (nr bigint GENERATED ALWAYS AS IDENTITY, row jsonb)"))
            db.execute(
                text(
                    f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
                        BEGIN INSERT INTO {name} (row) VALUES (to_jsonb(NEW)); RETURN NEW; END$$"""
                )
            )
            db.execute(
                text(f"CREATE TRIGGER {name} AFTER INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
            )

        def written():
            with database.connect() as db:
                return [row.row for row in db.execute(text(f"SELECT row FROM {name} ORDER BY nr"))]

        return written

    yield make
    with database.begin() as db:
        for name in made:
            db.execute(text(f"DROP FUNCTION {name} CASCADE"))
            db.execute(text(f"DROP TABLE {name}"))
