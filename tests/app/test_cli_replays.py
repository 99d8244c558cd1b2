"""`flask replays …` and `flask deliveries replay|dismiss`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from adapters import audit
from domain.replays import MOST_OPENED
from settings import read_settings
from workers import replays as steps
from workers import turns
from workers.workshop import open_workshop

ROOT = Path(__file__).parent.parent.parent
SHOP = "northwind-trade.myshopify.com"
FINE, FINDINGS, USAGE = 0, 1, 2


@pytest.fixture
def run(app):
    """run("replays", "list") → what the command answered, in this process."""

    def invoke(*arguments):
        with app.app_context():
            done = app.test_cli_runner().invoke(args=arguments)
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return invoke


@pytest.fixture
def told(run):
    """told("replays", "list") → (exit status, the one JSON document on stdout) with --json."""

    def ask(*arguments):
        done = run(*arguments, "--json")
        return done.returncode, json.loads(done.stdout) if done.stdout else None

    return ask


@pytest.fixture
def dead(door, install, product, database):
    """dead(number): so many products whose deliveries are dead."""

    def bury(number):
        install()
        for n in range(1, number + 1):
            door.post(product(n))
        with database.begin() as db:
            db.exec_driver_sql("UPDATE deliveries SET state='closed', outcome='dead', closed_at=now(), reason='a bug'")

    return bury


@pytest.fixture
def bulk_worker(full_environment):
    """bulk_worker(): what the bulk lane's worker does until it has nothing to do."""
    workshop = open_workshop(read_settings(full_environment))

    def work():
        while steps.step(workshop) or turns.take_turn(workshop, "bulk", SHOP):
            pass

    yield work
    workshop.db.dispose()
    workshop.admin.close()
    workshop.tokens.close()
    workshop.bell.redis.close()


@pytest.fixture
def beside_a_worker(full_environment, bulk_worker):
    """beside_a_worker("replays", "watch", "1") → (exit status, document) of a command that waits for a worker."""

    def ask(*arguments):
        command = [Path(sys.executable).with_name("flask"), *arguments, "--json"]
        with subprocess.Popen(command, cwd=ROOT, env=full_environment, stdout=subprocess.PIPE) as waiting:
            while waiting.poll() is None:
                bulk_worker()
            return waiting.returncode, json.loads(waiting.stdout.read())

    return ask


@pytest.mark.parametrize("command", [("deliveries", "replay"), ("replays", "start")])
def test_without_yes_the_forecast_is_shown_and_nothing_changes(told, run, door, dead, command):
    dead(2)
    door.post(b"{", webhook_id="unreadable")
    before = door.rows()

    status, answer = told(*command, "--outcome", "dead")
    said = run(*command, "--outcome", "dead").stdout

    assert (status, answer["reopened"], answer["replay"]) == (FINE, 0, None)
    assert answer["matching"] == {"dead": 3}
    assert (answer["forecast"]["would_apply"], answer["forecast"]["still_fails"]) == (2, 1)
    assert "2 would be applied, 1 would still fail" in said
    assert "The body is not JSON." in said
    assert "--yes" in said
    assert door.rows() == before
    assert told("replays", "list")[1] == {"replays": []}


def test_with_yes_a_small_replay_is_open_at_once_and_has_a_name(told, door, dead):
    dead(3)

    status, answer = told(
        *("deliveries", "replay", "--outcome", "dead", "--shop", SHOP, "--yes"),
        *("--name", "the schema bug", "--reason", "fixed in 1.2"),
    )

    assert (status, answer["reopened"]) == (FINE, 3)
    assert {(row["state"], row["lane"]) for row in door.rows()} == {("waiting", "bulk")}
    replay = told("replays", "show", str(answer["replay"]["id"]))[1]
    assert (replay["name"], replay["why"], replay["state"]) == ("the schema bug", "fixed in 1.2", "running")
    assert replay["filter"] == {"shop": SHOP, "outcome": "dead"}
    assert (replay["opened"], replay["to_go"], replay["outcomes"]) == (3, 0, {"waiting": 3})


def test_a_replay_of_everything_must_be_meant(run, told, door, dead):
    dead(1)
    before = door.rows()

    done = run("deliveries", "replay", "--yes", "--json")

    assert (done.returncode, done.stdout) == (USAGE, "")
    assert "Name at least one filter" in done.stderr
    assert door.rows() == before


def test_where_nothing_matches_there_is_no_replay(told, install):
    install()

    status, answer = told("deliveries", "replay", "--outcome", "dead", "--yes")

    assert (status, answer["reopened"], answer["replay"]) == (FINE, 0, None)


def test_a_large_one_is_opened_in_part_and_the_same_filter_again_is_told(run, told, dead):
    dead(MOST_OPENED + 5)
    choosing = ("deliveries", "replay", "--outcome", "dead", "--yes")

    first = told(*choosing)[1]
    second = told(*choosing)[1]

    assert (first["reopened"], first["replay"]["opened"], first["replay"]["to_go"]) == (MOST_OPENED + 5, MOST_OPENED, 5)
    assert (second["reopened"], second["replay"]["id"]) == (0, first["replay"]["id"])
    assert "same filter is going" in run(*choosing).stdout


def test_with_wait_it_ends_when_everything_is_decided(beside_a_worker, dead):
    dead(3)

    status, answer = beside_a_worker("replays", "start", "--outcome", "dead", "--yes", "--wait")

    assert (status, answer["replay"]["state"], answer["replay"]["outcomes"]) == (FINE, "finished", {"applied": 3})


def test_when_some_are_dead_again_watching_it_is_a_finding(told, run, beside_a_worker, dead, database):
    dead(2)
    with database.begin() as db:
        db.exec_driver_sql("UPDATE deliveries SET body = '{' WHERE resource_id = 1")
    replay = str(told("replays", "start", "--outcome", "dead", "--yes")[1]["replay"]["id"])

    status, answer = beside_a_worker("replays", "watch", replay)

    assert (status, answer["outcomes"]) == (FINDINGS, {"applied": 1, "dead": 1})
    assert "1 applied, 1 dead" in run("replays", "list").stdout


def test_cancelled_and_resumed_by_hand_and_the_audit_knows(told, run, dead, database):
    dead(MOST_OPENED + 5)
    replay = str(told("replays", "start", "--outcome", "dead", "--yes")[1]["replay"]["id"])

    cancelled = told("replays", "cancel", replay)
    again = run("replays", "cancel", replay)
    resumed = told("replays", "resume", replay)

    assert (cancelled[0], cancelled[1]["state"], cancelled[1]["to_go"]) == (FINE, "cancelled", 5)
    assert again.returncode == USAGE
    assert (resumed[0], resumed[1]["state"]) == (FINE, "running")
    with database.connect() as db:
        rows = audit.listed(db)
    assert [row["act"] for row in rows] == ["replay resumed", "replay cancelled", "replay started"]
    assert all(row["who"].startswith("cli:") for row in rows)
    assert rows[-1]["count"] == MOST_OPENED + 5


@pytest.mark.parametrize("command", ["show", "watch", "cancel", "resume"])
def test_a_replay_nobody_knows_is_a_finding(run, command):
    done = run("replays", command, "99", "--json")

    assert (done.returncode, done.stdout) == (FINDINGS, "")
    assert "99" in done.stderr


def test_refreshed_is_said_in_the_forecast_and_kept(told, dead):
    dead(1)

    foreseen = told("deliveries", "replay", "--outcome", "dead", "--refresh")[1]["forecast"]
    replay = told("deliveries", "replay", "--outcome", "dead", "--refresh", "--yes")[1]["replay"]

    assert (foreseen["would_ask"], replay["mode"]) == (1, "refreshed")


def test_dismissing_is_in_the_audit_with_its_reason(told, dead, database):
    dead(2)

    told("deliveries", "dismiss", "--outcome", "dead", "--reason", "known", "--yes")

    with database.connect() as db:
        (row,) = audit.listed(db)
    assert (row["act"], row["why"], row["count"]) == ("deliveries dismissed", "known", 2)
