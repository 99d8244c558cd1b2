"""The front door in this process, and what stands before it: signed webhooks and session tokens, made for real."""

import base64
import hashlib
import hmac
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from html import unescape
from itertools import count
from pathlib import Path

import jwt
import orjson
import psycopg
import pytest
from sqlalchemy import text
from werkzeug.datastructures import Headers
from werkzeug.security import generate_password_hash

from adapters import audit, failures, inbox, shops
from adapters.inbox import Arrival
from app import build_app
from settings import read_settings
from workers import turns
from workers.workshop import open_workshop

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
TOKEN = "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"
SECRET = "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"  # as long as Shopify's are
PREVIOUS = "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"


@pytest.fixture(scope="session")
def full_environment(environment):
    """`environment` with secrets of Shopify's length, one of them about to retire."""
    return environment | {"SHOPIFY_API_SECRET": SECRET, "SHOPIFY_API_SECRET_PREVIOUS": PREVIOUS}


@pytest.fixture
def build(full_environment):
    """build(**changes of the environment) → an application whose connections are closed after the test."""
    with ExitStack() as closing:

        def make(**changes):
            app = build_app(read_settings(full_environment | changes))
            closing.callback(close, app)
            return app

        yield make


def close(app):
    office = app.extensions["office"]
    office.db.dispose()
    office.frontdesk._db.dispose()
    office.admin.close()
    office.tokens.close()
    office.redis.close()


@pytest.fixture(scope="session")
def shared_app(full_environment):
    app = build_app(read_settings(full_environment))
    yield app
    close(app)


@pytest.fixture
def app(shared_app, database, redis):
    """The application on empty tables, with figures at zero."""
    shared_app.extensions["office"].figures.hand_over()
    redis.flushall()
    return shared_app


@pytest.fixture
def door(app, database):
    return Door(app, database)


@pytest.fixture
def door_of():
    """door_of(app, engine) → a Door of an application of the test's own."""
    return Door


class Door:
    """Knocks as Shopify does. What a test is not about is valid."""

    _numbers = count(1)

    def __init__(self, app, engine):
        self.app = app
        self.engine = engine

    def post(self, body, topic="products/update", *, secret=SECRET, omit=(), prefix="X-Shopify-", **changes):
        """`changes` are headers by their last words (`webhook_id="a"`); `omit` names those to leave out."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        webhook_id = f"webhook-{next(self._numbers)}"
        headers = Headers(signed(raw, topic, secret=secret, prefix=prefix, webhook_id=webhook_id))
        for name, value in changes.items():
            headers.set(prefix + name.replace("_", "-"), value)
        for name in omit:
            headers.remove(prefix + name)
        return self.app.test_client().post("/webhooks", data=raw, headers=headers)

    def at_once(self, number, knock):
        """The answers to knock(0) … knock(number - 1), each from a thread of its own."""
        with ThreadPoolExecutor(number) as threads:
            return list(threads.map(knock, range(number)))

    def rows(self):
        with self.engine.connect() as db:
            return [dict(row) for row in db.execute(text("SELECT * FROM deliveries ORDER BY id")).mappings()]

    def only_row(self):
        (row,) = self.rows()
        return row


@pytest.fixture
def headers_of():
    """headers_of(raw, topic, …) → the headers of a genuine webhook, for a client of the test's own."""
    return signed


def signed(raw, topic, *, secret=SECRET, shop=SHOP, webhook_id="webhook-0", prefix="X-Shopify-"):
    return {
        "Content-Type": "application/json",
        f"{prefix}Topic": topic,
        f"{prefix}Hmac-Sha256": base64.b64encode(hmac.digest(secret.encode(), raw, hashlib.sha256)).decode(),
        f"{prefix}Shop-Domain": shop,
        f"{prefix}API-Version": "2026-10",
        f"{prefix}Webhook-Id": webhook_id,
        f"{prefix}Event-Id": f"event-of-{webhook_id}",
        f"{prefix}Triggered-At": "2026-11-23T10:00:00.123456789Z",
    }


@pytest.fixture
def product():
    """product(**changes) → the body of products/update; `variants` are dicts of what matters in each."""
    return product_body


def product_body(number=7356521840875, variants=({"sku": "ABC-1"},), **changes):
    listed = [
        {"id": number * 10 + n, "title": "One", "price": "9.90", "position": n, "inventory_quantity": 3} | variant
        for n, variant in enumerate(variants, start=1)
    ]
    body = {
        "id": number,
        "title": "Tin mug",
        "handle": f"tin-mug-{number}",
        "status": "active",
        "vendor": "Northwind",
        "tags": "enamel, kitchen",
        "updated_at": "2026-11-23T09:59:59Z",
        "variants": listed,
        "variant_gids": [{"admin_graphql_api_id": f"gid://shopify/ProductVariant/{v['id']}"} for v in listed],
    }
    return body | changes


@pytest.fixture
def session_token():
    """session_token(shop, **claims) → as App Bridge fetches them; a claim of None is left out."""
    return make_session_token


def make_session_token(shop=SHOP, secret=SECRET, algorithm="HS256", **changes):
    now = int(time.time())
    claims = {
        "iss": f"https://{shop}/admin",
        "dest": f"https://{shop}",
        "aud": "test-api-key",
        "sub": "42",
        "exp": now + 60,
        "nbf": now - 1,
        "iat": now - 1,
        "jti": "f8912129-1af6-4cad-9ca3-76b0f7621087",
        "sid": "aaea182f2732d44c23057c0fea584021a4485b2bd25d3eb7fd349313ad24c685",
    } | changes
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, algorithm)


@pytest.fixture
def install(app):
    """install(domain) → the shop is known, with a token."""

    def add(domain=SHOP):
        office = app.extensions["office"]
        with office.db.begin() as db:
            shops.add(db, office.vault, domain, TOKEN)

    return add


@pytest.fixture
def take_turns(full_environment):
    """take_turns(domain, **changes of the environment): what waits in the shop's live lane is served."""

    def take(domain=SHOP, **changes):
        workshop = open_workshop(read_settings(full_environment | changes))
        try:
            return turns.take_turn(workshop, "live", domain)
        finally:
            workshop.db.dispose()
            workshop.admin.close()
            workshop.tokens.close()
            workshop.bell.redis.close()

    return take


@pytest.fixture
def everything_stored(database_url):
    """everything_stored() → all rows of all tables as one text, bodies readable."""
    return lambda: dump_of(database_url)


def dump_of(url):
    with psycopg.connect(url.replace("+psycopg", ""), options="-c bytea_output=escape") as db:
        tables = db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert ("deliveries",) in tables
        rows = [row for (table,) in tables for row in db.execute(f'SELECT t::text FROM "{table}" AS t').fetchall()]
    return "\n".join(row for (row,) in rows)


@pytest.fixture
def wait_for():
    """wait_for(fact) → the first true answer of `fact()`."""
    return until


def until(fact, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.01)
    return found


@pytest.fixture
def payload():
    """payload(name) → the bytes of a file in tests/payloads."""
    folder = Path(__file__).parent.parent / "payloads"
    return lambda name: (folder / name).read_bytes()


# -- the console

CONSOLE_HTML = {"Accept": "text/html"}
HASH = generate_password_hash("secret", method="pbkdf2:sha256:1000")


@pytest.fixture
def console(build, database, redis):
    return build(OPS_USERS=f"ada:operator:{HASH} vic:viewer:{HASH}")


@pytest.fixture
def ada(console):
    return Browser(console, "ada")


@pytest.fixture
def vic(console):
    return Browser(console, "vic")


class Browser:
    """Follows the redirect after a form, as browsers do."""

    def __init__(self, app, name):
        self.client = app.test_client()
        self.client.post("/ops/sign-in", data={"name": name, "password": "secret"})

    def get(self, address, status=200, **query):
        answer = self.client.get(address, query_string=query or None, headers=CONSOLE_HTML)
        assert answer.status_code == status, answer.text
        return unescape(answer.text)

    def submit(self, page, action, status=200, **values):
        """Fill in the form that leads to `action` on this page and send it; the page that follows."""
        form = next(f for f in re.findall(r"<form.*?</form>", page, re.DOTALL) if f'action="{action}"' in f)
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
        data = {name: [v for n, v in hidden if n == name] for name, _ in hidden} | values
        answer = self.client.post(action, data=data, headers=CONSOLE_HTML, follow_redirects=True)
        assert answer.status_code == status, answer.text
        return unescape(answer.text)


@pytest.fixture
def stored(database, product):
    """stored(n, dead_because=None, **of the Arrival) → the ids of n deliveries, each of another product."""
    numbers = iter(range(1, 10_000_000))

    def store(count=1, *, dead_because=None, **changes):
        now = datetime.now(UTC)
        arrivals = []
        for _ in range(count):
            number = next(numbers)
            given = {"body": orjson.dumps(product(number)), "topic": "products/update", "feed": "products"}
            given |= {"shop": SHOP, "webhook_id": f"w-{number}", "resource_id": number, "triggered_at": now}
            arrivals.append(Arrival(**given | {"received_at": now, "dead_because": dead_because} | changes))
        with database.begin() as db:
            inbox.store(db, arrivals)
            rows = db.execute(text("SELECT id FROM deliveries ORDER BY id DESC LIMIT :n"), {"n": count})
            return sorted(row.id for row in rows)

    return store


@pytest.fixture
def filed(database):
    """filed() → the fingerprints of what is dead."""

    def file():
        with database.begin() as db:
            failures.file(db, 200_000)
            return [group["fingerprint"] for group in failures.listed(db)]

    return file


@pytest.fixture
def audited(database):
    """audited() → (who, act, why, count) of everything done by hand, newest first."""

    def read():
        with database.connect() as db:
            return [(row["who"], row["act"], row["why"], row["count"]) for row in audit.listed(db)]

    return read
