"""The command line has the console's words: what is typed there can be typed here, and nothing shown is cut or acts."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from adapters import attempts, audit, inbox, runs
from app.cli import deliveries_group
from app.command import table
from app.filter_words import READ

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
FINE, FINDINGS, USAGE = 0, 1, 2


@pytest.fixture
def run(app):
    def invoke(*arguments):
        with app.app_context():
            return app.test_cli_runner().invoke(args=arguments)

    return invoke


@pytest.fixture
def listed(run):
    """listed(*options) → the resources of the deliveries that are chosen."""

    def ask(*options):
        done = run("deliveries", "list", *options, "--json")
        assert done.exit_code == FINE, done.stderr
        return [row["resource_id"] for row in json.loads(done.stdout)["deliveries"]]

    return ask


def acts(database):
    with database.connect() as db:
        return [(row["who"], row["act"], row["why"], row["count"], row["target"]) for row in audit.listed(db)]


def test_every_filter_of_the_console_is_an_option():
    """But for the two marks that freeze a filter, which nobody types."""
    options = {opt.removeprefix("--") for param in deliveries_group.commands["list"].params for opt in param.opts}
    words = {"issue" if word == "fingerprint" else word.replace("_", "-") for word in READ}
    assert words - options == {"id-from", "id-upto"}


def test_the_shop_comes_first_in_the_help(run):
    text = run("deliveries", "list", "--help").stdout
    assert text.index("--shop") < text.index("--outcome") < text.index("--attempts")


def test_times_may_be_so_long_ago(listed, door, product, database):
    for number in (1, 2):
        door.post(product(number))
    with database.begin() as db:
        db.execute(text("UPDATE deliveries SET received_at = now() - interval '3 hours' WHERE resource_id = 1"))
    assert listed("--since", "2h") == [2]
    assert listed("--since", "4h") == [2, 1]
    assert listed("--until", "30min") == [1]
    assert listed("--since", f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%d %H:%M:%S} UTC") == [2]


def test_a_resource_may_be_said_as_shopify_says_it(listed, door, product):
    for number in (41, 42):
        door.post(product(number))
    assert listed("--resource", "gid://shopify/Product/42") == [42]
    assert listed("--resource", "https://admin.shopify.com/store/x/products/41?a=b") == [41]


def test_a_selection_is_several_ids(listed, run, door, product, database):
    for number in (1, 2, 3):
        door.post(product(number))
    with database.begin() as db:
        db.execute(text("UPDATE deliveries SET state='closed', outcome='dead', closed_at=now(), reason='a bug'"))
        ids = [str(i) for i in db.execute(text("SELECT id FROM deliveries ORDER BY id")).scalars()]
    some = ("--id", ids[0], "--id", ids[2])
    assert listed(*some) == [3, 1]
    done = json.loads(run("deliveries", "replay", *some, "--yes", "--json").stdout)
    assert (done["reopened"], done["replay"]["filter"]) == (2, {"ids": [int(ids[0]), int(ids[2])]})


def test_when_something_died_and_in_which_release_can_be_asked(listed, door, product, database):
    for number in (1, 2):
        door.post(product(number))
    with database.begin() as db:
        db.execute(text("UPDATE deliveries SET state='closed', outcome='dead', closed_at=now(), reason='a bug'"))
        db.execute(text("UPDATE deliveries SET closed_at = now() - interval '5 hours' WHERE resource_id = 1"))
        (old,) = db.execute(text("SELECT id FROM deliveries WHERE resource_id = 1")).scalars()
        attempts.note(db, [attempts.Failed(old, 1, "a bug")])
        db.execute(text("UPDATE attempts SET version = 'abc1234'"))
    assert listed("--closed-since", "1h") == [2]
    assert listed("--closed-until", "1h") == [1]
    assert listed("--outcome", "dead", "--version", "abc1234") == [1]


@pytest.mark.parametrize(
    ("option", "typed", "says"),
    [
        ("--since", "yesterday", "Write 30min, 2h, 7d"),
        ("--topic", "products/explode", "Known are"),
        ("--resource", "mug", "no number"),
        ("--id", "mug", "no number"),
        ("--issue", "a b", "no issue"),
    ],
)
def test_a_word_that_cannot_be_read_is_a_usage_error_that_says_what_can(run, option, typed, says):
    done = run("deliveries", "list", option, typed)
    assert (done.exit_code, done.stdout) == (USAGE, "")
    assert says in done.stderr.replace("\n", " ")


@pytest.mark.parametrize("command", [("replay",), ("dismiss", "--reason", "x")])
def test_without_a_filter_nothing_is_done_to_everything(run, door, command):
    door.post(b"{")
    done = run("deliveries", *command, "--yes")
    assert done.exit_code == USAGE
    assert "Name at least one filter" in done.stderr
    assert [row["outcome"] for row in door.rows()] == ["dead"]


def test_what_strangers_wrote_is_text_in_a_table_and_is_shown_whole(capsys):
    hostile = "[/red] \x1b[31m\x07\u202e\nnext [bold]line"
    table(["id", "reason"], [[1, hostile], [2, "y" * 900]], "none")
    out = capsys.readouterr().out
    assert "[/red]" in out
    assert "[bold]line" in out
    assert "y" * 900 in out
    assert not set(out) & {"\x1b", "\x07", "\u202e"}
    assert len(out.splitlines()) == 3


def test_whoever_acts_by_command_is_named_with_the_reason(run, database, door, install, product):
    install()
    for number in range(1, 4):
        door.post(product(number))
    with database.begin() as db:
        db.execute(text("UPDATE deliveries SET state='closed', outcome='dead', closed_at=now(), reason='a bug'"))
        statement = """INSERT INTO runs (shop, feed, trigger, complete, state, place)
                       VALUES (:s, 'products', 'schedule', false, 'held', '{}') RETURNING id"""
        held = db.execute(text(statement), {"s": SHOP}).scalar_one()
    about = ("--who", "ada", "--reason", "incident 7")
    run("deliveries", "replay", "--outcome", "dead", "--yes", *about)
    run("replays", "cancel", "1", *about)
    run("replays", "resume", "1", *about)
    run("runs", "confirm", str(held), *about)
    run("shops", "add", OTHER, "--token", "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")

    found = acts(database)[::-1]
    assert found[:3] == [
        ("ada", "replay started", "incident 7", 3, "replay 1"),
        ("ada", "replay cancelled", "incident 7", 0, "replay 1"),
        ("ada", "replay resumed", "incident 7", 0, "replay 1"),
    ]
    assert found[3] == ("ada", "run confirmed", "incident 7", None, f"run {held} of {SHOP} products")
    assert (found[4][1], found[4][4]) == ("shop given a token", OTHER)
    with database.connect() as db:
        assert [row["chosen"] for row in audit.listed(db) if row["chosen"]] == [{"outcome": "dead"}] * 3
        assert runs.find(db, held)["state"] == "running"
        assert inbox.count_dead(db, inbox.Filter()) == 0
