"""Whatever comes in: a clear issue, or a dead delivery with a reason, and never at a neighbour's cost."""

import json

import pytest

from workers.turns import take_turn

SHOP = "northwind-trade.myshopify.com"
MUG = 7001
VARIANT = {"id": 70010, "sku": "MUG-1", "price": "10.00", "position": 1}
BODY = {
    "id": MUG,
    "title": "Mug",
    "handle": "mug",
    "status": "active",
    "tags": "",
    "updated_at": "2026-11-20T09:15:38-05:00",
    "variants": [VARIANT],
}


def json_of(**fields):
    return json.dumps(BODY | fields).encode()


def without(name):
    return json.dumps({key: value for key, value in BODY.items() if key != name}).encode()


@pytest.fixture(scope="session")
def client(environment):
    from app import build_app
    from settings import read_settings

    app = build_app(read_settings(environment))
    yield app.test_client()
    office = app.extensions["office"]
    office.db.dispose()
    office.frontdesk._db.dispose()
    office.admin.close()
    office.tokens.close()


@pytest.fixture
def door(journey, client):
    """door(raw, topic) → the webhook's id, once the front door has answered 200."""
    from devstore.courier import sign

    journey.install(SHOP)

    def send(raw, topic="products/update", webhook_id=None):
        send.sent += 1
        headers = {
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": sign(raw, journey.workshop.settings.shopify_api_secret),
            "X-Shopify-Shop-Domain": SHOP,
            "X-Shopify-Webhook-Id": webhook_id or f"{send.sent}",
        }
        answer = client.post("/webhooks", data=raw, headers=headers, content_type="application/json")
        assert answer.status_code == 200, answer.text
        return headers["X-Shopify-Webhook-Id"]

    send.sent = 0
    return send


@pytest.fixture
def among_neighbours(door, journey):
    """Sends it between two sound products and serves all three: the row of what was sent."""

    def send(raw, topic="products/update"):
        door(json.dumps(BODY | {"id": 1, "variants": []}).encode())
        webhook_id = door(raw, topic)
        door(json.dumps(BODY | {"id": 2, "variants": []}).encode())
        for _ in range(3):
            take_turn(journey.workshop, "live", SHOP)
        neighbours = journey.rows("SELECT outcome FROM deliveries WHERE resource_id IN (1, 2) AND lane = 'live'")
        assert [row["outcome"] for row in neighbours] == ["applied", "applied"]
        return journey.rows("SELECT * FROM deliveries WHERE webhook_id = :id", id=webhook_id)[0]

    return send


@pytest.fixture
def product(journey):
    def load(product_id=MUG):
        from adapters import mirror_products

        with journey.db.connect() as db:
            return mirror_products.load(db, SHOP, [product_id]).get(product_id)

    return load


@pytest.fixture
def codes(journey):
    def found(product_id=MUG):
        rows = journey.rows("SELECT code FROM issues WHERE resource_id = :id AND resolved_at IS NULL", id=product_id)
        return sorted(row["code"] for row in rows)

    return found


NO_OBJECT = [b"", b"shpat_secret", b"[]", b"\xff\xfe"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" \n",
        b"shpat_secret",
        b"{",
        b"[]",
        b'"text"',
        b"7",
        b"null",
        b"NaN",
        b"\xff\xfe",
        b"[" * 50_000,
        b"\x00{}",
    ],
    ids=lambda raw: repr(raw[:12]),
)
def test_what_is_no_json_object_is_dead_and_says_why(among_neighbours, raw):
    row = among_neighbours(raw)

    assert (row["state"], row["outcome"]) == ("closed", "dead")
    assert row["reason"]
    assert "shpat_secret" not in row["reason"]


@pytest.mark.parametrize("topic", ["customers/update", "customer.tags_added", "customers/redact"])
@pytest.mark.parametrize("raw", NO_OBJECT)
def test_of_a_persons_topic_not_even_rubbish_is_kept(among_neighbours, raw, topic):
    row = among_neighbours(raw, topic)

    assert (row["outcome"], row["body"]) == ("dead", None)
    assert row["reason"]


@pytest.mark.parametrize("value", [None, True, 0, -1, 7001.0, 1e20, 2**63, "", "seven", "7001.0", [], {}, "\u0661"])
def test_without_a_usable_id_a_delivery_is_dead(among_neighbours, value):
    row = among_neighbours(json_of(id=value))

    assert row["outcome"] == "dead"
    assert row["reason"].startswith("the product id")


@pytest.mark.parametrize("value", ["7001", "gid://shopify/Product/7001", 2**53 + 1, 2**63 - 1])
def test_ids_are_taken_as_shopify_may_write_them(among_neighbours, product, value):
    row = among_neighbours(json_of(id=value))

    expected = MUG if isinstance(value, str) else value
    assert row["outcome"] == "applied"
    assert (row["resource_id"], product(expected).core.id) == (expected, expected)


def test_a_missing_time_is_an_issue_and_the_time_of_receipt_counts(among_neighbours, product, codes):
    assert among_neighbours(without("updated_at"))["outcome"] == "applied"
    assert codes() == ["UPDATED_AT_MISSING"]


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "yesterday", 0, "2026-11-20"])
def test_a_time_that_cannot_be_is_an_issue_and_wins_over_nothing(
    among_neighbours, door, journey, product, codes, value
):
    assert among_neighbours(json_of(updated_at=value))["outcome"] == "applied"
    assert codes() == ["UPDATED_AT_INVALID"]

    door(json_of(updated_at=None, title="Later"))
    take_turn(journey.workshop, "live", SHOP)

    assert product().core.title == "Later"


def test_null_everywhere_makes_nobody_forget_what_the_product_is(among_neighbours, journey, product, codes):
    journey.devstore.mood(outage="lose")
    journey.devstore.change(SHOP, "create_product", id=MUG, title="Mug", variants=[{"id": 1, "sku": "A"}])

    row = among_neighbours(json.dumps(dict.fromkeys(BODY) | {"id": MUG}).encode())

    # without its variants the body is no product: the whole one was fetched
    assert row["outcome"] == "applied"
    assert (product().core.title, product().source) == ("Mug", "fetch")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"title": None, "handle": None}, ["PRODUCT_HANDLE_MISSING", "PRODUCT_TITLE_MISSING"]),
        ({"title": 7, "tags": {}}, ["FIELD_WRONG_TYPE", "FIELD_WRONG_TYPE", "PRODUCT_TITLE_MISSING"]),
        ({"status": None}, ["STATUS_MISSING"]),
        ({"variants": [None, VARIANT, 7]}, ["VARIANT_ID_MISSING", "VARIANT_ID_MISSING"]),
        ({"variants": [VARIANT | {"sku": 12}]}, ["FIELD_WRONG_TYPE", "SKU_MISSING"]),
        ({"variants": [VARIANT | {"price": 10.0}]}, ["FIELD_WRONG_TYPE"]),
        ({"variants": [VARIANT | {"sku": None}]}, ["SKU_MISSING"]),
        ({"variants": [VARIANT | {"sku": " MUG "}]}, ["SKU_WHITESPACE"]),
        ({"title": "a\x00b"}, ["TEXT_UNSTORABLE"]),
        ({"title": "half a pair \ud800", "variants": [VARIANT | {"sku": "\udfff"}]}, ["TEXT_UNSTORABLE"] * 2),
    ],
)
def test_a_field_that_is_wrong_is_an_issue_and_the_rest_goes_on(among_neighbours, product, codes, fields, expected):
    row = among_neighbours(json_of(**fields))

    assert row["outcome"] == "applied"
    assert codes() == expected
    assert product().core.id == MUG


def test_an_emoji_sku_is_a_sku(among_neighbours, journey, codes):
    from adapters.lookup import products_by
    from domain.query import Candidate

    among_neighbours(json_of(variants=[VARIANT | {"sku": "☕️-🧉"}]))

    assert codes() == []
    with journey.db.connect() as db:
        assert products_by(db, SHOP, [Candidate("sku", "☕️-🧉")]) == [(MUG, "variant_sku")]


def test_a_description_of_five_megabytes_is_read_and_not_kept(among_neighbours, journey):
    row = among_neighbours(json_of(body_html="<p>ä</p>" * 600_000))

    assert row["outcome"] == "applied"
    assert row["body_bytes"] > 5_000_000
    assert journey.value("SELECT max(pg_column_size(core)) FROM products") < 2_000


def test_a_product_of_all_the_variants_there_may_be(among_neighbours, product, journey):
    variants = [{"id": 1_000_000 + n, "sku": f"S-{n}", "price": "1.00", "position": n} for n in range(2_048)]
    gids = [{"admin_graphql_api_id": f"gid://shopify/ProductVariant/{v['id']}"} for v in variants]

    assert among_neighbours(json_of(variants=variants, variant_gids=gids))["outcome"] == "applied"
    assert len(product().core.variants) == 2_048
    assert journey.value("SELECT count(*) FROM variants WHERE product_id = 7001") == 2_048


@pytest.mark.parametrize(
    ("key", "kind", "value"),
    [
        ("settings", "json", '{"customer_group": "base", "pack_size": 6}'),
        ("settings", "json_string", '[{"customer_group": "base", "pack_size": 6,}]'),
        ("settings", "json_string", "[{“customer_group”: “base”}]"),  # the mistake itself
        ("settings", "json", '[{"customer_group": "base", "pack_size": "6"}]'),
        ("settings", "json", "[" * 5_000),
        ("settings", "json", "null"),
        ("pack_size", "single_line_text_field", "six"),
        ("pack_size", "number_integer", "0"),
        ("pack_size", "number_integer", "9" * 5_000),
        ("restock_date", "date", "32.13.2026"),
        ("rrp", "number_decimal", "NaN"),
        ("shelf", "single_line_text_field", "A4"),
    ],
)
def test_a_metafield_that_makes_no_sense_is_an_issue_with_its_path(door, journey, codes, key, kind, value):
    variant = {"id": 70010, "sku": "MUG-1", "metafields": [{"key": key, "type": kind, "value": value}]}
    journey.devstore.mood(outage="lose")
    for product_id in (MUG, 1):
        journey.devstore.change(SHOP, "create_product", id=product_id, variants=[variant | {"id": product_id * 10}])
        door(json_of(id=product_id, variants=[VARIANT | {"id": product_id * 10, "sku": f"S-{product_id}"}]))

    for lane in ("live", "bulk"):
        take_turn(journey.workshop, lane, SHOP)

    assert journey.outcomes() == {"applied": 4}
    [issue] = journey.rows("SELECT * FROM issues WHERE resource_id = :id", id=MUG)
    assert issue["path"].startswith(f"variants[70010].metafields.{key}")
    assert issue["snippet"] is None or len(issue["snippet"]) <= 80


def test_a_day_of_bad_mail_leaves_nothing_waiting(door, journey, product):
    rubbish = [b"", b"[]", json_of(id=None), json_of(title="\x00"), json_of(variants=[None]), json_of(updated_at=1)]
    for number in range(1, 61):
        door(rubbish[number % len(rubbish)])
        door(json_of(id=number, variants=[VARIANT | {"id": number, "sku": f"S-{number}"}]))

    take_turn(journey.workshop, "live", SHOP)

    assert journey.rows("SELECT * FROM deliveries WHERE state = 'waiting' AND lane = 'live'") == []
    assert all(product(number).core.title == "Mug" for number in range(1, 61))


def test_a_webhook_id_that_comes_twice_is_stored_once_whatever_it_carries(door, journey):
    for raw in (json_of(), b"rubbish", json_of(title="Other")):
        door(raw, webhook_id="the-same")

    take_turn(journey.workshop, "live", SHOP)

    assert journey.rows("SELECT outcome FROM deliveries WHERE webhook_id = 'the-same'") == [{"outcome": "applied"}]
