"""Feeds and runs over HTTP, as the contract has them."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import orjson
import pytest
from sqlalchemy import text

from adapters import runs

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
PATHS = ["/api/v1/feeds", "/api/v1/feeds/products", "/api/v1/runs/1", "/api/v1/gaps"]


@pytest.fixture
def shop(install, database):
    """The shop as `flask shops add` leaves it."""

    def make(domain=SHOP):
        install(domain)
        with database.begin() as db:
            runs.open_feeds(db, domain)

    make()
    return make


@pytest.fixture
def ask(app, session_token, shop):
    """ask(path) → (status, the parsed answer) to the shop's own token."""

    def get(path, shop=SHOP, method="GET"):
        headers = {"Authorization": f"Bearer {session_token(shop)}"}
        answer = app.test_client().open(f"/api/v1{path}", method=method, headers=headers)
        return answer.status_code, orjson.loads(answer.data)

    return get


@pytest.fixture
def end(database):
    """end(run id, seen=…) ends a run as the workers do."""

    def finish(number, *, expected=None, failed=None):
        with database.begin() as db:
            row = runs.find(db, number)
            run = runs.Run(**{name: row[name] for name in runs.Run.__dataclass_fields__})
            if failed:
                runs.fail(db, run, failed)
            else:
                runs.finish(db, run, datetime.now(UTC), expected)

    return finish


def test_a_feed_answers_what_the_contract_names(ask):
    status, feed = ask("/feeds/products")

    assert status == 200
    named = ["feed", "state", "reason", "synchronised", "expected", "last_import_at", "last_complete_at", "open_issues"]
    named += ["waiting", "running", "next_run_at"]
    assert set(named) <= set(feed)
    told = {name: feed[name] for name in named if name != "next_run_at"}
    assert told == {
        "feed": "products",
        "state": "no_data",
        "reason": "never_imported",
        "synchronised": 0,
        "expected": None,
        "last_import_at": None,
        "last_complete_at": None,
        "open_issues": {"error": 0, "warning": 0, "info": 0},
        "waiting": 0,
        "running": None,
    }
    assert UTC_TIME.fullmatch(feed["next_run_at"])
    assert feed["sentence"] == "The first import has not finished yet."


def test_both_feeds_come_together(ask):
    status, answer = ask("/feeds")

    assert (status, [feed["feed"] for feed in answer["feeds"]]) == (200, ["products", "customers"])
    assert answer["feeds"][0] == ask("/feeds/products")[1]


def test_waiting_counts_both_lanes_of_this_feed_and_this_shop(ask, database, shop, door, product):
    shop(OTHER)
    door.post(product(1))
    door.post(product(2))
    door.post({"id": 5}, "customers/update")
    door.post(product(3), shop_domain=OTHER)
    with database.begin() as db:
        db.execute(text("UPDATE deliveries SET lane = 'bulk' WHERE resource_id = 2"))

    assert ask("/feeds/products")[1]["waiting"] == 2
    assert ask("/feeds/customers")[1]["waiting"] == 1


def test_refresh_starts_a_complete_run_and_names_it(ask, app):
    status, run = ask("/feeds/products/runs", method="POST")

    assert status == 202
    assert {name: run[name] for name in ("feed", "trigger", "complete", "state", "seen", "finished_at", "reason")} == {
        "feed": "products",
        "trigger": "refresh",
        "complete": True,
        "state": "running",
        "seen": 0,
        "finished_at": None,
        "reason": None,
    }
    assert UTC_TIME.fullmatch(run["started_at"])
    assert ask(f"/runs/{run['id']}") == (200, run)
    assert app.extensions["office"].bell.state()["bulk"]["jobs"] == 1


def test_a_refresh_remembers_who_pressed_the_button(ask):
    assert ask("/feeds/products/runs", method="POST")[1]["who"] == "42"


def test_a_second_refresh_is_told_of_the_run_that_is_going(ask):
    _, run = ask("/feeds/products/runs", method="POST")

    status, problem = ask("/feeds/products/runs", method="POST")

    assert (status, problem["status"], problem["title"]) == (409, 409, "Already running")
    assert problem["run"] == run
    assert str(run["id"]) in problem["detail"]
    assert ask("/feeds/customers/runs", method="POST")[0] == 202


def test_of_twenty_refreshes_at_once_one_starts(ask, database):
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: ask("/feeds/products/runs", method="POST"), range(20)))

    assert sorted(status for status, _ in answers) == [202] + [409] * 19
    ids = {answer["id"] if status == 202 else answer["run"]["id"] for status, answer in answers}
    assert len(ids) == 1
    with database.connect() as db:
        assert db.execute(text("SELECT count(*) FROM runs")).scalar_one() == 1


def test_a_run_that_is_going_shows_in_its_feed_with_its_progress(ask, database):
    _, run = ask("/feeds/products/runs", method="POST")
    assert ask("/feeds/products")[1]["running"] == {
        "id": run["id"],
        "trigger": "refresh",
        "complete": True,
        "progress": None,
        "eta_seconds": None,
        "seen": 0,
        "expected": None,
    }

    with database.begin() as db:
        db.execute(text("UPDATE runs SET seen = 30, expected = 120, started_at = now() - interval '60 seconds'"))

    running = ask("/feeds/products")[1]["running"]
    assert (running["progress"], 175 <= running["eta_seconds"] <= 185) == (0.25, True)


def test_more_than_expected_is_no_more_than_all(ask, database):
    ask("/feeds/products/runs", method="POST")
    with database.begin() as db:
        db.execute(text("UPDATE runs SET seen = 130, expected = 120"))

    assert ask("/feeds/products")[1]["running"]["progress"] == 1.0


def test_a_finished_run_makes_room_and_moves_the_times(ask, end):
    _, run = ask("/feeds/products/runs", method="POST")

    end(run["id"], expected=7)

    feed = ask("/feeds/products")[1]
    assert (feed["running"], feed["expected"], feed["reason"]) == (None, 7, "source_empty")
    assert feed["last_import_at"] == feed["last_complete_at"]
    status, told = ask(f"/runs/{run['id']}")
    assert (status, told["state"]) == (200, "finished")
    assert UTC_TIME.fullmatch(told["finished_at"])
    assert ask("/feeds/products/runs", method="POST")[0] == 202


def test_a_failed_run_moves_nothing_and_says_why(ask, end):
    end(ask("/feeds/products/runs", method="POST")[1]["id"])
    before = ask("/feeds/products")[1]

    end(ask("/feeds/products/runs", method="POST")[1]["id"], failed="Shopify did not answer.")

    after = ask("/feeds/products")[1]
    kept = ("state", "reason", "last_import_at", "last_complete_at", "expected", "open_issues")
    assert [after[name] for name in kept] == [before[name] for name in kept]
    assert after["last_attempt_at"] > before["last_attempt_at"]


def test_a_failed_first_run_says_so_in_the_feed(ask, end):
    end(ask("/feeds/products/runs", method="POST")[1]["id"], failed="Shopify did not answer.")

    feed = ask("/feeds/products")[1]

    assert (feed["state"], feed["reason"]) == ("no_data", "never_imported")
    assert feed["sentence"].endswith("Shopify did not answer.")


def test_a_shop_whose_token_died_says_how_to_reconnect_and_names_no_next_run(ask, database):
    with database.begin() as db:
        db.execute(text("UPDATE shops SET state = 'needs_auth'"))

    feed = ask("/feeds/products")[1]

    assert (feed["state"], feed["reason"], feed["next_run_at"]) == ("no_data", "auth_failed", None)
    assert "reconnect" in feed["sentence"]


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/feeds/orders", "GET"),
        ("/feeds/orders/runs", "POST"),
        ("/feeds/Products", "GET"),
        ("/runs/4711", "GET"),
        ("/runs/99999999999999999999", "GET"),
        ("/runs/products", "GET"),
    ],
)
def test_what_there_is_not_is_a_404_in_words(ask, path, method):
    status, problem = ask(path, method=method)

    assert (status, problem["status"]) == (404, 404)
    assert problem["detail"]


def test_another_shops_run_is_as_unknown_as_one_that_never_was(ask, shop):
    shop(OTHER)
    _, run = ask("/feeds/products/runs", OTHER, method="POST")

    assert ask(f"/runs/{run['id']}", OTHER)[0] == 200
    mine, never = ask(f"/runs/{run['id']}"), ask("/runs/4711")
    assert (mine[0], never[0]) == (404, 404)
    assert mine[1] | {"detail": ""} == never[1] | {"detail": ""}
    assert ask("/feeds/products")[1]["running"] is None


@pytest.mark.parametrize("path", PATHS)
def test_without_a_token_nothing_is_said(app, path):
    answer = app.test_client().get(path)

    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")


@pytest.mark.parametrize("path", [*PATHS, "/api/v1/feeds/products/runs"])
def test_a_shop_that_never_installed_is_let_in_nowhere(app, session_token, path):
    headers = {"Authorization": f"Bearer {session_token('stranger.myshopify.com')}"}

    answer = app.test_client().open(path, method="POST" if path.endswith("runs") else "GET", headers=headers)

    assert answer.status_code == 403


def test_redis_may_be_away_and_a_refresh_is_still_taken(build, session_token, shop):
    app = build(REDIS_URL="redis://127.0.0.1:1/0")
    headers = {"Authorization": f"Bearer {session_token(SHOP)}"}

    assert app.test_client().post("/api/v1/feeds/products/runs", headers=headers).status_code == 202


def test_gaps_answer_their_list_counts_and_sentence(ask, database):
    with database.begin() as db:
        run, _ = runs.start(db, SHOP, "products", "schedule", complete=False)
        db.execute(
            text("""INSERT INTO gaps (shop, feed, resource_id, cause, changed_at, run)
                    VALUES (:shop, 'products', 7, 'never_delivered', now() - interval '6 minutes', :run),
                           ('contoso-outdoor.myshopify.com', 'products', 8, 'never_delivered', now(), :run)"""),
            {"shop": SHOP, "run": run.id},
        )

    status, answer = ask("/gaps")

    (gap,) = answer["gaps"]
    assert status == 200
    assert (gap["feed"], gap["id"], gap["cause"], gap["run"]) == ("products", 7, "never_delivered", run.id)
    assert UTC_TIME.fullmatch(gap["changed_at"])
    assert UTC_TIME.fullmatch(gap["repaired_at"])
    assert answer["counts"] == {"never_delivered": 1}
    assert answer["sentence"].endswith("; 1 webhook did not arrive; repaired after 6 min at most.")
