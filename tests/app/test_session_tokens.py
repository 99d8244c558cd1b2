"""Who may ask: 401 before anything else, and 403 for a shop that never installed."""

import time

import jwt
import pytest

from devstore.servers import free_port

SHOP = "northwind-trade.myshopify.com"
ROUTES = ("/api/v1/products?q=x", "/api/v1/customers?q=x", "/api/v1/explain?q=x", "/api/v1/issues?feed=products")


def ask(app, path, authorization=None):
    headers = {} if authorization is None else {"Authorization": authorization}
    return app.test_client().get(path, headers=headers)


def test_a_valid_token_is_let_in(app, install, session_token):
    install()

    assert [ask(app, path, f"Bearer {session_token()}").status_code for path in ROUTES] == [200] * 4


def test_a_token_signed_with_the_previous_secret_is_let_in(app, install, session_token, full_environment):
    install()
    token = session_token(secret=full_environment["SHOPIFY_API_SECRET_PREVIOUS"])

    assert ask(app, ROUTES[0], f"Bearer {token}").status_code == 200


@pytest.mark.parametrize("secret", ["SHOPIFY_API_SECRET", "SHOPIFY_API_SECRET_PREVIOUS"])
def test_clocks_that_differ_by_less_than_ten_seconds_are_forgiven(
    app, install, session_token, full_environment, secret
):
    install()
    now, signed = int(time.time()), {"secret": full_environment[secret]}
    late, early = {"exp": now - 5}, {"nbf": now + 5, "iat": now + 5}
    too_late, too_early = {"exp": now - 12}, {"nbf": now + 60}

    asked = [session_token(**signed, **claims) for claims in (late, early, too_late, too_early)]

    assert [ask(app, ROUTES[0], f"Bearer {token}").status_code for token in asked] == [200, 200, 401, 401]


def wrong_tokens(make):
    now = int(time.time())
    return {
        "expired": make(exp=now - 60),
        "of another app": make(aud="another-app"),
        "without an audience": make(aud=None),
        "of another secret": make(secret="shpss_00000000000000000000000000000000"),
        "without an expiry": make(exp=None),
        "an expiry in words": make(exp="never"),
        "of tomorrow": make(nbf=now + 86_400),
        "issued by another shop": make(iss="https://contoso-outdoor.myshopify.com/admin"),
        "for another shop": make(dest="https://contoso-outdoor.myshopify.com"),
        "of no shop": make(iss="https://evil.example/admin", dest="https://evil.example"),
        "without a shop": make(dest=None),
        "without an issuer": make(iss=None),
        "a shop that is a number": make(dest=5),
        "unsigned": jwt.encode(jwt.decode(make(), options={"verify_signature": False}), None, "none"),
        "of another algorithm": make(secret="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" * 2, algorithm="HS512"),
        "cut short": make()[:-3],
    }


WRONG = tuple(wrong_tokens(lambda **_: jwt.encode({}, "x" * 32)))


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_token_is_401(app, install, session_token, name):
    install()

    answer = ask(app, ROUTES[0], f"Bearer {wrong_tokens(session_token)[name]}")

    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["X-Shopify-Retry-Invalid-Session-Request"] == "1"
    assert answer.json["status"] == 401


HEADERS = [
    None,
    "",
    "Bearer",
    "Bearer ",
    "Bearer x",
    "Bearer a.b.c",
    "Basic dXNlcjpwYXNz",
    "Bearer é.é.é",
    "Bearer " + "A" * 9_000,
]


@pytest.mark.parametrize("header", HEADERS)
def test_no_token_or_garbage_is_401(app, install, header):
    install()

    assert ask(app, ROUTES[0], header).status_code == 401


@pytest.mark.parametrize(
    "path", ["/api/v1/products", "/api/v1/issues?feed=nonsense", "/api/v1/issues?feed=products&after=x"]
)
def test_401_comes_before_anything_that_is_wrong_with_the_question(app, path):
    assert ask(app, path).status_code == 401


def test_401_needs_no_database(build, session_token):
    app = build(DATABASE_URL=f"postgresql://postgres@127.0.0.1:{free_port()}/none")

    assert ask(app, ROUTES[0], f"Bearer {session_token(aud='another-app')}").status_code == 401
    assert ask(app, ROUTES[0], f"Bearer {session_token()}").status_code == 503


def test_without_postgres_the_answer_is_503_and_says_when_to_come_back(build, session_token):
    app = build(DATABASE_URL=f"postgresql://postgres@127.0.0.1:{free_port()}/none")

    answer = ask(app, ROUTES[0], f"Bearer {session_token()}")

    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize("path", ROUTES)
def test_a_valid_token_of_a_shop_that_never_installed_is_403(app, install, session_token, path):
    install("contoso-outdoor.myshopify.com")

    answer = ask(app, path, f"Bearer {session_token()}")

    assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
    assert SHOP in answer.json["detail"]
