"""`flask redact` counts, and with --yes erases by the path of Shopify's compliance topics."""

import json
import re
import threading

import pytest
from sqlalchemy import text

from adapters import audit

SHOP = "northwind-trade.myshopify.com"
CUSTOMER = 5917633347819
FINE, USAGE, UNREACHABLE = 0, 2, 3


@pytest.fixture
def redact(build, database, redis):
    """redact("--customer", …) → (exit status, the JSON document on stdout, or what went to stderr)."""

    def ask(*words):
        app = build()
        with app.app_context():
            done = app.test_cli_runner().invoke(args=["redact", "northwind-trade", *words, "--json"])
        # The worker is a thread of this process, whose log lines come first.
        document = re.search(r"^\{$.*", done.stdout, re.MULTILINE | re.DOTALL)
        return done.exit_code, json.loads(document[0]) if document else done.stderr

    return ask


@pytest.fixture
def worker(database, take_turns):
    """A worker of the lane live, which serves whatever comes."""
    over = threading.Event()

    def serve():
        while not over.wait(0.02):
            with database.connect() as db:
                waiting = db.execute(text("SELECT count(*) FROM deliveries WHERE state = 'waiting'")).scalar_one()
            if waiting:
                take_turns()

    thread = threading.Thread(target=serve)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.fixture
def member(database, install):
    install()
    with database.begin() as db:
        db.execute(
            text("""INSERT INTO customers (shop, id, state, since, at, seen, record)
                    VALUES (:s, :id, 'member', now(), now(), now(), 'sealed')"""),
            {"s": SHOP, "id": CUSTOMER},
        )
        db.execute(
            text("""INSERT INTO issues (shop, feed, resource_id, code, path, scope, severity)
                    VALUES (:s, 'customers', :id, 'X', '', 'record', 'error')"""),
            {"s": SHOP, "id": CUSTOMER},
        )


def value(database, statement):
    with database.connect() as db:
        return db.execute(text(statement)).scalar()


def test_without_yes_it_only_counts(redact, member, database):
    status, answer = redact("--customer", str(CUSTOMER))

    assert (status, answer["would_erase"], answer["receipt"]) == (FINE, {"customers": 1, "issues": 1}, None)
    assert value(database, "SELECT count(*) FROM deliveries") == 0
    assert value(database, "SELECT state FROM customers") == "member"


def test_a_customer_is_erased_for_good_with_a_receipt_and_an_audit_row(redact, member, worker, database):
    status, answer = redact("--customer", str(CUSTOMER), "--reason", "asked by letter", "--yes")

    assert status == FINE
    assert answer["receipt"]["counts"] == {"customers": 1, "issues": 1}
    assert answer["receipt"]["topic"] == "customers/redact"
    assert value(database, "SELECT redacted AND record IS NULL FROM customers")
    with database.connect() as db:
        (row,) = audit.listed(db)
    assert (row["act"], row["why"], row["count"]) == ("customer redacted", "asked by letter", 2)
    assert row["who"].startswith("cli:")


def test_a_shop_is_erased_even_while_it_is_installed(redact, member, worker, database):
    status, answer = redact("--all", "--yes")

    assert status == FINE
    assert answer["receipt"]["counts"]["customers"] == 1
    assert value(database, "SELECT count(*) FROM shops") == 0
    assert value(database, "SELECT count(*) FROM customers") == 0


@pytest.mark.parametrize("words", [(), ("--all", "--customer", "1"), ("--customer", "0"), ("--customer", "x")])
def test_it_must_be_said_what_is_to_be_erased(redact, words):
    assert redact(*words)[0] == USAGE


def test_without_a_worker_it_says_that_it_is_ordered(redact, member, database, monkeypatch):
    monkeypatch.setattr("app.cli_redact.PATIENCE_SECONDS", 0.3)

    status, told = redact("--customer", str(CUSTOMER), "--yes")

    assert status == UNREACHABLE
    assert "as soon as a worker" in told
    assert value(database, "SELECT state FROM deliveries") == "waiting"
