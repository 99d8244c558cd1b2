"""A comparison is worth what the other side is worth: each peer verifies, checks and guards as ours does."""

import time
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest

from bench import mail
from bench.caller import Caller
from bench.sides import express
from bench.sides.express import express as express_bullmq
from bench.sides.flask_rq import flask_rq
from bench.stage import ground

SHOP = "bench-01.myshopify.com"
PRODUCT = 7
SIDES = {
    "express": lambda on: express_bullmq(on, 1),
    "simple": lambda on: flask_rq(on, 2, "SimpleWorker", share=1),
    "forking": lambda on: flask_rq(on, 3, "Worker", share=1),
}


@contextmanager
def standing(name):
    with ground(lambda *_: None) as on, SIDES[name](on) as side:
        yield on, side


def post(side, delivery, **changed):
    connection = HTTPConnection("127.0.0.1", side.port, timeout=30)
    connection.request("POST", "/webhooks", delivery.body, delivery.headers | changed)
    status = connection.getresponse().status
    connection.close()
    return status


def revision_becomes(side, revision):
    newest = "SELECT 1 FROM products WHERE id = %s AND updated_at = %s"
    while not side.db.execute(newest, (mail.product_id(PRODUCT), mail.changed_at(revision))).fetchone():
        time.sleep(0.02)


def others_are_applied(side, on, count=5):
    """All go through one queue, so whatever was posted before them has been decided by then."""
    with Caller(side.port, on.secret, SHOP) as caller:
        for other in range(1_000, 1_000 + count):
            caller.post(mail.delivery(on.secret, SHOP, other))
            while not side.finds(caller, mail.sku(other, 1)):
                time.sleep(0.02)


@pytest.mark.parametrize("name", SIDES)
def test_a_peer_verifies_over_the_raw_bytes_and_lets_the_newer_updated_at_win(name):
    with standing(name) as (on, side):
        first, newer = (mail.delivery(on.secret, SHOP, PRODUCT, revision) for revision in (1, 2))
        older = mail.delivery(on.secret, SHOP, PRODUCT, 0)

        assert post(side, first, **{"X-Shopify-Hmac-Sha256": older.headers["X-Shopify-Hmac-Sha256"]}) == 401
        assert post(side, first, **{"X-Shopify-Hmac-Sha256": ""}) == 401
        assert post(side, first) == 200
        revision_becomes(side, 1)
        assert post(side, newer) == 200
        revision_becomes(side, 2)
        assert post(side, older) == 200
        others_are_applied(side, on)

        rows = side.db.execute(
            "SELECT p.updated_at, p.tags, v.sku, v.price::text, v.position FROM products p JOIN variants v "
            "ON v.shop = p.shop AND v.product_id = p.id WHERE p.id = %s ORDER BY v.id",
            (mail.product_id(PRODUCT),),
        ).fetchall()
        tags = ["b2b", "hardware", "trade", "2026"]
        prices = [variant["price"] for variant in mail.product(PRODUCT, 2)["variants"]]
        assert rows == [(mail.changed_at(2), tags, mail.sku(PRODUCT, n), prices[n - 1], n) for n in range(1, 6)]


def test_npm_that_cannot_install_says_why_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(express, "CHECKOUT", tmp_path)
    for name, value in {"registry": "http://127.0.0.1:1/", "cache": tmp_path / "cache", "fetch_retries": 0}.items():
        monkeypatch.setenv(f"npm_config_{name}", str(value))

    with pytest.raises(
        express.NotInstalled, match=r"npm could not install Express \+ BullMQ \(code ECONNREFUSED.+\)\. The"
    ):
        express.installed(lambda *_: None)

    assert list((tmp_path / ".run").iterdir()) == []
