from datetime import UTC, datetime, timedelta

import pytest

from adapters.tokens import TokenEndpoint
from domain.failures import AppRefused, IdTokenRefused, NotAShop, Permanent, ShopUnreachable, Throttled, TokenDead

SECRET = "the-app-secret"
GRANTED = {
    "access_token": "shpat_new",
    "scope": "read_products, read_customers",
    "expires_in": 3_600,
    "refresh_token": "shprt_new",
    "refresh_token_expires_in": 7_776_000,
}


@pytest.fixture
def tokens(shopify):
    endpoint = TokenEndpoint(shopify.origin, "the-app-key", SECRET)
    yield endpoint
    endpoint.close()


def test_a_session_token_is_exchanged_for_an_expiring_pair(shopify, tokens, shop):
    shopify.will(body=GRANTED)

    grant = tokens.exchange(shop, "a.session.token")

    asked = shopify.requests[0]
    assert asked["path"] == f"/{shop}/admin/oauth/access_token"
    assert asked["body"] == {
        "client_id": "the-app-key",
        "client_secret": SECRET,
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": "a.session.token",
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "requested_token_type": "urn:shopify:params:oauth:token-type:offline-access-token",
        "expiring": 1,
    }
    assert (grant.access_token, grant.refresh_token) == ("shpat_new", "shprt_new")
    assert grant.scopes == {"read_products", "read_customers"}
    assert abs(grant.expires_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=30)
    assert abs(grant.refresh_expires_at - datetime.now(UTC) - timedelta(days=90)) < timedelta(seconds=30)


def test_a_refresh_brings_the_next_pair(shopify, tokens, shop):
    shopify.will(body=GRANTED)

    grant = tokens.refresh(shop, "shprt_old")

    assert grant.refresh_token == "shprt_new"
    assert shopify.requests[0]["body"] == {
        "client_id": "the-app-key",
        "client_secret": SECRET,
        "grant_type": "refresh_token",
        "refresh_token": "shprt_old",
    }


def test_a_code_is_redeemed_for_an_expiring_pair(shopify, tokens, shop):
    shopify.will(body=GRANTED)

    grant = tokens.redeem(shop, "a-code")

    assert (grant.access_token, grant.refresh_token) == ("shpat_new", "shprt_new")
    assert shopify.requests[0]["body"] == {
        "client_id": "the-app-key",
        "client_secret": SECRET,
        "code": "a-code",
        "expiring": 1,
    }


def test_a_lasting_token_has_no_end(shopify, tokens, shop):
    shopify.will(body={"access_token": "shpat_lasting", "scope": ""})

    grant = tokens.exchange(shop, "a.session.token")

    assert (grant.expires_at, grant.refresh_token, grant.refresh_expires_at) == (None, None, None)
    assert grant.scopes == frozenset()


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (400, {"error": "invalid_subject_token"}, IdTokenRefused),
        (400, {"error": "invalid_grant"}, TokenDead),
        (400, {"error": "invalid_client"}, AppRefused),
        (401, {"error": "invalid_client"}, AppRefused),
        (400, {"error": "something_new"}, Permanent),
        (400, b"<html>", Permanent),
        (429, {}, Throttled),
        (302, {}, ShopUnreachable),
        (503, {}, ShopUnreachable),
        (200, {}, ShopUnreachable),
        (200, {"access_token": None}, ShopUnreachable),
        (200, b"garbage", ShopUnreachable),
    ],
)
def test_each_refusal_has_its_remedy_and_shows_no_secret(shopify, tokens, shop, status, body, failure):
    shopify.will(status, body)

    with pytest.raises(failure) as raised:
        tokens.refresh(shop, "shprt_old")

    assert type(raised.value) is failure or failure is Permanent
    assert "shprt_old" not in str(raised.value)
    assert SECRET not in str(raised.value) + repr(tokens)


@pytest.mark.parametrize(
    "host", ["evil.com", "evil.com/#.myshopify.com", "a.myshopify.com.evil.com", "-a.myshopify.com", "A.myshopify.com"]
)
@pytest.mark.parametrize("use", ["exchange", "refresh", "redeem"])
def test_a_secret_goes_to_no_other_host(shopify, tokens, host, use):
    with pytest.raises(NotAShop):
        getattr(tokens, use)(host, "a.token")

    assert shopify.requests == []


def test_a_grant_shows_no_token(shopify, tokens, shop):
    shopify.will(body=GRANTED)

    shown = repr(tokens.exchange(shop, "a.session.token"))

    assert "shpat_new" not in shown
    assert "shprt_new" not in shown
