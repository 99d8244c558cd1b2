"""Both sides over HTTP: what Shopify answers, what the control side does, and the process on its own."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest

from devstore.changes import CHANGES
from devstore.client import Devstore, DevstoreError
from devstore.generate import stock
from devstore.shop import Shop

SHOP = "northwind.myshopify.com"
KNOWN = "gid://shopify/Product/7356521840875"


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        ("ChangedProducts", {"q": "updated_at:>='2020-01-01T00:00:00Z'"}),
        ("ChangedCustomers", {"q": "tag:'b2b'"}),
        ("Variants", {"id": KNOWN}),
        ("Counts", {}),
        ("Membership", {"ids": ["gid://shopify/Customer/5917633347819"]}),
        (
            "Records",
            {"ids": [KNOWN, "gid://shopify/Customer/5917633347819", "gid://shopify/ProductVariant/7356521840876"]},
        ),
        ("Deletions", {"q": "action:destroy AND created_at:>'2026-11-22T00:00:00Z'"}),
        ("RunningBulk", {}),
        ("Subscriptions", {}),
        ("Health", {}),
    ],
)
def test_every_sample_document_is_answered(app, document, variables):
    assert None not in app.data(document, **variables).values()


def test_every_shop_has_the_known_product_and_customer(app):
    product, customer = app.data("Records", ids=[KNOWN, "gid://shopify/Customer/5917633347819"])["nodes"]
    skus = app.data("query($id:ID!){product(id:$id){variants(first:5){nodes{sku}}}}", id=KNOWN)["product"]["variants"]

    assert product["status"] == "ACTIVE"
    assert customer["tags"] == ["b2b", "b2b-trade"]
    assert skus == {"nodes": [{"sku": "ABC-1"}, {"sku": "ABC-2"}, {"sku": "ABC-3"}]}


def test_an_id_that_is_gone_is_null_and_the_others_are_there(app, devstore):
    devstore.change(SHOP, "delete_product", id=KNOWN)

    gone, there = app.data("Records", ids=[KNOWN, "gid://shopify/Customer/5917633347819"])["nodes"]

    assert gone is None
    assert there["__typename"] == "Customer"


def test_a_deletion_is_found_among_the_events(app, devstore):
    devstore.change(SHOP, "delete_product", id=KNOWN)

    (event,) = app.data("Deletions", q="action:destroy AND subject_type:PRODUCT")["events"]["nodes"]

    assert (event["__typename"], event["subjectId"], event["subjectType"]) == ("BasicEvent", KNOWN, "PRODUCT")


def test_all_products_are_paged_through_once(app, devstore):
    seen, after = [], None
    while True:
        part = app.data("ChangedProducts", q="", after=after)["products"]
        seen += [product["id"] for product in part["nodes"]]
        after = part["pageInfo"]["endCursor"]
        if not part["pageInfo"]["hasNextPage"]:
            break

    assert sorted(seen) == sorted(product["gid"] for product in devstore.truth(SHOP)["products"])


def test_a_field_that_shopify_does_not_have_is_an_error_with_http_200(app):
    answer = app.ask("{products(first:1){nodes{colour}}}")

    assert "colour" in answer["errors"][0]["message"]
    assert "data" not in answer


def test_more_than_250_ids_are_refused(app):
    answer = app.ask("query($ids:[ID!]!){nodes(ids:$ids){id}}", ids=[KNOWN] * 251)

    assert answer["errors"][0]["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"


def test_a_version_that_is_gone_falls_forward_silently(app):
    assert app.post("{shop{id}}", version="2024-01").headers["X-Shopify-API-Version"] == "2026-01"
    assert app.post("{shop{id}}").headers["X-Shopify-API-Version"] == "2026-10"


def test_an_unknown_shop_is_not_found(app):
    assert app.post("{shop{id}}", shop="nobody.myshopify.com").status_code == 404


def test_a_second_subscription_of_the_same_kind_is_refused_and_one_can_be_moved_and_deleted(app):
    wish = {"uri": "/webhooks"}
    made = app.data("Subscribe", topic="PRODUCTS_UPDATE", wish=wish)["webhookSubscriptionCreate"]["webhookSubscription"]
    again = app.data("Subscribe", topic="PRODUCTS_UPDATE", wish=wish)["webhookSubscriptionCreate"]
    assert again["webhookSubscription"] is None
    assert "taken" in again["userErrors"][0]["message"]

    moved = app.data("Resubscribe", id=made["id"], wish={"uri": "/elsewhere"})["webhookSubscriptionUpdate"]
    assert moved["webhookSubscription"]["uri"] == "/elsewhere"

    app.data("Unsubscribe", id=made["id"])
    assert app.data("Subscriptions")["webhookSubscriptions"]["nodes"] == []


@pytest.mark.parametrize("kind", ["401", "402", "403", "404", "423", "429", "430", "500", "502", "503"])
def test_a_status_is_answered_as_often_as_ordered(app, devstore, kind):
    devstore.fault(kind, times=2, seconds=1.5)

    answers = [app.post("{shop{id}}") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [int(kind), int(kind), 200]
    if kind == "429":
        assert answers[0].headers["Retry-After"] == "1.5"


@pytest.mark.parametrize("kind", ["timeout", "half_body"])
def test_a_line_can_be_cut(app, devstore, kind):
    devstore.fault(kind, seconds=0)

    with pytest.raises(httpx.RemoteProtocolError):
        app.post("{shop{id}}")
    assert app.post("{shop{id}}").status_code == 200


def test_errors_can_be_a_string_or_not_json_at_all(app, devstore):
    devstore.fault("string_errors")
    assert isinstance(app.post("{shop{id}}").json()["errors"], str)

    devstore.fault("garbage")
    with pytest.raises(json.JSONDecodeError):
        app.post("{shop{id}}").json()


def test_a_fault_hits_only_the_shop_it_was_ordered_for(app, devstore):
    devstore.open_shop("other.myshopify.com", token=app.token)
    devstore.fault("500", shop="other.myshopify.com")

    assert app.post("{shop{id}}").status_code == 200
    assert app.post("{shop{id}}", shop="other.myshopify.com").status_code == 500


def test_every_named_change_can_be_ordered_and_says_what_it_fired(devstore):
    gone, kept = [customer["id"] for customer in devstore.truth(SHOP)["customers"]][-2:]
    needs = {
        "merge_customers": {"id": gone, "into": kept},
        "edit_variant_metafield": {"key": "pack_size", "value": "13"},
        "edit_product_metafield": {"key": "pack_size", "value": "13"},
        "edit_customer_metafield": {"key": "group", "value": "other"},
        "tag_customer": {"tags": ["new"]},
        "untag_customer": {"tags": ["b2b"], "id": 5917633347819},
        "add_variants": {"variants": [{"sku": "N-1"}]},
        "remove_variant": {"id": 7356521840876},
        "update_scopes": {"scopes": ["read_products"]},
        "customers/redact": {"id": 5917633347819},
        "customers/data_request": {"id": 5917633347819},
    }

    fired = {kind: [f["topic"] for f in devstore.change(SHOP, kind, **needs.get(kind, {}))] for kind in CHANGES}

    silent = {"edit_variant_metafield", "edit_customer_metafield"}
    assert {kind for kind, topics in fired.items() if not topics} == silent
    assert fired["order"] == fired["edit_variant"] == fired["edit_product"] == ["products/update"]
    assert fired["uninstall"] == ["app/uninstalled"]
    assert fired["shop/redact"] == ["shop/redact"]


def test_a_change_that_cannot_be_made_is_refused_with_a_sentence(devstore):
    with pytest.raises(DevstoreError, match="There is no 404 here"):
        devstore.change(SHOP, "delete_product", id=404)
    with pytest.raises(DevstoreError, match="A change is one of"):
        devstore.change(SHOP, "explode")
    with pytest.raises(DevstoreError, match="no setting"):
        devstore.settings(SHOP, colour="red")
    with pytest.raises(DevstoreError, match="A mood has no"):
        devstore.mood(colour="red")


def test_the_same_seed_makes_the_same_random_changes(devstore):
    devstore.open_shop("same.myshopify.com", products=9, customers=9)
    first = devstore.random("same.myshopify.com", 50)["changes"]
    devstore.open_shop("same.myshopify.com", products=9, customers=9)

    assert devstore.random("same.myshopify.com", 50)["changes"] == first
    assert len(Counter(first)) > 5


def test_the_truth_shows_a_change_at_once_with_variants_and_metafields(devstore):
    devstore.change(SHOP, "edit_variant_metafield", id=7356521840877, key="pack_size", value="24")
    devstore.change(SHOP, "tag_customer", id=5917633347819, tags=["gold"])

    truth = devstore.truth(SHOP)

    (product,) = [p for p in truth["products"] if p["gid"] == KNOWN]
    (customer,) = [c for c in truth["customers"] if c["id"] == 5917633347819]
    assert [m["value"] for v in product["variants"] for m in v["metafields"]] == ["6", "24"]
    assert customer["tags"] == ["b2b", "b2b-trade", "gold"]


def test_orders_from_many_sides_at_once_all_count(devstore):
    before = devstore.truth(SHOP)["products"][0]["variants"][0]["inventory_quantity"]

    with ThreadPoolExecutor(8) as sides:
        list(sides.map(lambda _: devstore.change(SHOP, "order", id=7356521840876), range(40)))

    assert devstore.truth(SHOP)["products"][0]["variants"][0]["inventory_quantity"] == before - 40
    assert devstore.settle()["counts"]["delivered"] == 40


def test_a_shop_is_stocked_without_telling_anybody(devstore, receiver):
    devstore.open_shop("new.myshopify.com", token="t", products=30, customers=30)
    devstore.settle()

    assert receiver.deliveries == []
    assert devstore.shop("new.myshopify.com")["products"] == 30


def test_what_was_asked_is_counted_and_kept(app, devstore):
    app.data("Counts")
    app.data("Counts")

    tally = devstore.requests()[SHOP]

    assert tally["operations"] == {"Counts": 2}
    assert tally["actual_points"] == 4
    assert len(devstore.documents(SHOP)) == 1


def test_a_catalogue_has_the_mistakes_that_merchants_make():
    shop = Shop(SHOP, 1, lambda: datetime(2026, 11, 20, tzinfo=UTC))

    products, customers = stock(shop, 1, products=2_000, customers=2_000, variants=3, b2b=0.3)

    variants = [v for p in products for v in p.variants]
    skus = Counter(v.sku for v in variants)
    values = {m.value for v in variants for m in v.metafields}
    tags = {tag for c in customers for tag in c.tags}
    by_metafield_alone = [c for c in customers if c.metafields and not c.tags]
    assert skus[None] > 0
    assert any(count > 1 for sku, count in skus.items() if sku)
    assert {"six", '[{"customer_group":"base","pack_size":6,}]'} <= values
    assert {"b2b", "B2B ", "b2b-vip"} <= tags
    assert by_metafield_alone
    assert any(a.address1 == "" for c in customers for a in c.addresses)


def test_the_process_tells_its_address_and_ends_when_asked(receiver):
    command = [sys.executable, "-m", "devstore", "--app-url", receiver.url, "--secret", "s", "--seed", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": "."}) as process:
        told = json.loads(process.stdout.readline())
        with Devstore(told["url"]) as devstore:
            devstore.open_shop(SHOP, products=1)
            devstore.change(SHOP, "order")
            assert devstore.settle()["counts"]["delivered"] == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0

    assert len(receiver.deliveries) == 1
