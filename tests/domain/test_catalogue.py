"""Every code of the catalogue: a record that has the issue, and the same record once its owner has corrected it."""

import string
from datetime import UTC, date, datetime

import pytest

from domain.catalogue import CATALOGUE, render, sentence, severity
from domain.clashes import email_clashes, sku_clashes
from domain.customer_checks import check_customer
from domain.eligibility import Rule
from domain.issues import Issue, Severity
from domain.limits import limit_issues
from domain.product_checks import check_product
from schemas.nodes import read_customer_node
from schemas.webhooks import read_product

TODAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BODY = {
    "id": 1,
    "title": "Mug",
    "handle": "mug",
    "status": "active",
    "tags": "",
    "updated_at": "2026-11-20T09:15:38-05:00",
    "variants": [{"id": 8123, "sku": "ABC-1", "price": "1.00", "position": 1}],
}
# what each code needs to be told when nothing of this product raises it from a record
SAID_BY_THE_FEED = {
    "LIMIT_RECOMMENDED",
    "LIMIT_HARD",
    "SOURCE_AUTH_FAILED",
    "SOURCE_UNREACHABLE",
    "SOURCE_THROTTLED",
    "WEBHOOK_SUBSCRIPTION_MISSING",
    "WEBHOOK_SUBSCRIPTION_STRAY",
    "WEBHOOK_SUBSCRIPTION_FLAWED",
    "WEBHOOKS_SILENT",
    "SCOPE_MISSING",
    "RUN_FAILED",
    "API_VERSION_ENDING",
    "API_VERSION_UNSUPPORTED",
}

# code: the fields that are wrong, and the same fields corrected
OF_PRODUCTS = {
    "PRODUCT_TITLE_MISSING": ({"title": " "}, {"title": "Mug"}),
    "PRODUCT_HANDLE_MISSING": ({"handle": None}, {"handle": "mug"}),
    "STATUS_MISSING": ({"status": "unknown"}, {"status": "draft"}),
    "CATALOG_TAG_CONFLICT": ({"tags": ("B2B-only", "b2c-only ")}, {"tags": ("b2b-only",)}),
}
OF_VARIANTS = {
    "SKU_MISSING": ({"sku": " "}, {"sku": "A"}),
    "SKU_WHITESPACE": ({"sku": "ABC-1 "}, {"sku": "ABC 1"}),
}
OF_VARIANT_METAFIELDS = {
    "METAFIELD_INVALID_JSON": ({"settings": "["}, {"settings": "[]"}),
    "METAFIELD_WRONG_TYPE": ({"pack_size": "six"}, {"pack_size": "6"}),
    "METAFIELD_OUT_OF_RANGE": ({"pack_size": "0"}, {"pack_size": "1"}),
    "METAFIELD_WRONG_OWNER": ({"group": "vip"}, {}),
    "METAFIELD_UNKNOWN_KEY": ({"pack": "6"}, {"pack_size": "6"}),
    "SETTINGS_NOT_ARRAY": ({"settings": "{}"}, {"settings": "[]"}),
    "SETTINGS_GROUP_MISSING": ({"settings": '[{"sell":true}]'}, {"settings": '[{"customer_group":"base"}]'}),
    "SETTINGS_GROUP_DUPLICATE": (
        {"settings": '[{"customer_group":"base"},{"customer_group":"base"}]'},
        {"settings": '[{"customer_group":"base"},{"customer_group":"vip"}]'},
    ),
    "SETTINGS_GROUP_NOT_SLUG": (
        {"settings": '[{"customer_group":"Tier 2"}]'},
        {"settings": '[{"customer_group":"tier-2"}]'},
    ),
    "SETTINGS_UNKNOWN_KEY": (
        {"settings": '[{"customer_group":"base","packsize":6}]'},
        {"settings": '[{"customer_group":"base","pack_size":6}]'},
    ),
    "SETTINGS_OVERRIDES_FIELDS": (
        {"settings": '[{"customer_group":"base"}]', "pack_size": "6"},
        {"settings": '[{"customer_group":"base"}]'},
    ),
    "MIN_EXCEEDS_MAX": (
        {"min_order_parent_quantity": "9", "max_order_parent_quantity": "6"},
        {"min_order_parent_quantity": "6", "max_order_parent_quantity": "6"},
    ),
    "QTY_NOT_MULTIPLE_OF_PACK": (
        {"pack_size": "6", "min_order_quantity": "8"},
        {"pack_size": "6", "min_order_quantity": "12"},
    ),
    "RESTOCK_DATE_INVALID": ({"restock_date": "soon"}, {"restock_date": "2026-12-24"}),
    "RESTOCK_DATE_PAST": ({"restock_date": "2026-11-22"}, {"restock_date": "2026-11-23"}),
    "RRP_UNREADABLE": ({"rrp": "about ten"}, {"rrp": "10"}),
}
OF_CUSTOMERS = {
    "EMAIL_MISSING": ({"email": None}, {"email": "maja@example.com"}),
    "EMAIL_INVALID": ({"email": "maja@@example"}, {"email": "maja@example.com"}),
    "ADDRESS_LINE1_EMPTY": ({"address_changes": {"line1": " "}}, {"address_changes": {"line1": "Storgatan 1"}}),
    "ADDRESS_COUNTRY_INVALID": (
        {"address_changes": {"country_code": "ZZ"}},
        {"address_changes": {"country_code": "se"}},
    ),
    "GROUP_TAG_CONFLICT": ({"tags": ("b2b", "b2b-vip", "b2b-trade")}, {"tags": ("b2b", "b2b-vip")}),
    "GROUP_METAFIELD_OVERRIDES": (
        {"tags": ("b2b", "b2b-vip"), "metafields": {"group": "trade"}},
        {"tags": ("b2b",), "metafields": {"group": "trade"}},
    ),
    "GROUP_TAG_WITHOUT_B2B": (
        {"tags": ("b2b-vip",), "metafields": {"title": "Dr"}},
        {"tags": ("b2b", "b2b-vip"), "metafields": {"title": "Dr"}},
    ),
    "CREDIT_SHAPE_INVALID": (
        {"metafields": {"payment_on_account": "[1]"}},
        {"metafields": {"payment_on_account": '[{"credit_limit":1}]'}},
    ),
    "CURRENCY_INVALID": (
        {"metafields": {"payment_on_account": '{"credit_limit":1,"currency_code":"XXQ"}'}},
        {"metafields": {"payment_on_account": '{"credit_limit":1,"currency_code":"sek"}'}},
    ),
    "NET_TERMS_UNUSUAL": (
        {"metafields": {"payment_on_account": '{"credit_limit":1,"net_terms":120}'}},
        {"metafields": {"payment_on_account": '{"credit_limit":1,"net_terms":90}'}},
    ),
    "PRICE_LISTS_SHAPE_INVALID": (
        {"metafields": {"price_lists": "25-off"}},
        {"metafields": {"price_lists": '["25-off"]'}},
    ),
}
OF_BODIES = {
    "PRODUCT_ID_MISSING": ({"id": None}, {"id": 1}),
    "VARIANT_ID_MISSING": ({"variants": [{"sku": "A"}]}, {"variants": [{"id": 5, "sku": "A"}]}),
    "UPDATED_AT_MISSING": ({"updated_at": None}, {"updated_at": "2026-11-20T14:15:38Z"}),
    "UPDATED_AT_INVALID": ({"updated_at": "yesterday"}, {"updated_at": "2026-11-20T14:15:38.000Z"}),
    "TEXT_UNSTORABLE": ({"title": "M\x00ug"}, {"title": "Mug"}),
    "FIELD_WRONG_TYPE": ({"title": 7}, {"title": "7"}),
}
OF_OTHER_THINGS = {
    "SKU_DUPLICATE",
    "SKU_NEAR_DUPLICATE",
    "EMAIL_DUPLICATE",
    "CUSTOMER_ID_MISSING",
    "METAFIELD_TYPE_MISMATCH",
    "PARENT_QTY_INCONSISTENT",
}


def cases(table):
    return [pytest.param(code, wrong, right, id=code) for code, (wrong, right) in table.items()]


def codes(issues):
    return [issue.code for issue in issues]


def test_every_code_of_the_catalogue_is_provoked_here():
    tables = (OF_PRODUCTS, OF_VARIANTS, OF_VARIANT_METAFIELDS, OF_CUSTOMERS, OF_BODIES)
    provoked = OF_OTHER_THINGS.union(*tables)

    assert provoked | SAID_BY_THE_FEED == set(CATALOGUE)
    assert {code for code, entry in CATALOGUE.items() if entry.about == "feed"} == SAID_BY_THE_FEED


@pytest.mark.parametrize(("code", "wrong", "right"), cases(OF_PRODUCTS))
def test_an_issue_of_a_product_comes_and_goes(product, code, wrong, right):
    assert codes(check_product(product(**wrong), None, TODAY)) == [code]
    assert codes(check_product(product(**right), None, TODAY)) == []


@pytest.mark.parametrize(("code", "wrong", "right"), cases(OF_VARIANTS))
def test_an_issue_of_a_variant_comes_and_goes(product, variant, code, wrong, right):
    found = check_product(product(variants=(variant(**wrong),)), None, TODAY)

    assert codes(found) == [code]
    assert found[0].path == "variants[8123].sku"
    assert codes(check_product(product(variants=(variant(**right),)), None, TODAY)) == []


@pytest.mark.parametrize(("code", "wrong", "right"), cases(OF_VARIANT_METAFIELDS))
def test_an_issue_of_a_variants_metafields_comes_and_goes(product, on_variant, code, wrong, right):
    found = check_product(product(), on_variant(**wrong), TODAY)

    assert codes(found) == [code]
    assert found[0].path.startswith("variants[8123].metafields.")
    assert codes(check_product(product(), on_variant(**right), TODAY)) == []


@pytest.mark.parametrize(("code", "wrong", "right"), cases(OF_CUSTOMERS))
def test_an_issue_of_a_customer_comes_and_goes(customer, code, wrong, right):
    assert codes(check_customer(customer(**wrong), Rule())) == [code]
    assert codes(check_customer(customer(**right), Rule())) == []


@pytest.mark.parametrize(("code", "wrong", "right"), cases(OF_BODIES))
def test_an_issue_of_a_body_comes_and_goes(code, wrong, right):
    assert codes(read_product(BODY | wrong, NOW).issues) == [code]
    assert codes(read_product(BODY | right, NOW).issues) == []


def test_a_declared_type_that_does_not_suit_comes_and_goes(product, on_variant):
    assert codes(check_product(product(), on_variant("string", pack_size="6"), TODAY)) == ["METAFIELD_TYPE_MISMATCH"]
    assert codes(check_product(product(), on_variant("number_integer", pack_size="6"), TODAY)) == []


def test_variants_that_disagree_on_what_counts_for_the_product(product, variant, on_variant):
    both = product(variants=(variant(), variant(id=8124, sku="ABC-2")))
    metafields = on_variant(min_order_parent_quantity="6")
    for other, expected in (("12", ["PARENT_QTY_INCONSISTENT"]), ("6", [])):
        metafields.by_variant[8124] = on_variant(min_order_parent_quantity=other).by_variant[8123]

        assert codes(check_product(both, metafields, TODAY)) == expected


def test_a_variant_whose_metafields_are_not_known_disagrees_with_nobody(product, variant, on_variant):
    both = product(variants=(variant(), variant(id=8124, sku="ABC-2")))

    assert check_product(both, on_variant(min_order_parent_quantity="6"), TODAY) == ()


def test_settings_in_force_silence_what_they_override(product, on_variant):
    found = check_product(
        product(),
        on_variant(settings='[{"customer_group":"base"}]', min_order_quantity="9", max_order_quantity="3"),
        TODAY,
    )

    assert codes(found) == ["SETTINGS_OVERRIDES_FIELDS"]


def test_clashes_are_in_the_catalogue():
    exact = sku_clashes([("A", 1, 11), ("A", 2, 21)])[1, 11]
    near = sku_clashes([("A", 1, 11), ("a", 2, 21)])[1, 11]
    email = email_clashes([("t", 1), ("t", 2)])[1]

    assert codes((*exact, *near, *email)) == ["SKU_DUPLICATE", "SKU_NEAR_DUPLICATE", "EMAIL_DUPLICATE"]
    assert "variant 21 of product 2" in sentence(exact[0])


def test_a_customer_without_an_id_is_no_record():
    read = read_customer_node({"id": "gid://shopify/Customer/0"}, NOW)

    assert read.record is None
    assert codes(read.issues) == ["CUSTOMER_ID_MISSING"]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(25_000, []), (25_001, ["LIMIT_RECOMMENDED"]), (50_000, ["LIMIT_RECOMMENDED"]), (50_001, ["LIMIT_HARD"])],
)
def test_the_limits_of_a_feed(count, expected):
    assert codes(limit_issues("products", count)) == expected


def test_a_whole_product_and_a_whole_customer_have_no_issues(product, customer):
    assert check_product(product(), None, TODAY) == ()
    assert check_customer(customer(), Rule()) == ()


def test_what_is_rendered_is_whole_and_serialisable():
    issue = sku_clashes([("ABC-1", 1, 11), ("ABC-1", 2, 21)])[1, 11][0]

    assert render(issue) == {
        "code": "SKU_DUPLICATE",
        "severity": "error",
        "path": "variants[11].sku",
        "snippet": '"ABC-1"',
        "sentence": (
            "The same SKU is also on variant 21 of product 2. A shared SKU can keep a product out of SparkLayer."
        ),
        "fix": "Give each variant a SKU of its own; correcting either side clears this issue on both.",
    }


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_row_reads_as_sentences_and_says_what_to_do(code):
    entry = CATALOGUE[code]
    names = [name for _, name, _, _ in string.Formatter().parse(entry.cause + entry.fix) if name]
    issue = Issue(code, "title", None, dict.fromkeys(names, "Six"))

    shown = render(issue)

    assert shown["sentence"][0].isupper() or shown["sentence"].startswith(("restock_date", "rrp"))
    assert shown["sentence"].endswith(".")
    assert shown["fix"].endswith((".", "}].", "]."))
    assert "{" not in shown["sentence"]
    assert sentence(issue) == f"{shown['sentence']} {shown['fix']}"


def test_a_fact_that_an_old_issue_lacks_does_not_break_the_page():
    assert "…" in sentence(Issue("SKU_DUPLICATE", "variants[1].sku"))
    assert severity("A_CODE_OF_TOMORROW") is Severity.WARNING
    assert render(Issue("A_CODE_OF_TOMORROW", "title"))["fix"]


@pytest.mark.parametrize("issue", [Issue("SETTINGS_UNKNOWN_KEY", "p", None, {"name": "{line}", "meant": ""})])
def test_what_a_merchant_typed_is_never_taken_for_a_template(issue):
    assert "{line}" in sentence(issue)
