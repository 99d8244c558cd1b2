"""Runs longer than a token lives."""

import pytest

from adapters import shops


@pytest.fixture
def guest(open_shop):
    """A shop that was let in by a session token; nothing of it is imported yet."""
    scene = open_shop(products=30, customers=30)
    granted = scene.workshop.tokens.exchange(scene.shop, scene.devstore.id_token(scene.shop))
    with scene.db.begin() as db:
        shops.grant(db, scene.workshop.vault, scene.shop, granted)
    return scene


def test_a_token_that_is_refused_at_every_step_breaks_no_run(guest, monkeypatch):
    monkeypatch.setattr("adapters.listing.PAGE", 5)
    number = guest.start("products", complete=True)

    while guest.row(number)["state"] == "running":
        guest.devstore.settings(guest.shop, expire_tokens=True)
        assert guest.step()

    assert (guest.row(number)["state"], guest.row(number)["seen"]) == ("finished", 30)
    assert guest.value("SELECT state FROM shops") == "active"


def test_tokens_of_a_second_import_a_whole_shop(guest):
    guest.devstore.settings(guest.shop, token_seconds=1, expire_tokens=True)
    guest.execute("UPDATE shops SET token_expires_at = now()")

    guest.install()

    assert [run["state"] for run in guest.runs()] == ["finished", "finished"]
    assert guest.differences() == []


def test_while_no_token_can_be_had_a_run_waits(guest):
    guest.devstore.settings(guest.shop, expire_tokens=True)
    guest.execute("UPDATE shops SET token_expires_at = now()")
    guest.devstore.fault("503", place="oauth")
    number = guest.start("products")

    guest.step()
    assert guest.row(number)["state"] == "running"
    guest.execute("UPDATE shops SET refresh_leased_until = now()")
    guest.work()

    assert guest.row(number)["state"] == "finished"


def test_access_that_has_run_out_fails_the_run_and_says_what_to_do(guest):
    guest.devstore.settings(guest.shop, revoke_tokens=True)
    guest.execute("UPDATE shops SET token_expires_at = now()")

    run = guest.run("products")

    assert run["state"] == "failed"
    assert "opening the app" in run["reason"]
    assert guest.value("SELECT state FROM shops") == "needs_auth"
