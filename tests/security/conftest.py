"""The whole application behind a WSGI call made by hand: no client library stands in the way of a hostile request."""

import base64
import copy
import hashlib
import hmac
import io
import itertools
import json
import random
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import jwt
import pytest
from sqlalchemy import text

SHOP = "northwind-trade.myshopify.com"
TOKEN = "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"
SECRET = "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"  # as long as Shopify's are
PREVIOUS = "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"
PAYLOADS = Path(__file__).parent.parent / "payloads"


@pytest.fixture(scope="session")
def guarded_environment(environment):
    return environment | {"SHOPIFY_API_SECRET": SECRET, "SHOPIFY_API_SECRET_PREVIOUS": PREVIOUS}


@pytest.fixture
def build(guarded_environment):
    """build(**changes of the environment) → an application whose connections are closed after the test."""
    from app import build_app
    from settings import read_settings

    with ExitStack() as closing:

        def make(**changes):
            app = build_app(read_settings(guarded_environment | changes))
            desk = app.extensions["office"]
            for close in (desk.db.dispose, desk.frontdesk._db.dispose, desk.admin.close, desk.tokens.close):
                closing.callback(close)
            return app

        yield make


@pytest.fixture
def app(build, database, redis, devstore):
    """The application on empty tables, with one shop that is installed on both sides."""
    from adapters import shops

    devstore.move_app(secret=SECRET)
    devstore.open_shop(SHOP, token=TOKEN, products=0, customers=0)
    app = build(SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}")
    office = app.extensions["office"]
    with office.db.begin() as db:
        shops.add(db, office.vault, SHOP, TOKEN)
    return app


@pytest.fixture
def workshop(app, guarded_environment, devstore):
    """A workshop of the same environment as the application."""
    from settings import read_settings
    from workers.workshop import open_workshop

    origin = {"SHOPIFY_ADMIN_ORIGIN": devstore.url + "/{shop}"}
    opened = open_workshop(read_settings(guarded_environment | origin))
    yield opened
    opened.db.dispose()
    opened.admin.close()
    opened.tokens.close()


@pytest.fixture(scope="session")
def ask():
    """ask(app, method, path, …) → status (an int), headers (lower-case names) and body (bytes) of the answer."""
    return call


def call(app, method, path, *, query="", headers=(), body=b"", host="127.0.0.1:8000", **environ):
    """`query` is a dict or text as it stands in an address; headers may be repeated, and hold any letters."""
    sent = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query if isinstance(query, str) else urlencode(query),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": host,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in dict(headers).items() if isinstance(headers, dict) else headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        # a server joins repeated headers so
        sent[key] = f"{sent[key]},{value}" if key in sent and key.startswith("HTTP_X_") else value
    answered = {}

    def start_response(status, told, _exc_info=None):
        answered["status"] = int(status.split()[0])
        answered["headers"] = {}
        for name, value in told:
            answered["headers"].setdefault(name.lower(), []).append(value)

    parts = app(sent | environ, start_response)
    try:
        content = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    joined = {name: ", ".join(values) for name, values in answered["headers"].items()}
    return SimpleNamespace(
        status=answered["status"], headers=joined, body=content, text=content.decode(errors="replace")
    )


@pytest.fixture(scope="session")
def signed():
    """signed(raw, topic, …) → the headers of a genuine webhook."""
    return sign


_numbers = itertools.count(1)


def sign(raw, topic="products/update", *, secret=SECRET, shop=SHOP, webhook_id=None):
    return {
        "Content-Type": "application/json",
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-Sha256": base64.b64encode(hmac.digest(secret.encode(), raw, hashlib.sha256)).decode(),
        "X-Shopify-Shop-Domain": shop,
        "X-Shopify-API-Version": "2026-10",
        "X-Shopify-Webhook-Id": webhook_id or f"webhook-{next(_numbers)}",
        "X-Shopify-Event-Id": "event",
        "X-Shopify-Triggered-At": "2026-11-23T10:00:00.123456789Z",
    }


@pytest.fixture(scope="session")
def session_token():
    """session_token(shop, **claims) → as App Bridge fetches them; a claim of None is left out."""
    return make_token


def make_token(shop=SHOP, secret=SECRET, algorithm="HS256", headers=None, **changes):
    now = int(time.time())
    claims = {
        "iss": f"https://{shop}/admin",
        "dest": f"https://{shop}",
        "aud": "test-api-key",
        "sub": "42",
        "exp": now + 3_600,
        "nbf": now - 1,
        "iat": now - 1,
        "jti": "f8912129-1af6-4cad-9ca3-76b0f7621087",
        "sid": "aaea182f2732d44c23057c0fea584021a4485b2bd25d3eb7fd349313ad24c685",
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, secret, algorithm, headers)


@pytest.fixture(scope="session")
def bearer():
    """The headers of a person in the shop's admin."""
    return {"Authorization": f"Bearer {make_token()}", "Accept": "text/html, application/json"}


@pytest.fixture
def counts(database):
    """counts() → how many rows each table has."""

    def count():
        with database.connect() as db:
            names = db.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
            return {name: db.execute(text(f'SELECT count(*) FROM "{name}"')).scalar() for name in names}

    return count


@pytest.fixture(scope="session")
def payloads():
    """The bodies and nodes as Shopify has them, parsed, by the name of their file."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted(PAYLOADS.glob("*.json"))}


@pytest.fixture(scope="session")
def mutator():
    """mutator(seed) → a Mutator: the same seed, the same bodies."""
    return Mutator


# What a field may turn into. Some cannot be written by `json.dumps`; they stand in the text as `raw` words.
LONG = "a" * 70_000
ODD = (
    *(None, True, False, 0, -1, 7, 1.5, -0.0, 1e308, float("nan"), float("inf"), 2**53 + 1, 2**63 - 1, 2**63, 2**64),
    *(
        "",
        " ",
        "\t\n",
        "0",
        "-1",
        "007",
        "7.0",
        "1e400",
        "null",
        "true",
        "\x00",
        "a\x00b",
        "\x1b[31m",
        "\u2028",
        "\ud800",
    ),
    *(
        "\udfff\ud800",
        "\u0661\u0662\u0663",
        "\u202eabc",
        "☕️",
        "ﬁ",
        "İ",
        "ß" * 300,
        "9" * 5_000,
        "é" * 5_000,
        "%",
        "_",
        "\\",
        "\\u0000",
    ),
    *(
        "'; DROP TABLE deliveries; --",
        "' OR '1'='1",
        "{{7*7}}",
        "${7*7}",
        "<script>alert(1)</script>",
        "../../etc/passwd",
    ),
    *("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z", "2026-11-20T25:00:00Z", "now"),
    *(
        "2026-11-20T10:00:00",
        "2026-11-20",
        "\u0661\u0669\u0669\u0669-\u0660\u0661-\u0660\u0661T00:00:00Z",
        "gid://shopify/Product/0",
        "gid://shopify/Product/9" * 3,
    ),
    *(
        "gid://shopify/Product/" + "9" * 19,
        "gid://shopify/Customer/5",
        "gid://shopify//",
        "b2b",
        " B2B ",
        "b2b,",
        ",,,",
        "2" * 400,
    ),
    *(
        [],
        {},
        [None],
        [[]],
        {"": None},
        [[[[[[]]]]]],
        {"nodes": None},
        {"nodes": [None, 7]},
        {"id": {"id": {}}},
        {"count": "x"},
    ),
)
RAW = (
    "NaN",
    "-Infinity",
    "9" * 5_000,
    "1" + "0" * 400,
    "-",
    "1e999999",
    "0x10",
    "'x'",
    '"\\ud800"',
    '"\\x"',
    "[" * 2_000,
    '{"a":' * 2_000,
)
HOLE = "<<hole>>"


class Mutator:
    """Spoils JSON where it has structure, and bytes where it has none."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def odd(self):
        rng = self.rng
        return LONG if rng.random() < 0.004 else copy.deepcopy(rng.choice(ODD))

    def tree(self, content, times=None):
        """A copy in which some places are no longer what they were."""
        spoilt = json.loads(json.dumps(content))
        for _ in range(times or self.rng.choice((0, 1, 1, 1, 2, 3, 6))):
            spoilt = self._once(spoilt)
        return spoilt

    def _once(self, content):
        holder, key = self._place(content)
        if holder is None:
            return self.odd()
        rng = self.rng
        kind = rng.randrange(8)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.extend([holder[key]] * rng.choice((1, 2, 50, 300)))
        elif kind == 2 and isinstance(holder, dict):
            holder[rng.choice(("id", "variants", "metafields", "updated_at", "tags", "\x00", "", "__proto__"))] = (
                holder[key]
            )
        elif kind == 3:
            holder[key] = [holder[key]]
        elif kind == 4:
            holder[key] = {"id": holder[key]}
        elif kind == 5:
            holder[key] = HOLE
        else:
            holder[key] = self.odd()
        return content

    def _place(self, content):
        """Any place in the tree, the deeper the likelier to be stopped before."""
        holder, key = None, None
        while isinstance(content, (dict, list)) and content and (holder is None or self.rng.random() < 0.75):
            keys = list(content) if isinstance(content, dict) else range(len(content))
            holder, key = content, self.rng.choice(keys)
            content = holder[key]
        return holder, key

    def body(self, content):
        """The bytes of a delivery: most are JSON still."""
        rng = self.rng
        if rng.random() < 0.02:
            return rng.choice(
                (b"", b" ", b"null", b"[]", b"\xef\xbb\xbf{}", b"\x1f\x8b\x08", b"\xff\xfe{\x00", b"{" * 3_000)
            )
        written = json.dumps(self.tree(content), ensure_ascii=rng.random() < 0.5, separators=(",", ":"))
        while f'"{HOLE}"' in written:
            written = written.replace(f'"{HOLE}"', rng.choice(RAW), 1)
        if rng.random() < 0.1:
            written = written.replace("{", rng.choice(('{"id":1,', '{"id":null,', '{"variants":0,', '{"tags":[],')), 1)
        raw = written.encode("utf-8", "surrogatepass")
        return self.bytes(raw) if rng.random() < 0.15 else raw

    def bytes(self, raw):
        rng, raw = self.rng, bytearray(raw)
        at = rng.randrange(len(raw) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            del raw[at:]
        elif kind == 1:
            raw[at:at] = rng.choice((b"\x00", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b'"', b"\\", b"}", b"]"))
        elif kind == 2:
            del raw[at : at + rng.randrange(1, 9)]
        elif raw and at < len(raw):
            raw[at] = rng.randrange(256)
        return bytes(raw)

    def header(self):
        """As a server hands it over: any byte but those that end a header, as Latin-1."""
        rng = self.rng
        words = (
            "",
            " ",
            "\x00",
            "a\x00b",
            "é",
            "\x80\x9b31m",
            "\xed\xa0\x80",
            "x" * 300,
            "x" * 70_000,
            "a,b",
            "\t",
            "'--",
            "%00",
        )
        more = (
            "2026-11-23T10:00:00Z",
            "9999-12-31T23:59:59-14:00",
            "0" * 5_000,
            "٣".encode().decode("latin-1"),
            "products/update",
        )
        return rng.choice(
            (*words, *more, "".join(chr(rng.randrange(1, 256)) for _ in range(12)).translate({10: 32, 13: 32}))
        )
