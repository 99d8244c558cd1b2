"""A shop that Shopify holds up, or that no longer lets us in, waits by itself."""

import time

import pytest

from workers.turns import serve_shop

NEW_TOKEN = "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"


def due_in(floor, lane="live"):
    score = floor.workshop.bell.redis.zscore(f"mail:{lane}", floor.shop)
    return None if score is None else score - time.time()


@pytest.fixture
def members(floor):
    """Sixty customers who belong, and a signal for each."""
    for number in range(1, 61):
        floor.silently("create_customer", id=number, tags=["b2b"], email=f"{number}@corner.example")
    floor.store([{"id": number} for number in range(1, 61)], topic="customers/update")
    return floor


def test_a_tiny_budget_parks_the_shop_and_delays_no_other(members, other):
    members.devstore.settings(members.shop, bucket=60, restore_rate=5)

    started = time.monotonic()
    serve_shop(members.workshop, "live", members.shop)
    assert time.monotonic() - started < 10
    assert members.outcomes()["waiting"] > 40
    assert due_in(members) > 0

    other.send("products/update", other.body(1, 1), 1)
    serve_shop(members.workshop, "live", other.shop)
    assert other.outcomes()["applied"] == 1


def test_what_a_small_budget_paid_for_is_kept(members):
    members.devstore.settings(members.shop, bucket=400, restore_rate=40)

    serve_shop(members.workshop, "live", members.shop)

    outcomes = members.outcomes()
    assert outcomes["applied"] > 0
    assert outcomes["waiting"] > 0
    assert members.value("SELECT max(attempts) FROM deliveries") == 0


def test_a_tiny_budget_gets_everybody_through_in_the_end(members, until):
    members.devstore.settings(members.shop, bucket=60, restore_rate=5)
    members.turn()
    members.devstore.settings(members.shop, restore_rate=2_000)

    def done():
        members.execute("UPDATE deliveries SET next_attempt_at = now() WHERE state = 'waiting'")
        members.turn()
        return members.outcomes() == {"applied": 60}

    assert until(done)


def test_a_dead_token_parks_the_shop_which_is_asked_rarely(members):
    members.devstore.settings(members.shop, revoke_tokens=True)

    serve_shop(members.workshop, "live", members.shop)
    assert members.state() == "needs_auth"
    asked = members.requests()["all"]
    for _ in range(20):
        members.execute("UPDATE deliveries SET next_attempt_at = now() WHERE state = 'waiting'")
        serve_shop(members.workshop, "live", members.shop)

    assert asked == 1
    assert members.requests()["all"] == asked
    assert members.outcomes() == {"waiting": 60}


def test_waiting_for_a_token_is_not_done_over_and_over(members):
    members.devstore.settings(members.shop, revoke_tokens=True)
    for _ in range(10):
        members.execute("UPDATE deliveries SET next_attempt_at = now() WHERE state = 'waiting'")
        members.turn()

    assert members.value("SELECT extract(epoch FROM min(next_attempt_at) - now())::float8 FROM deliveries") > 60


def test_with_a_dead_token_other_shops_go_on(members, other):
    members.devstore.settings(members.shop, revoke_tokens=True)
    other.change("create_customer", id=1, tags=["b2b"])

    for one in (members, other):
        serve_shop(members.workshop, "live", one.shop)

    assert (members.state(), other.state()) == ("needs_auth", "active")
    assert other.customer(1).state == "member"


def test_without_a_token_bodies_of_products_are_still_applied(members):
    members.devstore.settings(members.shop, revoke_tokens=True)
    members.turn()

    sent = members.send("products/update", members.body(1, 1), 1)

    assert members.turn() == {sent: "applied"}
    assert members.product(1).core.title == "Mug"


def test_a_body_that_needs_no_answer_is_no_proof_of_the_token(members):
    members.devstore.settings(members.shop, revoke_tokens=True)
    members.turn()
    members.execute("UPDATE shops SET next_probe_at = now() WHERE domain = :shop")
    members.send("products/update", members.body(1, 1), 1)

    members.turn()

    assert members.state() == "needs_auth"


def test_a_token_that_works_after_all_is_noticed(members):
    members.devstore.fault("401")
    members.turn()
    assert members.state() == "needs_auth"
    members.execute("UPDATE deliveries SET next_attempt_at = now()")
    members.execute("UPDATE shops SET next_probe_at = now() WHERE domain = :shop")

    members.turn()

    assert members.state() == "active"
    assert members.outcomes()["applied"] > 0


def test_a_new_token_sets_everything_going_that_waits(members, surroundings):
    from app import build_app
    from settings import read_settings

    members.devstore.settings(members.shop, revoke_tokens=True)
    members.turn()
    members.devstore.settings(members.shop, token=NEW_TOKEN)
    app = build_app(read_settings(surroundings))

    added = app.test_cli_runner().invoke(args=["shops", "add", members.shop, "--token", NEW_TOKEN])
    app.extensions["office"].db.dispose()

    assert added.exit_code == 0, added.output
    assert members.state() == "active"
    assert members.due() == 60
    assert due_in(members) <= 0
    members.serve()
    assert members.outcomes()["applied"] == 60


def test_a_shop_without_any_token_waits_for_one_for_two_days(members):
    members.execute("UPDATE shops SET token = NULL WHERE domain = :shop")
    members.turn()
    assert members.outcomes() == {"waiting": 60}
    members.execute("UPDATE deliveries SET received_at = now() - interval '49 hours', next_attempt_at = now()")

    members.turn()

    assert members.outcomes() == {"filtered": 60}
    assert members.rows("SELECT DISTINCT reason FROM deliveries")[0]["reason"].startswith("two days without a token")


def test_a_product_with_more_variants_than_a_full_bucket_pays_for_is_read_at_last(floor):
    metafields = [{"key": "pack_size", "value": "6", "type": "number_integer"}]
    variants = [{"id": 1_000 + n, "sku": f"V-{n}", "metafields": metafields} for n in range(600)]
    floor.change("create_product", id=1, variants=variants)
    floor.turn("live")
    # smaller and quicker than a real bucket, for the sake of time
    floor.devstore.settings(floor.shop, bucket=1_100, restore_rate=250)

    floor.execute("UPDATE deliveries SET next_attempt_at = now()")
    floor.workshop.bell.redis.delete(f"budget:{floor.shop}")
    floor.turn("bulk")

    assert len(floor.product(1).metafields.by_variant) == 600
