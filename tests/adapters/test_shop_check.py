"""What Shopify is asked when somebody wonders where a record is: one query, exact, nothing that names a person."""

import pytest

from adapters import shop_check
from adapters.admin import AdminClient
from adapters.breaker import Breaker
from adapters.budget import Budget
from domain.failures import AccessDenied, ShopUnreachable, Throttled
from domain.query import read_customer_query, read_product_query

SHOP = "northwind-trade.myshopify.com"
TOKEN = "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"


class Recorded(Budget):
    """Remembers what was reserved."""

    def reserve(self, shop, cost):
        self.costs = [*getattr(self, "costs", []), cost]
        return super().reserve(shop, cost)


@pytest.fixture
def budget(redis):
    return Recorded(redis)


@pytest.fixture
def client(devstore, redis, budget):
    devstore.open_shop(SHOP, token=TOKEN, products=3, customers=3, b2b=0)
    devstore.settings(SHOP, index_lag=0)
    client = AdminClient(devstore.url + "/{shop}", "2026-10", budget, Breaker(redis))
    yield client
    client.close()


@pytest.fixture
def products(client, devstore):
    """products(typed) → what Shopify has by these words."""
    return lambda typed, also=(): shop_check.products(client, SHOP, TOKEN, read_product_query(typed), also)


@pytest.fixture
def customers(client, devstore):
    return lambda typed, also=(): shop_check.customers(client, SHOP, TOKEN, read_customer_query(typed), also)


@pytest.fixture
def mug(client, devstore):
    """A product whose every name is known; (product id, variant id)."""
    variants = [{"sku": "O'Neil \\ 1", "barcode": "4006381333931"}, {"sku": "PLAIN-2"}]
    devstore.change(SHOP, "create_product", title="Tin mug", handle="tin-mug", variants=variants)
    (made,) = [product for product in devstore.truth(SHOP)["products"] if product["title"] == "Tin mug"]
    return made["id"], made["variants"][0]["id"]


@pytest.fixture
def jane(client, devstore):
    devstore.change(
        SHOP,
        "create_customer",
        first_name="Jane",
        last_name="Doe",
        email="jane@example.com",
        phone="+15145550199",
        tags=["b2b-vip", "news"],
        metafields=[{"key": "group", "value": "gold"}, {"namespace": "reviews", "key": "stars", "value": "5"}],
    )
    return next(c["id"] for c in devstore.truth(SHOP)["customers"] if "b2b-vip" in c["tags"])


@pytest.mark.parametrize(
    "typed", ["O'Neil \\ 1", "4006381333931", "tin-mug", "Tin mug", "https://shop.example/products/tin-mug"]
)
def test_a_product_is_found_by_its_words(products, mug, typed):
    assert [(seen.id, seen.title) for seen in products(typed)] == [(mug[0], "Tin mug")]


@pytest.mark.parametrize("kind", ["Product", "ProductVariant"])
def test_a_product_is_found_by_the_ids_of_itself_and_its_variants(products, mug, kind):
    wanted = mug[0] if kind == "Product" else mug[1]

    assert [seen.id for seen in products(f"gid://shopify/{kind}/{wanted}")] == [mug[0]]
    assert [seen.id for seen in products(str(wanted))] == [mug[0]]


def test_a_sku_written_differently_is_found_and_told_as_it_is_written(products, mug):
    (seen,) = products("plain-2")

    assert (seen.id, seen.sku) == (mug[0], "PLAIN-2")


def test_what_the_search_only_resembles_is_left_out(products, mug):
    assert products("PLAIN-2,XYZ") == []
    assert products("PLAIN*") == []


def test_a_product_nobody_typed_is_found_by_the_id_that_goes_along(products, mug):
    assert [seen.id for seen in products("NO-SUCH-SKU", [mug[0]])] == [mug[0]]
    assert products("NO-SUCH-SKU", [987654321]) == []


@pytest.mark.parametrize("typed", ["jane@example.com", "JANE@example.com", "+15145550199", "Doe Jane", "jane"])
def test_a_customer_is_found_by_their_words_and_told_without_them(customers, jane, typed):
    (seen,) = customers(typed)

    assert (seen.id, seen.tags, seen.keys) == (jane, ("b2b-vip", "news"), ("group",))
    assert seen.namespaces == ("reviews", "sparklayer")
    assert "example" not in repr(seen)
    assert "Jane" not in repr(seen)


def test_a_customer_is_found_by_id(customers, jane):
    assert [seen.id for seen in customers(str(jane))] == [jane]
    assert [seen.id for seen in customers(f"gid://shopify/Customer/{jane}")] == [jane]


@pytest.mark.parametrize("typed", ["jane@example.org", "+15145550100", "Doe Peter", "987654321"])
def test_nobody_is_nobody(customers, jane, typed):
    assert customers(typed) == []


def test_no_question_costs_more_than_was_reserved_or_than_one_query_may(products, customers, budget, charged):
    for ask, typed in ((products, "123"), (products, "Tin mug"), (customers, "123"), (customers, "Jane Doe")):
        before = charged()
        ask(typed, range(1, 11))

        assert charged() - before <= budget.costs[-1] <= 1_000


@pytest.fixture
def charged(devstore):
    """charged() → the points that the pretend Shopify has been asked for until now."""
    return lambda: devstore.requests()[SHOP]["requested_points"]


@pytest.mark.parametrize("kind", ["502", "garbage", "half_body"])
def test_trouble_is_told_by_its_own_name(products, devstore, kind):
    devstore.fault(kind, shop=SHOP, place="graphql", times=1)

    with pytest.raises(ShopUnreachable):
        products("ABC-1")


def test_an_empty_bucket_is_not_waited_for(products, devstore):
    devstore.fault("throttled", shop=SHOP, times=5)

    with pytest.raises(Throttled):
        products("ABC-1", range(1, 200))


def test_an_answer_that_makes_no_sense_is_unreachable(shopify, admin, shop, token):
    shopify.respond = lambda _body: {"data": {"nodes": [{"id": 5, "title": "x"}]}}

    with pytest.raises(ShopUnreachable):
        shop_check.products(admin(), shop, token, read_product_query("5"))


def test_a_scope_that_is_missing_is_said(shopify, admin, shop, token):
    denied = {"message": "Access denied", "extensions": {"code": "ACCESS_DENIED"}}
    shopify.respond = lambda _body: {"data": None, "errors": [denied]}

    with pytest.raises(AccessDenied):
        shop_check.customers(admin(), shop, token, read_customer_query("5"))
