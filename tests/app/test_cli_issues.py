"""`flask issues …` and a delivery's whole story, as people and scripts ask for them."""

import getpass
import json

import pytest
from sqlalchemy import text

from adapters import audit, failures, inbox
from adapters.inbox import Filter
from devstore.servers import free_port
from domain.deliveries import Outcome, Verdict

FINE, FINDINGS, USAGE, UNREACHABLE = 0, 1, 2, 3
SHOP = "northwind-trade.myshopify.com"


@pytest.fixture
def run(build, database, redis):
    def invoke(*arguments, **changes):
        app = build(**changes)
        with app.app_context():
            return app.test_cli_runner().invoke(args=arguments)

    return invoke


@pytest.fixture
def told(run):
    """told("issues", "list") → (exit status, the one JSON document on stdout) of the command with --json."""

    def ask(*arguments):
        done = run(*arguments, "--json")
        return done.exit_code, json.loads(done.stdout)

    return ask


@pytest.fixture
def file(database):
    def do():
        with database.begin() as db:
            failures.file(db, 100)

    return do


@pytest.fixture
def issue(door, file, told):
    """The fingerprint of an issue with two dead deliveries."""
    door.post({"id": "none"}, webhook_id="first")
    door.post({"id": "none"}, webhook_id="second")
    file()
    (found,) = told("issues", "list")[1]["issues"]
    return found["fingerprint"]


def acts(database):
    with database.connect() as db:
        return [(row["who"], row["act"], row["why"]) for row in audit.listed(db)]


def test_the_list_says_what_is_left_of_each_issue_and_its_counts_by_state(told, issue):
    status, answer = told("issues", "list", "--state", "open", "--shop", "northwind-trade")

    (found,) = answer["issues"]
    assert status == FINE
    assert (found["dead"], found["waiting"], found["shops"], found["events"]) == (2, 0, 1, 2)
    assert (found["topic"], found["sentence"]) == ("products/update", "the product id is no number")
    assert answer["counts"]["open"] == 1
    assert told("issues", "list", "--state", "resolved")[1]["issues"] == []


def test_an_empty_list_tells_good_news_from_a_filter_that_nothing_matches(run, file, door):
    before = run("issues", "list").stdout
    door.post({"id": "none"})
    file()

    assert "No delivery has failed" in before
    assert run("issues", "list", "--state", "ignored").stdout == "No issue matches.\n"


def test_one_issue_is_shown_with_what_became_of_its_deliveries(run, told, issue):
    status, answer = told("issues", "show", issue)

    assert status == FINE
    assert answer["issue"]["outcomes"] == {"dead": 2}
    assert [row["webhook_id"] for row in answer["latest"]] == ["second", "first"]
    assert "2 dead" in run("issues", "show", issue).stdout


@pytest.mark.parametrize(
    ("command", "state", "act"),
    [
        ("ack", "acknowledged", "issue acknowledged"),
        ("resolve", "resolved", "issue resolved"),
        ("ignore", "ignored", "issue ignored"),
        ("snooze", "snoozed", "issue snoozed"),
    ],
)
def test_a_state_is_given_by_name_and_for_a_reason(database, told, issue, command, state, act):
    status, answer = told("issues", command, issue, "--reason", "schema fixed", "--who", "grace")

    found = answer["issue"]
    assert (status, found["state"], found["owner"], found["note"]) == (FINE, state, "grace", "schema fixed")
    assert acts(database) == [("grace", act, "schema fixed")]


def test_who_is_the_account_on_the_machine_unless_said(database, told, issue):
    told("issues", "resolve", issue)
    status, answer = told("issues", "reopen", issue)

    assert (status, answer["issue"]["state"], answer["issue"]["owner"]) == (FINE, "open", None)
    assert {who for who, _, _ in acts(database)} == {f"cli:{getpass.getuser()}"}


def test_people_are_told_what_an_act_leaves_and_what_it_stops(run, issue):
    resolved = run("issues", "resolve", issue).stdout
    ignored = run("issues", "ignore", issue).stdout

    assert "2 of its deliveries are still dead: replay or dismiss them." in resolved
    assert "No alert speaks of it any more." in ignored


def test_a_snooze_ends_when_it_is_told_to(told, run, issue):
    _, answer = told("issues", "snooze", issue, "--until", "2999-01-01")
    past = run("issues", "snooze", issue, "--until", "2001-01-01")

    assert answer["issue"]["snoozed_until"].startswith("2999-01-01T00:00:00")
    assert (past.exit_code, past.stdout) == (USAGE, "")


@pytest.mark.parametrize("command", ["show", "ack", "resolve", "ignore", "snooze", "reopen"])
def test_an_unknown_issue_is_a_finding(run, database, command):
    done = run("issues", command, "0123456789ab", "--json")

    assert (done.exit_code, done.stdout) == (FINDINGS, "")
    assert "0123456789ab" in done.stderr
    assert acts(database) == []


@pytest.mark.parametrize(
    "arguments", [("list", "--state", "new"), ("list", "--topic", "none"), ("snooze", "a", "--hours", "0")]
)
def test_wrong_usage_is_2(run, arguments):
    assert run("issues", *arguments).exit_code == USAGE


def test_without_postgres_it_is_3_and_one_sentence(run):
    done = run("issues", "list", "--json", DATABASE_URL=f"postgresql://postgres@127.0.0.1:{free_port()}/none")

    assert (done.exit_code, done.stdout) == (UNREACHABLE, "")
    assert "Postgres does not answer" in done.stderr


# -- deliveries


def test_deliveries_are_filtered_by_their_issue_and_by_their_copies(told, door, issue):
    door.post({"id": 1}, webhook_id="sound")

    _, of_issue = told("deliveries", "list", "--issue", issue)
    _, page = told(
        "deliveries", "list", "--issue", issue, "--limit", "1", "--before", str(of_issue["deliveries"][0]["id"])
    )
    _, doubled = told("deliveries", "list", "--copies", "2")

    assert [row["webhook_id"] for row in of_issue["deliveries"]] == ["second", "first"]
    assert [row["webhook_id"] for row in page["deliveries"]] == ["first"]
    assert doubled["deliveries"] == []


def test_a_delivery_tells_its_whole_story(run, told, door, file, database):
    door.post({"id": 5}, webhook_id="this")
    delivery = door.only_row()["id"]
    with database.begin() as db:
        inbox.postpone(db, {delivery: 2.0}, "the shop is away", counts=True, error="ShopUnreachable")
        inbox.close(db, {delivery: Verdict(Outcome.DEAD, "the body is not a product")})
    file()
    with database.begin() as db:
        inbox.reopen(db, Filter(id=delivery), replay=7)

    status, story = told("deliveries", "show", str(delivery))

    assert (status, story["copies"], story["replay"], story["replayable"]) == (FINE, 1, 7, True)
    assert story["issue"]["sentence"] == "the body is not a product"
    assert [(one["outcome"], one["n"], one["sentence"]) for one in story["tried"]] == [
        ("dead", None, "the body is not a product"),
        (None, 2, "the body is not a product"),
        (None, 1, "the shop is away"),
    ]
    said = run("deliveries", "show", str(delivery)).stdout
    assert said.index("was dead") < said.index("attempt 2 failed") < said.index("attempt 1 failed")


def test_a_delivery_of_which_nothing_was_kept_says_that_no_replay_can_open_it(run, told, door):
    door.post({"id": "none"}, "customers/update")

    status, story = told("deliveries", "show", "1")

    assert (status, story["replayable"]) == (FINE, False)
    assert inbox.NOTHING_TO_REPLAY in run("deliveries", "show", "1").stdout


def test_dismissing_by_command_is_audited_with_its_filter_and_count(told, door, database):
    door.post({"id": "none"})

    told("deliveries", "dismiss", "--outcome", "dead", "--reason", "a test shop", "--yes")

    with database.connect() as db:
        (row,) = audit.listed(db)
        assert db.execute(text("SELECT outcome FROM deliveries")).scalar_one() == "filtered"
    assert (row["act"], row["why"], row["count"], row["chosen"]) == (
        "deliveries dismissed",
        "a test shop",
        1,
        {"outcome": "dead"},
    )
