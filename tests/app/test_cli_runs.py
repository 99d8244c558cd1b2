"""`flask feeds|runs|gaps`, with a worker beside them where a command waits for one."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from sqlalchemy import text

from adapters import runs
from settings import read_settings
from workers import runs as working
from workers.turns import take_turn
from workers.workshop import open_workshop

SHOP = "northwind-trade.myshopify.com"
TOKEN = "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"
FINE, FINDINGS, USAGE, UNREACHABLE = 0, 1, 2, 3


@pytest.fixture
def told(build, database, redis):
    """told("runs", "list", …) → (exit status, the one JSON document on stdout); `words=True`: the text instead."""

    def ask(*arguments, words=False, **changes):
        app = build(**changes)
        with app.app_context():
            done = app.test_cli_runner().invoke(args=[*arguments, *([] if words else ["--json"])])
        if words:
            return done.exit_code, done.output
        return done.exit_code, json.loads(done.stdout) if done.stdout else None

    return ask


@pytest.fixture
def shop(app, install, database):
    install()
    with database.begin() as db:
        runs.open_feeds(db, SHOP)
    return SHOP


@pytest.fixture
def worker(devstore, shop, full_environment):
    """A bulk worker in a thread, and a shop of three products at its other end."""
    devstore.open_shop(SHOP, token=TOKEN, products=3, customers=0)
    devstore.settings(SHOP, index_lag=0)
    workshop = open_workshop(read_settings(full_environment | {"SHOPIFY_ADMIN_ORIGIN": devstore.url + "/{shop}"}))
    stopping = threading.Event()

    def work():
        while not stopping.is_set():
            if not working.step(workshop):
                take_turn(workshop, "bulk", SHOP)
                stopping.wait(0.02)

    thread = threading.Thread(target=work)
    with structlog.testing.capture_logs():  # stdout belongs to the command
        thread.start()
        yield devstore
        stopping.set()
        thread.join()
    workshop.db.dispose()
    workshop.admin.close()
    workshop.tokens.close()


# -- feeds


def test_the_feeds_of_a_shop_are_told_as_the_api_tells_them(told, shop):
    status, answer = told("feeds", "status", SHOP)

    assert status == FINDINGS
    assert [(feed["shop"], feed["feed"], feed["state"]) for feed in answer["feeds"]] == [
        (SHOP, "products", "no_data"),
        (SHOP, "customers", "no_data"),
    ]


def test_when_all_is_green_the_status_is_0(told, shop, database):
    with database.begin() as db:
        db.execute(text("UPDATE feeds SET last_import_at = now(), last_complete_at = now()"))
        for table, columns in (
            ("products", "shop, id, core, core_at, core_seen"),
            ("customers", "shop, id, state, since, at, seen"),
        ):
            values = {"products": "'{}'::jsonb, now(), now()", "customers": "'member', now(), now(), now()"}[table]
            db.execute(text(f"INSERT INTO {table} ({columns}) VALUES (:shop, 1, {values})"), {"shop": SHOP})

    status, answer = told("feeds", "status")

    assert (status, {feed["state"] for feed in answer["feeds"]}) == (FINE, {"ok"})


def test_without_any_shop_there_is_nothing_wrong(told):
    assert told("feeds", "status") == (FINE, {"feeds": []})


def test_a_shop_may_be_called_by_its_first_word(told, shop):
    assert told("feeds", "status", "northwind-trade")[1] == told("feeds", "status", SHOP)[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("feeds", "status", "nobody"),
        ("runs", "start", "nobody", "products"),
        ("runs", "list", "nobody"),
        ("gaps", "nobody"),
        ("runs", "start", SHOP, "orders"),
        ("runs", "start", SHOP),
        ("runs", "confirm", "4711"),
        ("runs", "confirm", "x"),
        ("gaps", SHOP, "--since", "yesterday"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(told, shop, arguments):
    status, output = told(*arguments, words=True)

    assert status == USAGE
    assert "Error:" in output


@pytest.mark.parametrize(
    "arguments", [("feeds", "status"), ("runs", "start", SHOP, "products"), ("runs", "list"), ("gaps", SHOP)]
)
def test_no_database_is_one_sentence_and_status_3(told, arguments):
    status, output = told(*arguments, words=True, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")

    assert status == UNREACHABLE
    assert "Postgres does not answer" in output


# -- runs


def test_a_run_is_started_and_named(told, shop):
    status, run = told("runs", "start", SHOP, "products", "--complete")

    assert status == FINE
    assert (run["feed"], run["trigger"], run["complete"], run["state"]) == ("products", "command", True, "running")
    assert told("runs", "list")[1]["runs"] == [run]


def test_a_run_that_is_going_is_named_not_doubled(told, shop):
    _, first = told("runs", "start", SHOP, "products")

    assert told("runs", "start", SHOP, "products", "--complete") == (FINE, first)


def test_the_command_wakes_a_worker(told, shop, app):
    told("runs", "start", SHOP, "products")

    assert app.extensions["office"].bell.state()["bulk"]["jobs"] == 1


def test_without_redis_the_run_is_started_and_the_clock_is_left_to_wake_a_worker(told, shop):
    status, output = told("runs", "start", SHOP, "products", words=True, REDIS_URL="redis://127.0.0.1:1/0")

    assert status == FINE
    assert "the clock wakes a worker" in output


def test_waiting_ends_when_the_run_has_ended_and_its_differences_are_applied(told, worker, database):
    status, run = told("runs", "start", SHOP, "products", "--complete", "--wait")

    assert (status, run["state"], run["created"], run["seen"]) == (FINE, "finished", 3, 3)
    with database.connect() as db:
        assert db.execute(text("SELECT count(*) FROM products")).scalar_one() == 3
        assert db.execute(text("SELECT count(*) FROM deliveries WHERE state = 'waiting' AND run > 0")).scalar_one() == 0


def test_waiting_for_a_run_that_is_going_already_waits_for_that_one(told, worker, database):
    with database.begin() as db:
        going, _ = runs.start(db, SHOP, "products", "schedule", complete=False)
        db.execute(text("UPDATE runs SET leased_until = now() + interval '1 second'"))

    status, run = told("runs", "start", SHOP, "products", "--complete", "--wait")

    assert (status, run["id"], run["state"], run["complete"]) == (FINE, going.id, "finished", False)


def test_a_run_that_fails_while_it_is_waited_for_is_a_finding(told, worker):
    worker.fault("access_denied", shop=SHOP)

    status, run = told("runs", "start", SHOP, "products", "--wait")

    assert (status, run["state"]) == (FINDINGS, "failed")
    assert run["reason"]


def test_a_held_run_is_a_finding_and_is_confirmed_by_its_number(told, worker):
    told("runs", "start", SHOP, "products", "--complete", "--wait")
    for product in worker.truth(SHOP)["products"]:
        worker.change(SHOP, "delete_product", id=product["id"])
    status, held = told("runs", "start", SHOP, "products", "--complete", "--wait")
    assert (status, held["state"], held["removed"]) == (FINDINGS, "held", 0)
    assert f"flask runs confirm {held['id']}" in held["reason"]

    status, confirmed = told("runs", "confirm", str(held["id"]))

    assert (status, confirmed["id"]) == (FINE, held["id"])
    told("runs", "start", SHOP, "products", "--wait")
    listed = {run["id"]: run for run in told("runs", "list")[1]["runs"]}
    assert (listed[held["id"]]["state"], listed[held["id"]]["removed"]) == ("finished", 3)
    assert told("runs", "confirm", str(held["id"]), words=True)[0] == USAGE


def test_runs_are_listed_newest_first_of_one_shop_or_of_all(told, shop, install, database):
    install("contoso-outdoor.myshopify.com")
    with database.begin() as db:
        for domain in (SHOP, "contoso-outdoor.myshopify.com"):
            for feed in runs.FEEDS:
                runs.start(db, domain, feed, "schedule", complete=False)

    def ids(*arguments):
        return [run["id"] for run in told("runs", "list", *arguments)[1]["runs"]]

    assert (ids(), ids(SHOP), ids("--limit", "1")) == ([4, 3, 2, 1], [2, 1], [4])


# -- gaps


@pytest.fixture
def gap(shop, database):
    def make(cause="never_delivered", ago="1 minute"):
        with database.begin() as db:
            statement = text("""INSERT INTO gaps (shop, feed, resource_id, cause, repaired_at, run)
                                VALUES (:shop, 'products', 7, :cause, now() - CAST(:ago AS interval), 1)""")
            db.execute(statement, {"shop": SHOP, "cause": cause, "ago": ago})

    return make


def test_no_gaps_are_fine(told, shop):
    status, answer = told("gaps", SHOP)

    assert (status, answer["gaps"], answer["counts"]) == (FINE, [], {})
    assert "every webhook arrived" in answer["sentence"]


def test_gaps_are_a_finding_with_their_causes_counted(told, gap):
    gap("never_delivered")
    gap("no_webhook")
    gap("never_delivered")

    status, answer = told("gaps", SHOP)

    assert (status, answer["counts"]) == (FINDINGS, {"never_delivered": 2, "no_webhook": 1})
    assert {name: answer["gaps"][0][name] for name in ("feed", "id", "cause", "run")} == {
        "feed": "products",
        "id": 7,
        "cause": "never_delivered",
        "run": 1,
    }


def test_gaps_are_those_of_the_last_day_unless_more_is_asked_for(told, gap):
    gap(ago="30 hours")

    assert told("gaps", SHOP)[0] == FINE
    status, answer = told("gaps", SHOP, "--since", f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%d}")
    assert (status, len(answer["gaps"])) == (FINDINGS, 1)


def test_words_are_for_people(told, gap):
    gap("no_webhook")

    status, output = told("gaps", SHOP, words=True)

    assert status == FINDINGS
    assert output.startswith("In the last 24 h")
    assert "no_webhook" in output
