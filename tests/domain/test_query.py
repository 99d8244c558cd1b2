import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.query import Candidate, read_customer_query, read_product_query


def tries(query):
    return [(candidate.field, candidate.value) for candidate in query.candidates]


PRODUCTS = [
    ("ABC-1", "sku", [("sku", "ABC-1"), ("barcode", "ABC-1"), ("title", "ABC-1")]),
    (
        "abc-1",
        "sku",
        [("sku", "abc-1"), ("handle", "abc-1"), ("barcode", "abc-1"), ("title", "abc-1")],
    ),
    (
        "steel-bracket",
        "handle",
        [
            ("sku", "steel-bracket"),
            ("handle", "steel-bracket"),
            ("barcode", "steel-bracket"),
            ("title", "steel-bracket"),
        ],
    ),
    ("Steel bracket", "title", [("sku", "Steel bracket"), ("barcode", "Steel bracket"), ("title", "Steel bracket")]),
    ("gid://shopify/Product/7356521840875", "gid", [("product_id", 7356521840875)]),
    ("gid://shopify/ProductVariant/8123", "gid", [("variant_id", 8123)]),
    ("https://admin.shopify.com/store/x/products/7356521840875", "admin_url", [("product_id", 7356521840875)]),
    ("admin.shopify.com/store/x/products/73?tab=a#b", "admin_url", [("product_id", 73)]),
    ("https://x.myshopify.com/admin/products/73", "admin_url", [("product_id", 73)]),
    ("x.myshopify.com/admin/products/73.json", "admin_url", [("product_id", 73)]),
    ("/admin/products/73", "admin_url", [("product_id", 73)]),
    (
        "https://admin.shopify.com/store/x/products/73/variants/81",
        "admin_url",
        [("variant_id", 81), ("product_id", 73)],
    ),
    ("https://x.myshopify.com/admin/variants/81", "admin_url", [("variant_id", 81)]),
    ("https://shop.example/products/steel-bracket", "handle", [("handle", "steel-bracket")]),
    (
        "https://shop.example/en-gb/collections/all/products/m%C3%BCtze?variant=81&x=1",
        "handle",
        [("variant_id", 81), ("handle", "mütze")],
    ),
    ("shop.example/products/steel-bracket.json", "handle", [("handle", "steel-bracket")]),
]


@pytest.mark.parametrize(("text", "read_as", "candidates"), PRODUCTS)
def test_a_product_query_is_read(text, read_as, candidates):
    query = read_product_query(text)

    assert (query.read_as, tries(query)) == (read_as, candidates)


def test_a_number_may_be_both_a_sku_and_an_id():
    query = read_product_query("7356521840875")

    assert query.read_as == "id"
    assert tries(query)[:3] == [
        ("sku", "7356521840875"),
        ("product_id", 7356521840875),
        ("variant_id", 7356521840875),
    ]
    assert Candidate("barcode", "7356521840875") in query.candidates


@pytest.mark.parametrize(
    "sku", ["007", "A/1", "a.b/c", "ÅÄÖ-1", "木-1", "  two  spaces ", "x" * 255, "//a", "0", "9" * 30]
)
def test_a_sku_is_opaque_and_tried_first_as_it_was_typed(sku):
    assert read_product_query(sku).candidates[0] == Candidate("sku", sku)


def test_a_sku_pasted_with_spaces_around_it_is_also_tried_without():
    assert tries(read_product_query(" ABC-1 "))[:2] == [("sku", " ABC-1 "), ("sku", "ABC-1")]


def test_an_internal_id_leads_to_the_record():
    assert read_product_query("pp_73").read_as == "internal_id"
    assert Candidate("product_id", 73) in read_product_query("pp_73").candidates
    assert Candidate("variant_id", 81) in read_product_query("PV_81").candidates
    assert tries(read_customer_query("cu_5917633347819")) == [("customer_id", 5917633347819)]


def test_an_id_beyond_what_shopify_uses_is_only_a_sku():
    query = read_product_query(str(2**63))

    assert query.read_as == "sku"
    assert {field for field, _ in tries(query)} == {"sku", "handle", "barcode", "title"}


CUSTOMERS = [
    ("5917633347819", "id", [("customer_id", 5917633347819), ("phone", "5917633347819"), ("name", "5917633347819")]),
    ("42", "id", [("customer_id", 42), ("name", "42")]),
    ("gid://shopify/Customer/59", "gid", [("customer_id", 59)]),
    ("https://admin.shopify.com/store/x/customers/59?q=1", "admin_url", [("customer_id", 59)]),
    ("https://x.myshopify.com/admin/customers/59", "admin_url", [("customer_id", 59)]),
    (" Maja@Example.com ", "email", [("email", "Maja@Example.com"), ("name", "Maja@Example.com")]),
    ("+46 70 123 45 67", "phone", [("phone", "+46 70 123 45 67"), ("name", "+46 70 123 45 67")]),
    ("Maja Lindqvist", "name", [("name", "Maja Lindqvist")]),
    ("A/S Byggeri", "name", [("name", "A/S Byggeri")]),
]


@pytest.mark.parametrize(("text", "read_as", "candidates"), CUSTOMERS)
def test_a_customer_query_is_read(text, read_as, candidates):
    query = read_customer_query(text)

    assert (query.read_as, tries(query)) == (read_as, candidates)


@pytest.mark.parametrize("read", [read_product_query, read_customer_query])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\t\n",
        "\x01\x02",
        "\u200b",
        "x" * 256,
        "https://x.myshopify.com/" + "x" * 3000,
        "gid://shopify/Order/1",
        "gid://shopify/Product/",
        "https://admin.shopify.com/store/x/orders/1",
        "https://admin.shopify.com/store/x/products/abc",
    ],
)
def test_what_cannot_be_meant_is_malformed_and_says_what_to_type(read, text):
    query = read(text)

    assert (query.read_as, query.candidates) == ("malformed", ())
    assert query.sentence.endswith(".")


def test_the_other_feeds_ids_are_pointed_to_it():
    assert "under customers" in read_product_query("gid://shopify/Customer/1").sentence
    assert "under customers" in read_product_query("https://x.myshopify.com/admin/customers/1").sentence
    assert "under products" in read_customer_query("gid://shopify/Product/1").sentence


@given(st.text() | st.from_regex(r"(https?://|gid:|/admin/products/|[a-z]+\.com/)[ -~]*"))
def test_nothing_typed_makes_the_reader_raise(text):
    for read in (read_product_query, read_customer_query):
        query = read(text)

        assert (query.read_as == "malformed") == (not query.candidates)
        assert (query.sentence is not None) == (query.read_as == "malformed")
        for candidate in query.candidates:
            assert "\x00" not in str(candidate.value)
