"""Everything the product does all day, once: what Shopify sends, what workers and the clock do, what people look at."""

import base64
import re
import time
import uuid
from datetime import UTC, datetime

import orjson
from sqlalchemy import text

from adapters import failures, inbox, replays, retention, runs
from adapters.chosen import Filter
from adapters.inbox import Arrival
from bench import crowd, mail
from domain.retention import SWEPT
from workers import alerts, health, notices, timetable
from workers import replays as replaying
from workers import runs as running
from workers import turns as turn_size
from workers.turns import serve_shop, take_turn

SHOP = crowd.shop(0)
LIVE = 20  # deliveries at once
NUMBER = re.compile(r"\d+")


def everything(ground):
    """Name → what to do, in this order."""
    return {
        "the door": lambda: post_products(ground, changed=1),
        "the door, copies": lambda: post_again(ground),
        "a live turn, changed products": lambda: take_turn(ground.workshop, "live", SHOP),
        "a turn with its rings": lambda: serve_after(ground, changed=2),
        "a turn of products that have not changed": lambda: serve_after(ground, changed=2),
        "new products": lambda: create_products(ground),
        "a storm on a product": lambda: storm(ground),
        "a shop that nobody knows": lambda: hear_of_nobody(ground),
        "customers' webhooks": lambda: change_customers(ground),
        "a live turn, customers": lambda: take_turn(ground.workshop, "live", SHOP),
        "a bulk turn": lambda: turns(ground, "bulk"),
        "a live turn, the same customers": lambda: change_customers_again(ground),
        "a turn while Shopify is away": lambda: fail_to_fetch(ground),
        "dead deliveries": lambda: post_nonsense(ground),
        "a product that is deleted": lambda: delete_product(ground),
        "a shop that has changed": lambda: change_shop(ground),
        "a resync": lambda: resync(ground),
        "an incremental run of products": lambda: run(ground, "products", complete=False),
        "an incremental run of customers": lambda: run(ground, "customers", complete=False),
        "a complete run of products": lambda: run(ground, "products", complete=True),
        "a complete run of customers": lambda: run(ground, "customers", complete=True),
        "a check of health": lambda: check_health(ground),
        **{f"clock: {duty.name}": lambda duty=duty: duty.do(ground.workshop) for duty in timetable.DUTIES},
        "clock: start due runs, two due": lambda: start_due(ground),
        "a job of notices": lambda: notices.send_next(ground.workshop),
        "a job of alerts": lambda: alerts.tell_next(ground.workshop),
        "retention": lambda: sweep(ground),
        "a replay": lambda: replay(ground),
        "a scrape": lambda: ground.get("/metrics"),
        "readiness": lambda: ground.get("/ready"),
        # By their places: ids differ from ground to ground, and what is done there is compared by its name.
        **{
            f"GET {nth} {NUMBER.sub('#', path)}": lambda path=path: ground.get(path)
            for nth, path in enumerate(looked_at(ground))
        },
    }


def post_products(ground, changed, mark=""):
    """Of products that the mirror has, told anew."""
    for n in products(ground):
        body = mail.product(n)
        body["variants"][0]["inventory_quantity"] = changed
        body["title"] = f"{body['title']} ({changed})"
        ground.post("products/update", body, webhook_id=f"{n}-{changed}{mark}")


def products(ground):
    return range(0, LIVE * ground.amount.shops, ground.amount.shops)


def post_again(ground):
    before = ground.value("SELECT sum(copies) FROM deliveries WHERE lane = 'live' AND state = 'waiting'")
    post_products(ground, changed=1)
    ground.until(
        lambda: (
            ground.value("SELECT sum(copies) FROM deliveries WHERE lane = 'live' AND state = 'waiting'")
            == before + LIVE
        )
    )


def serve_after(ground, changed):
    post_products(ground, changed, mark=uuid.uuid4().hex)
    serve_shop(ground.workshop, "live", SHOP)


def create_products(ground):
    """Of which no metafields are known, nor when they change a moment later."""
    for topic, revision in (("products/create", 0), ("products/update", 1)):
        for n in range(900_000, 900_000 + LIVE):
            ground.post(topic, mail.product(n, revision))
        take_turn(ground.workshop, "live", SHOP)


def storm(ground):
    """More about one product than a turn takes."""
    now, body = datetime.now(UTC), encode(mail.product(ground.amount.shops))
    about = {"topic": "products/update", "feed": "products", "resource_id": mail.product_id(ground.amount.shops)}
    times = {"triggered_at": now, "received_at": now, "changed_at": now}
    arrivals = [Arrival(SHOP, f"storm-{n}", **about, **times, body=body) for n in range(turn_size.MOST + LIVE)]
    with ground.workshop.db.begin() as db:
        inbox.store(db, arrivals)
    while take_turn(ground.workshop, "live", SHOP):
        pass


def hear_of_nobody(ground):
    now, nobody = datetime.now(UTC), "nobody-at-all.myshopify.com"
    about = {"topic": "products/update", "feed": "products", "resource_id": 1, "body": encode(mail.product(1))}
    with ground.workshop.db.begin() as db:
        inbox.store(db, [Arrival(nobody, uuid.uuid4().hex, triggered_at=now, received_at=now, **about)])
    take_turn(ground.workshop, "live", nobody)


def change_customers(ground):
    """Some belong, some do not; their webhooks are signals."""
    customers = ground.devstore.truth(SHOP)["customers"]
    for customer in customers[:LIVE]:
        ground.post("customers/update", {"id": customer["id"], "updated_at": datetime.now(UTC).isoformat()})


def change_customers_again(ground):
    change_customers(ground)
    take_turn(ground.workshop, "live", SHOP)


def fail_to_fetch(ground):
    change_customers(ground)
    ground.devstore.fault("500", shop=SHOP, times=50)
    take_turn(ground.workshop, "live", SHOP)
    ground.devstore.clear_faults()
    ground.redis.delete(f"breaker:{SHOP}")
    ground.execute("UPDATE deliveries SET next_attempt_at = now() WHERE shop = :shop AND state = 'waiting'", shop=SHOP)
    take_turn(ground.workshop, "live", SHOP)


def post_nonsense(ground):
    """At the door, for want of an id, and in the turn."""
    ground.post("products/update", {"title": "Nobody's"})
    ground.post("products/update", {"id": 5, "variants": "none"})
    take_turn(ground.workshop, "live", SHOP)


def delete_product(ground):
    ground.post("products/delete", {"id": mail.product_id(0)})
    take_turn(ground.workshop, "live", SHOP)


def change_shop(ground):
    ground.post("shop/update", {"id": 1})
    take_turn(ground.workshop, "live", SHOP)


def resync(ground):
    """Of one that Shopify no longer has."""
    ground.ask("POST", f"/api/v1/products/{mail.product_id(3 * ground.amount.shops)}/fetches", 202)
    take_turn(ground.workshop, "live", SHOP)


def turns(ground, lane):
    for _ in range(20):
        if not take_turn(ground.workshop, lane, SHOP):
            return


def run(ground, feed, *, complete):
    """From its start to where its differences are applied."""
    with ground.workshop.db.begin() as db:
        runs.start(db, SHOP, feed, "schedule", complete=complete)
        runs.start(db, SHOP, feed, "refresh", complete=complete)  # it is the same one
    deadline = time.monotonic() + 60
    while running.step(ground.workshop) or ground.value("SELECT count(*) FROM runs WHERE state = 'running'"):
        assert time.monotonic() < deadline, "the run does not end"
        ground.execute("UPDATE runs SET next_step_at = now() WHERE state = 'running'")
    turns(ground, "bulk")


def check_health(ground):
    ground.execute("UPDATE health SET next_check_at = now() WHERE shop = :shop", shop=SHOP)
    assert health.check_next(ground.workshop)


def start_due(ground):
    """And ended at once: nothing else has to follow."""
    ground.execute("UPDATE feeds SET next_run_at = now() WHERE shop = :shop", shop=crowd.shop(1))
    timetable.start_due_runs(ground.workshop)
    ground.execute("UPDATE runs SET state = 'finished', finished_at = now() WHERE state = 'running'")


def sweep(ground):
    """A batch of each class, as old as it must be."""
    for kept in SWEPT:
        with ground.workshop.db.begin() as db:
            retention.sweep(db, kept, datetime.now(UTC), 50)
            retention.overdue(db, kept, datetime.now(UTC))


def replay(ground):
    """Of one issue's deliveries."""
    with ground.workshop.db.begin() as db:
        chosen = inbox.frozen(db, Filter(fingerprint="f0", outcome="dead"))
        replays.start(db, "bench", "ada", "because", chosen, refreshed=False, key=str(uuid.uuid4()))
    for _ in range(2):
        replaying.step(ground.workshop)
        turns(ground, "bulk")
        ground.execute("UPDATE replays SET next_step_at = now()")
    with ground.workshop.db.begin() as db:
        failures.find(db, "f0")
        number = db.execute(text("SELECT max(id) FROM replays")).scalar_one()
        replays.cancel(db, number, "ada")


def looked_at(ground):
    """Addresses of merchants, programs and whoever is on call."""
    product = mail.product_id(ground.amount.shops)  # of SHOP, and not the one that is deleted
    member = crowd.CUSTOMER_ID
    last = ground.value("SELECT max(id) FROM deliveries")
    dead = ground.value("SELECT max(id) FROM deliveries WHERE outcome = 'dead'")
    going = ground.value("SELECT max(id) FROM runs WHERE shop = :shop AND feed = 'products'", shop=SHOP)
    lookups = (
        *(mail.sku(ground.amount.shops, 3), product, product + 1, mail.barcode(ground.amount.shops, 2)),
        *("steel-bracket-000050", "Steel bracket", "nothing-of-this-name", 999_999_999_999),
    )
    people = (member, "ada.lovelace@example.com", "%2B441234567890", "Ada", "Company 1", "nobody@example.com")
    return (
        *(f"/api/v1/products?q={q}" for q in lookups),
        *(f"/api/v1/customers?q={q}" for q in people),
        *(f"/api/v1/explain?q={q}" for q in (product, member, "BN-NONE")),
        *("/api/v1/feeds", "/api/v1/feeds/products", "/api/v1/feeds/customers", "/api/v1/runs?feed=products"),
        *("/api/v1/runs", f"/api/v1/runs/{going}", "/api/v1/gaps", "/api/v1/activity?feed=products&days=30"),
        *("/api/v1/issues?feed=products", "/api/v1/issues?feed=products&q=bracket&severity=warning"),
        *("/api/v1/issues/groups?feed=products", f"/api/v1/products/{product}/history", "/api/v1/settings"),
        *("/", "/products", "/customers", "/products/issues", "/products/issues?q=bracket", "/products/activity"),
        *("/products/runs", f"/products/lookup?q={mail.sku(ground.amount.shops, 1)}", f"/products/{product}"),
        *(f"/explain?q={product}", "/settings", "/products/issues.csv", f"/products/runs/{going}"),
        *("/ops", "/ops/deliveries", "/ops/deliveries?outcome=dead", f"/ops/deliveries?shop={SHOP}"),
        *("/ops/deliveries?topic=products/update&since=1h", f"/ops/deliveries?shop={SHOP}&resource={product}"),
        *("/ops/deliveries?outcome=waiting", f"/ops/deliveries?id={last}", "/ops/deliveries?fingerprint=f1"),
        *(f"/ops/deliveries/newer?seen={last - 10}", f"/ops/deliveries/{last}", f"/ops/deliveries/{dead}"),
        *("/ops/issues", "/ops/issues/f1", f"/ops/issues?shop={SHOP}", "/ops/replays"),
        *("/ops/runs", f"/ops/runs?shop={SHOP}", "/ops/runs?state=held", f"/ops/runs/{going}", "/ops/gaps"),
        *(f"/ops/gaps?shop={SHOP}", "/ops/shops", "/ops/shops?q=crowd", "/ops/subscriptions", "/ops/workers"),
        *("/ops/audit", "/ops/rejected", "/ops/replays/new?fingerprint=f2"),
    )


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def encode(body):
    return orjson.dumps(body)
