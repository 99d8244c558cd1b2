"""What proves who is asking: the webhook's signature, the session token, our cookie. Forged in every known way."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from itsdangerous import URLSafeTimedSerializer

from app.signature import verified_by
from app.signing import signer

SHOP = "northwind-trade.myshopify.com"
SECRET = "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"
PREVIOUS = "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"
COOKIE = "data_sync_northwind-trade"


# -- the signature of a webhook


def test_every_secret_is_compared_whole_as_bytes_and_in_constant_time(monkeypatch):
    compared = []

    def watched(a, b):
        compared.append((type(a), type(b), len(a)))
        return compare(a, b)

    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", watched)
    right = base64.b64encode(hmac.digest(b"new", b"{}", hashlib.sha256)).decode()

    assert verified_by(b"{}", right, ("new", "old")) == 0
    assert verified_by(b"{}", "é" * 44, ("new", "old")) is None
    assert verified_by(b"{}", None, ("new", "old")) is None
    # the old one is compared even where the new one fitted: how long it takes does not tell which
    assert compared == [(bytes, bytes, 44)] * 6


# -- the session token


def forged(token):
    """Tokens that somebody without the secret could make."""
    claims = jwt.decode(token, options={"verify_signature": False})
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signature = token.rpartition(".")[2]
    return {
        "none": jwt.encode(claims, None, "none"),
        "NONE": bare({"alg": "NONE", "typ": "JWT"}, claims, ""),
        "none, with the right signature of another": bare({"alg": "none"}, claims, signature),
        "no algorithm": bare({"typ": "JWT"}, claims, signature),
        "another header over the right signature": bare({"alg": "HS256", "x": 1}, claims, signature),
        "RS256 with a key of one's own": jwt.encode(claims, private, "RS256"),
        "the empty secret": bare({"alg": "HS256"}, claims, mac(b"", {"alg": "HS256"}, claims)),
        "the app's key, which is public": bare(
            {"alg": "HS256"}, claims, mac(b"test-api-key", {"alg": "HS256"}, claims)
        ),
        "a key that the header names": with_key_of_the_header(claims, {"kid": "/dev/null"}, b""),
        "a key that the header fetches": with_key_of_the_header(claims, {"jku": "https://evil.example/k"}, b"k"),
        "a key in the header": with_key_of_the_header(claims, {"jwk": {"kty": "oct", "k": "aw"}}, b"k"),
        "a certificate of the header": with_key_of_the_header(claims, {"x5u": "https://evil.example/c"}, b"k"),
        "a key id that is SQL": with_key_of_the_header(claims, {"kid": "' UNION SELECT 'k' --"}, b"k"),
        "two tokens": f"{token}.{token}",
        "a token in a token": jwt.encode({"token": token}, "x" * 32),
    }


def bare(header, claims, signature):
    return f"{part(header)}.{part(claims)}.{signature}"


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def mac(key, header, claims):
    made = hmac.digest(key, f"{part(header)}.{part(claims)}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def with_key_of_the_header(claims, more, key):
    header = {"alg": "HS256", "typ": "JWT"} | more
    return bare(header, claims, mac(key, header, claims))


FORGED = tuple(forged(jwt.encode({}, "x" * 32)))


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_session_token_opens_neither_api_nor_pages(app, ask, session_token, name):
    token = forged(session_token())[name]

    api = ask(app, "GET", "/api/v1/feeds", headers={"Authorization": f"Bearer {token}"})
    page = ask(app, "GET", "/", query={"id_token": token})

    assert (api.status, page.status) == (401, 401)
    assert "set-cookie" not in page.headers


@pytest.mark.parametrize("header", [{"kid": "../../dev/null"}, {"jku": "https://evil.example"}, {"cty": "JWT"}])
def test_what_a_genuine_tokens_header_names_is_neither_fetched_nor_read(app, ask, session_token, header):
    token = session_token(headers=header)

    assert ask(app, "GET", "/api/v1/feeds", headers={"Authorization": f"Bearer {token}"}).status == 200


def wrong_times():
    now = int(time.time())
    return {
        "over": {"exp": now - 11},
        "not begun": {"nbf": now + 11},
        "without an end": {"exp": None},
        "of another app": {"aud": "another"},
        "of several apps": {"aud": ["another", "third"]},
        "of no app": {"aud": None},
        "issued tomorrow": {"iat": now + 86_400},
    }


@pytest.mark.parametrize("name", wrong_times())
def test_a_session_token_is_good_for_its_minute_and_for_this_app(app, ask, session_token, name):
    token = session_token(**wrong_times()[name])

    assert ask(app, "GET", "/api/v1/feeds", headers={"Authorization": f"Bearer {token}"}).status == 401


@pytest.mark.parametrize("secret", [SECRET, PREVIOUS])
def test_both_secrets_are_good_while_one_is_rotated(app, ask, session_token, secret):
    token = session_token(secret=secret)

    assert ask(app, "GET", "/api/v1/feeds", headers={"Authorization": f"Bearer {token}"}).status == 200


def test_with_the_rotation_over_the_old_secret_opens_nothing(build, ask, session_token, database):
    app = build(SHOPIFY_API_SECRET_PREVIOUS="")

    answer = ask(app, "GET", "/api/v1/feeds", headers={"Authorization": f"Bearer {session_token(secret=PREVIOUS)}"})

    assert answer.status == 401


def test_a_session_token_in_the_address_changes_nothing(app, ask, session_token, counts):
    """It stands in histories and logs of proxies: good for looking, never for doing."""
    before = counts()

    answer = ask(app, "POST", "/products/refresh", query={"id_token": session_token()})

    assert answer.status == 401
    assert counts() == before


# -- our cookies


@pytest.fixture
def cookies(app):
    """Values as only we could make them, each for a use, and one made with SECRET_KEY as it stands."""
    with app.app_context():
        key = app.extensions["office"].settings.secret_key
        return {
            "merchant page": signer("merchant page").dumps([SHOP, "42"]),
            "sign-in state": signer("sign-in state").dumps([SHOP, "42"]),
            "the key itself": URLSafeTimedSerializer(key, salt="merchant page").dumps([SHOP, "42"]),
            "no salt": URLSafeTimedSerializer(key).dumps([SHOP, "42"]),
        }


def test_each_cookie_has_a_key_of_its_own(app, ask, cookies):
    answers = {
        use: ask(app, "GET", "/products", headers={"Cookie": f"{COOKIE}={value}"}).status
        for use, value in cookies.items()
    }

    assert answers == {"merchant page": 200, "sign-in state": 401, "the key itself": 401, "no salt": 401}


def test_a_cookie_of_one_shop_under_the_name_of_another_opens_nothing(app, ask, cookies):
    header = {"Cookie": f"data_sync_contoso-outdoor={cookies['merchant page']}"}

    for query in ({}, {"shop": "contoso-outdoor.myshopify.com"}):
        answer = ask(app, "GET", "/products", query=query, headers=header)
        assert SHOP not in answer.text or "shop" not in query
        assert answer.status == (401 if query else 200)  # without `shop`, the value alone says whose it is


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none of these"])
def test_no_form_of_another_site_changes_anything(app, ask, cookies, counts, site):
    """Every address of the pages that takes more than questions, with a cookie that is good."""
    forms = [rule for rule in app.url_map.iter_rules() if "POST" in rule.methods and is_page(rule)]
    before = counts()

    answers = {}
    for rule in forms:
        address = app.url_map.bind("x").build(rule.endpoint, values_of(rule), method="POST")
        sent = {"Cookie": f"{COOKIE}={cookies['merchant page']}", "Sec-Fetch-Site": site}
        answers[rule.rule] = ask(app, "POST", address, query={"shop": SHOP}, headers=sent).status

    assert len(answers) >= 5
    assert set(answers.values()) == {403}
    assert counts() == before


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8000.evil.example"])
def test_an_old_browser_is_judged_by_origin(app, ask, cookies, counts, origin):
    sent = {"Cookie": f"{COOKIE}={cookies['merchant page']}", "Origin": origin}
    before = counts()

    assert ask(app, "POST", "/products/refresh", headers=sent).status == 403
    assert counts() == before


def is_page(rule):
    return not rule.rule.startswith(("/api/", "/webhooks", "/ops", "/auth"))


def values_of(rule):
    known = {"feed": "products", "record_id": 5, "run_id": 5, "name": "products"}
    return {name: known[name] for name in rule.arguments}
