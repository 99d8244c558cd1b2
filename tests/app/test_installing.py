"""A shop lets us in: its feeds are imported, once, and what waited for it goes on."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from adapters import inbox, runs, shops
from adapters.inbox import Arrival
from adapters.tokens import Grant
from app.installing import installed

SHOP = "northwind-trade.myshopify.com"
NOW = datetime.now(UTC)


@pytest.fixture
def desk(app):
    return app.extensions["office"]


@pytest.fixture
def granted():
    """A pair as Shopify grants it now."""
    scopes = frozenset({"read_products"})
    return Grant("shpat_a", NOW + timedelta(hours=1), "shprt_a", NOW + timedelta(days=90), scopes, NOW)


@pytest.fixture
def due(database):
    """due() → which feeds are due for a complete run."""

    def feeds():
        with database.connect() as db:
            statement = "SELECT feed FROM feeds WHERE next_run_at <= now() AND next_complete_at <= now() ORDER BY feed"
            return list(db.execute(text(statement)).scalars())

    return feeds


@pytest.fixture
def imported(database):
    """imported() makes all feeds such that their next runs are an hour away."""

    def note(last_complete_at="now()"):
        later = "now() + interval '1 hour'"
        values = f"last_complete_at = {last_complete_at}, next_complete_at = {later}, next_run_at = {later}"
        with database.begin() as db:
            db.execute(text(f"UPDATE feeds SET {values}"))

    return note


def test_a_new_shop_is_imported(desk, granted, due):
    shop = installed(desk, SHOP, granted)

    assert (shop.domain, shop.is_active, shop.token) == (SHOP, True, "shpat_a")
    assert due() == ["customers", "products"]
    assert desk.bell.has_due_mail("live")


def test_a_lasting_token_does_it_too(desk, due):
    shop = installed(desk, SHOP, "shpat_lasting")

    assert (shop.token, shop.can_refresh) == ("shpat_lasting", False)
    assert due() == ["customers", "products"]


def test_a_new_token_for_an_active_shop_imports_nothing_again(desk, granted, due, imported):
    installed(desk, SHOP, granted)
    imported()

    installed(desk, SHOP, granted)

    assert due() == []


def test_a_shop_whose_first_import_failed_is_imported(desk, granted, due, imported):
    installed(desk, SHOP, granted)
    imported(last_complete_at="NULL")

    installed(desk, SHOP, granted)

    assert due() == ["customers", "products"]


def test_a_first_import_that_is_going_is_not_begun_again(desk, granted, due, imported, database):
    installed(desk, SHOP, granted)
    imported(last_complete_at="NULL")
    with database.begin() as db:
        runs.start(db, SHOP, "products", "install", complete=True)

    installed(desk, SHOP, granted)

    assert due() == ["customers"]


@pytest.mark.parametrize("state", ["needs_auth", "uninstalled"])
def test_a_shop_that_comes_back_is_read_anew(desk, granted, due, imported, database, state):
    installed(desk, SHOP, granted)
    imported()
    with database.begin() as db:
        if state == "uninstalled":
            shops.uninstall(db, SHOP, NOW + timedelta(hours=1))
        else:
            shops.needs_auth(db, desk.vault, shops.find(db, desk.vault, SHOP))

    assert installed(desk, SHOP, granted).is_active

    assert due() == ["customers", "products"]


def test_mail_that_waited_for_access_is_due_at_once(desk, granted, database):
    arrival = Arrival(SHOP, "w-1", "customers/update", "customers", 1, NOW, NOW)
    with database.begin() as db:
        inbox.store(db, [arrival])
        db.execute(text("UPDATE deliveries SET next_attempt_at = now() + interval '1 hour'"))

    installed(desk, SHOP, granted)

    with database.connect() as db:
        assert inbox.next_due(db, SHOP)["live"] <= datetime.now(UTC).timestamp()


def test_of_four_pages_that_bring_a_new_shop_at_once_one_is_told_so(desk, granted, database):
    def let_in(_number):
        with database.begin() as db:
            return shops.grant(db, desk.vault, SHOP, granted)

    with ThreadPoolExecutor(4) as threads:
        told = list(threads.map(let_in, range(4)))

    assert sorted(told) == [False, False, False, True]


def test_without_redis_a_shop_is_installed_all_the_same(build, granted, database):
    app = build(REDIS_URL="redis://127.0.0.1:1/0")

    assert installed(app.extensions["office"], SHOP, granted).is_active
