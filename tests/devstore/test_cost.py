"""Points: what a query costs, what is refunded, and the bucket."""

import pytest
from graphql import OperationDefinitionNode, parse

from devstore.cost import Bill, Bucket
from devstore.schema import SCHEMA

SHOP = "northwind.myshopify.com"


def bill(text, **variables):
    document = parse(text)
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return Bill.of(SCHEMA, document, operation, variables)


def ids(count, kind="Customer"):
    return [f"gid://shopify/{kind}/{n}" for n in range(count)]


def test_forty_variants_with_twenty_metafields_ask_for_841(documents):
    assert bill(documents["Variants"], id="gid://shopify/Product/1").requested() == 841


def test_the_membership_probe_of_250_ids_asks_for_500(documents):
    assert bill(documents["Membership"], ids=ids(250)).requested() == 500


def test_a_full_customer_by_id_asks_for_23(documents):
    assert bill(documents["Records"], ids=ids(1)).requested() == 23


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("{shop{id name}}", 1),
        ("{shop{id plan{shopifyPlus}}}", 2),
        ("{products(first:50){nodes{variants(first:100){nodes{id}} metafields(first:20){nodes{id}}}}}", 6_050),
        ("{products(first:10){edges{cursor node{id}} pageInfo{hasNextPage}}}", 10),
        ("query($n:Int=5){products(first:$n){nodes{id}}}", 5),
        ("{a:shop{id} b:shop{id}}", 2),
        ("{products(first:3){...P}} fragment P on ProductConnection{nodes{id variants(first:2){nodes{id}}}}", 9),
        ('mutation{bulkOperationCancel(id:"x"){bulkOperation{id}}}', 10),
    ],
)
def test_what_a_query_asks_for(text, points):
    assert bill(text).requested() == points


def test_what_did_not_come_is_refunded():
    probe = bill("{products(first:10){nodes{id variants(first:5){nodes{id}}}}}")

    nodes = [{"id": "1", "variants": {"nodes": [{"id": "2"}, {"id": "3"}]}}, {"id": "4", "variants": {"nodes": []}}]

    assert probe.requested() == 60
    assert probe.actual({"products": {"nodes": nodes}}) == 4


def test_ids_that_are_gone_cost_nothing(documents):
    membership = bill(documents["Membership"], ids=ids(3))

    assert membership.actual({"nodes": [None, {"id": "x", "metafields": {"nodes": [{"key": "group"}]}}, None]}) == 2


def test_the_bucket_empties_refills_and_never_overflows():
    time = [0.0]
    bucket = Bucket(lambda: time[0], maximum=100, restore=10)

    assert bucket.take(80)
    assert not bucket.take(80)
    time[0] = 6.0
    assert bucket.take(80)
    bucket.refund(500)
    assert bucket.status() == {"maximumAvailable": 100.0, "currentlyAvailable": 100, "restoreRate": 10.0}


def test_over_budget_is_http_200_with_the_code_throttled_and_spends_nothing(app, devstore):
    devstore.settings(SHOP, bucket=30, restore_rate=0)

    answer = app.ask("{products(first:31){nodes{id}}}")

    assert answer["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert answer["extensions"]["cost"] == {
        "requestedQueryCost": 31,
        "actualQueryCost": None,
        "throttleStatus": {"maximumAvailable": 30.0, "currentlyAvailable": 30, "restoreRate": 0.0},
    }
    assert "data" not in answer
    assert devstore.requests()[SHOP]["throttled"] == 1


def test_an_answer_tells_what_was_asked_and_what_was_kept(app, devstore):
    devstore.settings(SHOP, bucket=1000, restore_rate=0)

    cost = app.ask("{products(first:100){nodes{id}}}")["extensions"]["cost"]

    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (100, 12)
    assert cost["throttleStatus"]["currentlyAvailable"] == 988


def test_a_query_over_a_thousand_points_is_refused_whatever_the_bucket_holds(app):
    answer = app.ask("{products(first:250){nodes{id variants(first:10){nodes{id}}}}}")

    assert answer["errors"][0]["extensions"] == {
        "code": "MAX_COST_EXCEEDED",
        "cost": 2750,
        "maxCost": 1000,
        "documentation": "https://shopify.dev/api/usage/limits#rate-limits",
    }
