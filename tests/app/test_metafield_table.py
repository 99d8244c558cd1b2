"""What each metafield means, in a merchant's words."""

import pytest

from app.metafield_table import metafield_rows


def rows_of(feed, metafields, issues=()):
    if feed == "customers":
        return metafield_rows(feed, {"metafields": metafields}, issues)
    variant = {"id": 1, "sku": "ABC-1", "title": "One", "metafields": metafields}
    return metafield_rows(feed, {"variants": [variant]}, issues)


@pytest.mark.parametrize(
    ("feed", "key", "value", "meaning"),
    [
        ("products", "pack_size", "6", "Sold in packs of 6"),
        ("products", "max_order_quantity", "12000", "At most 12000 in an order"),
        ("products", "display", "true", "Shown to B2B customers"),
        ("products", "display", "false", "Hidden from B2B customers"),
        ("products", "restock_date", "2026-12-01", "Back in stock on 2026-12-01"),
        ("products", "rrp", "19.90", "Recommended retail price 19.90"),
        ("products", "rrp", '{"amount":"5.00","currency_code":"GBP"}', "amount 5.00, currency code GBP"),
        ("products", "settings", '[{"customer_group":"base","pack_size":6}]', "base: sold in packs of 6"),
        ("products", "settings", "[]", "Nothing for any customer group"),
        ("products", "something_new", "x", "Kept as it is; SparkLayer does not document this key"),
        ("customers", "group", "vip", "Customer group vip, whatever the tags say"),
        ("customers", "price_lists", '["25-off","export"]', "25-off, export"),
        ("customers", "discount_percentage", "10", "10 % off on top of the price lists"),
        ("customers", "payment_on_account", '{"credit_limit":1000,"balance":250}', "credit limit 1000, balance 250"),
        ("customers", "authentication", "…", "SparkLayer's login token for the storefront; its value is never shown"),
    ],
)
def test_a_good_value_is_told_in_words(feed, key, value, meaning):
    (row,) = rows_of(feed, {key: value})

    assert (row.key, row.value, row.meaning) == (key, value, meaning)


@pytest.mark.parametrize(
    ("key", "value"), [("pack_size", "six"), ("settings", "{,}"), ("restock_date", "soon"), ("sell", "1")]
)
def test_a_bad_value_has_no_meaning_but_a_reason(key, value):
    (row,) = rows_of("products", {key: value})

    assert row.meaning is None
    assert row.problems


def test_what_is_known_of_the_record_is_told_rather_than_judged_again():
    issue = {"path": "variants[1].metafields.pack_size", "sentence": "It is odd.", "fix": "Mend it."}

    assert rows_of("products", {"pack_size": "six"}, [issue])[0].problems == ("It is odd. Mend it.",)


def test_not_yet_known_is_not_none():
    unknown = {"id": 1, "sku": "A", "title": "One", "metafields": None}

    assert metafield_rows("products", {"variants": [unknown]}, ()) is None
    assert rows_of("products", {}) == []
    assert rows_of("customers", {}) == []


def test_a_very_long_value_is_shortened_where_people_read_it():
    (row,) = rows_of("products", {"stock_location_data": f'"{"x" * 10_000}"'})

    assert len(row.value) <= 400
