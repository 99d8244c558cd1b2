"""Turns and checks with tokens that run out."""

import time

import pytest

from adapters import shops
from workers import health as checks
from workers.turns import serve_shop


@pytest.fixture
def guest(floor):
    """A shop that was let in by a session token, and sixty customers of which Shopify has told."""
    with floor.db.begin() as db:
        shops.grant(db, floor.workshop.vault, floor.shop, exchanged(floor))
    for number in range(1, 61):
        floor.silently("create_customer", id=number, tags=["b2b"], email=f"{number}@corner.example")
    floor.store([{"id": number} for number in range(1, 61)], topic="customers/update")
    return floor


def exchanged(floor):
    return floor.workshop.tokens.exchange(floor.shop, floor.devstore.id_token(floor.shop))


def end_token(floor):
    """Its time is over, here and there."""
    floor.devstore.settings(floor.shop, expire_tokens=True)
    floor.execute("UPDATE shops SET token_expires_at = now() - interval '3 hours'")


def test_a_turn_renews_a_token_that_ran_out_while_nobody_was_there(guest):
    end_token(guest)

    guest.turn()

    assert guest.outcomes() == {"applied": 60}
    assert guest.state() == "active"


def test_a_turn_outlives_the_token_it_began_with(guest):
    guest.devstore.settings(guest.shop, expire_tokens=True)  # an hour too early

    guest.turn()

    assert guest.outcomes() == {"applied": 60}
    assert guest.state() == "active"


def test_tokens_may_be_of_the_shortest_life(guest):
    guest.devstore.settings(guest.shop, token_seconds=1)
    end_token(guest)

    for number in range(61, 65):
        guest.silently("create_customer", id=number, tags=["b2b"])
        guest.store([{"id": number}], topic="customers/update")
        guest.turn()

    assert guest.outcomes() == {"applied": 64}


def test_what_needs_no_answer_of_shopifys_needs_no_token_either(guest):
    end_token(guest)
    guest.devstore.fault("503", place="oauth", times=100)
    sent = guest.send("products/update", guest.body(1, 1), 1)

    assert guest.turn()[sent] == "applied"


def test_while_no_token_can_be_had_mail_waits_and_the_shop_is_not_blamed(guest):
    end_token(guest)
    guest.devstore.fault("503", place="oauth", times=100, seconds=9.0)

    serve_shop(guest.workshop, "live", guest.shop)

    assert guest.outcomes() == {"waiting": 60}
    assert guest.state() == "active"
    assert guest.workshop.bell.redis.zscore("mail:live", guest.shop) > time.time()
    guest.devstore.clear_faults()
    guest.execute("UPDATE deliveries SET next_attempt_at = now()")
    guest.execute("UPDATE shops SET refresh_leased_until = now()")
    guest.turn()
    assert guest.outcomes() == {"applied": 60}


def test_access_that_has_run_out_parks_the_shop_until_its_merchant_comes(guest):
    guest.devstore.settings(guest.shop, revoke_tokens=True)
    end_token(guest)

    guest.turn()

    assert guest.state() == "needs_auth"
    assert guest.outcomes() == {"waiting": 60}
    reason = guest.rows("SELECT DISTINCT reason FROM deliveries")[0]["reason"]
    assert reason.endswith("has run out. A merchant renews it by opening the app in Shopify's admin.")
    with guest.db.begin() as db:
        shops.grant(db, guest.workshop.vault, guest.shop, exchanged(guest))
    guest.execute("UPDATE deliveries SET next_attempt_at = now()")
    guest.turn()
    assert (guest.state(), guest.outcomes()) == ("active", {"applied": 60})


def test_a_shop_without_any_mail_keeps_its_access_by_being_checked(guest):
    guest.execute("UPDATE shops SET refresh_expires_at = now() + interval '1 day'")
    end_token(guest)

    assert checks.check_next(guest.workshop)

    assert guest.state() == "active"
    assert guest.value("SELECT refresh_expires_at > now() + interval '89 days' FROM shops WHERE domain = :shop")
    assert guest.value("SELECT token_expires_at > now() FROM shops WHERE domain = :shop")
    assert guest.value("SELECT checked_state FROM shops") == "active"


def test_a_check_finds_that_access_has_run_out(guest):
    guest.devstore.settings(guest.shop, revoke_tokens=True)
    end_token(guest)

    checks.check_next(guest.workshop)

    assert guest.state() == "needs_auth"
