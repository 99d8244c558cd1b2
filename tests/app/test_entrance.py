"""Who gets to see a merchant's pages, and how: session tokens, our cookie, Shopify's login."""

import hashlib
import hmac
import time
from urllib.parse import parse_qs, urlsplit

import pytest

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
SECRET = "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"


@pytest.fixture
def browser(app):
    return app.test_client()


@pytest.fixture
def connected(build, devstore, database, redis):
    """An application whose Shopify is the devstore."""
    devstore.move_app(secret=SECRET, url="http://127.0.0.1:8000")
    return build(SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}")


def test_a_stranger_is_told_where_to_go(browser):
    answer = browser.get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 401
    assert "Open Data Sync in your Shopify admin" in answer.text
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_the_admin_opens_the_page_with_a_session_token(browser, install, session_token):
    install()
    answer = browser.get(f"/?id_token={session_token()}")
    assert answer.status_code == 200
    assert SHOP in answer.text


def test_only_the_shops_own_admin_may_frame_its_pages(browser, install, session_token):
    install()
    policy = browser.get(f"/?id_token={session_token()}&shop={OTHER}").headers["Content-Security-Policy"]
    assert f"frame-ancestors https://{SHOP} https://admin.shopify.com" in policy
    assert OTHER not in policy


def test_a_page_allows_no_inline_code(browser, install, session_token):
    install()
    answer = browser.get(f"/?id_token={session_token()}")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "style=" not in answer.text
    assert "<script>" not in answer.text


def test_app_bridge_comes_from_shopify_where_embedded(browser, install, session_token):
    install()
    embedded = browser.get(f"/?id_token={session_token()}&embedded=1").text
    alone = browser.get(f"/?id_token={session_token()}").text
    bridge = 'src="https://cdn.shopify.com/shopifycloud/app-bridge.js"'
    assert bridge in embedded
    assert embedded.index(bridge) < embedded.index("data-sync.js")
    assert bridge not in alone


def test_following_a_link_needs_no_fresh_token(browser, install, session_token):
    install()
    browser.get(f"/?id_token={session_token()}")
    assert browser.get("/products").status_code == 200


def test_two_shops_in_one_browser_are_never_mixed_up(browser, install, session_token):
    install(SHOP)
    install(OTHER)
    browser.get(f"/?id_token={session_token(SHOP)}")
    browser.get(f"/?id_token={session_token(OTHER)}")
    assert OTHER not in browser.get(f"/products?shop={SHOP}").text
    assert SHOP not in browser.get(f"/products?shop={OTHER}").text
    assert browser.get("/products").status_code == 401  # which of the two?


def test_links_carry_whose_page_it_is(browser, install, session_token):
    install()
    text = browser.get(f"/?id_token={session_token()}&embedded=1&host=YWRtaW4").text
    assert f"/products?shop={SHOP}&amp;host=YWRtaW4&amp;embedded=1" in text


def test_a_shop_named_in_the_address_proves_nothing(browser, install, session_token):
    install(SHOP)
    install(OTHER)
    browser.get(f"/?id_token={session_token(SHOP)}")
    assert browser.get(f"/products?shop={OTHER}").status_code == 401


@pytest.mark.parametrize("flaw", ["broken", "another app's", "expired", "another secret's"])
def test_a_bad_session_token_opens_nothing(browser, install, session_token, flaw):
    install()
    tokens = {
        "broken": "abc",
        "another app's": session_token(aud="another"),
        "expired": session_token(exp=int(time.time()) - 11),
        "another secret's": session_token(secret="x" * 32),
    }
    assert browser.get(f"/?id_token={tokens[flaw]}").status_code == 401


def test_a_tampered_cookie_opens_nothing(browser, install, session_token):
    install()
    browser.get(f"/?id_token={session_token()}")
    name = f"data_sync_{SHOP.partition('.')[0]}"
    browser.set_cookie(name, browser.get_cookie(name).value[:-2] + "aa")
    assert browser.get("/products").status_code == 401


def test_the_cookie_is_closed_to_scripts_and_kept_apart_in_a_frame(build, database, redis, session_token):
    app = build(APP_ENV="production", APP_URL="https://sync.example.com")
    from adapters import shops

    with app.extensions["office"].db.begin() as db:
        shops.add(db, app.extensions["office"].vault, SHOP, "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")
    cookie = app.test_client().get(f"/?id_token={session_token()}").headers["Set-Cookie"]
    assert {"HttpOnly", "Secure", "SameSite=None", "Partitioned"} <= set(cookie.split("; "))


def test_in_the_admin_a_missing_token_is_fetched_by_app_bridge(browser):
    answer = browser.get(f"/products?embedded=1&shop={SHOP}")
    assert answer.status_code == 401
    assert "data-bounce" in answer.text
    assert "app-bridge.js" in answer.text


def test_whoever_was_bounced_in_vain_is_told_so_and_not_bounced_again(browser, install, session_token):
    """With a wrong secret, say: no token will ever be good enough."""
    install()
    answer = browser.get(f"/products?embedded=1&shop={SHOP}&bounced=1&id_token={session_token(secret='x' * 32)}")
    assert answer.status_code == 401
    assert "data-bounce" not in answer.text
    assert "could not verify it" in answer.text


@pytest.mark.parametrize(
    ("path", "status"), [("/products/runs/99", 404), ("/products?id_token=old", 401), ("/nowhere", 404)]
)
def test_trouble_can_be_read_in_the_admins_frame_and_in_nobody_elses(browser, install, session_token, path, status):
    install()
    bearer = {} if "id_token" in path else {"Authorization": f"Bearer {session_token()}"}
    asked = {"shop": SHOP, "embedded": "1", **({"id_token": "old"} if not bearer else {})}

    answer = browser.get(path.partition("?")[0], query_string=asked, headers=bearer | {"Accept": "text/html"})

    assert answer.status_code == status
    frames = answer.headers["Content-Security-Policy"].partition("frame-ancestors ")[2].split()
    assert frames[:2] == [f"https://{SHOP}", "https://admin.shopify.com"]
    assert "*" not in "".join(frames)


def test_trouble_leaves_whoever_was_admitted_a_way_on(browser, install, session_token):
    install()
    headers = {"Authorization": f"Bearer {session_token()}", "Accept": "text/html"}
    text = browser.get("/products/runs/99", headers=headers).text
    assert "There is no run 99" in text
    assert f'href="/settings?shop={SHOP}"' in text


def test_a_fetch_with_an_old_token_is_asked_to_try_again(browser, install, session_token):
    install()
    old = session_token(exp=int(time.time()) - 11)
    answer = browser.get("/products", headers={"Authorization": f"Bearer {old}"})
    assert answer.status_code == 401
    assert answer.headers["X-Shopify-Retry-Invalid-Session-Request"] == "1"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_form_changes_nothing(browser, install, session_token, site):
    install()
    browser.get(f"/?id_token={session_token()}")
    assert browser.post("/products/refresh", headers={"Sec-Fetch-Site": site}).status_code == 403
    assert browser.post("/products/refresh", headers={"Origin": "https://evil.example"}).status_code == 403
    assert browser.post("/products/refresh", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303


def test_the_first_page_installs_the_shop(connected, devstore):
    devstore.open_shop(SHOP, products=1)
    client = connected.test_client()
    answer = client.get(f"/?id_token={devstore.id_token(SHOP)}")
    assert answer.status_code == 200
    assert "has not finished yet" in answer.text
    api = client.get("/api/v1/feeds", headers={"Authorization": f"Bearer {devstore.id_token(SHOP)}"})
    assert api.status_code == 200


def test_a_page_gives_a_shop_that_lost_its_access_a_new_token(connected, devstore):
    from adapters import shops

    devstore.open_shop(SHOP, products=1)
    office = connected.extensions["office"]
    with office.db.begin() as db:
        shops.add(db, office.vault, SHOP, "a dead one")
        shops.needs_auth(db, office.vault, shops.find(db, office.vault, SHOP))
    connected.test_client().get(f"/?id_token={devstore.id_token(SHOP)}")
    with office.db.connect() as db:
        shop = shops.find(db, office.vault, SHOP)
    assert shop.is_active
    assert shop.token != "a dead one"


def test_shopify_away_at_the_first_page_is_said(connected, devstore):
    devstore.open_shop(SHOP, products=1)
    devstore.fault("500", place="oauth", times=10)
    address = f"/?id_token={devstore.id_token(SHOP)}&embedded=1&shop={SHOP}"
    answer = connected.test_client().get(address)
    assert answer.status_code == 503
    assert "Reload" in answer.text
    assert f"frame-ancestors https://{SHOP} " in answer.headers["Content-Security-Policy"]


# Outside of the admin


def signed_by_shopify(**query):
    query = {"shop": SHOP, "timestamp": str(int(time.time()))} | query
    message = "&".join(f"{name}={value}" for name, value in sorted(query.items()))
    return query | {"hmac": hmac.new(SECRET.encode(), message.encode(), hashlib.sha256).hexdigest()}


def test_from_shopify_without_a_frame_the_login_begins_at_once(browser):
    answer = browser.get("/", query_string=signed_by_shopify())
    assert answer.status_code == 302
    assert urlsplit(answer.headers["Location"]).path == "/auth/start"


def test_signing_in_with_shopify_ends_on_the_pages(connected, devstore):
    devstore.open_shop(SHOP, products=1)
    client = connected.test_client()
    there = client.get(f"/auth/start?shop={SHOP}").headers["Location"]
    back = visit(there)
    assert parse_qs(urlsplit(back).query)["code"]
    answer = client.get(urlsplit(back)._replace(scheme="", netloc="").geturl())
    assert answer.status_code == 302
    assert client.get(answer.headers["Location"]).status_code == 200


def test_a_code_brought_by_another_browser_is_refused(connected, devstore):
    devstore.open_shop(SHOP, products=1)
    back = visit(connected.test_client().get(f"/auth/start?shop={SHOP}").headers["Location"])
    answer = connected.test_client().get(urlsplit(back)._replace(scheme="", netloc="").geturl())
    assert answer.status_code == 400
    assert "begun elsewhere" in answer.text


def test_a_callback_that_shopify_did_not_sign_is_refused(connected):
    query = signed_by_shopify(code="x", state="y") | {"code": "another"}
    assert connected.test_client().get("/auth/callback", query_string=query).status_code == 400


def test_a_login_needs_a_shop_of_shopifys(browser):
    for shop in ("evil.example", "evil.example#.myshopify.com", "", "a b.myshopify.com"):
        assert browser.get("/auth/start", query_string={"shop": shop}).status_code == 400


def visit(address):
    """Where Shopify's authorize page sends the browser."""
    import httpx

    return httpx.get(address).headers["Location"]
