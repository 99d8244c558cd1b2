import re

import pytest

from adapters import fetch
from domain.failures import QueryTooExpensive, ShopUnreachable, Throttled


class Shopify:
    """Answers `nodes` and pages from `things`, counts points like Shopify, and throttles by its bucket.

    A thing is a node whose connections are plain lists; they are cut as the query asks.
    """

    def __init__(self, things, maximum=2_000, cap=1_000):
        self.things = things
        self.maximum, self.available = maximum, maximum
        self.cap = cap
        self.rate = 1_000_000
        self.queries = []

    def __call__(self, body):
        variables = body["variables"]
        self.queries.append(variables)
        requested = self.cost(variables)
        if requested > self.cap:
            return self.refuse("MAX_COST_EXCEEDED", requested)
        if requested > self.available:
            return self.refuse("THROTTLED", requested)
        return {"data": self.read(body["query"], variables), "extensions": self.extensions(requested)}

    def cost(self, variables):
        rows = sum(size for name, size in variables.items() if name not in ("ids", "id", "after"))
        return len(variables.get("ids", [1])) * (1 + rows)

    def refuse(self, code, requested):
        return {"errors": [{"message": "", "extensions": {"code": code}}], "extensions": self.extensions(requested)}

    def extensions(self, requested):
        status = {"maximumAvailable": self.maximum, "currentlyAvailable": self.available, "restoreRate": self.rate}
        return {"cost": {"requestedQueryCost": requested, "throttleStatus": status}}

    def read(self, query, variables):
        if "ids" in variables:
            return {"nodes": [self.node(gid, variables) for gid in variables["ids"]]}
        connection = re.search(r"page: (\w+)\(", query)[1]
        rows = self.things[variables["id"]][connection] if variables["id"] in self.things else None
        start = int(variables["after"])
        page = None if rows is None else {"page": self.page(rows, start, variables["first"])}
        return {"owner": page}

    def node(self, gid, sizes):
        thing = self.things.get(gid)
        if thing is None:
            return None
        sizes = {"addressesV2": sizes.get("addresses"), **sizes}
        return {
            name: self.page(value, 0, sizes[name]) if isinstance(value, list) and sizes.get(name) else value
            for name, value in thing.items()
        }

    def page(self, rows, start, first):
        end = start + first
        more = end < len(rows)
        return {"nodes": rows[start:end], "pageInfo": {"hasNextPage": more, "endCursor": str(end) if more else None}}


def gid(kind, number):
    return f"gid://shopify/{kind}/{number}"


def customer(number, addresses=1, metafields=1):
    return gid("Customer", number), {
        "id": gid("Customer", number),
        "tags": ["b2b"],
        "addressesV2": [{"id": f"{number}-{index}"} for index in range(addresses)],
        "metafields": [{"key": f"key{index}"} for index in range(metafields)],
    }


def product(number, variants=1):
    rows = [{"id": gid("ProductVariant", index)} for index in range(variants)]
    return gid("Product", number), {"id": gid("Product", number), "variants": rows}


@pytest.fixture
def asks(shopify, admin, shop, token):
    """asks(fetcher, ids, …) → what it found, over one client."""
    client = admin()

    def ask(fetcher, ids, *more):
        return fetcher(client, shop, token, ids, *more)

    return ask


def test_what_is_gone_is_none_and_the_rest_is_by_id(shopify, asks):
    shopify.respond = Shopify(dict([customer(1), customer(3)]))

    found = asks(fetch.customers, [1, 2, 3])

    assert found[2] is None
    assert [found[number]["tags"] for number in (1, 3)] == [["b2b"], ["b2b"]]


def test_no_ids_ask_nothing_and_an_id_twice_is_asked_once(shopify, asks):
    shopify.respond = Shopify(dict([customer(1)]))

    assert asks(fetch.customers, []) == {}
    assert list(asks(fetch.customers, [1, 1])) == [1]
    assert [query["ids"] for query in shopify.respond.queries] == [[gid("Customer", 1)]]


def test_250_customers_are_probed_in_one_query(shopify, asks):
    shopify.respond = Shopify(dict(customer(number) for number in range(250)))

    found = asks(fetch.memberships, range(250))

    assert len(found) == 250
    assert len(shopify.respond.queries) == 1


def test_the_probe_lists_one_key_more_than_those_that_do_not_count(shopify, asks):
    shopify.respond = Shopify(dict([customer(1, metafields=9)]))

    found = asks(fetch.memberships, [1], 2)

    assert [row["key"] for row in found[1]["metafields"]["nodes"]] == ["key0", "key1", "key2"]


def test_a_product_of_2048_variants_comes_whole_and_in_order(shopify, asks):
    shopify.respond = Shopify(dict([product(1, variants=2_048), product(2)]))

    found = asks(fetch.products, [1, 2])

    assert [row["id"] for row in found[1]["variants"]["nodes"]] == [
        gid("ProductVariant", index) for index in range(2_048)
    ]
    assert len(found[2]["variants"]["nodes"]) == 1


def test_a_customer_of_many_addresses_and_metafields_comes_whole(shopify, asks):
    shopify.respond = Shopify(dict([customer(1, addresses=300, metafields=45)]))

    found = asks(fetch.customers, [1])

    assert len(found[1]["addressesV2"]["nodes"]) == 300
    assert [row["key"] for row in found[1]["metafields"]["nodes"]] == [f"key{index}" for index in range(45)]


def test_metafields_of_variants_and_products_come_by_their_own_ids(shopify, asks):
    variant, on_product = gid("ProductVariant", 1), gid("Product", 1)
    things = {
        variant: {"id": variant, "product": {"id": on_product}, "metafields": [{"key": "pack_size"}]},
        on_product: {"id": on_product, "metafields": []},
    }
    shopify.respond = Shopify(things)

    assert asks(fetch.variant_metafields, [1])[1]["metafields"]["nodes"] == [{"key": "pack_size"}]
    assert asks(fetch.product_metafields, [1])[1]["metafields"]["nodes"] == []


def test_forty_variants_are_asked_at_once(shopify, asks):
    things = {gid("ProductVariant", number): {"id": gid("ProductVariant", number)} for number in range(80)}
    shopify.respond = Shopify(things)

    asks(fetch.variant_metafields, range(80))

    assert [len(query["ids"]) for query in shopify.respond.queries] == [43, 37]


@pytest.mark.parametrize("maximum", [8, 30, 100])
def test_a_tiny_bucket_is_served_with_smaller_queries(shopify, asks, maximum):
    shopify.respond = Shopify(dict(customer(number, addresses=12) for number in range(6)), maximum=maximum)

    found = asks(fetch.customers, range(6))

    assert [len(found[number]["addressesV2"]["nodes"]) for number in range(6)] == [12] * 6


def test_a_query_refused_as_too_expensive_is_asked_in_parts(shopify, asks):
    shopify.respond = Shopify(dict(customer(number) for number in range(60)), cap=200)

    assert len(asks(fetch.customers, range(60))) == 60


def test_one_id_that_is_too_expensive_even_alone_says_so(shopify, asks):
    shopify.respond = Shopify(dict([customer(1)]), cap=1)

    with pytest.raises(QueryTooExpensive):
        asks(fetch.customers, [1])


def test_throttled_halfway_keeps_what_was_found(shopify, asks):
    pretend = Shopify(dict(customer(number) for number in range(100)), maximum=1_000)
    pretend.rate = 1

    def run_dry(body):
        answer = pretend(body)
        pretend.available = 0
        answer["extensions"] = pretend.extensions(900)
        return answer

    shopify.respond = run_dry

    with pytest.raises(Throttled) as raised:
        asks(fetch.customers, range(100))

    assert list(raised.value.found) == list(range(32))
    assert raised.value.retry_after > 900


def test_a_product_that_goes_away_between_two_pages_is_gone(shopify, asks):
    pretend = Shopify(dict([product(1, variants=2_048)]))

    def vanish(body):
        answer = pretend(body)
        pretend.things.clear()
        return answer

    shopify.respond = vanish

    assert asks(fetch.products, [1]) == {1: None}


def test_a_connection_kept_from_the_app_stays_unknown(shopify, asks):
    name, node = customer(1)
    shopify.respond = Shopify({name: {**node, "addressesV2": None}})

    assert asks(fetch.customers, [1])[1]["addressesV2"] is None


@pytest.mark.parametrize(
    "nodes",
    [
        None,
        [],
        [None],
        [None, None, None],
        [{"id": gid("Customer", 2)}, {"id": gid("Customer", 1)}],
        ["text", None],
        [{"id": gid("Customer", 1), "addressesV2": {}}, None],
        [{"id": gid("Customer", 1), "addressesV2": {"nodes": [], "pageInfo": {"hasNextPage": True}}}, None],
    ],
)
def test_an_answer_that_does_not_fit_is_never_read_as_gone(shopify, asks, nodes):
    shopify.respond = lambda body: {"data": {"nodes": nodes}}

    with pytest.raises(ShopUnreachable, match="does not fit"):
        asks(fetch.customers, [1, 2])


def test_a_page_that_never_ends_is_not_read_for_ever(shopify, asks):
    page = {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "same"}}
    node = {"id": gid("Product", 1), "variants": page}
    shopify.respond = lambda body: {"data": {"nodes": [node], "owner": {"page": page}}}

    with pytest.raises(ShopUnreachable, match="does not fit"):
        asks(fetch.products, [1])


@pytest.mark.parametrize(
    ("count", "said"),
    [
        ({"count": 120, "precision": "EXACT"}, 120),
        ({"count": 0, "precision": "EXACT"}, 0),
        ({"count": 10_000, "precision": "AT_LEAST"}, None),
        ({"count": 25_001, "precision": "EXACT"}, None),
        (None, None),
    ],
)
def test_a_count_that_stopped_counting_is_no_count(shopify, admin, shop, token, count, said):
    shopify.will(body={"data": {"productsCount": count}})

    assert fetch.products_count(admin(), shop, token) == said


def test_a_shop_says_who_it_is_and_what_we_may(shopify, admin, shop, token):
    told = {
        "shop": {"name": "Northwind", "myshopifyDomain": shop, "ianaTimezone": "Europe/London"},
        "currentAppInstallation": {"accessScopes": [{"handle": "read_products"}, {"handle": "read_customers"}]},
        "publicApiVersions": [
            {"handle": "2026-10", "supported": True},
            {"handle": "unstable", "supported": False},
        ],
    }
    shopify.will(body={"data": told})

    facts = fetch.shop_facts(admin(), shop, token)

    assert facts == fetch.ShopFacts(
        "Northwind", shop, "Europe/London", frozenset({"read_products", "read_customers"}), frozenset({"2026-10"})
    )


def test_a_shop_that_says_nothing_is_asked_again(shopify, admin, shop, token):
    shopify.will(body={"data": {"shop": None}})

    with pytest.raises(ShopUnreachable):
        fetch.shop_facts(admin(), shop, token)
