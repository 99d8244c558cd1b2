"""Tokens expire, are refreshed, and die with the installation."""

from datetime import UTC, datetime, timedelta

import pytest

from devstore.tokens import EXCHANGE, ID_TOKEN, OFFLINE, RefusedError, TokenBook

SHOP = "northwind.myshopify.com"
SHORT = {"grant_type": EXCHANGE, "subject_token_type": ID_TOKEN, "requested_token_type": OFFLINE, "expiring": "1"}


@pytest.fixture
def clock():
    return [datetime(2026, 11, 20, tzinfo=UTC)]


@pytest.fixture
def book(clock):
    return TokenBook(lambda: clock[0], ("read_products",))


def test_an_expiring_token_is_good_for_an_hour(book, clock):
    pair = book.issue(expiring=True)

    assert (pair["expires_in"], pair["refresh_token_expires_in"]) == (3_600, 7_776_000)
    assert book.is_good(pair["access_token"])
    clock[0] += timedelta(seconds=3_600)
    assert not book.is_good(pair["access_token"])


def test_a_refresh_token_works_until_its_successor_is_used(book):
    first = book.issue(expiring=True)
    second = book.refresh(first["refresh_token"])
    again = book.refresh(first["refresh_token"])
    book.refresh(again["refresh_token"])

    assert book.is_good(second["access_token"])
    with pytest.raises(RefusedError, match="invalid_grant"):
        book.refresh(first["refresh_token"])


def test_a_refresh_token_dies_thirty_days_after_its_first_use_and_ninety_after_its_birth(book, clock):
    used, idle = book.issue(expiring=True), book.issue(expiring=True)
    book.refresh(used["refresh_token"])

    clock[0] += timedelta(days=31)
    with pytest.raises(RefusedError, match="invalid_grant"):
        book.refresh(used["refresh_token"])
    clock[0] += timedelta(days=60)
    with pytest.raises(RefusedError, match="invalid_grant"):
        book.refresh(idle["refresh_token"])


def test_a_wrong_or_missing_token_is_401_in_shopifys_words(app):
    app.token = "shpat_wrong"

    answer = app.post("{shop{id}}")

    assert answer.status_code == 401
    assert answer.json()["errors"].startswith("[API] Invalid API key or access token")


def test_an_id_token_is_exchanged_for_a_pair_that_works_expires_and_is_refreshed(app, devstore):
    pair = app.grant(subject_token=devstore.id_token(SHOP), **SHORT).json()
    app.token = pair["access_token"]
    assert app.data("{shop{myshopifyDomain}}") == {"shop": {"myshopifyDomain": SHOP}}

    devstore.settings(SHOP, expire_tokens=True)
    assert app.post("{shop{id}}").status_code == 401

    app.token = app.grant(grant_type="refresh_token", refresh_token=pair["refresh_token"]).json()["access_token"]
    assert app.post("{shop{id}}").status_code == 200


@pytest.mark.parametrize(
    "wrong", [{"secret": "other"}, {"seconds": -1}, {"aud": "other"}, {"dest": "https://evil.example"}]
)
def test_a_wrong_id_token_is_an_invalid_subject_token(app, devstore, wrong):
    answer = app.grant(subject_token=devstore.id_token(SHOP, **wrong), **SHORT)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_subject_token")


def test_rubbish_is_an_invalid_subject_token_too(app):
    answer = app.grant(subject_token="not a token", **SHORT)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_subject_token")


def test_an_unknown_refresh_token_is_an_invalid_grant(app):
    answer = app.grant(grant_type="refresh_token", refresh_token="shprt_gone")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_wrong_secret_is_an_invalid_client(app):
    answer = app.grant(client_secret="wrong", grant_type="refresh_token", refresh_token="x")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")


def test_a_lasting_token_is_migrated_once_and_then_dead(app):
    lasting = app.token
    answer = app.grant(**SHORT | {"subject_token": lasting, "subject_token_type": OFFLINE}).json()

    assert app.post("{shop{id}}").status_code == 401
    app.token = answer["access_token"]
    assert app.post("{shop{id}}").status_code == 200


def test_an_uninstalled_shop_refuses_every_token_until_it_is_installed_again(app, devstore, receiver):
    (fired,) = devstore.change(SHOP, "uninstall")
    devstore.settle()

    assert fired["topic"] == "app/uninstalled"
    assert b'"myshopify_domain":null' in receiver.deliveries[0][2]
    assert app.post("{shop{id}}").status_code == 401
    assert app.grant(subject_token=devstore.id_token(SHOP), **SHORT).json()["error"] == "invalid_client"

    assert devstore.change(SHOP, "edit_product", title="Unheard") == []

    devstore.install(SHOP, token="shpat_second")
    app.token = "shpat_second"
    assert app.post("{shop{id}}").status_code == 200
