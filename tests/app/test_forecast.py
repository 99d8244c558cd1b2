"""What a replay would do, foretold by the rules that will decide, without writing."""

from datetime import UTC, datetime

import orjson
import pytest
from sqlalchemy import text

from adapters import inbox
from adapters.inbox import Arrival, Filter
from app.forecast import Fate, forecast
from schemas import bodies

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
FATES = [fate.value for fate in Fate]
EARLIER, LATER = "2026-11-23T09:00:00Z", "2026-11-23T09:59:59Z"


@pytest.fixture
def foretold(app, database):
    """foretold(**filter) → the forecast of all dead deliveries that match."""

    def ask(most=10_000, refreshed=False, **chosen):
        vault = app.extensions["office"].vault
        with database.connect() as db:
            return forecast(db, vault, Filter(**{"outcome": "dead", **chosen}), most, refreshed=refreshed)

    return ask


@pytest.fixture
def bury(database):
    """bury(): whatever waits is dead."""

    def all_of_it():
        with database.begin() as db:
            db.execute(
                text("UPDATE deliveries SET state='closed', outcome='dead', closed_at=now() WHERE state='waiting'")
            )

    return all_of_it


def counts(found):
    return {fate: getattr(found, fate) for fate in FATES if getattr(found, fate)}


def test_a_product_that_the_mirror_lacks_would_be_applied(foretold, bury, door, install, product):
    install()
    door.post(product(77))
    bury()

    found = foretold()

    assert counts(found) == {"would_apply": 1}
    assert found.topics == {"products/update": {"would_apply": 1}}
    assert found.samples["would_apply"][0].resource_id == 77


def test_it_says_what_the_turn_will_say(foretold, bury, door, install, take_turns, product):
    install()
    for number, updated_at in ((1, LATER), (2, LATER), (3, EARLIER)):
        door.post(product(number, updated_at=updated_at))
    take_turns()
    door.post(product(1, updated_at=EARLIER, title="Older"))
    door.post(product(2, updated_at=LATER))
    door.post(product(3, updated_at=LATER, title="Newer"))
    door.post({"id": 1}, "products/delete", triggered_at="2026-11-23T11:00:00Z")
    bury()

    found = foretold(source="webhook")

    assert counts(found) == {"superseded": 1, "unchanged": 1, "would_apply": 2}


def test_of_several_of_one_product_the_newest_counts(foretold, bury, door, install, product):
    install()
    for second in range(1, 6):
        door.post(product(77, updated_at=f"2026-11-23T09:00:0{second}Z"))
    bury()

    found = foretold()

    assert counts(found) == {"superseded": 4, "would_apply": 1}
    assert found.samples["would_apply"][0].id == 5


def test_a_body_that_todays_rules_cannot_read_would_still_fail_with_the_sentence(foretold, door, install):
    install()
    door.post(b"{", webhook_id="no JSON")
    door.post({"id": "none"}, webhook_id="no id")

    found = foretold()

    assert counts(found) == {"still_fails": 2}
    assert {sample.sentence for sample in found.samples["still_fails"]} == {
        "The body is not JSON.",
        "the product id is no number",
    }


def test_a_bug_that_is_not_fixed_yet_is_told_by_its_place(foretold, bury, door, install, product, monkeypatch):
    install()
    door.post(product(77, title="Secret plan"))
    bury()

    def bug(*_):
        raise TypeError("Secret plan")

    monkeypatch.setattr(bodies.webhooks, "read_product", bug)
    found = foretold()

    assert counts(found) == {"still_fails": 1}
    (sample,) = found.samples["still_fails"]
    assert sample.sentence.startswith("could not be applied: TypeError at ")
    assert "Secret" not in sample.sentence


def test_an_id_that_can_be_read_today_counts(foretold, door, install, product, database):
    install()
    door.post(product(77))
    with database.begin() as db:
        db.execute(text("UPDATE deliveries SET resource_id=NULL, state='closed', outcome='dead', closed_at=now()"))

    assert counts(foretold()) == {"would_apply": 1}


def test_customers_and_what_is_to_be_refreshed_are_for_shopify_to_decide(foretold, bury, door, install, product):
    install()
    door.post({"id": 5}, "customers/update")
    door.post(product(77))
    bury()

    assert counts(foretold()) == {"would_apply": 1, "would_ask": 1}
    assert counts(foretold(refreshed=True)) == {"would_ask": 2}


def test_a_product_with_more_variants_than_a_body_holds_is_asked_about(foretold, bury, door, install, product):
    install()
    body = product(77)
    body["variant_gids"].append({"admin_graphql_api_id": "gid://shopify/ProductVariant/999"})
    door.post(body)
    bury()

    assert counts(foretold()) == {"would_ask": 1}


def test_what_nobody_kept_or_nobody_wants_cannot_be_replayed(foretold, bury, door, install, product):
    install()
    door.post({"id": "none"}, "customers/update")
    door.post(product(77), shop_domain=OTHER)
    bury()

    found = foretold()

    assert counts(found) == {"cannot": 2}
    assert any("never kept" in sample.sentence for sample in found.samples["cannot"])
    assert any("has not installed the app" in sample.sentence for sample in found.samples["cannot"])


def test_a_redacted_customer_is_not_brought_back(foretold, bury, door, install, database):
    install()
    door.post({"id": 5}, "customers/update")
    bury()
    with database.begin() as db:
        db.execute(
            text("""INSERT INTO customers (shop, id, state, since, at, seen, redacted)
                    VALUES (:shop, 5, 'removed', now(), now(), now(), true)"""),
            {"shop": SHOP},
        )

    assert counts(foretold()) == {"cannot": 1}


def test_a_forecast_writes_nothing(foretold, bury, door, install, product, everything_stored):
    install()
    door.post(product(77))
    bury()
    before = everything_stored()

    foretold()

    assert everything_stored() == before


def test_no_more_than_asked_for_are_looked_at_and_it_says_so(foretold, bury, door, install, product):
    install()
    for number in range(1, 8):
        door.post(product(number))
    bury()

    found = foretold(most=3)

    assert (found.matching, found.considered, found.would_apply) == (7, 3, 3)
    assert "Only the newest 3 were looked at." in found.sentence
    assert {sample.resource_id for sample in found.samples["would_apply"]} == {5, 6, 7}


def test_samples_are_a_handful(foretold, bury, door, install, product):
    install()
    for number in range(1, 10):
        door.post(product(number))
    bury()

    assert len(foretold().samples["would_apply"]) == 5


def test_ten_thousand_are_foretold_in_seconds(app, database, install, product, foretold):
    install()
    now = datetime.now(UTC)
    bodies_of = [orjson.dumps(product(n, variants=[{"sku": f"{n}-{v}"} for v in range(5)])) for n in range(1, 10_001)]
    arrivals = [
        Arrival(SHOP, str(n), "products/update", "products", n, now, now, body=body, dead_because="a bug")
        for n, body in enumerate(bodies_of, start=1)
    ]
    with database.begin() as db:
        for first in range(0, len(arrivals), 1_000):
            inbox.store(db, arrivals[first : first + 1_000])

    began = datetime.now(UTC)
    found = foretold()
    seconds = (datetime.now(UTC) - began).total_seconds()

    assert found.would_apply == 10_000
    assert seconds < 30  # it takes two or three; the machine may be busy
