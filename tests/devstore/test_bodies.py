"""Webhook bodies are Shopify's bytes."""

import json
from datetime import UTC, datetime

import pytest

from devstore import bodies
from devstore.bodies import body
from devstore.records import MetafieldWish
from devstore.shop import Shop

NOON = datetime(2026, 11, 20, 14, 15, 2, 123456, tzinfo=UTC)


@pytest.fixture
def shop():
    return Shop("northwind.myshopify.com", 1, lambda: NOON)


def test_slashes_and_angle_brackets_are_escaped_and_no_space_is_wasted(shop):
    (created,) = shop.create_product(title="Mug", description_html="<p>a & b</p>", variants=[{"sku": "A/1"}], id=7)

    sent = body(created)

    assert b'"body_html":"\\u003cp\\u003ea \\u0026 b\\u003c\\/p\\u003e"' in sent
    assert b'"sku":"A\\/1"' in sent
    assert b'"admin_graphql_api_id":"gid:\\/\\/shopify\\/Product\\/7"' in sent
    assert json.loads(sent)["body_html"] == "<p>a & b</p>"


def test_letters_beyond_ascii_travel_as_utf_8(shop):
    (created,) = shop.create_product(title="Café", variants=[{}])

    assert "Café".encode() in body(created)


def test_body_times_have_the_shops_offset_and_variant_gids_are_in_utc(shop):
    (created,) = shop.create_product(title="Mug", variants=[{}])

    told = json.loads(body(created))

    assert told["updated_at"] == "2026-11-20T09:15:02-05:00"
    assert told["variant_gids"][0]["updated_at"] == "2026-11-20T14:15:02.000Z"


def test_triggered_at_has_nine_digits():
    assert bodies.utc_nanos(NOON) == "2026-11-20T14:15:02.123456000Z"


def test_product_tags_are_one_string_and_the_status_is_in_lower_case(shop):
    (created,) = shop.create_product(title="Mug", tags=["sale", "b2b-only"], status="DRAFT", variants=[{}])

    told = json.loads(body(created))

    assert told["tags"] == "sale, b2b-only"
    assert told["status"] == "draft"
    assert "metafields" not in told


def test_only_a_hundred_variants_are_sent_in_full_and_the_rest_by_gid(shop):
    (created,) = shop.create_product(title="Ring", variants=[{"sku": f"R-{n}"} for n in range(130)])

    told = json.loads(body(created))

    assert len(told["variants"]) == 100
    assert len(told["variant_gids"]) == 130


@pytest.mark.parametrize("change", ["create", "edit"])
def test_a_customers_body_has_no_tags(shop, change):
    created, _tagged = shop.create_customer(id=8, first_name="Bob", tags=["b2b"], addresses=[{"address1": "1 High St"}])
    (edited,) = shop.edit_customer(8, last_name="Biller")

    told = json.loads(body({"create": created, "edit": edited}[change]))

    assert "tags" not in told
    assert "metafields" not in told
    assert told["id"] == 8
    assert told["default_address"]["address1"] == "1 High St"


def test_a_customer_without_an_address_has_no_default_address(shop):
    (created,) = shop.create_customer(first_name="Bob")

    told = json.loads(body(created))

    assert told["addresses"] == []
    assert "default_address" not in told


def test_deletes_carry_an_id_and_no_time(shop):
    shop.create_product(title="Mug", variants=[{}], id=7)
    shop.create_customer(id=8)

    assert body(shop.delete_product(7)[0]) == b'{"id":7}'
    assert json.loads(body(shop.delete_customer(8)[0])) == {
        "id": 8,
        "tax_exemptions": [],
        "admin_graphql_api_id": "gid://shopify/Customer/8",
    }


def test_a_tag_delivery_names_the_customer_by_gid_and_only_what_changed(shop):
    shop.create_customer(id=8, tags=["vip"])
    (tagged,) = shop.tag_customer(8, "b2b")

    assert body(tagged) == (
        b'{"customerId":"gid:\\/\\/shopify\\/Customer\\/8","tags":["b2b"],"occurredAt":"2026-11-20T14:15:02.123Z"}'
    )


def test_metafields_come_only_to_a_subscription_that_asks_for_their_namespace(shop):
    shop.create_product(title="Mug", variants=[{}], id=7)
    (edited,) = shop.edit_product_metafield(7, MetafieldWish("pack_size", "6", "number_integer"))

    asked = json.loads(body(edited, metafield_namespaces=("sparklayer",)))

    assert [(m["key"], m["value"]) for m in asked["metafields"]] == [("pack_size", "6")]
    assert json.loads(body(edited, metafield_namespaces=("other",)))["metafields"] == []


def test_included_fields_are_all_that_is_sent(shop):
    (created,) = shop.create_product(title="Mug", variants=[{}], id=7)

    assert json.loads(body(created, include=("id", "title"))) == {"id": 7, "title": "Mug"}
