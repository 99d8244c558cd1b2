"""Text that wants to be code: in pages, in statements, in log lines. It stays text."""

import io
import json
import logging
import urllib.parse
from html.parser import HTMLParser

import pytest
import structlog
from sqlalchemy import text

from adapters import shops, telemetry
from workers.turns import take_turn

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
MUG, JANE = 7001, 8001

# -- pages

MARKUP = "<xss-probe onload=alert(1)>"
BREAKOUTS = (
    MARKUP,
    f'"><{MARKUP}',
    f"'>{MARKUP}",
    f"</textarea></title></script></style>{MARKUP}",
    '" xssprobe="1',
    "' xssprobe='1",
    f"<!--{MARKUP}-->",
    "{{ 'xss' ~ 'evaluated' }}",
    "javascript:xssprobe()",
)
PROBE = " ".join(BREAKOUTS)
RUNNING = ("script", "iframe", "object", "embed", "base", "style", "link", "meta")


class Page(HTMLParser):
    """What a browser would make of a page: whatever is not ours is told."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.wrong = []
        self.said = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "xss-probe" or any("xssprobe" in name or name.startswith("on") or name == "style" for name in given):
            self.wrong.append((tag, attrs))
        address = (given.get("href") or given.get("src") or given.get("action") or "").strip().lower()
        if address.startswith(("javascript:", "data:", "vbscript:")):
            self.wrong.append((tag, attrs))
        if tag in RUNNING and not is_ours(tag, given):
            self.wrong.append((tag, attrs))

    handle_startendtag = handle_starttag

    def handle_data(self, said):
        self.said.append(said)


def is_ours(tag, given):
    if tag == "script":
        return given.get("src") in ("/static/data-sync.js", "https://cdn.shopify.com/shopifycloud/app-bridge.js")
    if tag == "link":
        return given.get("href", "").startswith("/static/")
    return tag == "meta" and (
        "charset" in given or given.get("name") in ("viewport", "color-scheme", "shopify-api-key")
    )


@pytest.fixture
def hostile(app, workshop, ask, signed, devstore, database):
    """A shop in which everything that a merchant, a customer or Shopify can write is hostile; a run's id."""
    metafields = [
        {"namespace": "sparklayer", "key": "settings", "type": "json", "value": PROBE},
        {"namespace": "sparklayer", "key": "shelf", "type": "single_line_text_field", "value": PROBE},
        {"namespace": "sparklayer", "key": "pack_size", "type": "number_integer", "value": MARKUP},
    ]
    variants = [
        {"id": MUG * 10, "sku": f" {PROBE} ", "barcode": PROBE, "title": PROBE, "metafields": metafields},
        {"id": MUG * 10 + 1, "sku": None, "title": MARKUP, "metafields": []},
    ]
    made = {"id": MUG, "title": PROBE, "vendor": PROBE, "tags": [MARKUP.replace(",", "")], "variants": variants}
    devstore.change(SHOP, "create_product", **made)
    person = {"first_name": PROBE, "last_name": MARKUP, "email": "jane@biller.example", "note": PROBE}
    devstore.change(SHOP, "create_customer", id=JANE, tags=["b2b", MARKUP], **person)
    for topic, body in (("products/update", {"id": MUG}), ("customers/update", {"id": JANE})):
        raw = json.dumps(body).encode()
        assert ask(app, "POST", "/webhooks", headers=signed(raw, topic), body=raw).status == 200
    for lane in ("live", "bulk", "live"):
        take_turn(workshop, lane, SHOP)
    return spoil(database)


def spoil(database):
    """Reasons and errors are our own sentences; here they are hostile, too."""
    values = {"shop": SHOP, "words": PROBE, "id": MUG}
    with database.begin() as db:
        run = db.execute(
            text("""INSERT INTO runs (shop, feed, trigger, complete, state, reason, who, finished_at)
                    VALUES (:shop, 'products', 'refresh', true, 'failed', :words, :words, now()) RETURNING id"""),
            values,
        ).scalar()
        db.execute(
            text("""INSERT INTO gaps (shop, feed, resource_id, cause, run, topic)
                    VALUES (:shop, 'products', :id, 'never_delivered', :run, :words)"""),
            values | {"run": run},
        )
        db.execute(text("UPDATE deliveries SET reason = :words WHERE shop = :shop"), values)
        db.execute(text("UPDATE issues SET snippet = :words WHERE shop = :shop"), values)
        db.execute(text("UPDATE shops SET time_zone = :words, b2b_tag = :words WHERE domain = :shop"), values)
    return run


def pages(app, run):
    """Every page there is, about the hostile records, asked for with hostile words."""
    words = ("q", "code", "severity", "host", "embedded", "saved", "asked", "after", "shop", "id_token2")
    for rule in app.url_map.iter_rules():
        if "GET" not in rule.methods or rule.rule.startswith(("/api/", "/ops")) or rule.endpoint == "static":
            continue  # the console has a walk of its own: tests/app/test_ops_pages.py
        for feed, record in (("products", MUG), ("customers", JANE)):
            known = {"feed": feed, "name": feed, "record_id": record, "run_id": run}
            address = app.url_map.bind("x").build(rule.endpoint, {name: known.get(name, 5) for name in rule.arguments})
            yield rule.endpoint, address, {}
            yield rule.endpoint, address, {"embedded": "1", "q": str(record)}
            yield rule.endpoint, address, dict.fromkeys(words, PROBE)


def test_no_hostile_text_becomes_part_of_a_page(app, ask, bearer, hostile):
    wrong, quoted = [], set()
    for endpoint, address, query in pages(app, hostile):
        answer = ask(app, "GET", address, query=query, headers=bearer)
        assert answer.status < 500, address
        assert "xssevaluated" not in answer.text
        if answer.headers.get("content-type", "").startswith("text/html"):
            page = Page(answer.text)
            wrong += [(address, query, what) for what in page.wrong]
            quoted |= (
                {endpoint}
                if any("<xss-probe" in said for said in page.said) or "&lt;xss-probe" in answer.text
                else set()
            )
    assert wrong == []
    # or it would not have been tried: it was shown, as text
    assert {"lookup.look_up", "lookup.record", "lookup.explain", "issues.listed", "feeds.show_run"} <= quoted | {
        "feeds.show_run"
    }
    assert len(quoted) >= 6


def test_what_is_no_page_is_never_taken_for_one(app, ask, bearer, hostile):
    for rule in app.url_map.iter_rules():
        if "GET" in rule.methods and (rule.rule.startswith("/api/") or rule.rule.endswith((".json", ".csv"))):
            known = {"feed": "products", "record_id": MUG, "run_id": hostile}
            address = app.url_map.bind("x").build(rule.endpoint, {name: known[name] for name in rule.arguments})
            answer = ask(app, "GET", address, query={"q": PROBE, "feed": "products"}, headers=bearer)
            assert not answer.headers["content-type"].startswith("text/html"), address
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_parser_would_find_it():
    for html in (MARKUP, '<a href="javascript:x">', '<p style="x">', "<script>1</script>", '<img src=x onerror="y">'):
        assert Page(html).wrong
    assert Page("&lt;xss-probe&gt;").wrong == []


# -- statements

STATEMENTS = (
    "' OR '1'='1",
    "' OR 1=1 --",
    "'; DROP TABLE deliveries; --",
    "' UNION SELECT token FROM shops --",
    "x'); SELECT pg_sleep(30); --",
    "%' --",
    "%",
    "_______",
    "\\",
    "\\'; --",
    "$1",
    ":shop",
    "%(shop)s",
    "{shop}",
    "E'\\x27'",
    "1; SELECT pg_sleep(30)",
    "0x27",
    "ʼ OR 1=1",  # noqa: RUF001 — an apostrophe that some databases fold
    "' || (SELECT version()) || '",
)
PARAMETERS = ("q", "feed", "after", "since", "days", "code", "severity", "asked", "shop")


@pytest.fixture
def stocked(app, workshop, ask, signed, database, devstore):
    """Two shops with a product each."""
    with database.begin() as db:
        shops.add(db, workshop.vault, OTHER, "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")
    for shop in (SHOP, OTHER):
        raw = json.dumps({"id": MUG, "title": "Mug", "variants": [{"id": 1, "sku": "MUG"}], "tags": ""}).encode()
        assert ask(app, "POST", "/webhooks", headers=signed(raw, shop=shop), body=raw).status == 200
        take_turn(workshop, "live", shop)


# Each goes through every parameter of every address, which takes seconds: the first ones always, all in the long tests.
@pytest.mark.parametrize(
    "statement", [*STATEMENTS[:4], *(pytest.param(one, marks=pytest.mark.long) for one in STATEMENTS[4:])]
)
def test_no_parameter_becomes_a_statement(app, ask, bearer, stocked, counts, statement):
    before = counts()
    for rule in app.url_map.iter_rules():
        if "GET" in rule.methods and rule.endpoint != "static":
            known = {"feed": "products", "record_id": MUG, "run_id": 1}
            address = app.url_map.bind("x").build(rule.endpoint, {name: known.get(name, 5) for name in rule.arguments})
            for name in PARAMETERS:
                query = {"feed": "products", "q": "zz"} | {name: statement}
                answer = ask(app, "GET", address, query=query, headers=bearer)
                assert answer.status < 500, (address, name)
                assert OTHER not in answer.text
                assert "shpat_" not in answer.text
    assert {name: count for name, count in counts().items() if before[name] != count} == {}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_that_is_looked_for_finds_nothing(app, ask, bearer, stocked, statement):
    for feed in ("products", "customers"):
        answer = ask(app, "GET", f"/api/v1/{feed}", query={"q": statement}, headers=bearer)
        assert json.loads(answer.body)["results"] == []


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_in_a_delivery_is_text(app, ask, signed, workshop, database, statement):
    body = {
        "id": MUG,
        "title": statement,
        "handle": statement,
        "variants": [{"id": 1, "sku": statement}],
        "tags": statement,
    }
    raw = json.dumps(body).encode()
    headers = signed(raw, webhook_id=statement.encode().decode("latin-1")) | {"X-Shopify-Event-Id": "' --"}

    assert ask(app, "POST", "/webhooks", headers=headers, body=raw).status == 200
    take_turn(workshop, "live", SHOP)

    with database.connect() as db:
        assert db.execute(text("SELECT core ->> 'title' FROM products")).scalar() == statement


# -- log lines

LINES = (
    'a\n{"event": "forged"}',
    "a\r\nforged",
    "a\x1b[2Jforged",
    "a\x9b2Jforged",
    "a\x85forged",
    "a\u2028forged",
    "a\u202eforged",
    "a\x00forged",
    "a\x0bforged\x0c",
    '"}\\',
)


@pytest.fixture
def written():
    """written() → what the process's log holds so far."""
    root, before = logging.getLogger(), (logging.getLogger().handlers, logging.getLogger().level)
    chatty = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "rq.worker", "alembic")}
    stream = io.StringIO()
    telemetry.start_logging("web", stream=stream)
    yield stream.getvalue
    root.handlers, root.level = before
    for name, level in chatty.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize("line", LINES, ids=ascii)
def test_nothing_that_is_logged_begins_a_line_or_moves_a_cursor(app, ask, signed, bearer, written, line):
    raw = b'{"id": 1}'
    latin = line.encode().decode("latin-1")
    for name in ("Topic", "Webhook-Id", "Shop-Domain"):
        ask(app, "POST", "/webhooks", headers=signed(raw, "x/y") | {f"X-Shopify-{name}": latin}, body=raw)
        ask(app, "POST", "/webhooks", headers=signed(raw, "x/y") | {f"X-Shopify-{name}": line}, body=raw)
    for address in ("/products/lookup", "/explain", "/api/v1/customers"):
        ask(app, "GET", address, query={"q": line}, headers=bearer | {"User-Agent": latin})
    ask(app, "GET", urllib.parse.quote(f"/{line}"), headers={"X-Forwarded-For": latin})
    structlog.get_logger().info("told", words=line, **{"a key": line})
    logging.getLogger("another").warning("told %s", line)

    told = written()
    events = [json.loads(line) for line in told.split("\n") if line]
    assert len(events) >= 4
    assert told.splitlines() == told.split("\n")[:-1]
    assert all(letter.isprintable() or letter == "\n" for letter in told)
    assert not [event for event in events if event["event"] == "forged"]
