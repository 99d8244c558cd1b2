"""The post: signatures, headers, retries, and a mood whose every deed is in the ledger."""

import base64
import hashlib
import hmac
import json
import threading
from collections import Counter

import pytest

from devstore.mood import MOODS, Mood, decide
from devstore.post import Postman

SHOP = "northwind.myshopify.com"
SECRET = "devstore-secret"


def test_a_delivery_is_signed_over_its_bytes_and_has_shopifys_headers(devstore, receiver):
    (fired,) = devstore.change(SHOP, "edit_product", id=7356521840875, title="Steel / <bracket>")
    devstore.settle()

    ((path, headers, body),) = receiver.deliveries
    signature = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()
    assert path == "/webhooks"
    assert headers["X-Shopify-Hmac-Sha256"] == signature
    assert headers["X-Shopify-Topic"] == "products/update"
    assert headers["X-Shopify-Shop-Domain"] == SHOP
    assert headers["X-Shopify-API-Version"] == "2026-10"
    assert headers["X-Shopify-Webhook-Id"] == fired["webhook_id"]
    assert headers["X-Shopify-Triggered-At"] == fired["triggered_at"]
    assert headers["X-Shopify-Event-Id"]
    assert "X-Shopify-Name" not in headers


def test_two_subscriptions_to_a_topic_share_an_event_and_not_a_webhook_id(app, devstore, receiver):
    wish = {"uri": "/webhooks", "metafieldNamespaces": ["sparklayer"], "name": "with-metafields"}
    app.data("Subscribe", topic="PRODUCTS_UPDATE", wish=wish)

    devstore.change(SHOP, "edit_product", id=7356521840875, title="Twice")
    devstore.settle()

    headers = [headers for _, headers, _ in receiver.deliveries]
    assert len({h["X-Shopify-Webhook-Id"] for h in headers}) == 2
    assert len({h["X-Shopify-Event-Id"] for h in headers}) == 1
    assert [h.get("X-Shopify-Name") for h in headers].count("with-metafields") == 1
    assert sum("metafields" in json.loads(body) for _, _, body in receiver.deliveries) == 1


def test_an_app_without_subscriptions_of_its_own_is_told_only_what_it_subscribed_to(app, devstore, receiver):
    devstore.settings(SHOP, app_subscriptions=False)
    app.data("Subscribe", topic="PRODUCTS_DELETE", wish={"uri": "/webhooks"})

    assert devstore.change(SHOP, "edit_product", title="Unheard") == []
    devstore.change(SHOP, "delete_product", id=7356521840875)
    devstore.settle()

    assert [body for _, _, body in receiver.deliveries] == [b'{"id":7356521840875}']


@pytest.mark.parametrize("refusal", [500, 302, 401])
def test_a_refused_delivery_is_repeated_with_the_same_id_and_the_first_body(devstore, receiver, refusal):
    receiver.statuses = [refusal, refusal]
    devstore.change(SHOP, "edit_product", id=7356521840875, title="First")
    devstore.settle()

    assert len(receiver.deliveries) == 3
    assert len({(h["X-Shopify-Webhook-Id"], body) for _, h, body in receiver.deliveries}) == 1
    (entry,) = devstore.ledger(SHOP)
    assert entry["fate"] == "delivered"
    assert [attempt["status"] for attempt in entry["attempts"]] == [refusal, refusal, 200]


def test_after_eight_retries_a_delivery_is_lost_and_its_own_subscription_removed(app, devstore, receiver):
    devstore.settings(SHOP, app_subscriptions=False)
    app.data("Subscribe", topic="PRODUCTS_UPDATE", wish={"uri": "/webhooks"})
    receiver.statuses = [500] * 9

    devstore.change(SHOP, "edit_product", title="Never heard")
    devstore.settle()

    (entry,) = devstore.ledger(SHOP)
    assert (entry["fate"], len(entry["attempts"])) == ("failed", 9)
    assert app.data("Subscriptions")["webhookSubscriptions"]["nodes"] == []


def test_nobody_listening_is_an_attempt_with_an_error_and_no_status(devstore, receiver):
    devstore.move_app(url="http://127.0.0.1:9")
    devstore.change(SHOP, "edit_product", title="Into the void")
    devstore.settle()

    (entry,) = devstore.ledger(SHOP)
    assert entry["fate"] == "failed"
    assert entry["status"] is None
    assert entry["error"] == "ConnectionRefusedError"


def test_an_answer_that_takes_too_long_is_a_failure(receiver):
    answered = threading.Event()
    receiver.before_answer = answered.wait

    postman = Postman(whole_seconds=0.1)
    attempt = postman.post(f"{receiver.url}/webhooks", {}, b"{}")
    answered.set()
    postman.close()

    assert (attempt.status, attempt.error) == (None, "TimeoutError")


def test_connections_are_kept(receiver):
    ports = set()
    postman = Postman()
    for _ in range(3):
        assert postman.post(f"{receiver.url}/webhooks", {}, b"{}").status == 200
        ports.add(postman._kept[receiver.url].sock.getsockname()[1])
    postman.close()

    assert len(ports) == 1


def test_the_same_seed_decides_the_same_and_another_seed_otherwise():
    def fates(seed):
        return [decide(MOODS["bad"], seed, SHOP, n) for n in range(200)]

    assert fates(1) == fates(1)
    assert fates(1) != fates(2)


def test_the_shares_of_a_mood_are_kept():
    fates = [decide(Mood(loss=0.2, doubles=0.1), 3, SHOP, n) for n in range(5_000)]

    assert 900 < sum(fate.lost for fate in fates) < 1_100
    assert 400 < sum(fate.second_copy_after is not None for fate in fates) < 600


def test_the_ledger_tells_truly_what_was_lost_doubled_and_delayed(devstore, receiver):
    devstore.mood(loss=0.3, doubles=0.3, delay=0.3, delay_seconds=[0.01, 0.05], reorder_seconds=0.05)
    devstore.random(SHOP, 60)
    devstore.flush()
    settled = devstore.settle()

    arrived = Counter(headers["X-Shopify-Webhook-Id"] for _, headers, _ in receiver.deliveries)
    entries = devstore.ledger(SHOP)
    assert settled["settled"]
    assert {e["webhook_id"] for e in entries if e["fate"] == "lost"}.isdisjoint(arrived)
    assert {e["webhook_id"] for e in entries if e["fate"] == "delivered"} == set(arrived)
    answered = {e["webhook_id"]: sum(a["status"] is not None for a in e["attempts"]) for e in entries}
    assert {e["webhook_id"] for e in entries if e["doubled"]} == {i for i, times in answered.items() if times == 2}
    # On a busy machine an attempt may time out and be made again: whether the first one arrived, nobody can tell.
    assert all(answered[e["webhook_id"]] <= arrived[e["webhook_id"]] <= len(e["attempts"]) for e in entries)
    assert settled["counts"]["posts"] == sum(len(e["attempts"]) for e in entries)
    assert min(settled["counts"][fate] for fate in ("lost", "delivered", "doubled", "delayed")) > 0


def test_a_restless_post_changes_the_order_of_arrival(devstore, receiver):
    devstore.mood(reorder_seconds=0.3)
    sent = [devstore.change(SHOP, "edit_product", title=f"T{n}")[0]["webhook_id"] for n in range(12)]
    devstore.settle()

    arrived = [headers["X-Shopify-Webhook-Id"] for _, headers, _ in receiver.deliveries]
    assert sorted(arrived) == sorted(sent)
    assert arrived != sent


def test_an_outage_that_holds_sends_nothing_until_it_ends(devstore, receiver):
    devstore.mood(outage="hold")
    devstore.change(SHOP, "edit_product", title="Held")

    assert devstore.settle(seconds=0.1)["settled"] is False
    assert receiver.deliveries == []

    devstore.mood(outage="none")
    assert devstore.settle()["settled"] is True
    assert len(receiver.deliveries) == 1


def test_an_outage_that_loses_sends_nothing_ever(devstore, receiver):
    devstore.mood(outage="lose")
    devstore.change(SHOP, "edit_product", title="Gone")
    devstore.mood(outage="none")
    devstore.settle()

    assert receiver.deliveries == []
    assert devstore.counts()["lost"] == 1
