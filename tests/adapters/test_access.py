"""Tokens that run out are renewed in time, by one process of all, and no lost answer or sudden death loses the shop."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from adapters import access, shops
from adapters.tokens import TokenEndpoint
from adapters.vault import Vault
from adapters.wire import Limits
from domain.failures import AppRefused, ShopParked, ShopUnreachable, TokenDead

DOMAIN = "northwind-trade.myshopify.com"
NOW = datetime.now(UTC)
SOON = timedelta(seconds=30)  # within the margin


@pytest.fixture
def vault():
    return Vault([Fernet.generate_key().decode()])


@pytest.fixture
def desk(database, vault, devstore):
    """A shop that was let in by a session token, and the way to Shopify's token endpoint."""
    endpoint = TokenEndpoint(devstore.url + "/{shop}", "test-api-key", "test-api-secret", Limits(read=1.0))
    devstore.open_shop(DOMAIN)
    desk = Desk(database, vault, endpoint, devstore)
    desk.install()
    yield desk
    endpoint.close()


class Desk:
    def __init__(self, engine, vault, endpoint, devstore):
        self.engine = engine
        self.vault = vault
        self.endpoint = endpoint
        self.devstore = devstore
        self.waits = []
        self.while_waiting = lambda: None

    def install(self):
        granted = self.endpoint.exchange(DOMAIN, self.devstore.id_token(DOMAIN))
        with self.engine.begin() as db:
            shops.grant(db, self.vault, DOMAIN, granted)

    def shop(self):
        with self.engine.connect() as db:
            return shops.find(db, self.vault, DOMAIN)

    def ends_in(self, left):
        """The access token is so far from its end. The shop as somebody reads it then."""
        self.execute("UPDATE shops SET token_expires_at = :end", end=NOW + left)
        return self.shop()

    def fresh(self, shop):
        return access.with_fresh_token(self.engine, self.vault, self.endpoint, shop, NOW, self.sleep)

    def refused(self, token):
        return access.refused(self.engine, self.vault, self.endpoint, DOMAIN, token, NOW, self.sleep)

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.while_waiting()

    def lease(self, shop, seconds=20.0):
        """As a process takes it that may never come back. Its lease."""
        with self.engine.begin() as db:
            return shops.lease_refresh(db, self.vault, shop, seconds)

    def another_process_renews(self, lease):
        granted = self.endpoint.refresh(DOMAIN, lease.refresh_token)
        with self.engine.begin() as db:
            assert shops.renew(db, self.vault, lease, granted)

    def execute(self, statement, **values):
        with self.engine.begin() as db:
            db.execute(text(statement), values)

    def works(self, token):
        document = {"query": "{ shop { id } }"}
        wire = self.endpoint._wire
        wire.post(DOMAIN, "/admin/api/2026-10/graphql.json", document, {"X-Shopify-Access-Token": token})
        return True


def test_a_token_that_lives_for_a_while_is_left_alone(desk):
    shop = desk.ends_in(timedelta(seconds=61))
    desk.devstore.fault("500", place="oauth", times=100)

    assert desk.fresh(shop) is shop


def test_a_lasting_token_is_left_alone(desk):
    with desk.engine.begin() as db:
        shops.add(db, desk.vault, DOMAIN, "shpat_lasting")
    shop = desk.shop()

    assert desk.fresh(shop) is shop
    assert desk.refused("shpat_lasting") is None


@pytest.mark.parametrize("left", [SOON, timedelta(0), timedelta(days=-80)])
def test_a_token_near_or_past_its_end_is_renewed_with_all_that_belongs_to_it(desk, left):
    before = desk.ends_in(left)

    after = desk.fresh(before)

    assert after == desk.shop()
    assert after.token != before.token
    assert after.token_expires_at - NOW > timedelta(minutes=55)
    assert desk.works(after.token)
    assert desk.fresh(desk.ends_in(SOON)).token != after.token  # and so on


def test_of_many_at_once_one_asks_and_all_have_the_same_new_token(desk):
    stale = desk.ends_in(-SOON)
    asked = threading.Semaphore(1)
    refresh = desk.endpoint.refresh

    class Once:
        def refresh(self, shop, token):
            assert asked.acquire(blocking=False), "asked twice"
            return refresh(shop, token)

    def ask(_number):
        return access.with_fresh_token(desk.engine, desk.vault, Once(), stale, NOW).token

    with ThreadPoolExecutor(8) as threads:
        tokens = set(threads.map(ask, range(8)))

    assert tokens == {desk.shop().token}
    assert stale.token not in tokens


def test_while_another_renews_it_the_old_token_is_used_as_long_as_it_lives(desk):
    shop = desk.ends_in(SOON)
    desk.lease(shop)

    assert desk.fresh(shop) is shop
    assert desk.waits == []


def test_while_another_renews_it_a_dead_token_is_waited_for(desk):
    shop = desk.ends_in(-SOON)
    lease = desk.lease(shop)
    desk.while_waiting = lambda: desk.another_process_renews(lease) if len(desk.waits) == 2 else None

    assert desk.works(desk.fresh(shop).token)
    assert len(desk.waits) == 2


def test_the_wait_for_another_ends(desk):
    shop = desk.ends_in(-SOON)
    desk.lease(shop)

    with pytest.raises(ShopParked) as parked:
        desk.fresh(shop)

    assert sum(desk.waits) < 2
    assert not parked.value.counts


def test_who_dies_before_asking_is_replaced_when_the_lease_is_over(desk):
    shop = desk.ends_in(-SOON)
    desk.lease(shop, seconds=0.0)

    assert desk.works(desk.fresh(shop).token)


def test_who_dies_between_answer_and_commit_loses_nothing(desk):
    shop = desk.ends_in(-SOON)
    lease = desk.lease(shop, seconds=0.0)
    desk.endpoint.refresh(DOMAIN, lease.refresh_token)  # answered, never stored

    assert desk.works(desk.fresh(shop).token)
    assert desk.works(desk.fresh(desk.ends_in(-SOON)).token)


@pytest.mark.parametrize("kind", ["timeout", "half_body", "502", "garbage"])
def test_a_lost_answer_loses_nothing(desk, kind):
    shop = desk.ends_in(-SOON)
    desk.devstore.fault(kind, place="oauth_answer", seconds=0.1)
    with pytest.raises(ShopUnreachable):
        desk.fresh(shop)
    desk.execute("UPDATE shops SET refresh_leased_until = now()")  # the pause is over

    assert desk.works(desk.fresh(shop).token)
    assert desk.shop().state == "active"


def test_without_an_answer_the_old_token_is_used_as_long_as_it_lives(desk):
    shop = desk.ends_in(SOON)
    desk.devstore.fault("503", place="oauth", times=1, seconds=30.0)

    assert desk.fresh(shop) is shop


def test_without_an_answer_nobody_asks_again_at_once(desk):
    shop = desk.ends_in(-SOON)
    desk.devstore.fault("503", place="oauth", times=1, seconds=7.0)

    with pytest.raises(ShopUnreachable) as first:
        desk.fresh(shop)
    with pytest.raises(ShopParked):
        desk.fresh(shop)

    assert first.value.retry_after == 7.0


def test_access_that_has_run_out_is_said_to_be_over(desk):
    desk.devstore.settings(DOMAIN, revoke_tokens=True)
    shop = desk.ends_in(SOON)

    with pytest.raises(TokenDead, match="A merchant renews it by opening the app"):
        desk.fresh(shop)
    with desk.engine.begin() as db:
        assert shops.needs_auth(db, desk.vault, shop)


def test_an_app_that_was_removed_is_said_to_be_unknown(desk):
    desk.devstore.change(DOMAIN, "uninstall")

    with pytest.raises(AppRefused):
        desk.fresh(desk.ends_in(-SOON))


def test_a_pair_that_somebody_else_has_used_up_gives_way_to_theirs(desk):
    """A process that slept on its lease asks with a refresh token whose successor was used meanwhile."""
    stale = desk.ends_in(-SOON)
    lease = desk.lease(stale)

    class Overtaken:
        def refresh(self, shop, token):
            desk.another_process_renews(lease)
            desk.another_process_renews(desk.lease(desk.shop()))
            return desk.endpoint.refresh(shop, token)

    desk.execute("UPDATE shops SET refresh_leased_until = now()")
    after = access.with_fresh_token(desk.engine, desk.vault, Overtaken(), stale, NOW)

    assert after.token == desk.shop().token
    assert desk.works(after.token)


@pytest.mark.parametrize("happens", ["uninstall", "reinstall", "redact"])
def test_what_happens_to_the_shop_while_shopify_is_asked_is_not_undone(desk, happens):
    stale = desk.ends_in(-SOON)

    class Meanwhile:
        def refresh(self, shop, token):
            granted = desk.endpoint.refresh(shop, token)
            with desk.engine.begin() as db:
                if happens == "redact":
                    db.execute(text("DELETE FROM shops"))
                else:
                    shops.uninstall(db, DOMAIN, NOW + timedelta(hours=1))
            if happens == "reinstall":
                desk.install()
            return granted

    after = access.with_fresh_token(desk.engine, desk.vault, Meanwhile(), stale, NOW)

    known = desk.shop()
    if happens == "reinstall":
        assert (after.token, after.state) == (known.token, "active")
        assert desk.works(after.token)
    else:
        assert (after.token, after.state) == (None, "uninstalled")
        assert known is None or known.token is None


def test_a_token_that_is_refused_before_its_end_is_renewed_once(desk):
    shop = desk.ends_in(timedelta(minutes=50))
    desk.devstore.settings(DOMAIN, expire_tokens=True)

    another = desk.refused(shop.token)

    assert another != shop.token
    assert desk.works(another)


def test_a_refused_token_that_was_replaced_meanwhile_costs_no_question(desk):
    old = desk.shop().token
    new = desk.fresh(desk.ends_in(SOON)).token
    desk.devstore.fault("500", place="oauth", times=100)

    assert desk.refused(old) == new


def test_a_refused_token_that_cannot_be_renewed_is_dead(desk):
    token = desk.shop().token
    desk.devstore.settings(DOMAIN, revoke_tokens=True)

    with pytest.raises(TokenDead):
        desk.refused(token)


def test_a_refused_token_is_not_dead_while_nobody_answers(desk):
    desk.devstore.fault("503", place="oauth")

    with pytest.raises(ShopUnreachable):
        desk.refused(desk.shop().token)


def test_neither_a_lease_nor_a_shop_shows_its_secrets(desk):
    shop = desk.ends_in(SOON)
    lease = desk.lease(shop)

    for secret in (shop.token, lease.refresh_token, repr(lease.sealed)):
        assert secret not in repr(shop) + repr(lease)
