"""Bulk operations: lines, counts, and every way they end."""

import json
from itertools import pairwise

import httpx
import pytest

SHOP = "northwind.myshopify.com"


@pytest.fixture(autouse=True)
def at_once(devstore):
    devstore.settings(SHOP, bulk_seconds=0, bucket=20_000)


def run(app, query):
    answer = app.data("RunBulk", q=query)["bulkOperationRunQuery"]
    assert answer["userErrors"] == []
    return answer["bulkOperation"]["id"]


def finished(app, devstore, gid):
    """The finish webhook says when; the operation says what."""
    for _ in range(500):
        operation = app.data("Bulk", id=gid)["bulkOperation"]
        if operation["status"] not in {"CREATED", "RUNNING", "CANCELING"}:
            return operation
    raise AssertionError(f"{gid} did not end: {operation}")


def rows(url):
    return [json.loads(line) for line in httpx.get(url).text.splitlines()]


def test_every_record_is_a_line_and_children_name_a_parent_that_came_before(app, devstore, documents):
    operation = finished(app, devstore, run(app, documents["ProductsInBulk"]))

    lines, truth = rows(operation["url"]), devstore.truth(SHOP)["products"]
    seen = set()
    for line in lines:
        assert line.get("__parentId") is None or line["__parentId"] in seen
        seen.add(line["id"])
    metafields = sum(len(v["metafields"]) for p in truth for v in p["variants"])
    assert len(lines) == len(truth) + sum(len(p["variants"]) for p in truth) + metafields
    assert metafields > 0


def test_children_do_not_stand_beside_their_parent(app, devstore, documents):
    operation = finished(app, devstore, run(app, documents["ProductsInBulk"]))

    lines = rows(operation["url"])
    beside = [b.get("__parentId") == a["id"] for a, b in pairwise(lines)]
    assert not all(beside[:2])
    assert sum("__parentId" not in line for line in lines[:7]) == 7


def test_counts_are_strings_and_true(app, devstore, documents):
    operation = finished(app, devstore, run(app, documents["CustomersInBulk"]))

    body = httpx.get(operation["url"]).content
    assert operation["objectCount"] == str(body.count(b"\n"))
    assert operation["rootObjectCount"] == str(len(devstore.truth(SHOP)["customers"]))
    assert operation["fileSize"] == str(len(body))
    assert operation["partialDataUrl"] is None


def test_a_line_has_what_was_asked_in_shopifys_spelling(app, devstore, documents):
    operation = finished(app, devstore, run(app, documents["CustomersInBulk"]))

    by_id = {line["id"]: line for line in rows(operation["url"])}
    bob = by_id["gid://shopify/Customer/5917633347819"]
    assert set(bob) == {"id", "updatedAt", "tags"}
    assert bob["tags"] == ["b2b", "b2b-trade"]
    assert bob["updatedAt"].endswith("Z")
    (group,) = [line for line in by_id.values() if line.get("__parentId") == bob["id"]]
    assert (group["namespace"], group["key"], group["value"]) == ("sparklayer", "group", "trade")


def test_nothing_found_has_no_url(app, devstore):
    operation = finished(app, devstore, run(app, '{products(query:"tag:none-has-it"){edges{node{id}}}}'))

    assert (operation["status"], operation["url"], operation["objectCount"]) == ("COMPLETED", None, "0")


def test_the_finish_webhook_is_in_lower_case_and_has_no_url(app, devstore, receiver, documents):
    gid = run(app, documents["CustomersInBulk"])
    finished(app, devstore, gid)
    devstore.settle()

    ((_, headers, body),) = receiver.deliveries
    assert headers["X-Shopify-Topic"] == "bulk_operations/finish"
    told = json.loads(body)
    assert (told["admin_graphql_api_id"], told["status"], told["error_code"]) == (gid, "completed", None)
    assert "url" not in told


def test_a_failed_operation_has_a_code_and_no_file(app, devstore, documents):
    devstore.settings(SHOP, bulk_outcome="failed")

    operation = finished(app, devstore, run(app, documents["CustomersInBulk"]))

    assert (operation["status"], operation["errorCode"]) == ("FAILED", "INTERNAL_SERVER_ERROR")
    assert (operation["url"], operation["partialDataUrl"]) == (None, None)


def test_a_partial_file_is_offered_as_partial_alone(app, devstore, documents):
    devstore.settings(SHOP, bulk_outcome="partial")

    operation = finished(app, devstore, run(app, documents["CustomersInBulk"]))

    assert (operation["status"], operation["url"]) == ("FAILED", None)
    assert 0 < len(rows(operation["partialDataUrl"])) < len(devstore.truth(SHOP)["customers"])


def test_a_silent_operation_sends_no_webhook(app, devstore, receiver, documents):
    devstore.settings(SHOP, bulk_outcome="silent")

    operation = finished(app, devstore, run(app, documents["CustomersInBulk"]))
    devstore.settle()

    assert operation["status"] == "COMPLETED"
    assert receiver.deliveries == []


def test_five_may_run_and_the_sixth_is_told_so(app, devstore, documents):
    devstore.settings(SHOP, bulk_outcome="stuck")
    gids = [run(app, documents["CustomersInBulk"]) for _ in range(5)]

    (error,) = app.data("RunBulk", q=documents["CustomersInBulk"])["bulkOperationRunQuery"]["userErrors"]
    assert error["code"] == "LIMIT_REACHED"

    app.data("CancelBulk", id=gids[0])
    assert finished(app, devstore, gids[0])["status"] == "CANCELED"
    run(app, documents["CustomersInBulk"])


@pytest.mark.parametrize(
    "query",
    [
        "{shop{id}}",
        "{products{edges{node{nonsense}}}}",
        "not a query",
        '{nodes(ids:["gid://shopify/Product/1"]){id}}',
    ],
)
def test_a_query_that_is_no_bulk_query_is_invalid(app, query):
    answer = app.data("RunBulk", q=query)["bulkOperationRunQuery"]

    assert answer["bulkOperation"] is None
    assert answer["userErrors"][0]["code"] == "INVALID"
