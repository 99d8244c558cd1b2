from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from adapters import shops
from adapters.vault import Vault, WrongKeys
from domain.eligibility import Rule

DOMAIN = "northwind-trade.myshopify.com"
TOKEN = "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"
NOW = datetime.now(UTC)


@pytest.fixture
def vault():
    return Vault([Fernet.generate_key().decode()])


@pytest.fixture
def db(database):
    with database.begin() as connection:
        yield connection


@pytest.fixture
def installed(db, vault):
    """An installed shop, found again."""
    shops.add(db, vault, DOMAIN, TOKEN)
    return lambda: shops.find(db, vault, DOMAIN)


def test_a_shop_that_never_installed_is_not_found(db, vault):
    assert shops.find(db, vault, DOMAIN) is None


def test_an_installed_shop_is_active_and_has_the_usual_rule(installed):
    shop = installed()

    assert (shop.state, shop.token, shop.is_active, shop.rule) == ("active", TOKEN, True, Rule())


def test_a_token_is_neither_stored_nor_printed_in_clear(db, installed):
    assert TOKEN.encode() not in bytes(db.execute(text("SELECT token FROM shops")).scalar_one())
    assert TOKEN not in repr(installed())


def test_with_other_keys_the_token_stays_shut(db, installed):
    with pytest.raises(WrongKeys):
        shops.find(db, Vault([Fernet.generate_key().decode()]), DOMAIN)


def test_a_refused_token_makes_the_shop_need_another(db, vault, installed):
    assert shops.needs_auth(db, vault, installed())
    assert (installed().state, installed().is_active) == ("needs_auth", False)


def test_a_token_that_was_replaced_meanwhile_is_not_blamed(db, vault, installed):
    refused = installed()
    shops.add(db, vault, DOMAIN, "shpat_new")

    assert not shops.needs_auth(db, vault, refused)
    assert installed().state == "active"


def test_a_dead_token_is_tried_once_in_a_while_by_one_of_all(db, vault, installed):
    shops.needs_auth(db, vault, installed())
    assert not shops.may_probe(db, DOMAIN)
    db.execute(text("UPDATE shops SET next_probe_at = now()"))

    assert [shops.may_probe(db, DOMAIN) for _ in range(2)] == [True, False]


def test_an_active_shop_needs_no_probe(db, installed):
    assert not shops.may_probe(db, DOMAIN)


def test_a_new_token_makes_the_shop_active_again(db, vault, installed):
    before = installed().installed_at
    shops.needs_auth(db, vault, installed())

    shops.add(db, vault, DOMAIN, "shpat_new")

    assert (installed().state, installed().token, installed().installed_at) == ("active", "shpat_new", before)


def test_an_uninstall_forgets_the_token(db, installed):
    assert shops.uninstall(db, DOMAIN, NOW + timedelta(hours=1))

    assert (installed().state, installed().token) == ("uninstalled", None)
    assert not shops.uninstall(db, DOMAIN, NOW + timedelta(hours=2))


def test_an_uninstall_from_before_the_install_changes_nothing(db, installed):
    assert not shops.uninstall(db, DOMAIN, NOW - timedelta(hours=1))
    assert installed().state == "active"


def test_a_reinstall_begins_a_new_life(db, vault, installed):
    db.execute(text("UPDATE shops SET installed_at = now() - interval '1 year'"))
    shops.uninstall(db, DOMAIN, NOW)

    shops.add(db, vault, DOMAIN, TOKEN)

    assert installed().installed_at > NOW - timedelta(hours=1)


def test_shops_are_listed_by_domain(db, vault):
    for domain in ("b.myshopify.com", "a.myshopify.com"):
        shops.add(db, vault, domain, TOKEN)

    assert [shop["domain"] for shop in shops.listed(db)] == ["a.myshopify.com", "b.myshopify.com"]
    assert shops.listed(db)[0].keys() == {"domain", "state", "installed_at"}
