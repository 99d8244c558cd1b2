"""What is generated is what the product would have written."""

import json

import psycopg
import pytest
from sqlalchemy import text

from bench import crowd, mail
from bench.crowd import Amount

# When, and by what it was told: a crowd has no history.
MAY_DIFFER = {"core_seen", "core_at", "core_hash", "core_source", "applied_at", "metafields", "metafields_seen"}


@pytest.fixture
def filled(workshop, database_url):
    """A crowd of two shops; product 12, which is of the first, has been told by a webhook as well."""
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as db:
        crowd.fill(db, workshop.vault, Amount(shops=2, products=40, members=6, bystanders=4, deliveries=50, runs=3))
    return workshop


def product(workshop, table, order):
    with workshop.db.connect() as db:
        rows = db.execute(text(f"SELECT * FROM {table} WHERE shop = :shop ORDER BY {order}"), {"shop": crowd.shop(0)})
        column = "id" if table == "products" else "product_id"
        return [dict(row) for row in rows.mappings() if row[column] == mail.product_id(12)]


def test_a_product_and_its_variants_are_those_that_its_webhook_would_have_made(filled):
    from adapters import inbox
    from adapters.inbox import Arrival
    from workers.turns import take_turn

    generated = product(filled, "products", "id"), product(filled, "variants", "id")
    with filled.db.begin() as db:
        db.execute(text("TRUNCATE products, variants"))
        now = db.execute(text("SELECT now()")).scalar_one()
        about = {"feed": "products", "resource_id": mail.product_id(12), "changed_at": mail.CHANGED_AT}
        body = json.dumps(mail.product(12) | {"variants": in_stock(12, 0)}).encode()
        inbox.store(
            db, [Arrival(crowd.shop(0), "w", "products/update", triggered_at=now, received_at=now, body=body, **about)]
        )
    take_turn(filled, "live", crowd.shop(0))
    (written,), variants = product(filled, "products", "id"), product(filled, "variants", "id")

    ((made,), made_variants) = generated
    assert made_variants == variants
    assert {name: made[name] for name in made.keys() - MAY_DIFFER - {"core"}} == {
        name: written[name] for name in written.keys() - MAY_DIFFER - {"core"}
    }
    assert without_prices(made["core"]) == without_prices(written["core"])


def in_stock(number, pieces):
    return [variant | {"inventory_quantity": pieces} for variant in mail.product(number)["variants"]]


def without_prices(core):
    """Prices and kinds go by the number in `bench.mail`; in a crowd everybody sells product 0's."""
    variants = [{name: value for name, value in v.items() if name != "price"} for v in core["variants"]]
    return {name: value for name, value in core.items() if name not in ("title", "handle")} | {"variants": variants}


def test_members_can_be_opened(filled):
    from adapters import mirror_customers

    with filled.db.connect() as db:
        found = mirror_customers.load(db, filled.vault, crowd.shop(0), [crowd.CUSTOMER_ID])
        assert mirror_customers.count(db, crowd.shop(0)) == 3

    assert found[crowd.CUSTOMER_ID].customer.tags == ("b2b", "trade")


def test_all_indexes_are_there_again(filled, create_database):
    from adapters.database import connect, migrate

    url = create_database("crowd_beside")
    migrate(url)
    listed = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    engine = connect(url)
    with engine.connect() as fresh, filled.db.connect() as db:
        assert db.execute(text(listed)).all() == fresh.execute(text(listed)).all()
    engine.dispose()
