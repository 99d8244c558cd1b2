"""The pages a merchant comes from: they let the app in and hand the browser over, signed as Shopify signs."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest
from shopify import Session

from devstore.tokens import EXCHANGE, ID_TOKEN, is_genuine_id_token

SHOP = "northwind.myshopify.com"
KEY, SECRET = "devstore-key", "devstore-secret"


@pytest.fixture
def browser(devstore, server):
    with httpx.Client(base_url=f"{server.url}/{SHOP}/admin") as browser:
        yield browser


@pytest.fixture
def authorize(browser, receiver):
    """authorize(**changes) → the answer to a browser that the app has sent to Shopify's login."""

    def ask(**changes):
        wanted = {"client_id": KEY, "scope": "read_products", "state": "a-nonce", "grant_options[]": ""}
        wanted |= {"redirect_uri": f"{receiver.url}/auth/callback"} | changes
        return browser.get("/oauth/authorize", params=wanted)

    return ask


@pytest.fixture
def is_signed():
    """Whether ShopifyAPI, which apps check it with, takes an address for Shopify's."""

    def check(address, secret=SECRET):
        signer = type("Signer", (Session,), {"secret": secret})
        return signer.validate_params(dict(parse_qsl(urlsplit(address).query)))

    return check


def test_the_admin_shows_the_app_in_a_frame(browser, receiver):
    page = browser.get("/apps/data-sync")

    assert page.status_code == 200
    assert f"Pretend Shopify admin · {SHOP}" in page.text
    assert f'src="{receiver.url}/?' in page.text
    assert "embedded=1" not in page.text


def test_the_app_is_opened_with_a_fresh_session_token(browser, receiver, is_signed):
    address = browser.get("/apps/data-sync?plain=1").headers["Location"]

    told = parse_qs(urlsplit(address).query)
    assert address.startswith(f"{receiver.url}/?")
    assert is_signed(address)
    assert not is_signed(address, secret="another")
    assert (told["shop"], told["host"]) == ([SHOP], ["YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvbm9ydGh3aW5k"])
    assert is_genuine_id_token(told["id_token"][0], SHOP, KEY, SECRET, datetime.now(UTC))


def test_opening_the_app_installs_it(browser, devstore, app):
    devstore.change(SHOP, "uninstall")
    assert not devstore.shop(SHOP)["installed"]

    browser.get("/apps/data-sync")

    assert devstore.shop(SHOP)["installed"]


def test_a_merchant_is_sent_back_with_a_signed_code_that_is_good_once(authorize, receiver, app, is_signed):
    answer = authorize()

    address = answer.headers["Location"]
    told = dict(parse_qsl(urlsplit(address).query))
    assert answer.status_code == 302
    assert address.startswith(f"{receiver.url}/auth/callback?")
    assert told.keys() == {"code", "hmac", "host", "shop", "state", "timestamp"}
    assert (told["shop"], told["state"]) == (SHOP, "a-nonce")
    assert is_signed(address)
    assert not is_signed(f"{receiver.url}/auth/callback?{urlencode(told | {'shop': 'other.myshopify.com'})}")
    granted = app.grant(code=told["code"], expiring=1).json()
    assert granted.keys() >= {"access_token", "refresh_token", "expires_in", "scope"}
    app.token = granted["access_token"]
    assert app.post("{shop{id}}").status_code == 200
    again = app.grant(code=told["code"], expiring=1)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "wrong", [{"client_id": "another"}, {"redirect_uri": "https://evil.example/auth/callback"}, {"redirect_uri": ""}]
)
def test_a_code_goes_to_nobody_but_the_app(authorize, wrong):
    assert authorize(**wrong).status_code == 400


@pytest.mark.parametrize("path", ["apps/data-sync", "oauth/authorize"])
def test_a_shop_that_does_not_exist_has_no_admin(server, devstore, path):
    assert httpx.get(f"{server.url}/nobody.myshopify.com/admin/{path}").status_code == 404


def test_an_answer_can_be_lost_after_the_token_was_granted(app, devstore):
    refresh = app.grant(**exchange(devstore)).json()["refresh_token"]
    devstore.fault("502", place="oauth_answer")

    lost = app.grant(grant_type="refresh_token", refresh_token=refresh)
    again = app.grant(grant_type="refresh_token", refresh_token=refresh)

    assert (lost.status_code, again.status_code) == (502, 200)


def exchange(devstore):
    token = devstore.id_token(SHOP)
    return {"grant_type": EXCHANGE, "subject_token_type": ID_TOKEN, "subject_token": token, "expiring": 1}
