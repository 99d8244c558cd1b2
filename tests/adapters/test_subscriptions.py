"""A shop's own subscriptions over HTTP: listed page by page, and mended so that nothing differs any more."""

from datetime import UTC, datetime

import pytest
from graphql import parse, validate

from adapters import documents, subscriptions
from adapters.admin import AdminClient
from adapters.breaker import Breaker
from adapters.budget import Budget
from domain.failures import ShopUnreachable
from domain.subscriptions import TOPICS, Ours, Subscription, Wish, compare, desired

SHOP = "northwind-trade.myshopify.com"
TOKEN = "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"
ADDRESS = "https://sync.example.com/webhooks"
OURS = Ours(ADDRESS, "2026-10", "shop")


@pytest.fixture
def client(devstore, redis):
    devstore.open_shop(SHOP, token=TOKEN)
    made = AdminClient(devstore.url + "/{shop}", "2026-10", Budget(redis), Breaker(redis))
    yield made
    made.close()


@pytest.fixture
def create(client):
    """create(topic, address, **fields of the input): straight at Shopify's end, as somebody else might have."""

    def make(topic, address=ADDRESS, **fields):
        variables = {"topic": topic, "wish": {"uri": address} | fields}
        answer = client.query(SHOP, TOKEN, documents.SUBSCRIBE, variables, 10)["answer"]
        assert answer["userErrors"] == []

    return make


@pytest.fixture
def mend(client):
    """mend() → the plan that was carried out, and what Shopify refused of it."""

    def do(ours=OURS):
        plan = compare(desired(ours), subscriptions.listed(client, SHOP, TOKEN), ours, datetime.now(UTC))
        return plan, subscriptions.mend(client, SHOP, TOKEN, plan)

    return do


def test_an_empty_shop_is_subscribed_to_everything_and_then_left_alone(client, mend, devstore):
    mend()

    assert sorted(one.topic for one in subscriptions.listed(client, SHOP, TOKEN)) == sorted(TOPICS)
    assert not mend()[0].changes_something
    assert devstore.requests()[SHOP]["operations"]["Subscribe"] == len(TOPICS)


def test_a_subscription_is_read_as_it_is(client, create):
    create(
        "PRODUCTS_UPDATE",
        filter="vendor:Northwind",
        includeFields=["id", "updated_at"],
        metafieldNamespaces=["sparklayer"],
        metafields=[{"namespace": "custom", "key": "colour"}],
    )

    (one,) = subscriptions.listed(client, SHOP, TOKEN)

    expected = Subscription(
        one.id,
        "products/update",
        ADDRESS,
        "2026-10",
        ("id", "updated_at"),
        "vendor:Northwind",
        ("sparklayer",),
        ("custom.colour",),
    )
    assert one == expected


def test_what_differs_is_mended_whole(client, create, mend):
    create("PRODUCTS_UPDATE", filter="tags:b2b", includeFields=["id"], format="XML")
    create("PRODUCTS_UPDATE", filter="tags:b2b", address="https://old.example.com/webhooks")
    create("ORDERS_CREATE")

    _, refused = mend()

    after = {one.topic: one for one in subscriptions.listed(client, SHOP, TOKEN)}
    assert refused == []
    assert sorted(after) == sorted(TOPICS)
    assert after["products/update"].address == ADDRESS
    assert not mend()[0].changes_something


def test_one_of_an_old_version_is_replaced_by_one_of_ours(client, create, mend, devstore, redis):
    old = AdminClient(devstore.url + "/{shop}", "2026-01", Budget(redis), Breaker(redis))
    wish = {"topic": "PRODUCTS_UPDATE", "wish": {"uri": ADDRESS, "metafieldNamespaces": ["sparklayer"]}}
    old.query(SHOP, TOKEN, documents.SUBSCRIBE, wish, 10)
    old.close()

    mend()

    assert {one.version for one in subscriptions.listed(client, SHOP, TOKEN)} == {"2026-10"}


def test_what_shopify_refuses_is_told_and_the_rest_is_done(client, mend):
    blank = Wish("products/create", "")
    good = Wish("products/update", ADDRESS)

    refused = subscriptions.mend(client, SHOP, TOKEN, compare([blank, good], [], OURS, datetime.now(UTC)))

    assert [refusal.topic for refusal in refused] == ["products/create"]
    assert refused[0].sentence
    assert [one.topic for one in subscriptions.listed(client, SHOP, TOKEN)] == ["products/update"]


def test_a_list_longer_than_a_page_is_read_to_its_end(client, create):
    for n in range(60):
        create("PRODUCTS_UPDATE", f"https://sync.example.com/{n}")

    assert len({one.address for one in subscriptions.listed(client, SHOP, TOKEN)}) == 60


def test_a_page_is_paid_for_as_announced(client, mend, devstore):
    mend()
    before = devstore.requests()[SHOP]["requested_points"]

    subscriptions.listed(client, SHOP, TOKEN)

    assert devstore.requests()[SHOP]["requested_points"] - before <= subscriptions.PAGE * subscriptions.POINTS + 2


def test_an_answer_that_is_no_list_is_never_read_as_an_empty_one(client, monkeypatch):
    monkeypatch.setattr(documents, "SUBSCRIPTIONS", documents.PRODUCTS_COUNT)

    with pytest.raises(ShopUnreachable):
        subscriptions.listed(client, SHOP, TOKEN)


@pytest.mark.parametrize("name", ["SUBSCRIPTIONS", "SUBSCRIBE", "CHANGE_SUBSCRIPTION", "UNSUBSCRIBE"])
def test_shopify_knows_the_documents(admin_schema, name):
    assert validate(admin_schema, parse(getattr(documents, name))) == []
