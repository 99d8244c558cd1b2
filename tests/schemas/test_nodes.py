import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.customer_checks import check_customer
from domain.eligibility import Rule, judge
from domain.records import Metafield
from domain.sparklayer import customer_record
from domain.text import is_storable
from schemas.nodes import (
    node_time,
    read_customer_node,
    read_customer_probe,
    read_product_node,
    read_product_node_metafields,
    read_variant_metafields,
)
from schemas.webhooks import read_body, read_product

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def product_node(payload):
    return json.loads(payload("product_node.realistic.json"))


@pytest.fixture
def customer_node(payload):
    return json.loads(payload("customer_node.realistic.json"))


def codes(translation):
    return [(issue.code, issue.path) for issue in translation.issues]


def test_a_product_is_the_same_value_whichever_way_it_came(payload, product_node):
    from_body = read_product(read_body(payload("products_update.realistic.json")), NOW)
    from_node = read_product_node(product_node, NOW)

    assert from_node == from_body
    assert from_node.issues == ()


def test_connections_may_come_as_edges_or_lists(product_node):
    nodes = product_node["variants"]["nodes"]
    as_edges = product_node | {"variants": {"edges": [{"node": node} for node in nodes]}}
    as_list = product_node | {"variants": nodes}

    assert read_product_node(as_edges, NOW) == read_product_node(as_list, NOW) == read_product_node(product_node, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"variants": {"nodes": [], "pageInfo": {"hasNextPage": True}}},
        {"variantsCount": {"count": 2, "precision": "EXACT"}},
        {"variants": None},
    ],
)
def test_variants_that_were_not_read_to_the_end_are_noticed(product_node, changes):
    assert read_product_node(product_node | changes, NOW).record.variants_complete is False


def test_variants_are_in_the_order_of_their_positions(product_node):
    variant = product_node["variants"]["nodes"][0]
    product_node["variants"]["nodes"] = [
        variant | {"id": "gid://shopify/ProductVariant/3", "position": 2},
        variant | {"id": "gid://shopify/ProductVariant/9", "position": 1},
    ]

    assert [v.id for v in read_product_node(product_node, NOW).record.variants] == [9, 3]


def test_a_nodes_wrong_field_is_named_as_the_merchant_sees_it(product_node):
    product_node |= {"productType": 4, "updatedAt": "never"}
    product_node["variants"]["nodes"][0]["inventoryQuantity"] = "many"

    assert codes(read_product_node(product_node, NOW)) == [
        ("FIELD_WRONG_TYPE", "product_type"),
        ("UPDATED_AT_INVALID", "updated_at"),
        ("FIELD_WRONG_TYPE", "variants[50123456789012].inventory_quantity"),
    ]


def test_a_customer_is_read(customer_node):
    translation = read_customer_node(customer_node, NOW)

    customer = translation.record
    assert translation.issues == ()
    assert customer.id == 5917633347819
    assert customer.email == "maja@lindqvist-hardware.example"
    assert customer.phone == "+46701234567"
    assert customer.state == "enabled"
    assert customer.tags == ("B2B", "b2b-trade")
    address = customer.addresses[0]
    assert (address.id, address.line1, address.country_code, address.is_default) == (
        8412345678901,
        "Storgatan 1",
        "SE",
        True,
    )
    assert customer.metafields[1] == Metafield("discount_percentage", "10", "number_integer")
    assert check_customer(customer, Rule()) == ()


def test_a_customer_whose_personal_fields_are_withheld_is_read(customer_node):
    withheld = ["firstName", "lastName", "defaultEmailAddress", "defaultPhoneNumber", "defaultAddress", "addressesV2"]

    translation = read_customer_node(customer_node | dict.fromkeys(withheld), NOW)

    assert translation.issues == ()
    assert (translation.record.email, translation.record.addresses) == (None, ())


def test_the_older_names_of_email_and_phone_are_read_where_the_newer_are_absent(customer_node):
    del customer_node["defaultEmailAddress"]
    del customer_node["defaultPhoneNumber"]
    customer = read_customer_node(customer_node | {"email": "a@b.example", "phone": "+1"}, NOW).record

    assert (customer.email, customer.phone) == ("a@b.example", "+1")


def test_what_is_wrong_with_a_customers_field_is_said_without_its_value(customer_node):
    customer_node |= {"firstName": ["Maja", "Karin"], "tags": "b2b\x00"}
    customer_node["addressesV2"]["nodes"][0]["address1"] = {"street": "Storgatan"}

    translation = read_customer_node(customer_node, NOW)

    assert codes(translation) == [
        ("FIELD_WRONG_TYPE", "first_name"),
        ("TEXT_UNSTORABLE", "tags"),
        ("FIELD_WRONG_TYPE", "addresses[8412345678901].line1"),
    ]
    assert not [word for word in ("Maja", "Karin", "Storgatan") if word in repr(translation.issues)]


def test_the_probe_says_what_eligibility_needs(customer_node):
    probe = read_customer_probe(customer_node)

    assert probe.tags == ("B2B", "b2b-trade")
    assert probe.keys == {"authentication", "discount_percentage", "price_lists"}
    assert probe.updated_at == datetime(2026, 11, 20, 14, 15, 2, tzinfo=UTC)
    assert probe.keys_complete


@pytest.mark.parametrize("absent", [None, 5, "b2b", {}])
def test_what_the_probe_was_not_told_stays_unknown(absent):
    probe = read_customer_probe({"id": "gid://shopify/Customer/1", "tags": {"a": 1}, "metafields": absent})

    assert (probe.tags, probe.keys) == (None, None)
    assert judge(probe.tags, probe.keys, Rule()).belongs is None


def test_a_probe_that_was_told_there_is_nothing_knows_it():
    probe = read_customer_probe({"id": "gid://shopify/Customer/1", "tags": [], "metafields": {"nodes": []}})

    assert judge(probe.tags, probe.keys, Rule()).belongs is False


def test_metafields_are_read_by_variant_and_those_not_answered_stay_unknown():
    nodes = [
        {"id": "gid://shopify/ProductVariant/1", "metafields": {"nodes": [{"key": "pack_size", "value": "6"}]}},
        {"id": "gid://shopify/ProductVariant/2", "metafields": {"nodes": []}},
        {"id": "gid://shopify/ProductVariant/3"},
        None,
    ]

    read = read_variant_metafields(7, nodes, {"nodes": [{"key": "rrp", "value": "1", "type": "money"}]})

    assert read.by_variant == {1: (Metafield("pack_size", "6"),), 2: ()}
    assert read.on_product == (Metafield("rrp", "1", "money"),)


def test_a_whole_product_carries_its_metafields_only_when_every_variant_does(product_node):
    assert read_product_node_metafields(product_node) is None

    product_node["variants"]["nodes"][0]["metafields"] = {"edges": [{"node": {"key": "sell", "value": "true"}}]}

    assert read_product_node_metafields(product_node).by_variant == {50123456789012: (Metafield("sell", "true"),)}


def test_metafields_come_in_one_order_whichever_way_they_were_listed():
    first, second = {"key": "a", "value": "1"}, {"key": "b", "value": "2"}

    def read(*listed):
        return read_variant_metafields(7, [{"id": 1, "metafields": list(listed)}])

    assert read(first, second) == read(second, first)


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=6)
)
NAMES = [
    "id",
    "nodes",
    "edges",
    "node",
    "variants",
    "metafields",
    "key",
    "value",
    "tags",
    "selectedOptions",
    "pageInfo",
]
NAMES += ["addressesV2", "address1", "defaultAddress", "defaultEmailAddress", "emailAddress", "updatedAt", "firstName"]
ANY_JSON = st.recursive(
    LEAVES | st.sampled_from(["gid://shopify/Product/1", "2026-11-20T14:15:02Z"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=25,
)


@settings(deadline=None)
@given(ANY_JSON, ANY_JSON)
def test_no_json_makes_a_translator_raise(node, inner):
    wrapped = {"id": "gid://shopify/Customer/1", "addressesV2": inner, "metafields": inner, "variants": inner}
    for body in (node, wrapped):
        customer = read_customer_node(body, NOW).record
        if customer is not None:
            check_customer(customer, Rule())
            rendered = customer_record(customer, judge(customer.tags, None, Rule()))
            json.dumps(rendered, ensure_ascii=False).encode()
        product = read_product_node(body, NOW).record
        assert product is None or product.id > 0
        assert read_customer_probe(body) is None or read_customer_probe(body).id > 0
        read_product_node_metafields(body)
        read_variant_metafields(1, [body], node)


@pytest.mark.parametrize("key", ["\x00", "gro\x00up", "\ud800"])
def test_a_probed_key_is_kept_as_it_can_be_stored(key):
    probe = read_customer_probe({"id": "gid://shopify/Customer/5", "tags": [], "metafields": {"nodes": [{"key": key}]}})

    assert all(is_storable(kept) for kept in probe.keys)
    assert len(probe.keys) == 1


@pytest.mark.parametrize("node", [None, [], "x", 5, {}])
def test_what_is_no_node_has_no_time(node):
    assert node_time(node) is None
