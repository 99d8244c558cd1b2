import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalogue import render
from domain.product_checks import check_product
from domain.records import Metafield, ProductMetafields
from domain.sparklayer import product_record
from domain.text import is_storable
from domain.topics import Unreadable
from schemas.webhooks import read_body, read_body_metafields, read_product

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
VARIANT = {"id": 8123, "sku": "ABC-1", "price": "10.00", "position": 1, "title": "40 mm"}
BODY = {
    "id": 9876543210123,
    "title": "Steel bracket",
    "handle": "steel-bracket",
    "status": "active",
    "tags": "b2b, hardware",
    "updated_at": "2026-11-20T09:15:38-05:00",
    "variants": [VARIANT],
}


def read(**changes):
    return read_product(BODY | changes, NOW)


def codes(translation):
    return [(issue.code, issue.path) for issue in translation.issues]


def test_shopifys_published_sample_is_read(payload):
    translation = read_product(read_body(payload("products_update.sample.json")), NOW)

    product = translation.record
    assert translation.issues == ()
    assert product.id == 788032119674292922
    assert product.tags == ("example", "mens", "t-shirt")
    assert product.updated_at == datetime(2022, 1, 1, tzinfo=UTC)
    assert [variant.id for variant in product.variants] == [642667041472713922, 757650484644203962]
    assert product.variants[0].sku is None
    assert product.variants_complete


def test_a_realistic_body_is_read_and_its_missing_sku_is_found(payload):
    product = read_product(read_body(payload("products_update.realistic.json")), NOW).record

    assert product.status == "active"
    assert product.variants[0].barcode == ""
    assert product.variants[0].options == (("Width", "40 mm"),)
    assert [issue.code for issue in check_product(product, None, NOW.date())] == ["SKU_MISSING"]


def test_a_body_that_only_says_the_id_is_a_product_that_says_little(payload):
    translation = read_product(read_body(payload("products_delete.sample.json")), NOW)

    assert translation.record.id == 788032119674292922
    assert translation.record.variants_complete is False
    assert codes(translation) == [("UPDATED_AT_MISSING", "updated_at")]


@pytest.mark.parametrize("value", [1, "9876543210123", 2**53 + 1, 2**63 - 1])
def test_usable_ids(value):
    assert read(id=value).record.id == int(value)


@pytest.mark.parametrize("value", [None, 0, -1, 1.0, True, 2**63, "", "1.0", "abc", [1], {}, 1e20, "\u0661"])
def test_without_a_usable_id_there_is_no_record(value):
    translation = read(id=value)

    assert translation.record is None
    assert codes(translation) == [("PRODUCT_ID_MISSING", "id")]


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("title", 7, "title"),
        ("handle", ["a"], "handle"),
        ("status", 1, "status"),
        ("vendor", {}, "vendor"),
        ("tags", 3, "tags"),
        ("tags", ["a", 1], "tags"),
        ("variants", {}, "variants"),
    ],
)
def test_a_field_of_the_wrong_type_is_left_empty_and_the_rest_goes_on(field, value, path):
    translation = read(**{field: value})

    assert codes(translation) == [("FIELD_WRONG_TYPE", path)]
    assert not getattr(translation.record, field) or translation.record.status == "unknown"
    assert translation.record.id == BODY["id"]
    assert len(translation.record.variants) == (0 if field == "variants" else 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [("sku", 12), ("barcode", []), ("price", 10.0), ("price", "ten"), ("position", "x"), ("position", 1.0)],
)
def test_a_field_of_a_variant_of_the_wrong_type_is_named_by_the_variants_id(field, value):
    translation = read(variants=[VARIANT | {field: value}])

    assert codes(translation) == [("FIELD_WRONG_TYPE", f"variants[8123].{field}")]
    assert getattr(translation.record.variants[0], field) is None


def test_a_variant_without_an_id_is_left_out_and_the_product_is_not_whole():
    translation = read(
        variants=[{"id": None, "sku": "A"}, "nonsense", VARIANT],
        variant_gids=[{"admin_graphql_api_id": f"gid://shopify/ProductVariant/{i}"} for i in (8122, 8123)],
    )

    assert codes(translation) == [("VARIANT_ID_MISSING", "variants[0]"), ("VARIANT_ID_MISSING", "variants[1]")]
    assert [variant.id for variant in translation.record.variants] == [8123]
    assert translation.record.variants_complete is False


def test_a_variant_named_twice_is_kept_once():
    assert len(read(variants=[VARIANT, VARIANT]).record.variants) == 1


def test_variants_that_were_cut_off_are_noticed():
    variants = [VARIANT | {"id": number} for number in range(1, 101)]
    gids = [{"admin_graphql_api_id": f"gid://shopify/ProductVariant/{number}"} for number in range(1, 102)]

    assert read(variants=variants, variant_gids=gids[:100]).record.variants_complete is True
    assert read(variants=variants, variant_gids=gids).record.variants_complete is False
    assert read(variants=variants).record.variants_complete is False
    assert read(variants=variants[:99]).record.variants_complete is True
    assert read(variants=None).record.variants_complete is False


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
        "2026-11-20T09:15:38",
        "2026-11-20",
        "yesterday",
        "",
        0,
        [],
        (NOW + timedelta(days=1, seconds=1)).isoformat(),
    ],
)
def test_a_time_that_cannot_be_is_not_used(value):
    translation = read(updated_at=value)

    assert translation.record.updated_at is None
    assert codes(translation) == [("UPDATED_AT_INVALID", "updated_at")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-20T09:15:38-05:00", datetime(2026, 11, 20, 14, 15, 38, tzinfo=UTC)),
        ("2026-11-20T14:15:02.000Z", datetime(2026, 11, 20, 14, 15, 2, tzinfo=UTC)),
        ("2026-11-20T14:15:03.000000000Z", datetime(2026, 11, 20, 14, 15, 3, tzinfo=UTC)),
        ((NOW + timedelta(hours=23)).isoformat(), NOW + timedelta(hours=23)),
    ],
)
def test_shopifys_ways_to_write_a_time(value, expected):
    assert read(updated_at=value).record.updated_at == expected


def test_what_cannot_be_stored_is_replaced_and_said_so():
    translation = read(title="a\x00b", tags="x\ud800, y", variants=[VARIANT | {"sku": "A\udfff"}])

    assert translation.record.title == "a\ufffdb"
    assert translation.record.tags == ("x\ufffd", "y")
    assert translation.record.variants[0].sku == "A\ufffd"
    assert sorted(codes(translation)) == [
        ("TEXT_UNSTORABLE", "tags"),
        ("TEXT_UNSTORABLE", "title"),
        ("TEXT_UNSTORABLE", "variants[8123].sku"),
    ]


@pytest.mark.parametrize("tags", ["", None, "  ", ", ,"])
def test_no_tags(tags):
    assert read(tags=tags).record.tags == ()


def test_a_status_of_tomorrow_is_kept():
    assert read(status="Archived_2031").record.status == "archived_2031"


def test_a_sku_is_neither_trimmed_nor_folded():
    assert read(variants=[VARIANT | {"sku": " aB 1 "}]).record.variants[0].sku == " aB 1 "


def test_a_description_is_not_kept():
    assert "secret sauce" not in repr(read(body_html="secret sauce"))


METAFIELD = {"namespace": "sparklayer", "key": "pack_size", "value": "6", "type": "number_integer", "id": 1}


def test_a_body_that_carries_metafields_of_every_variant_has_the_facet():
    body = BODY | {
        "variants": [VARIANT | {"metafields": [METAFIELD, METAFIELD | {"namespace": "custom"}, "x", {}]}],
        "metafields": [METAFIELD | {"value": 7}],
    }

    assert read_body_metafields(body) == ProductMetafields(
        BODY["id"],
        {8123: (Metafield("pack_size", "6", "number_integer"),)},
        (Metafield("pack_size", "7", "number_integer"),),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"metafields": [METAFIELD]},
        {"variants": [VARIANT | {"metafields": []}, VARIANT | {"id": 8124}]},
        {"variants": [VARIANT | {"metafields": None}]},
        {"variants": []},
        {
            "variants": [VARIANT | {"metafields": []}],
            "variant_gids": [{"admin_graphql_api_id": "gid://shopify/ProductVariant/9999"}],
        },
    ],
)
def test_a_body_that_does_not_carry_them_for_every_variant_says_nothing(changes):
    assert read_body_metafields(BODY | changes) is None


def test_a_body_may_say_that_there_are_none():
    assert read_body_metafields(BODY | {"variants": [VARIANT | {"metafields": []}]}).by_variant == {8123: ()}


def test_metafields_that_came_as_json_are_written_as_text():
    settings_value = [{"customer_group": "base", "sell": True}]
    body = BODY | {"variants": [VARIANT | {"metafields": [METAFIELD | {"key": "settings", "value": settings_value}]}]}

    read_metafields = read_body_metafields(body)

    assert json.loads(read_metafields.by_variant[8123][0].value) == settings_value


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"{", "not JSON"),
        (b'{"id": NaN}', "not JSON"),
        (b'{"id": Infinity}', "not JSON"),
        (b"[1]", "a list"),
        (b'"x"', "text"),
        (b"null", "empty"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b"[" * 200_000, "nested"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "nested"),
        (b'{"id": ' + b"1" * 5_000 + b', "t": "\\ud800"}', "not JSON"),
        (b"<html>secret</html>", "not JSON"),
    ],
)
def test_an_unreadable_body_is_refused_with_a_sentence_that_quotes_nothing(raw, word):
    with pytest.raises(Unreadable, match=word) as refused:
        read_body(raw)

    assert str(refused.value).endswith(".")
    assert "secret" not in str(refused.value)


def test_lone_surrogates_and_a_byte_order_mark_do_not_make_a_body_unreadable():
    body = read_body(b'\xef\xbb\xbf{"id": 1, "title": "a\\ud83d", "handle": "\\u0000"}')

    product = read_product(body, NOW).record
    assert (product.title, product.handle) == ("a\ufffd", "\ufffd")


def test_an_integer_of_thousands_of_digits_is_refused_like_any_other_nonsense():
    translation = read(title=10**5000, variants=[VARIANT | {"position": 10**5000, "metafields": [{"value": 10**5000}]}])

    assert [code for code, _ in codes(translation)] == ["FIELD_WRONG_TYPE", "FIELD_WRONG_TYPE"]
    assert translation.issues[0].snippet == "a very long number"


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
NAMES = ["id", "title", "variants", "tags", "sku", "updated_at", "metafields", "variant_gids", "options", "name", "key"]
NAMES += ["value", "namespace", "status", "price", "position", "option1", "admin_graphql_api_id"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | ANY_TEXT
    | st.sampled_from(["sparklayer", "gid://shopify/ProductVariant/7", "2026-11-20T09:15:38-05:00", "1", 2**63, 10**40])
)
ANY_JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | ANY_TEXT, inner, max_size=8),
    max_leaves=25,
)


def is_read_without_raising(body):
    translation = read_product(body, NOW)
    metafields = read_body_metafields(body)
    issues = list(translation.issues)
    if translation.record is not None:
        issues += check_product(translation.record, metafields, NOW.date())
        json.dumps(product_record(translation.record, metafields)).encode()
    for issue in issues:
        assert "{" not in render(issue)["sentence"].replace("{…}", "")
        assert issue.snippet is None or len(issue.snippet) <= 80
    assert "\\x00" not in repr(translation)
    repr(translation).encode()
    return translation


@settings(deadline=None)
@given(ANY_JSON)
def test_no_json_makes_the_translator_raise(body):
    assert is_read_without_raising(body) is not None


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_to_a_real_body_makes_the_translator_raise(payload, data):
    body = read_body(payload("products_update.realistic.json"))
    for _ in range(data.draw(st.integers(1, 3))):
        place = body
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = data.draw(st.sampled_from(keys))
            if isinstance(place[key], (dict, list)) and place[key] and data.draw(st.booleans()):
                place = place[key]
                continue
            place[key] = data.draw(ANY_JSON)
            break

    assert is_read_without_raising(body) is not None


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_no_bytes_make_the_reader_raise_anything_but_its_refusal(raw):
    with suppress(Unreadable):
        assert isinstance(read_body(raw), dict)


@pytest.mark.parametrize("name", ["\x00", "Si\x00ze", "\ud800"])
def test_the_name_of_an_option_is_kept_as_it_can_be_stored(name):
    body = {"id": 1, "options": [{"name": name}], "variants": [{"id": 2, "option1": "Small"}]}

    (variant,) = read_product(body, NOW).record.variants

    ((option, value),) = variant.options
    assert is_storable(option)
    assert value == "Small"
