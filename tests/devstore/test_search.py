"""Shopify's search language and its paging, traps included."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from graphql import GraphQLError

from devstore import search
from devstore.pages import page

SHOP = "northwind.myshopify.com"
TEN = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def found(query, fields=search.PRODUCT_FIELDS):
    matches = search.predicate(query, fields) or (lambda record: True)
    return [record.number for record in RECORDS if matches(record)]


def record(number, hour, *tags, status="ACTIVE", title="Mug"):
    at = TEN.replace(hour=hour)
    variant = SimpleNamespace(sku=f"S-{number}", barcode=None)
    shape = {"handle": title.lower(), "vendor": "Acme", "product_type": "", "variants": (variant,)}
    return SimpleNamespace(number=number, created_at=at, updated_at=at, tags=tags, status=status, title=title, **shape)


RECORDS = [record(1, 9, "b2b"), record(2, 10, "B2B ", status="DRAFT"), record(3, 11, "b2b-vip", title="Oak tray")]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        (None, [1, 2, 3]),
        ("", [1, 2, 3]),
        ("updated_at:>='2026-11-20T10:00:00Z'", [2, 3]),
        ("updated_at:>'2026-11-20T10:00:00Z'", [3]),
        ("updated_at:<'2026-11-20T05:00:00-05:00'", [1]),
        ('updated_at:>="2026-11-20T10:30:00Z"', [3]),
        ("tag:'b2b'", [1, 2]),
        ("tag:b2b", [1, 2]),
        ("tag:b2b*", [1, 2, 3]),
        ("tag:'b2b,b2b-vip'", [1, 2, 3]),
        ("-tag:b2b", [3]),
        ("NOT tag:b2b", [3]),
        ("status:draft", [2]),
        ("status:active,draft", [1, 2, 3]),
        ("id:>1", [2, 3]),
        ("id:>1 AND status:active", [3]),
        ("id:1 OR id:3", [1, 3]),
        ("(id:1 OR id:2) status:draft", [2]),
        ("sku:S-3", [3]),
        ("oak", [3]),
        ("no_such_field:7", [1, 2, 3]),
    ],
)
def test_the_search_language(query, numbers):
    assert found(query) == numbers


def test_an_unquoted_time_is_rounded_down_to_midnight():
    assert found("updated_at:>=2026-11-20T10:30:00Z") == [1, 2, 3]
    assert found("updated_at:<=2026-11-20T10:30:00Z") == []


def test_an_empty_comparison_is_an_error():
    with pytest.raises(search.SearchError):
        found("updated_at:>")


def test_pages_follow_each_other_without_gap_or_repeat():
    rows = [SimpleNamespace(at=TEN + timedelta(seconds=n // 3), number=n) for n in range(50)]
    seen, after = [], None
    while True:
        part = page(rows, lambda row: (row.at, row.number), {"first": 7, "after": after})
        seen += [row.number for row in part.nodes]
        after = part.page_info["endCursor"]
        if not part.page_info["hasNextPage"]:
            break

    assert seen == list(range(50))


def test_the_last_rows_can_be_asked_for():
    rows = [SimpleNamespace(number=n) for n in range(10)]

    part = page(rows, lambda row: (row.number,), {"last": 3})

    assert [row.number for row in part.nodes] == [7, 8, 9]
    assert part.page_info["hasPreviousPage"]


def test_descending_pages_go_on_downwards():
    rows = [SimpleNamespace(number=n) for n in reversed(range(5))]

    first = page(rows, lambda row: (row.number,), {"first": 2}, descending=True)
    second = page(rows, lambda row: (row.number,), {"first": 2, "after": first.page_info["endCursor"]}, descending=True)

    assert [row.number for row in first.nodes + second.nodes] == [4, 3, 2, 1]


def test_paging_ends_silently_at_25000_rows():
    rows = [SimpleNamespace(number=n) for n in range(25_010)]
    last_whole = page(rows[24_899:24_900], lambda row: (row.number,), {"first": 1}).page_info["endCursor"]

    part = page(rows, lambda row: (row.number,), {"first": 250, "after": last_whole})

    assert [row.number for row in part.nodes] == list(range(24_900, 25_000))
    assert part.page_info["hasNextPage"] is False


@pytest.mark.parametrize("arguments", [{}, {"first": 251}, {"first": 2, "after": "nonsense"}])
def test_a_page_must_be_asked_for_properly(arguments):
    with pytest.raises(GraphQLError):
        page([], lambda row: (row.number,), arguments)


def test_a_change_is_searched_late_and_looked_up_at_once(app, devstore):
    devstore.settings(SHOP, index_lag=3_600)
    devstore.change(SHOP, "edit_product", id=7356521840875, title="Fresh", tags=["fresh"])

    by_search = app.data("ChangedProducts", q="tag:fresh")["products"]["nodes"]
    by_id = app.data("query($id:ID!){product(id:$id){title}}", id="gid://shopify/Product/7356521840875")
    counted = app.data("query($q:String){productsCount(query:$q){count}}", q="tag:fresh")["productsCount"]["count"]
    assert (by_search, counted) == ([], 0)
    assert by_id["product"]["title"] == "Fresh"

    devstore.settings(SHOP, index_lag=0)
    (caught_up,) = app.data("ChangedProducts", q="tag:fresh")["products"]["nodes"]
    assert caught_up["title"] == "Fresh"
