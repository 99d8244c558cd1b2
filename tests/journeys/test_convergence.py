"""However the post behaves, as long as it loses nothing the mirror ends as the store is."""

import pytest

SHOP = "northwind-trade.myshopify.com"
ROUGH = {"doubles": 0.25, "delay": 0.25, "delay_seconds": (0.2, 1.0), "reorder_seconds": 0.5}


@pytest.fixture
def running(web, start, journey, devstore):
    """A shop at work, the web process, and a worker a lane."""
    journey.install(SHOP)
    # who belongs by a metafield alone would otherwise be edited without a word
    devstore.settings(SHOP, index_lag=0, customer_metafields_fire_update=True)
    for lane in ("live", "bulk"):
        start("workers", lane)
    return journey


def test_a_rough_post_ends_in_the_true_mirror(running, devstore, until):
    devstore.mood(**ROUGH)
    for _ in range(25):
        devstore.change(SHOP, "create_product")
        devstore.change(SHOP, "create_customer")

    for _ in range(10):
        devstore.random(SHOP, 30)
    assert devstore.settle(60)["settled"]

    def all_served():
        running.sweep()
        return not running.waiting("live") and not running.waiting("bulk")

    until(all_served, 60)
    truth = devstore.truth(SHOP)
    assert mirrored_products(running) == {p["id"]: true_product(p) for p in truth["products"]}
    assert mirrored_customers(running) == {c["id"]: true_customer(c) for c in truth["customers"] if belongs(c)}
    assert removed(running, "products") == set(truth["deleted"]["products"])
    assert removed(running, "customers") >= set(truth["deleted"]["customers"]) & known(running, "customers")
    assert "dead" not in running.outcomes()


def test_metafields_that_were_there_before_the_webhook_arrive_by_themselves(running, devstore, until):
    metafields = [{"key": "pack_size", "value": "6", "type": "number_integer"}]
    for number in range(1, 41):
        variants = [{"id": number * 10, "sku": f"S-{number}", "metafields": metafields}]
        devstore.change(SHOP, "create_product", id=number, variants=variants)
    devstore.settle(30)

    def known():
        running.sweep()
        return running.value("SELECT count(*) FROM products WHERE metafields IS NOT NULL") == 40

    assert until(known)
    [one] = running.rows("SELECT DISTINCT metafields -> 'variants' -> (id * 10)::text AS found FROM products")
    assert one["found"] == [["pack_size", "6", "number_integer"]]


def true_product(product):
    variants = [(v["id"], v["sku"], v["price"], v["title"], v["inventory_quantity"]) for v in product["variants"]]
    return product["title"], product["handle"], product["status"], sorted(product["tags"]), variants


def mirrored_products(journey):
    from adapters import mirror_products

    ids = [row["id"] for row in journey.rows("SELECT id FROM products WHERE removed_at IS NULL")]
    with journey.db.connect() as db:
        found = mirror_products.load(db, SHOP, ids)
    return {i: as_true(product.core) for i, product in found.items()}


def as_true(core):
    variants = [(v.id, v.sku, v.price, v.title, v.inventory_quantity) for v in core.variants]
    return core.title, core.handle, core.status, sorted(core.tags), variants


def belongs(customer):
    tagged = any(tag.strip().casefold() == "b2b" for tag in customer["tags"])
    return tagged or any(metafield["namespace"] == "sparklayer" for metafield in customer["metafields"])


def true_customer(customer):
    metafields = {m["key"]: m["value"] for m in customer["metafields"] if m["namespace"] == "sparklayer"}
    person = tuple(customer[name] for name in ("first_name", "last_name", "email", "phone", "state"))
    return person, sorted(customer["tags"]), metafields


def mirrored_customers(journey):
    from adapters import mirror_customers

    ids = [row["id"] for row in journey.rows("SELECT id FROM customers WHERE state = 'member'")]
    with journey.db.connect() as db:
        found = mirror_customers.load(db, journey.workshop.vault, SHOP, ids)
    return {i: as_true_customer(stored.customer) for i, stored in found.items()}


def as_true_customer(customer):
    metafields = {field.key: field.value for field in customer.metafields}
    person = (customer.first_name, customer.last_name, customer.email, customer.phone, customer.state)
    return person, sorted(customer.tags), metafields


def removed(journey, table):
    column = "removed_at IS NOT NULL" if table == "products" else "state = 'removed'"
    return {row["id"] for row in journey.rows(f"SELECT id FROM {table} WHERE {column}")}


def known(journey, table):
    return {row["id"] for row in journey.rows(f"SELECT id FROM {table}")}
