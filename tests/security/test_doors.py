"""What every answer carries, where nobody is ever sent, and how much a request may weigh."""

import gzip
import io
import itertools
import json

import pytest

from adapters.wire import Wire
from domain.failures import NotAShop

SHOP = "northwind-trade.myshopify.com"
ALWAYS = ("content-security-policy", "x-content-type-options", "referrer-policy")
EVIL = "evil.example"
NO_SHOPS = (
    *(
        EVIL,
        f"{SHOP}.{EVIL}",
        f"{EVIL}/{SHOP}",
        f"{EVIL}#{SHOP}",
        f"{EVIL}?{SHOP}",
        f"{EVIL}\\{SHOP}",
        f"{SHOP}@{EVIL}",
    ),
    *(
        f"{EVIL}:443#.myshopify.com",
        "127.0.0.1",
        "169.254.169.254",
        "localhost",
        "[::1]",
        f"{SHOP}:8080",
        f"{SHOP}/admin",
    ),
    *("a.b.myshopify.com", ".myshopify.com", "-.myshopify.com", "myshopify.com", f"{SHOP}\n{EVIL}", f"{EVIL}%00{SHOP}"),
    *("х.myshopify.com", "xn--80ak6aa92e.com", "a_b.myshopify.com", f"{SHOP}\u3002{EVIL}", f"user:pass@{SHOP}"),  # noqa: RUF001 — a Cyrillic letter is the point
)


def everything(app, ask, bearer):
    """(what was asked, the answer) for every address with every method, let in and not, and some that are not there."""
    for rule in app.url_map.iter_rules():
        values = {"feed": "products", "name": "products", "record_id": 5, "run_id": 5, "filename": "data-sync.js"}
        chosen = {name: values.get(name, 5) for name in rule.arguments}
        address = app.url_map.bind("x").build(rule.endpoint, chosen, method=next(iter(rule.methods)))
        for method, headers in itertools.product(sorted(rule.methods), ({}, bearer)):
            yield f"{method} {address}", ask(app, method, address, headers=headers)
    for address in ("/nothing", "/static/nothing", "/api/v1/nothing", "/ops/nothing", "/products/0", "/webhooks/x"):
        for method, headers in itertools.product(("GET", "POST", "DELETE"), ({}, bearer)):
            yield f"{method} {address}", ask(app, method, address, headers=headers)


def test_every_answer_says_what_browsers_may_do_with_it(app, ask, bearer):
    lacking, seen = [], set()
    for asked, answer in everything(app, ask, bearer):
        seen.add(answer.status)
        lacking += [(asked, name) for name in ALWAYS if name not in answer.headers]
        lacking += [(asked, "nosniff")] if answer.headers.get("x-content-type-options") != "nosniff" else []
    assert lacking == []
    assert {200, 202, 303, 400, 401, 404, 405, 415} <= seen  # errors, too


def test_no_policy_allows_inline_code_and_none_but_a_shops_pages_may_be_framed(app, ask, bearer):
    policies = {}
    for asked, answer in everything(app, ask, bearer):
        policies.setdefault(answer.headers["content-security-policy"], asked)
        kind = answer.headers.get("content-type", "")
        assert kind.startswith("text/html") or "default-src 'none'" in answer.headers["content-security-policy"], asked
    told = {policy: dict(part.strip().split(" ", 1) for part in policy.split(";")) for policy in policies}
    assert len(told) >= 2
    for policy, parts in told.items():
        assert "unsafe" not in policy
        assert "*" not in policy.replace("https://*.shopify.com", "").replace("https://*.myshopify.com", "")
        assert {"default-src", "base-uri", "form-action", "frame-ancestors"} <= set(parts)
        assert "data:" not in parts.get("script-src", "")


def test_a_failure_that_nobody_foresaw_tells_nothing_and_is_guarded_too(build, database, ask):
    app = build()

    def fail():
        raise RuntimeError("jane.doe@example.com")

    app.add_url_rule("/fail", view_func=fail)
    answer = ask(app, "GET", "/fail")

    assert answer.status == 500
    assert all(name in answer.headers for name in ALWAYS)
    assert not [word for word in ("jane", "Traceback", "RuntimeError", ".py") if word in answer.text]


def test_under_https_every_answer_insists_on_it(build, database, ask, bearer):
    app = build(APP_ENV="production", APP_URL="https://sync.example.com")

    answers = [ask(app, "GET", address) for address in ("/", "/live", "/api/v1/feeds", "/nothing", "/static/icon.svg")]

    assert all("max-age=63072000" in answer.headers["strict-transport-security"] for answer in answers)


def test_without_https_nobody_is_locked_out(app, ask):
    assert "strict-transport-security" not in ask(app, "GET", "/live").headers


# -- where nobody is sent


def test_no_answer_is_made_of_the_host_that_a_request_claims(app, ask, bearer):
    """A poisoned Host must not end in a link, a redirect, a cookie's domain or a document."""
    hosts = {
        "X-Forwarded-Host": EVIL,
        "Forwarded": f"host={EVIL}",
        "X-Original-Host": EVIL,
        "X-Forwarded-Proto": "evil",
    }
    addresses = ["//", "//products", "/products//lookup", "/products/lookup/", "/static//icon.svg", "/api//v1/feeds"]
    for rule in app.url_map.iter_rules():
        if "GET" in rule.methods and rule.endpoint != "static":
            values = {name: {"feed": "products", "name": "products"}.get(name, 5) for name in rule.arguments}
            addresses.append(app.url_map.bind("x").build(rule.endpoint, values))
    for address in addresses:
        for more, query in itertools.product((bearer, {}), ({}, {"shop": SHOP}, {"embedded": "1"})):
            answer = ask(app, "GET", address, query=query, headers=hosts | more, host=EVIL)
            assert EVIL not in answer.text, address
            assert EVIL not in str(answer.headers), address


PLACES = (f"https://{EVIL}", f"//{EVIL}", f"/\\{EVIL}", f"{SHOP}@{EVIL}", f"{SHOP}%0d%0aLocation: https://{EVIL}")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["shop", "host", "return_to", "redirect_uri", "next", "embedded", "saved", "q"])
def test_no_parameter_sends_anybody_elsewhere(app, ask, bearer, name, place):
    for address in ("/", "/auth/start", "/auth/callback", "/products", "/products/lookup", "/settings"):
        for method, headers in itertools.product(("GET", "POST"), (bearer, {})):
            query = {"shop": SHOP} | {name: place}
            location = ask(app, method, address, query=query, headers=headers).headers.get("location", "/")
            host = location.split("?")[0]
            assert EVIL not in host
            assert not host.startswith(("//", "/\\"))


@pytest.mark.parametrize("name", NO_SHOPS)
def test_what_is_no_shop_is_never_asked_for_anything(app, ask, signed, session_token, devstore, counts, name):
    """Neither the header, nor the address, nor a token that was signed by us makes us call another host."""
    before = counts()
    header = signed(b'{"id": 1}', webhook_id="x") | {"X-Shopify-Shop-Domain": name.encode().decode("latin-1")}
    claims = {"iss": f"https://{name}/admin", "dest": f"https://{name}"}
    token = session_token(**claims)

    assert ask(app, "POST", "/webhooks", headers=header, body=b'{"id": 1}').status == 400
    assert ask(app, "GET", "/auth/start", query={"shop": name}).status == 400
    assert ask(app, "GET", "/", query={"id_token": token}).status == 401
    assert ask(app, "GET", "/api/v1/feeds", headers={"Authorization": f"Bearer {token}"}).status == 401
    with pytest.raises(NotAShop):
        Wire("https://{shop}").post(name, "/admin/x", {}, {})
    assert counts() == before


@pytest.mark.parametrize("path", ["/admin", "/../..", "?x=", "#x", "/a.myshopify.com"])
def test_a_genuine_token_names_a_shop_and_nothing_behind_it(app, ask, session_token, path):
    token = session_token(dest=f"https://{SHOP}{path}")

    assert ask(app, "GET", "/api/v1/feeds", headers={"Authorization": f"Bearer {token}"}).status == 401


@pytest.mark.parametrize(
    "timestamp", ["9" * 5_000, "\u0661" * 5_000, "1e9", "-1", "", "\x00", "1" * 400, "0"], ids=lambda value: value[:3]
)
def test_a_login_whose_time_is_absurd_is_refused(app, ask, timestamp):
    query = {"shop": SHOP, "timestamp": timestamp, "hmac": "é" * 64, "code": "x"}

    assert ask(app, "GET", "/auth/callback", query=query).status == 400
    assert ask(app, "GET", "/", query=query).status == 401


@pytest.mark.parametrize("query", ["q=\xed\xa0\x80", "\xff=1", "q=a&\xc3"])
@pytest.mark.parametrize("path", ["/", "/products", "/nothing", "/api/v1/feeds", "/auth/start", "/live"])
def test_an_address_that_is_no_text_is_refused(app, ask, bearer, path, query):
    for method in ("GET", "POST"):
        assert ask(app, method, path, query=query, headers=bearer).status == 400


# -- files


@pytest.mark.parametrize(
    "path",
    [
        "/static/../__init__.py",
        "/static/../../settings.py",
        "/static/..\\..\\settings.py",
        "/static//etc/passwd",
        "/static/%2e%2e/%2e%2e/settings.py",
        "/static/....//....//settings.py",
        "/static/\x00",
        "/static/icon.svg\x00.py",
        "/static/",
        "/static/.",
    ],
)
def test_only_what_lies_in_static_is_handed_out(app, ask, path):
    answer = ask(app, "GET", path)

    assert answer.status == 404
    assert "import" not in answer.text


# -- weights


class Endless(io.RawIOBase):
    """A body that never ends, and tells how much of it was taken."""

    def __init__(self):
        self.taken = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        buffer[:] = b"a" * len(buffer)
        self.taken += len(buffer)
        return len(buffer)


ADDRESSES = ("/api/v1/settings", "/settings", "/explain", "/api/v1/feeds/products/runs")
KINDS = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_body_without_end_is_left_at_64_kib(app, ask, bearer, address, kind):
    endless = Endless()
    sent = {"wsgi.input": endless, "wsgi.input_terminated": True, "CONTENT_LENGTH": "", "CONTENT_TYPE": kind}
    method = "PATCH" if address.startswith("/api/v1/s") else "POST"

    answer = ask(app, method, address, headers=bearer, **sent)

    assert answer.status in (200, 202, 400, 413, 415, 422)
    assert endless.taken <= 256 * 1024


def test_a_webhook_without_end_is_left_at_its_cap(build, database, ask, signed):
    app, endless = build(MAX_BODY_BYTES="65536"), Endless()

    answer = ask(
        app,
        "POST",
        "/webhooks",
        headers=signed(b""),
        **{"wsgi.input": endless, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )

    assert answer.status == 413
    assert endless.taken <= 256 * 1024


@pytest.mark.parametrize("length", ["99999999999999999999", "10485761", "-5", "1e9", "٣", "5, 6", "0x10"])
@pytest.mark.parametrize("address", ["/webhooks", "/settings", "/api/v1/settings"])
def test_a_declared_length_is_not_believed(app, ask, bearer, signed, address, length):
    endless = Endless()
    headers = signed(b"") | bearer
    method = "PATCH" if address.startswith("/api/") else "POST"

    answer = ask(app, method, address, headers=headers, **{"wsgi.input": endless, "CONTENT_LENGTH": length})

    assert answer.status in (200, 400, 401, 413, 415, 422)
    assert endless.taken == 0


def test_a_packed_body_is_never_unpacked(app, ask, signed, database):
    from sqlalchemy import text

    bomb = gzip.compress(b'{"id": 1, "title": "' + b"a" * 30_000_000 + b'"}')
    answer = ask(app, "POST", "/webhooks", headers=signed(bomb) | {"Content-Encoding": "gzip"}, body=bomb)

    with database.connect() as db:
        row = db.execute(text("SELECT outcome, body_bytes FROM deliveries")).one()
    assert answer.status == 200
    assert tuple(row) == ("dead", len(bomb))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"tag":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"tag": 1' + b"0" * 60_000 + b"}",
        json.dumps({str(number): number for number in range(4_000)}).encode(),
        b'{"ignored_keys": [' + b'"a",' * 12_000 + b'"a"]}',
    ],
    ids=["lists", "objects", "balanced", "a long number", "many members", "a long list"],
)
def test_json_that_is_deep_or_wide_is_a_400(app, ask, bearer, body):
    sent = bearer | {"Content-Type": "application/json"}

    assert ask(app, "PATCH", "/api/v1/settings", headers=sent, body=body).status == 400


# Werkzeug leaves the file of a form that breaks off to the garbage collector; here it never outgrows memory.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=q\r\n\r\nx\r\n" * 1_100),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="q"; filename="../../x"\r\n\r\n',
        ),
        ("multipart/form-data", b"--\r\n\r\n"),
        ("multipart/form-data; boundary=" + "x" * 9_000, b"--x"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"a" * 60_000),
        ("multipart/mixed; boundary=x; charset=utf-7", b"--x\r\n\r\n--x--"),
        ("application/x-www-form-urlencoded", b"&".join(b"q=%d" % n for n in range(9_000))),
        ("application/x-www-form-urlencoded; charset=utf-16", b"q=\xff\xfe"),
    ],
)
def test_a_form_that_is_a_trick_is_refused_or_empty(app, ask, bearer, counts, kind, body):
    before = counts()

    answer = ask(app, "POST", "/explain", headers=bearer | {"Content-Type": kind}, body=body)

    assert answer.status in (200, 400, 413)
    assert counts() == before
