from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalogue import render, sentence
from domain.metafields import (
    CUSTOMER_KEYS,
    VARIANT_KEYS,
    raw_values,
    read_customer_metafields,
    read_product_metafields,
    read_variant_metafields,
)
from domain.records import Metafield

PATH = "variants[8123].metafields"


def variant(key, value, declared=None):
    return read_variant_metafields([Metafield(key, value, declared)], PATH)


def customer(key, value, declared=None):
    return read_customer_metafields([Metafield(key, value, declared)])


def codes(reading):
    return [issue.code for issue in reading.issues]


GOOD = [
    (variant, "pack_size", "6", 6),
    (variant, "pack_size", " 6 ", 6),
    (variant, "reserve_stock_quantity", "0", 0),
    (variant, "display", "false", False),
    (variant, "restock_date", "2026-12-31", date(2026, 12, 31)),
    (variant, "rrp", "19.99", "19.99"),
    (variant, "rrp", '{"amount":"19.99","currency_code":"EUR"}', {"amount": "19.99", "currency_code": "EUR"}),
    (variant, "stock_location_data", '{"a":[1]}', {"a": [1]}),
    (
        variant,
        "settings",
        '[{"customer_group":"base","pack_size":6,"display":true},{"customer_group":"tier-2","pack_size":null}]',
        [
            {"customer_group": "base", "pack_size": 6, "display": True},
            {"customer_group": "tier-2", "pack_size": None},
        ],
    ),
    (customer, "discount_percentage", "100", 100),
    (customer, "price_lists", '["25-off"]', ["25-off"]),
    (customer, "payment_on_account", '{"credit_limit":1000,"balance":-2.5}', {"credit_limit": 1000, "balance": -2.5}),
    (
        customer,
        "payment_on_account",
        '{"credit_limit":1,"currency_code":"usd"}',
        {"credit_limit": 1, "currency_code": "usd"},
    ),
    (customer, "payment_on_account", '{"credit_limit":0,"net_terms":30}', {"credit_limit": 0, "net_terms": 30}),
    (customer, "group", "vip", "vip"),
    (customer, "available_shipping_addresses_ids", '[1,"2"]', ["1", "2"]),
]


@pytest.mark.parametrize(("read", "key", "text", "value"), GOOD)
def test_good_values_are_read(read, key, text, value):
    reading = read(key, text)

    assert reading.values == {key: value}
    assert reading.issues == ()


BAD = [
    (variant, "pack_size", "six", "METAFIELD_WRONG_TYPE"),
    (variant, "pack_size", '"6"', "METAFIELD_WRONG_TYPE"),
    (variant, "pack_size", "6.0", "METAFIELD_WRONG_TYPE"),
    (variant, "pack_size", "", "METAFIELD_WRONG_TYPE"),
    (variant, "pack_size", "٦", "METAFIELD_WRONG_TYPE"),
    (variant, "pack_size", "9" * 5000, "METAFIELD_WRONG_TYPE"),
    (variant, "pack_size", "0", "METAFIELD_OUT_OF_RANGE"),
    (variant, "pack_size", "9" * 30, "METAFIELD_OUT_OF_RANGE"),
    (variant, "reserve_stock_quantity", "-1", "METAFIELD_OUT_OF_RANGE"),
    (variant, "display", "yes", "METAFIELD_WRONG_TYPE"),
    (variant, "display", '"true"', "METAFIELD_WRONG_TYPE"),
    (variant, "sell", "1", "METAFIELD_WRONG_TYPE"),
    (variant, "restock_date", "31/12/2026", "RESTOCK_DATE_INVALID"),
    (variant, "restock_date", "2026-02-30", "RESTOCK_DATE_INVALID"),
    (variant, "rrp", "-1", "RRP_UNREADABLE"),
    (variant, "rrp", '{"amount":1,"currency_code":"ZZZ"}', "RRP_UNREADABLE"),
    (variant, "rrp", "[]", "RRP_UNREADABLE"),
    (variant, "stock_location_data", "{", "METAFIELD_INVALID_JSON"),
    (variant, "settings", '{"customer_group":"base"}', "SETTINGS_NOT_ARRAY"),
    (variant, "settings", '"base"', "SETTINGS_NOT_ARRAY"),
    (variant, "settings", '[{"customer_group":"base"},]', "METAFIELD_INVALID_JSON"),
    (variant, "settings", "[{“customer_group”:“base”}]", "METAFIELD_INVALID_JSON"),
    (variant, "settings", '[{"customer_group":"base","pack_size":NaN}]', "METAFIELD_INVALID_JSON"),
    (variant, "settings", '[{"customer_group":"base","pack_size":1e999}]', "METAFIELD_INVALID_JSON"),
    (variant, "settings", "[" * 100_000, "METAFIELD_INVALID_JSON"),
    (variant, "settings", "[" + "1" * 5000 + "]", "METAFIELD_INVALID_JSON"),
    (customer, "discount_percentage", "101", "METAFIELD_OUT_OF_RANGE"),
    (customer, "discount_percentage", "12.5", "METAFIELD_WRONG_TYPE"),
    (customer, "price_lists", "25-off", "PRICE_LISTS_SHAPE_INVALID"),
    (customer, "price_lists", '["25-off",""]', "PRICE_LISTS_SHAPE_INVALID"),
    (customer, "price_lists", '{"25-off":true}', "PRICE_LISTS_SHAPE_INVALID"),
    (customer, "price_lists", '["25-off",]', "METAFIELD_INVALID_JSON"),
    (customer, "payment_on_account", "1000", "CREDIT_SHAPE_INVALID"),
    (customer, "payment_on_account", "[]", "CREDIT_SHAPE_INVALID"),
    (customer, "payment_on_account", '{"credit_limit":"1000"}', "CREDIT_SHAPE_INVALID"),
    (customer, "payment_on_account", '{"balance":1}', "CREDIT_SHAPE_INVALID"),
    (customer, "payment_on_account", '{"credit_limit":1,"balance":true}', "CREDIT_SHAPE_INVALID"),
    (customer, "payment_on_account", '[{"credit_limit":1},{"credit_limit":2}]', "CREDIT_SHAPE_INVALID"),
    (customer, "payment_on_account", '{"credit_limit":-1}', "METAFIELD_OUT_OF_RANGE"),
    (customer, "payment_on_account", '{"credit_limit":1,"currency_code":"usdollar"}', "CURRENCY_INVALID"),
    (customer, "available_shipping_addresses_ids", '{"id":1}', "METAFIELD_WRONG_TYPE"),
]


@pytest.mark.parametrize(("read", "key", "text", "code"), BAD)
def test_bad_values_are_left_out_and_reported(read, key, text, code):
    reading = read(key, text)

    assert codes(reading) == [code]
    assert reading.values == {key: None}
    assert len(reading.issues[0].snippet) <= 80


SETTINGS = [
    ('[{"customer_group":"base"},{"customer_group":"Base "}]', ["SETTINGS_GROUP_DUPLICATE"]),
    ('[{"pack_size":6}]', ["SETTINGS_GROUP_MISSING"]),
    ('[{"customer_group":"  "}]', ["SETTINGS_GROUP_MISSING"]),
    ('[{"customer_group":7}]', ["SETTINGS_GROUP_MISSING"]),
    ('[{"customer_group":"Tier 2"}]', ["SETTINGS_GROUP_NOT_SLUG"]),
    ('[{"customer_group":"base","packsize":6}]', ["SETTINGS_UNKNOWN_KEY"]),
    ('[{"customer_group":"base","pack_size":"6"}]', ["METAFIELD_WRONG_TYPE"]),
    ('[{"customer_group":"base","pack_size":6.5}]', ["METAFIELD_WRONG_TYPE"]),
    ('[{"customer_group":"base","pack_size":true}]', ["METAFIELD_WRONG_TYPE"]),
    ('[{"customer_group":"base","display":"true"}]', ["METAFIELD_WRONG_TYPE"]),
    ('[{"customer_group":"base","pack_size":0}]', ["METAFIELD_OUT_OF_RANGE"]),
    ('[{"customer_group":"base","min_order_quantity":9,"max_order_quantity":3}]', ["MIN_EXCEEDS_MAX"]),
    ('[{"customer_group":"base","pack_size":6,"max_order_quantity":20}]', ["QTY_NOT_MULTIPLE_OF_PACK"]),
    ('["base"]', ["METAFIELD_WRONG_TYPE"]),
]


@pytest.mark.parametrize(("text", "expected"), SETTINGS)
def test_each_entry_of_settings_is_checked(text, expected):
    reading = variant("settings", text)

    assert codes(reading) == expected
    assert reading.issues[0].path.startswith(f"{PATH}.settings[")


def test_what_is_good_in_an_entry_of_settings_survives_what_is_not():
    reading = variant("settings", '[{"customer_group":"base","pack_size":"6","display":true}]')

    assert reading.values["settings"] == [{"customer_group": "base", "pack_size": None, "display": True}]


def test_a_misspelt_name_gets_a_suggestion():
    issue = variant("settings", '[{"customer_group":"base","packsize":6}]').issues[0]

    assert "did you mean pack_size?" in sentence(issue)


def test_a_hopeless_settings_does_not_bury_the_record():
    reading = variant("settings", "[" + ",".join(["1"] * 10_000) + "]")

    assert 0 < len(reading.issues) <= 20


@pytest.mark.parametrize(
    ("text", "line", "column", "word"),
    [
        ('[\n {"customer_group": "base",}\n]', 2, 28, "comma"),
        ("[{“customer_group”: 1}]", 1, 3, "curly quotes"),
        ("[{'customer_group': 1}]", 1, 3, "single quotes"),
        ('[{"customer_group": "base"}', 1, 28, "ends too early"),
    ],
)
def test_json_that_does_not_parse_is_reported_with_its_place_and_a_reason(text, line, column, word):
    issue = variant("settings", text).issues[0]

    assert issue.code == "METAFIELD_INVALID_JSON"
    assert (issue.facts["line"], issue.facts["column"]) == (line, column)
    assert word in issue.facts["problem"]
    assert issue.snippet


@pytest.mark.parametrize(
    ("read", "key", "value", "declared", "expected"),
    [
        (variant, "pack_size", "6", "number_integer", []),
        (variant, "pack_size", "6", "integer", []),
        (variant, "pack_size", "6", "single_line_text_field", ["METAFIELD_TYPE_MISMATCH"]),
        (variant, "display", "true", "single_line_text_field", ["METAFIELD_TYPE_MISMATCH"]),
        (variant, "settings", "[]", "json_string", []),
        (variant, "settings", "[]", "number_integer", ["METAFIELD_TYPE_MISMATCH"]),
        (variant, "pack_size", "six", "single_line_text_field", ["METAFIELD_WRONG_TYPE"]),
        (customer, "price_lists", '["a"]', "single_line_text_field", []),
    ],
)
def test_the_value_is_judged_first_and_the_declared_type_second(read, key, value, declared, expected):
    assert codes(read(key, value, declared)) == expected


def test_metafields_on_the_wrong_owner_are_said_to_be():
    on_product = read_product_metafields([Metafield("pack_size", "6"), Metafield("group", "vip")])
    on_customer = customer("pack_size", "6")
    on_variant = variant("group", "vip")

    assert codes(on_product) == ["METAFIELD_WRONG_OWNER", "METAFIELD_WRONG_OWNER"]
    assert codes(on_customer) == codes(on_variant) == ["METAFIELD_WRONG_OWNER"]
    assert "belongs on a variant, not on the product" in sentence(on_product.issues[0])


def test_an_unknown_key_is_kept_and_reported_without_its_value():
    reading = customer("vat_contact", "maja@example.com")

    assert reading.values == {"vat_contact": "maja@example.com"}
    assert codes(reading) == ["METAFIELD_UNKNOWN_KEY"]
    assert reading.issues[0].snippet is None


@pytest.mark.parametrize("read", [variant, customer])
def test_the_login_token_is_never_shown(read):
    reading = read("authentication", "slt_secret", "number_integer")

    assert "slt_secret" not in repr(reading)
    assert raw_values([Metafield("authentication", "slt_secret")]) == {"authentication": "…"}


@given(st.sampled_from(sorted({*VARIANT_KEYS, *CUSTOMER_KEYS, "other"})), st.text() | st.from_regex(r'[\[{"0-9,}\]]*'))
def test_no_text_makes_a_reader_raise(key, text):
    metafields = [Metafield(key, text, "json")]

    for reading in (
        read_variant_metafields(metafields, PATH),
        read_customer_metafields(metafields),
        read_product_metafields(metafields),
    ):
        assert all(render(issue)["sentence"] for issue in reading.issues)


def test_five_megabytes_of_settings_are_read_or_refused_but_never_raise():
    huge = "[" + ",".join(['{"customer_group":"base","pack_size":6}'] * 130_000) + "]"

    reading = variant("settings", huge)

    assert set(codes(reading)) == {"SETTINGS_GROUP_DUPLICATE"}
