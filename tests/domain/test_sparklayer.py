import json

import pytest

from domain.eligibility import Eligibility
from domain.records import Metafield, ProductMetafields
from domain.sparklayer import (
    company_name,
    customer_as_sparklayer,
    customer_record,
    product_as_sparklayer,
    product_record,
)

BY_TAG = Eligibility(belongs=True, rule="tag", matched="b2b")


@pytest.mark.parametrize(
    ("shopify", "sparklayer"),
    [("active", "live"), ("unlisted", "live"), ("archived", "suspended"), ("draft", "pending"), ("of_2031", None)],
)
def test_statuses_are_those_of_the_published_mapping(product, shopify, sparklayer):
    seen = product_as_sparklayer(product(status=shopify), None)

    assert seen["status"] == seen["variants"][0]["status"] == sparklayer


def test_a_product_record_is_the_contracts(product, on_variant):
    record = product_record(product(), on_variant(pack_size="6"))

    assert list(record) == [
        "id",
        "gid",
        "title",
        "handle",
        "status",
        "vendor",
        "tags",
        "updated_at",
        "variants",
        "sparklayer",
    ]
    assert record["id"] == 7356521840875
    assert record["gid"] == "gid://shopify/Product/7356521840875"
    assert record["updated_at"] == "2026-11-20T14:15:38Z"
    assert record["variants"] == [
        {
            "id": 8123,
            "sku": "ABC-1",
            "barcode": "5012345678900",
            "title": "40 mm",
            "price": "10.00",
            "position": 1,
            "inventory_quantity": 4,
            "metafields": {"pack_size": "6"},
        }
    ]
    assert json.loads(json.dumps(record)) == record


def test_not_yet_known_is_null_and_known_to_be_none_is_empty(product):
    unknown = product_record(product(), None)["variants"][0]["metafields"]
    not_this_variant = product_record(product(), ProductMetafields(1, {}))["variants"][0]["metafields"]
    none = product_record(product(), ProductMetafields(1, {8123: ()}))["variants"][0]["metafields"]

    assert (unknown, not_this_variant, none) == (None, None, {})


def test_a_variant_is_mapped_by_sparklayers_names(product, on_variant):
    variant = product_as_sparklayer(product(), on_variant(pack_size="6", restock_date="2026-12-31"))["variants"][0]

    assert variant["external_id"] == "8123"
    assert variant["id"] == "pv_8123"
    assert variant["identifier"] == {"shopify_product_id": "7356521840875"}
    assert variant["default"] is True
    assert variant["options"] == [{"group": "Width", "value": "40 mm"}]
    assert variant["pack_size"] == 6
    assert variant["restock_date"] == "2026-12-31"
    assert variant["settings"] == [{"customer_group": "base", "pack_size": 6}]


def test_the_metafield_settings_is_what_is_in_force(product, on_variant):
    metafields = on_variant(pack_size="6", settings='[{"customer_group":"vip","pack_size":2}]')

    variant = product_as_sparklayer(product(), metafields)["variants"][0]

    assert variant["settings"] == [{"customer_group": "vip", "pack_size": 2}]


def test_what_is_not_known_of_a_variant_is_null(product):
    variant = product_as_sparklayer(product(), None)["variants"][0]

    assert variant["metafields_known"] is False
    assert variant["settings"] is None


@pytest.mark.parametrize(
    ("tags", "metafields", "group", "group_from", "matched"),
    [
        (("b2b",), {}, "base", "default", None),
        (("b2b", "B2B-VIP"), {}, "vip", "tag", "B2B-VIP"),
        (("b2b", "b2b-vip"), {"group": "trade"}, "trade", "metafield", "group"),
        (("b2b-vip",), {"title": "Dr"}, "base", "default", None),
        (("b2b", "b2b-only"), {}, "base", "default", None),
    ],
)
def test_the_group_comes_with_the_rule_that_gave_it(customer, tags, metafields, group, group_from, matched):
    seen = customer_as_sparklayer(customer(tags=tags, metafields=metafields), BY_TAG)

    assert (seen["group"], seen["group_from"], seen["group_matched"]) == (group, group_from, matched)


def test_a_customer_record_is_the_contracts(customer):
    record = customer_record(customer(metafields={"authentication": "secret", "discount_percentage": "10"}), BY_TAG)

    assert list(record) == [
        "id",
        "gid",
        "email",
        "first_name",
        "last_name",
        "phone",
        "company_name",
        "tags",
        "state",
        "addresses",
        "updated_at",
        "metafields",
        "eligibility",
        "sparklayer",
    ]
    assert record["metafields"] == {"authentication": "…", "discount_percentage": "10"}
    assert record["eligibility"] == {"rule": "tag", "matched": "b2b"}
    assert record["sparklayer"]["discount_percentage"] == 10
    assert record["updated_at"] == "2026-11-20T14:15:02Z"
    assert "secret" not in json.dumps(record)


def test_terms_and_addresses_are_mapped(customer):
    seen = customer_as_sparklayer(
        customer(
            metafields={
                "price_lists": '["25-off"]',
                "payment_on_account": '{"credit_limit":1000}',
                "shipping_address_id": "999",
            }
        ),
        BY_TAG,
    )

    assert seen["price_lists"] == ["25-off"]
    assert seen["payment_on_account"] == {"credit_limit": 1000}
    assert seen["default_billing_address_id"] == "12321"
    assert seen["default_shipping_address_id"] == "999"
    address = seen["addresses"][0]
    assert (address["address_line1"], address["is_default_billing"], address["is_default_shipping"]) == (
        "Storgatan 1",
        True,
        False,
    )


def test_the_metafield_names_the_company_before_the_address_does(customer):
    assert company_name(customer()) == "Lindqvist Hardware"
    assert company_name(customer(metafields={"company_name": "Lindqvist AB"})) == "Lindqvist AB"
    assert company_name(customer(addresses=())) is None


def test_an_unusable_metafield_is_null_beside_its_raw_value(customer):
    record = customer_record(customer(metafields=(Metafield("discount_percentage", "ten"),)), BY_TAG)

    assert record["metafields"] == {"discount_percentage": "ten"}
    assert record["sparklayer"]["discount_percentage"] is None
