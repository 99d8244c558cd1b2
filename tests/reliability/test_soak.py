"""Half an hour of everything at once, through the Procfile's processes: what grows with the hours must not.

Everything is kept for seconds instead of days (`hasty.py`), so rows go as fast as they come. Then each measure of the
last quarter is compared with the second one's: by then a healthy installation has come to the size at which it stays.
"""

import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import median

import psycopg
import pytest
import redis as redis_client
from werkzeug.security import generate_password_hash

from tests.reliability.people import Engineer, Merchant

SHOPS = ("northwind-trade.myshopify.com", "hearth-and-co.myshopify.com")
ROLES = ("web", "live", "bulk", "clock")
PRODUCTS, CUSTOMERS = 60, 60  # as many a shop has, more or less, all the time
PACE = 0.35  # seconds between two rounds: a busy shop, not a benchmark
PASSWORD = "correct horse"
BAD = {"loss": 0.05, "doubles": 0.1, "delay": 0.1, "delay_seconds": (0.5, 3.0), "reorder_seconds": 0.4}

# How much more the last quarter may have than the second: a share, and a few beside it.
MAY_GROW = {
    "memory": (0.10, 4_000_000),
    "handles": (0.0, 3),
    "threads": (0.0, 3),
    "connections": (0.0, 3),
    "bytes in Redis": (0.10, 500_000),
    "table": (0.15, 400_000),
    "dead tuples": (0.50, 2_000),
}


@pytest.mark.long
@pytest.mark.timeout(0)
def test_what_could_grow_with_the_hours_stays_as_it_is(installation, note_figures, request):
    minutes = request.config.getoption("soak_minutes")
    hashed = generate_password_hash(PASSWORD, method="pbkdf2:sha256:1000")
    short = {"RECONCILE_SECONDS": "5", "COMPLETE_RUN_SECONDS": "15", "OPS_USERS": f"ada:operator:{hashed}"}
    short |= {"KEEP_SECONDS": str(max(10.0, minutes * 60 / 15))}
    with installation("soak", through="hasty", durable=True, **short) as made:
        made.alter_postgres("autovacuum_naptime", "'5s'")  # shortened as the rest is; by itself a minute
        made.open_shop(SHOPS[0], products=PRODUCTS, customers=CUSTOMERS, b2b=0.7)
        made.open_shop(SHOPS[1], token=None, products=PRODUCTS, customers=CUSTOMERS, b2b=0.7)
        made.store.mood(**BAD)
        load = Load(made)
        samples = soak(load, minutes * 60)
        made.store.mood("calm")
        load.close()
        seconds = made.comes_to_rest(900)

        assert made.breaches() == []
        quarters = compare(samples)
        deleted = made.value("SELECT sum(removed) FROM swept")
        figures = {
            "minutes": minutes,
            "done": dict(load.done),
            "rows_deleted": int(deleted),
            "answers": dict(load.answers),
        }
        figures |= {"deliveries": made.store.counts()["delivered"], "seconds_to_converge": seconds}
        note_figures("soak", figures | {"lost": 0, "closed_twice": 0, "wrongly_removed": 0, "quarters": quarters})
        assert [status for status in load.answers if status not in (200, 202, 404, 409)] == []
        assert deleted > 50 * minutes
        assert grown(quarters) == []


def soak(load, seconds):
    """Samples of each few seconds, with when they were taken as a share of the time."""
    began, samples = time.monotonic(), []
    while (share := (time.monotonic() - began) / seconds) < 1:
        until = time.monotonic() + seconds / 200
        while time.monotonic() < until:
            load.round()
        samples.append((share, sample(load.made)))
    return samples


class Load:
    """Changes in two shops, and what their people do meanwhile."""

    def __init__(self, made):
        self.made = made
        self.done, self.answers = Counter(), Counter()
        self.rng = random.Random(1)
        self.people = {shop: Merchant(made, shop) for shop in SHOPS}
        self.engineer = Engineer(made, "ada", PASSWORD)
        self.known = {}
        self.rounds = 0

    def round(self):
        began = time.monotonic()
        self.rounds += 1
        shop = self.rng.choice(SHOPS)
        self.change(shop)
        self.look(shop)
        for every, act in ((30, self.forget_somebody), (40, self.replay), (50, self.refresh), (60, self.expire)):
            if self.rounds % every == 0:
                act(shop)
        time.sleep(max(0.0, PACE - (time.monotonic() - began)))

    def change(self, shop):
        self.made.store.random(shop, 4)
        self.done["changes"] += 4
        if self.rounds % 10 == 0:
            self.known[shop] = self.made.store.truth(shop)
            self._keep_size(shop)

    def _keep_size(self, shop):
        for kind, many, wanted in (("product", "products", PRODUCTS), ("customer", "customers", CUSTOMERS)):
            ids = [one["id"] for one in self.known[shop][many]]
            for number in ids[wanted:]:
                self.made.store.change(shop, f"delete_{kind}", id=number)
                self.done["changes"] += 1

    def look(self, shop):
        products = self.known.get(shop, {}).get("products")
        number = self.rng.choice(products)["id"] if products else 1
        feed = self.rng.choice(("products", "customers"))
        api = ("feeds", f"products?q={number}", "customers?q=ada", f"explain?q={number}", f"issues?feed={feed}")
        more = (f"runs?feed={feed}", f"activity?feed={feed}", f"gaps?feed={feed}", f"products/{number}/history")
        pages = ("", f"{feed}", f"{feed}/lookup?q={number}", f"{feed}/issues", f"{feed}/activity", f"{feed}/runs")
        self._ask(shop, "/api/v1/" + self.rng.choice((*api, *more)))
        self._ask(shop, "/" + self.rng.choice(pages))

    def _ask(self, shop, path, method="GET", **more):
        answer = self.people[shop].ask(path, method, **more)
        self.answers[answer.status_code] += 1

    def forget_somebody(self, shop):
        """Shopify asks for it days after the customer was deleted. Both halves of the story must arrive."""
        person = 8_000_000 + self.rounds
        self.made.store.mood(loss=0.0)
        self.made.store.change(shop, "create_customer", id=person, tags=["b2b"], email=f"{person}@corner.example")
        self.made.store.change(shop, "delete_customer", id=person)
        self.made.store.change(shop, "customers/redact", id=person)
        self.made.store.mood(**BAD)
        self.done["redactions"] += 1

    def replay(self, shop):
        """What was decided lately is decided once more."""
        since = datetime.now(UTC) - timedelta(seconds=20)
        if self.engineer.replay(shop=shop, since=since.isoformat()):
            self.done["replays"] += 1

    def refresh(self, shop):
        self._ask(shop, f"/api/v1/feeds/{self.rng.choice(('products', 'customers'))}/runs", "POST")
        self.done["refreshes"] += 1
        if products := self.known.get(shop, {}).get("products"):
            self._ask(shop, f"/api/v1/products/{self.rng.choice(products)['id']}/fetches", "POST")

    def expire(self, _shop):
        self.made.store.settings(SHOPS[1], expire_tokens=True)
        self.done["tokens expired"] += 1

    def close(self):
        self.engineer.close()
        for one in self.people.values():
            one.close()


# What is measured


def sample(made):
    """{(measure, of what): value}"""
    return of_processes(made) | of_postgres(made) | of_redis(made)


def of_processes(made):
    found = {}
    for role in ROLES:
        for number, process in enumerate(made.processes(role)):
            name = f"{role} {number}" if role == "web" else role  # granian, and the worker that it keeps
            found["memory", name] = process.memory_full_info().uss
            found["handles", name] = process.num_fds()
            found["threads", name] = process.num_threads()
            found["process", name] = process.pid
    return found


def of_postgres(made):
    with psycopg.connect(made.postgres.url, application_name="soak") as db:
        [(connections,)] = db.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'data-sync'")
        found = {("connections", "Postgres"): connections}
        for table, heap, indexes, dead in db.execute(_TABLES):
            found["table", table] = heap
            found["table", f"{table}, its indexes"] = indexes
            found["dead tuples", table] = dead
            for name, value in (("all tables", heap), ("all indexes", indexes)):
                found["table", name] = found.get(("table", name), 0) + value
    return found


_TABLES = """SELECT relname, pg_table_size(relid), pg_indexes_size(relid), n_dead_tup FROM pg_stat_user_tables
             WHERE relname NOT LIKE 'witnessed%'"""


def of_redis(made):
    with redis_client.Redis.from_url(made.valkey.url) as redis:
        told = redis.info()
    return {("connections", "Redis"): told["connected_clients"], ("bytes in Redis", "Redis"): told["used_memory"]}


# What is made of it


def compare(samples):
    """[{"measure", "of", "second", "last"}]: the medians of the two quarters."""
    second = [taken for share, taken in samples if 0.25 <= share < 0.5]
    last = [taken for share, taken in samples if share >= 0.75]
    names = sorted({name for taken in (*second, *last) for name in taken})
    return [
        {"measure": measure, "of": of, "second": middle(second, (measure, of)), "last": middle(last, (measure, of))}
        for measure, of in names
    ]


def middle(samples, name):
    return int(median(taken.get(name, 0) for taken in samples))


def grown(quarters):
    """A sentence for each measure that is larger in the last quarter than it may be."""
    sentences = []
    for one in quarters:
        measure, second, last = one["measure"], one["second"], one["last"]
        if measure == "process":
            if second != last:
                sentences.append(f"The process {one['of']} is another one.")
            continue
        share, few = MAY_GROW[measure]
        if last > second * (1 + share) + few:
            sentences.append(f"{measure} of {one['of']}: {second:,} in the second quarter, {last:,} in the last.")
    return sentences


def test_growth_is_seen_and_standing_still_is_not_called_so():
    def of(**values):
        told = {"memory": 50_000_000, "handles": 20, "process": 7} | values
        return {(measure, "live"): value for measure, value in told.items()}

    flat = compare([(n / 100, of(memory=50_000_000 + n % 7 * 100_000)) for n in range(100)])
    leaking = compare([(n / 100, of(memory=50_000_000 + n * 300_000, handles=20 + n // 10)) for n in range(100)])
    replaced = compare([(n / 100, of(process=7 if n < 60 else 8)) for n in range(100)])

    assert grown(flat) == []
    assert [one.partition(" of")[0] for one in grown(leaking)] == ["handles", "memory"]
    assert grown(replaced) == ["The process live is another one."]
