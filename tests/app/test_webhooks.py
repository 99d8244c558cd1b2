"""What the front door takes, what it refuses, and what it keeps of what it took."""

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.test import create_environ, run_wsgi_app

from domain.topics import OURS, ROUTES, SHOPIFYS

EMAIL = "jane.doe@example.com"
SIGNED = "X-Shopify-Hmac-Sha256"
# facts of the platform: the topics about products, customers, tags, the app, bulk operations, and compliance
TOPICS = (
    *("products/create", "products/update", "products/delete"),
    *("customers/create", "customers/update", "customers/delete", "customers/enable", "customers/disable"),
    *("customers/merge", "customer.tags_added", "customer.tags_removed"),
    *("app/uninstalled", "app/scopes_update", "shop/update", "bulk_operations/finish"),
    *("customers/data_request", "customers/redact", "shop/redact"),
)
COMPLIANCE = ("customers/data_request", "customers/redact", "shop/redact")
OF_A_CUSTOMER = tuple(topic for topic in TOPICS if topic.startswith("customer"))


def body_of(topic):
    """A body as this topic has it, with everything personal that it may hold."""
    person = {"email": EMAIL, "phone": "+15145550199", "first_name": "Jane", "note": f"write to {EMAIL}"}
    bodies = {
        "customer.tags_added": {"customerId": "gid://shopify/Customer/5", "tags": ["b2b", EMAIL]},
        "customer.tags_removed": {"customerId": "gid://shopify/Customer/5", "tags": [EMAIL]},
        "customers/merge": {"admin_graphql_api_customer_deleted_id": "gid://shopify/Customer/5", "note": EMAIL},
        "bulk_operations/finish": {"admin_graphql_api_id": "gid://shopify/BulkOperation/5", "error_code": None},
        "customers/data_request": {"customer": {"id": 5} | person, "orders_requested": [1], "shop_domain": "x"},
        "customers/redact": {"customer": {"id": 5} | person, "orders_to_redact": [1]},
    }
    return bodies.get(topic, {"id": 5, "updated_at": "2026-11-23T09:59:59Z"} | person)


# -- genuine and stored


def test_a_genuine_delivery_is_in_the_table_when_shopify_hears_200(door, payload):
    raw = payload("products_update.sample.json")

    answer = door.post(raw, webhook_id="b54557e4", event_id="98880550", triggered_at="2026-11-23T10:00:00.123456789Z")

    row = door.only_row()
    assert (answer.status_code, answer.text) == (200, "stored\n")
    assert (row["shop"], row["webhook_id"], row["event_id"]) == (
        "northwind-trade.myshopify.com",
        "b54557e4",
        "98880550",
    )
    assert (row["topic"], row["feed"], row["resource_id"]) == ("products/update", "products", 788032119674292922)
    assert (row["source"], row["lane"], row["state"], row["outcome"]) == ("webhook", "live", "waiting", None)
    assert row["triggered_at"] == datetime(2026, 11, 23, 10, 0, 0, 123456, UTC)
    assert (bytes(row["body"]), row["body_bytes"]) == (raw, len(raw))
    assert (row["api_version"], row["secret"], row["copies"]) == ("2026-10", 0, 1)


def test_every_topic_of_the_platform_that_concerns_us_is_known():
    assert set(TOPICS) == set(SHOPIFYS)
    assert not OURS & set(SHOPIFYS)
    assert set(ROUTES) == set(TOPICS) | OURS


@pytest.mark.parametrize("topic", TOPICS)
def test_a_readable_body_of_each_topic_waits_for_its_turn(door, topic):
    answer = door.post(body_of(topic), topic)

    row = door.only_row()
    of_the_shop = topic.startswith(("app/", "shop/"))
    assert answer.status_code == 200
    assert (row["topic"], row["state"]) == (topic, "waiting")
    assert row["resource_id"] == (None if of_the_shop else 5)


@pytest.mark.parametrize("topic", [*OF_A_CUSTOMER, *COMPLIANCE, "shop/update", "app/uninstalled"])
@pytest.mark.parametrize("spoil", [False, True], ids=["readable", "dead"])
def test_nothing_personal_of_a_body_is_ever_in_the_database(door, everything_stored, topic, spoil):
    body = json.dumps(body_of(topic) | {"email": EMAIL}).encode()
    answer = door.post(body[:-1] if spoil else body, topic, webhook_id=f"of-{topic}")

    stored = everything_stored()
    assert answer.status_code == 200
    assert f"of-{topic}" in stored
    assert all(word not in stored for word in (EMAIL, "jane.doe", "5145550199", "Jane"))


def test_a_product_body_is_kept_and_the_dump_would_show_it(door, product, everything_stored):
    door.post(product(title="Mug of jane.doe@example.com"))

    assert EMAIL in everything_stored()  # so the tests above look where it would be


@pytest.mark.parametrize(("secret", "place"), [("current", 0), ("previous", 1)])
def test_either_secret_is_accepted_while_one_is_rotated_and_the_row_says_which(door, full_environment, secret, place):
    name = "SHOPIFY_API_SECRET" if secret == "current" else "SHOPIFY_API_SECRET_PREVIOUS"

    answer = door.post({"id": 1}, secret=full_environment[name])

    assert answer.status_code == 200
    assert door.only_row()["secret"] == place


def test_the_headers_of_shopifys_coming_family_are_accepted(door):
    answer = door.post({"id": 1}, prefix="Shopify-", webhook_id="of-the-new-kind")

    row = door.only_row()
    assert answer.status_code == 200
    assert (row["webhook_id"], row["topic"]) == ("of-the-new-kind", "products/update")
    assert row["triggered_at"] == datetime(2026, 11, 23, 10, 0, 0, 123456, UTC)


def test_a_delivery_that_comes_again_is_stored_once(door):
    first = door.post({"id": 1}, webhook_id="twice")
    second = door.post({"id": 1}, webhook_id="twice")

    assert (first.text, second.text) == ("stored\n", "stored before\n")
    assert len(door.rows()) == 1


def test_the_same_webhook_id_of_another_shop_is_another_delivery(door):
    door.post({"id": 1}, webhook_id="same", shop_domain="northwind-trade.myshopify.com")
    door.post({"id": 1}, webhook_id="same", shop_domain="contoso-outdoor.myshopify.com")

    assert len(door.rows()) == 2


def test_deliveries_that_share_an_event_id_are_different_deliveries(door):
    door.post({"id": 1}, event_id="one-event")
    door.post({"id": 1}, "products/create", event_id="one-event")

    assert len(door.rows()) == 2


def test_a_shop_in_upper_case_is_the_same_shop(door):
    door.post({"id": 1}, webhook_id="same", shop_domain="Northwind-TRADE.MyShopify.com")
    again = door.post({"id": 1}, webhook_id="same")

    assert again.text == "stored before\n"
    assert door.only_row()["shop"] == "northwind-trade.myshopify.com"


# -- refused, nothing stored

FORGERIES = {
    "of another secret": lambda right: right[:-2] + ("A=" if right[-2] != "A" else "B="),
    "missing": lambda _right: None,
    "empty": lambda _right: "",
    "truncated": lambda right: right[:-1],
    "longer": lambda right: right + "=",
    "not ASCII": lambda right: "é" + right[1:],
    "in hexadecimal": lambda _right: "9b74c9897bac770ffc029102a200c5de9b74c9897bac770ffc029102a200c5de",
    "with a space inside": lambda right: f"{right[:9]} {right[9:]}",
    "in lower case": lambda right: right.lower(),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_wrong_signature_is_401_and_leaves_nothing(door, headers_of, forge):
    raw = b'{"id": 1}'
    headers = headers_of(raw, "products/update")
    forged = forge(headers.pop(SIGNED))

    answer = door.app.test_client().post(
        "/webhooks", data=raw, headers=headers | ({} if forged is None else {SIGNED: forged})
    )

    assert answer.status_code == 401
    assert door.rows() == []


def test_a_body_changed_by_one_byte_is_401(door, headers_of):
    headers = headers_of(b'{"id": 1}', "products/update")

    answer = door.app.test_client().post("/webhooks", data=b'{"id":1}', headers=headers)

    assert answer.status_code == 401
    assert door.rows() == []


def test_the_signature_is_checked_before_any_other_header_is_looked_at(door):
    answer = door.post({"id": 1}, secret="not ours", omit=("topic", "shop-domain", "webhook-id"))

    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["topic", "shop-domain", "webhook-id"])
def test_a_missing_header_is_400_and_leaves_nothing(door, name):
    answer = door.post({"id": 1}, omit=(name,))

    assert answer.status_code == 400
    assert name in answer.text.lower()
    assert door.rows() == []


@pytest.mark.parametrize(
    "value", ["", "   ", "x" * 256, "\x00", "a\x00b"], ids=["empty", "blank", "long", "nul", "a nul"]
)
@pytest.mark.parametrize("name", ["topic", "shop_domain", "webhook_id"])
def test_an_unusable_header_is_400_and_leaves_nothing(door, name, value):
    answer = door.post({"id": 1}, **{name: value})

    assert answer.status_code == 400
    assert door.rows() == []


@pytest.mark.parametrize(
    "domain",
    [
        "example.com",
        "myshopify.com",
        ".myshopify.com",
        "-acme.myshopify.com",
        "acme.myshopify.com.evil.example",
        "evil.example/acme.myshopify.com",
        "acme.evil.myshopify.com",
        "acme_1.myshopify.com",
        "ácme.myshopify.com",
        "acme.myshopify.com:443",
        "acme.myshopify.com' OR '1'='1",
    ],
)
def test_a_shop_that_is_no_myshopify_domain_is_400(door, domain):
    answer = door.post({"id": 1}, shop_domain=domain.encode().decode("latin-1"))

    assert answer.status_code == 400
    assert door.rows() == []


def test_a_header_that_holds_sql_is_only_text(door):
    evil = "'); DROP TABLE deliveries; --"

    answer = door.post({"id": 1}, webhook_id=evil, event_id=evil)

    assert answer.status_code == 200
    assert (door.only_row()["webhook_id"], door.only_row()["event_id"]) == (evil, evil)


@pytest.mark.parametrize("event_id", ["a\x00b", ""])
def test_an_unusable_optional_header_does_not_refuse_the_delivery(door, event_id):
    answer = door.post({"id": 1}, event_id=event_id)

    assert answer.status_code == 200
    assert door.only_row()["event_id"] is None


def test_a_body_longer_than_the_cap_is_413_by_its_declared_length(door):
    answer = door.post(b"{}", content_length="ignored", omit=())
    assert answer.status_code == 200  # the header above is of no known family

    refused = door.app.test_client().post(
        "/webhooks", environ_overrides={"CONTENT_LENGTH": str(10 * 1024 * 1024 + 1)}, headers={SIGNED: "none"}
    )

    assert refused.status_code == 413
    assert len(door.rows()) == 1


@pytest.mark.parametrize(("length", "status"), [(2_048, 200), (2_049, 413)])
def test_a_streamed_body_without_a_length_is_cut_off_at_the_cap(build, database, door_of, headers_of, length, status):
    door = door_of(build(MAX_BODY_BYTES="2048"), database)
    raw = b'{"id": 1, "title": "' + b"x" * (length - 22) + b'"}'

    answer = door.app.test_client().post(
        "/webhooks",
        input_stream=io.BytesIO(raw),
        headers=headers_of(raw, "products/update"),
        environ_overrides={"CONTENT_LENGTH": "", "wsgi.input_terminated": True},
    )

    assert len(raw) == length
    assert answer.status_code == status
    assert len(door.rows()) == (1 if status == 200 else 0)


@pytest.mark.parametrize("topic", ["products/explode", "orders/create", "product/fetch", "PRODUCTS/UPDATE", "' --"])
def test_an_unknown_topic_is_answered_200_counted_and_not_stored(door, topic):
    answer = door.post({"id": 1}, topic)

    assert answer.status_code == 200
    assert door.rows() == []
    figures = door.app.test_client().get("/metrics").text
    assert 'datasync_ingress_total{answer="200 unknown topic",topic="other"} 1.0' in figures


def test_only_post_is_taken(door):
    answer = door.app.test_client().get("/webhooks")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_body_that_never_comes_is_400_and_leaves_nothing(door, headers_of):
    environ = create_environ("/webhooks", method="POST", headers=headers_of(b"{}", "products/update"))
    environ |= {"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "2"}

    content, status, _ = run_wsgi_app(door.app, environ)

    assert (status, b"".join(content)) == ("400 Bad Request", b"The body did not come.\n")
    assert door.rows() == []


def test_a_bug_of_ours_is_500_and_quotes_nothing(door, headers_of):
    raw = b'{"id": 1, "title": "secret-word"}'

    class Broken(io.BytesIO):
        def read(self, *_):
            raise KeyError("secret-word")

    answer = door.app.test_client().post(
        "/webhooks",
        input_stream=Broken(raw),
        headers=headers_of(raw, "products/update"),
        environ_overrides={"CONTENT_LENGTH": str(len(raw)), "wsgi.input_terminated": False},
    )

    assert (answer.status_code, answer.text) == (500, "The inbox failed. Send this again.\n")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Traceback" not in answer.text


# -- genuine but unreadable

UNREADABLE = {
    "empty": b"",
    "blank": b" \n",
    "not JSON": b'{"id": 1, "secret-word"',
    "words": b"secret-word",
    "not text": b'\xff\xfe{"id": 1}',
    "NaN": b'{"id": NaN}',
    "a list": b'[{"id": 1, "x": "secret-word"}]',
    "a string": b'"secret-word"',
    "a number": b"12",
    "null": b"null",
    "nested too deeply": b'{"id":' * 100_000,
    "no id": b'{"title": "secret-word"}',
    "id null": b'{"id": null}',
    "id a float": b'{"id": 7356521840875.0}',
    "id an exponent": b'{"id": 7e3}',
    "id true": b'{"id": true}',
    "id a list": b'{"id": [1]}',
    "id an object": b'{"id": {"secret-word": 1}}',
    "id words": b'{"id": "secret-word"}',
    "id empty": b'{"id": ""}',
    "id zero": b'{"id": 0}',
    "id negative": b'{"id": -5}',
    "id negative digits": b'{"id": "-5"}',
    "id of other digits": '{"id": "٣"}'.encode(),
    "id 2^63": b'{"id": 9223372036854775808}',
    "id 2^63 as digits": b'{"id": "9223372036854775808"}',
    "id enormous": b'{"id": ' + b"9" * 5_000 + b"}",
    "id of another kind": b'{"id": "gid://shopify/Customer/5"}',
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE)
def test_a_genuine_body_that_cannot_be_read_is_one_dead_row_that_quotes_nothing(door, raw):
    answer = door.post(raw, webhook_id="unreadable")

    row = door.only_row()
    assert answer.status_code == 200
    assert (row["webhook_id"], row["state"], row["outcome"]) == ("unreadable", "closed", "dead")
    assert row["resource_id"] is None
    assert row["closed_at"] == row["received_at"]
    assert row["reason"]
    assert not any(word in row["reason"] for word in ("secret-word", "9999", "-5", "7356521840875"))


@pytest.mark.parametrize("topic", [*OF_A_CUSTOMER])
@pytest.mark.parametrize("raw", [b"", b"[]", b'{"email": "jane.doe@example.com"', b'{"id": -1, "customer": 3}'])
def test_a_customer_body_that_cannot_be_read_is_dead_without_a_body(door, topic, raw):
    answer = door.post(raw, topic)

    row = door.only_row()
    assert answer.status_code == 200
    assert (row["outcome"], row["body"], row["body_bytes"]) == ("dead", None, 0)
    assert EMAIL not in row["reason"]


@pytest.mark.parametrize("topic", ["app/uninstalled", "shop/update", "shop/redact", "app/scopes_update"])
def test_what_concerns_the_whole_shop_needs_no_body(door, topic):
    answer = door.post(b"", topic)

    assert answer.status_code == 200
    assert door.only_row()["state"] == "waiting"


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("7356521840875", 7356521840875),
        (9007199254740993, 9007199254740993),
        (9223372036854775807, 9223372036854775807),
        ("9223372036854775807", 9223372036854775807),
        ("gid://shopify/Product/7356521840875", 7356521840875),
        ("gid://shopify/Product/7356521840875?namespace=x", 7356521840875),
    ],
)
def test_an_id_is_read_exactly_however_it_is_written(door, told, read):
    door.post({"id": told})

    assert door.only_row()["resource_id"] == read


# -- times

NOW = object()


@pytest.mark.parametrize(
    ("told", "taken"),
    [
        ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T05:00:00-05:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00:00.123456789Z", datetime(2026, 11, 20, 10, 0, 0, 123456, UTC)),
        ("2026-11-20T10:00:00.1Z", datetime(2026, 11, 20, 10, 0, 0, 100000, UTC)),
        ("2026-11-20T10:00:00", NOW),  # no zone: whose clock would that be?
        ("yesterday", NOW),
        ("", NOW),
        ("0001-01-01T00:00:00+14:00", NOW),
        ("9999-12-31T23:59:59-14:00", NOW),
        ("2026-13-45T10:00:00Z", NOW),
        ("2" * 300, NOW),
        ("1780000000", NOW),
    ],
)
def test_an_unreadable_triggered_at_is_the_time_of_receipt(door, told, taken):
    before = datetime.now(UTC)
    answer = door.post({"id": 1}, triggered_at=told)

    row = door.only_row()
    assert answer.status_code == 200
    if taken is NOW:
        assert before <= row["triggered_at"] == row["received_at"] <= datetime.now(UTC)
    else:
        assert row["triggered_at"] == taken


def test_without_triggered_at_the_time_of_receipt_stands_in(door):
    door.post({"id": 1}, omit=("triggered-at",))

    row = door.only_row()
    assert row["triggered_at"] == row["received_at"]


def test_a_clock_that_runs_ahead_does_not_win_over_everything_to_come(door):
    door.post({"id": 1}, triggered_at="2999-01-01T00:00:00Z")

    row = door.only_row()
    assert timedelta(minutes=5) <= row["triggered_at"] - row["received_at"] < timedelta(minutes=6)


@pytest.mark.parametrize(
    ("told", "believed"),
    [
        ({"updated_at": "2026-11-20T05:00:00-05:00"}, datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ({"updated_at": "2026-11-20T10:00:00.123456789Z"}, datetime(2026, 11, 20, 10, 0, 0, 123456, UTC)),
        ({"updated_at": "0001-01-01T00:00:00Z"}, None),
        ({"updated_at": "1999-12-31T23:59:59Z"}, None),
        ({"updated_at": "2999-01-01T00:00:00Z"}, None),
        ({"updated_at": "soon"}, None),
        ({"updated_at": 1780000000}, None),
        ({"updated_at": None}, None),
        ({}, None),
    ],
)
def test_a_bodys_own_time_is_kept_when_it_can_be_true(door, told, believed):
    answer = door.post({"id": 1} | told)

    assert answer.status_code == 200
    assert door.only_row()["changed_at"] == believed
