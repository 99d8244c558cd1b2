"""Logs are JSON lines; neither they nor what Sentry receives hold an address, a token or a value of a row."""

import gzip
import io
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest
import sentry_sdk
import structlog
from flask import Flask, request
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from adapters import telemetry
from settings import read_settings

EMAIL = "jane.doe@example.com"
TOKEN = "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"
SESSION = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"
SEALED = "gAAAAABnX3JhbmRvbXNlYWxlZHZhbHVl=="
SECRETS = (EMAIL, "jane.doe", TOKEN, SESSION, SEALED)


@pytest.fixture
def logged():
    """logged() → the lines written so far, parsed."""
    root, levels = logging.getLogger(), {}
    before = root.handlers, root.level
    for name in ("httpx", "httpcore", "rq.worker", "alembic"):
        levels[name] = logging.getLogger(name).level
    stream = io.StringIO()
    telemetry.start_logging("test", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers, root.level = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


# -- logs


def test_an_event_is_one_line_of_json_with_its_facts(logged):
    structlog.get_logger().info("turn_taken", shop="northwind-trade.myshopify.com", deliveries=3, seconds=0.5, run=None)

    (line,) = logged()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "turn_taken",
        "level": "info",
        "process": "test",
        "shop": "northwind-trade.myshopify.com",
        "deliveries": 3,
        "seconds": 0.5,
        "run": None,
    }


def test_other_libraries_lines_are_json_too(logged):
    logging.getLogger("granian").warning("worker %d says %s", 3, "two\nlines")

    (line,) = logged()
    assert (line["event"], line["level"]) == ("worker 3 says two\nlines", "warning")


def test_chatter_is_left_out(logged):
    logging.getLogger("httpx").info("GET https://example.com")
    structlog.get_logger().debug("looked")

    assert logged() == []


@pytest.mark.parametrize("secret", [EMAIL, TOKEN, SESSION, SEALED, "Bearer abcdef"])
@pytest.mark.parametrize(
    "say",
    [
        lambda log, secret: log.info("it", reason=f"about {secret}, again"),
        lambda log, secret: log.info("it is %s", secret),
        lambda log, secret: log.info("it", reason={"nested": [secret, (secret, {secret})]}),
        lambda log, secret: log.info("it", reason={secret: 1}),
        lambda log, secret: log.info("it", error=ValueError(secret)),
        lambda _, secret: logging.getLogger("other").error("it is %s", secret),
    ],
    ids=["a fact", "the event", "nested", "a key", "an exception", "another library"],
)
def test_what_looks_secret_or_personal_is_blanked(logged, say, secret):
    say(structlog.get_logger(), secret)

    (line,) = logged()
    assert secret not in json.dumps(line)
    assert "…" in json.dumps(line, ensure_ascii=False)


@pytest.mark.parametrize("log", [structlog.get_logger, lambda: logging.getLogger("other")], ids=["ours", "another's"])
def test_an_exception_is_logged_with_its_place_and_without_its_values(logged, log):
    try:
        fail("no such customer")
    except RuntimeError:
        log().exception("it_failed")

    (line,) = logged()
    assert "RuntimeError" in line["exception"]
    assert not [secret for secret in SECRETS if secret in json.dumps(line)]


def test_what_postgres_quotes_of_a_row_is_left_out(logged, database):
    jane = ["Jane Doe of Ottawa"]
    with psycopg.connect(database.url.render_as_string(hide_password=False).replace("+psycopg", "")) as db:
        db.execute("CREATE TEMPORARY TABLE people (name text UNIQUE)")
        db.execute("INSERT INTO people VALUES (%s)", jane)
        with pytest.raises(psycopg.Error, match=jane[0]) as caught:
            db.execute("INSERT INTO people VALUES (%s)", jane)
    structlog.get_logger().warning("refused", error=str(caught.value))
    structlog.get_logger().warning("refused", exc_info=caught.value)

    assert len(logged()) == 2
    assert all("duplicate key" in json.dumps(line) for line in logged())
    assert not [line for line in logged() if jane[0] in json.dumps(line)]


@pytest.mark.parametrize(
    "harmless",
    [
        "northwind-trade.myshopify.com",
        "products/update",
        "gid://shopify/Product/5",
        "2026-11-23T10:00:00Z",
        "a@b",
        "@",
        "",
    ],
)
def test_what_is_neither_is_left_as_it_is(harmless):
    assert telemetry.scrubbed(harmless) == harmless


# -- Sentry


class Sentry(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        self.server.received.append(body.decode())
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        """Not to the terminal."""


@pytest.fixture
def sentry(environment):
    """sentry() → everything that Sentry has received, once all has been sent."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Sentry) as server:
        server.daemon_threads = True
        server.received = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        dsn = f"http://public@127.0.0.1:{server.server_port}/1"
        telemetry.start_sentry(read_settings(environment | {"SENTRY_DSN": dsn}), "test")

        def received():
            sentry_sdk.flush(5)
            return "\n".join(server.received)

        yield received
        sentry_sdk.get_client().close(timeout=2)
        sentry_sdk.init()
        server.shutdown()
        thread.join()


def fail(word):
    local = {"email": EMAIL, "token": TOKEN, "session": SESSION}
    raise RuntimeError(f"{word}: {local['email']} {local['token']} {local['session']} {SEALED}")


@pytest.fixture
def failing_app():
    app = Flask(__name__)

    @app.post("/fail/<name>")
    def view(name):
        sentry_sdk.set_user({"email": EMAIL})
        sentry_sdk.add_breadcrumb(message=EMAIL)
        sentry_sdk.set_extra("customer", EMAIL)
        read = request.get_json()["email"]
        logging.getLogger("other").error("about %s", read)
        fail("in a request")

    return app


def test_a_failing_request_tells_sentry_where_and_nothing_of_whom(sentry, failing_app):
    failing_app.test_client().post(
        f"/fail/now?email={EMAIL}&token={TOKEN}",
        json={"email": EMAIL, "token": TOKEN},
        headers={"Authorization": f"Bearer {SESSION}", "X-Customer": EMAIL, "X-Shopify-Access-Token": TOKEN},
    )

    told = sentry()
    assert "RuntimeError" in told
    assert "in a request" in told
    assert "test_telemetry.py" in told
    assert "/fail/now" in told
    assert not [secret for secret in SECRETS if secret in told]


def test_an_exception_that_caused_another_is_scrubbed_too(sentry):
    try:
        try:
            fail("the first")
        except RuntimeError as error:
            error.add_note(f"about {EMAIL}")
            raise KeyError(EMAIL) from error
    except KeyError:
        sentry_sdk.capture_exception()

    told = sentry()
    assert "the first" in told
    assert "KeyError" in told
    assert not [secret for secret in SECRETS if secret in told]


def test_a_failing_job_tells_sentry_where_and_nothing_of_whom(sentry, redis):
    queue = Queue("of-a-test", connection=redis, serializer=JSONSerializer)
    # A job of the standard library's, that fails upon what it is given.
    job = queue.enqueue_call("json.loads", args=(f"not json: {EMAIL} {TOKEN}",), kwargs={"parse_int": EMAIL})

    SimpleWorker([queue], connection=redis, serializer=JSONSerializer).work(burst=True, logging_level="CRITICAL")

    told = sentry()
    assert job.is_failed
    assert "JSONDecodeError" in told
    assert not [secret for secret in SECRETS if secret in told]


def test_a_report_holds_our_sentence_and_the_ids(sentry):
    telemetry.report("A delivery could not be applied", delivery=77, shop="northwind-trade.myshopify.com")

    told = sentry()
    assert "A delivery could not be applied" in told
    assert '"delivery":"77"' in told
    assert "northwind-trade.myshopify.com" in told


def test_without_an_address_nothing_is_started(environment):
    telemetry.start_sentry(read_settings(environment), "test")
    sentry_sdk.capture_message("nobody hears this")

    assert sentry_sdk.get_client().dsn is None


def test_a_report_names_shop_and_topic_and_leads_to_the_console(sentry):
    with structlog.contextvars.bound_contextvars(shop="northwind-trade.myshopify.com", lane="live", secret=TOKEN):
        telemetry.report("A delivery could not be applied", delivery=77, topic="products/update")

    told = sentry()
    for tag in ('"delivery":"77"', '"topic":"products/update"', '"shop":"northwind-trade.myshopify.com"'):
        assert tag in told
    assert "http://127.0.0.1:8000/ops/deliveries/77" in told
    assert TOKEN not in told


def test_an_exception_carries_the_ids_that_were_at_hand(sentry):
    with structlog.contextvars.bound_contextvars(shop="northwind-trade.myshopify.com"):
        try:
            fail("in a turn")
        except RuntimeError:
            sentry_sdk.capture_exception()

    told = sentry()
    assert '"shop":"northwind-trade.myshopify.com"' in told
    assert "http://127.0.0.1:8000/ops/deliveries?shop=northwind-trade.myshopify.com" in told


def test_what_is_about_no_shop_leads_nowhere(sentry):
    telemetry.report("Something else")

    assert "/ops/" not in sentry()
