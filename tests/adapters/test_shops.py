from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from adapters import shops
from adapters.tokens import Grant
from adapters.vault import Vault, WrongKeys
from domain.eligibility import Rule

DOMAIN = "northwind-trade.myshopify.com"
TOKEN = "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"
NOW = datetime.now(UTC)


GRANTED = Grant(
    access_token="shpat_granted",
    expires_at=NOW + timedelta(hours=1),
    refresh_token="shprt_granted",
    refresh_expires_at=NOW + timedelta(days=90),
    scopes=frozenset({"read_products", "read_customers"}),
    asked_at=NOW,
)


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
    long_ago = "now() - interval '1 year'"
    db.execute(text(f"UPDATE shops SET installed_at = {long_ago}, access_proven_at = {long_ago}"))
    shops.uninstall(db, DOMAIN, NOW)

    shops.add(db, vault, DOMAIN, TOKEN)

    assert installed().installed_at > NOW - timedelta(hours=1)


def test_what_shopify_granted_is_kept_sealed(db, vault):
    shops.grant(db, vault, DOMAIN, GRANTED)

    shop = shops.find(db, vault, DOMAIN)
    assert (shop.state, shop.token, shop.token_expires_at) == ("active", "shpat_granted", GRANTED.expires_at)
    assert (shop.can_refresh, shop.scopes, shop.time_zone) == (True, GRANTED.scopes, "UTC")
    row = db.execute(text("SELECT * FROM shops")).mappings().one()
    assert (row["refresh_expires_at"], row["access_proven_at"]) == (GRANTED.refresh_expires_at, NOW)
    assert b"shp" not in bytes(row["token"]) + bytes(row["refresh_token"])


@pytest.mark.parametrize("give", [lambda *of: shops.grant(*of, GRANTED), lambda *of: shops.add(*of, TOKEN)])
def test_whoever_lets_a_shop_in_is_told_whether_it_was_out(db, vault, give):
    first, again = give(db, vault, DOMAIN), give(db, vault, DOMAIN)
    shops.needs_auth(db, vault, shops.find(db, vault, DOMAIN))
    after_a_refusal = give(db, vault, DOMAIN)
    shops.uninstall(db, DOMAIN, NOW + timedelta(hours=1))
    after_an_uninstall = give(db, vault, DOMAIN)

    assert (first, again, after_a_refusal, after_an_uninstall) == (True, False, True, True)


def test_a_lasting_token_takes_the_place_of_a_pair(db, vault):
    shops.grant(db, vault, DOMAIN, GRANTED)

    shops.add(db, vault, DOMAIN, TOKEN)

    shop = shops.find(db, vault, DOMAIN)
    assert (shop.token, shop.token_expires_at, shop.can_refresh, shop.scopes) == (TOKEN, None, False, None)


def test_an_uninstall_forgets_the_refresh_token_too(db, vault):
    shops.grant(db, vault, DOMAIN, GRANTED)

    assert shops.uninstall(db, DOMAIN, NOW)

    row = db.execute(text("SELECT token, token_expires_at, refresh_token, refresh_expires_at, scopes FROM shops")).one()
    assert set(row) == {None}


def test_an_uninstall_from_before_access_was_last_granted_changes_nothing(db, vault):
    shops.grant(db, vault, DOMAIN, GRANTED)

    assert not shops.uninstall(db, DOMAIN, NOW - timedelta(milliseconds=1))
    assert shops.find(db, vault, DOMAIN).token == "shpat_granted"


def test_what_a_shop_says_of_itself_is_kept(db, vault, installed):
    shops.note_facts(db, DOMAIN, frozenset({"read_products"}), "Europe/London")

    assert (installed().scopes, installed().time_zone) == ({"read_products"}, "Europe/London")


def test_shops_are_listed_by_domain(db, vault):
    for domain in ("b.myshopify.com", "a.myshopify.com"):
        shops.add(db, vault, domain, TOKEN)

    assert [shop["domain"] for shop in shops.listed(db)] == ["a.myshopify.com", "b.myshopify.com"]
    assert shops.listed(db)[0].keys() == {"domain", "state", "installed_at"}
