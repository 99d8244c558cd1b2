"""The command line as people and scripts use it: `.venv/bin/flask …` with the processes' environment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from werkzeug.security import check_password_hash

from devstore.servers import free_port

ROOT = Path(__file__).parent.parent.parent
FLASK = Path(sys.executable).with_name("flask")
SHOP = "northwind-trade.myshopify.com"
FINE, FINDINGS, USAGE, UNREACHABLE = 0, 1, 2, 3


@pytest.fixture
def run(build, database, redis):
    """run("shops", "list", **changes of the environment) → what the command answered, in this process."""

    def invoke(*arguments, **changes):
        app = build(**changes)
        with app.app_context():  # as the command `flask` does
            done = app.test_cli_runner().invoke(args=arguments)
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return invoke


@pytest.fixture
def process(full_environment, database, redis):
    """process("shops", "list", environment=…) → the same as a process of its own."""

    def start(*arguments, environment=full_environment):
        command = [FLASK, *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return start


@pytest.fixture
def told(run):
    """told("shops", "list") → (exit status, the one JSON document on stdout) of the command with --json."""

    def ask(*arguments, **changes):
        done = run(*arguments, "--json", **changes)
        return done.returncode, json.loads(done.stdout)

    return ask


@pytest.fixture
def in_mirror(door, install, take_turns):
    def fill(*bodies):
        install()
        for body in bodies:
            assert door.post(body).status_code == 200
        take_turns()

    return fill


# -- shops


def test_a_shop_is_added_and_listed(run, told, everything_stored):
    assert told("shops", "list") == (FINE, {"shops": []})

    added = told("shops", "add", "Northwind-Trade.myshopify.com", "--token", "shpat_0123456789abcdef")

    status, listed = told("shops", "list")
    assert added == (FINE, {"domain": SHOP, "state": "active"})
    assert status == FINE
    assert [(shop["domain"], shop["state"]) for shop in listed["shops"]] == [(SHOP, "active")]
    assert listed["shops"][0]["installed_at"].endswith("Z")
    assert "shpat_0123456789abcdef" not in everything_stored()
    assert SHOP in run("shops", "list").stdout


@pytest.mark.parametrize("domain", ["example.com", "acme", "acme.myshopify.com.evil.example", ""])
def test_a_shop_that_is_no_myshopify_domain_is_a_usage_error(run, domain):
    done = run("shops", "add", domain, "--token", "t", "--json")

    assert (done.returncode, done.stdout) == (USAGE, "")
    assert "myshopify.com" in done.stderr


def test_adding_a_shop_without_redis_succeeds_and_stdout_holds_the_document_alone(told):
    status, added = told("shops", "add", SHOP, "--token", "t", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")

    assert (status, added["state"]) == (FINE, "active")


# -- lookup and explain


def test_lookup_answers_what_the_api_answers(told, in_mirror, product, app, session_token):
    in_mirror(product(77, variants=[{"sku": "ABC-1"}]))

    looked_up = [told("lookup", SHOP, "ABC-1")[1], told("lookup", "northwind-trade", "77")[1]]
    status, answer = told("lookup", SHOP, "ABC-1", "--feed", "products")

    headers = {"Authorization": f"Bearer {session_token(SHOP)}"}
    assert [answer["results"][0]["id"] for answer in looked_up] == [77, 77]
    assert (status, answer) == (FINE, app.test_client().get("/api/v1/products?q=ABC-1", headers=headers).json)


def test_a_lookup_that_finds_nothing_is_a_finding_with_the_reason(run, told, in_mirror):
    in_mirror()

    status, answer = told("lookup", SHOP, "987654321")

    assert (status, answer["results"], answer["absent"]["state"]) == (FINDINGS, [], "never_seen")
    assert run("lookup", SHOP, "987654321").stdout.strip() == answer["absent"]["sentence"]


def test_lookup_for_people_names_the_record_and_its_issues(run, in_mirror, product):
    in_mirror(product(77, variants=[{"sku": "TWIN"}, {"sku": "TWIN"}]))

    done = run("lookup", SHOP, "TWIN")

    assert done.returncode == FINE
    assert "https://admin.shopify.com/store/northwind-trade/products/77" in done.stdout
    assert "SKU_DUPLICATE" in done.stdout


def test_explain_answers_what_the_api_answers(run, told, in_mirror, product, app, session_token):
    in_mirror(product(77))

    status, answer = told("explain", SHOP, "77")

    headers = {"Authorization": f"Bearer {session_token(SHOP)}"}
    assert (status, answer) == (FINE, app.test_client().get("/api/v1/explain?q=77", headers=headers).json)
    assert "products/update received" in run("explain", SHOP, "77").stdout
    assert told("explain", SHOP, "78")[0] == FINDINGS


@pytest.mark.parametrize("command", ["lookup", "explain"])
def test_a_shop_nobody_knows_is_a_usage_error(run, command):
    done = run(command, "acme", "ABC-1", "--json")

    assert (done.returncode, done.stdout) == (USAGE, "")
    assert "acme.myshopify.com" in done.stderr


# -- deliveries

FIELDS = (
    *("id", "shop", "topic", "feed", "resource_id", "webhook_id", "source", "lane", "state", "outcome", "reason"),
    *("attempts", "triggered_at", "received_at", "closed_at"),
)


def test_deliveries_are_listed_newest_first_by_every_filter(told, door, install, take_turns, product):
    install()
    door.post(product(77), webhook_id="applied", triggered_at="2026-11-23T10:00:00Z")
    take_turns()
    door.post({"id": "none"}, "products/delete", webhook_id="dead")
    door.post({"id": 5}, "customers/update", webhook_id="waiting", shop_domain="contoso-outdoor.myshopify.com")

    def listed(*filters):
        status, answer = told("deliveries", "list", *filters)
        assert status == FINE
        return [row["webhook_id"] for row in answer["deliveries"] if row["source"] == "webhook"]

    row = told("deliveries", "list", "--resource", "77", "--topic", "products/update")[1]["deliveries"][0]
    assert set(FIELDS) <= set(row)
    assert (row["resource_id"], row["triggered_at"], row["outcome"]) == (77, "2026-11-23T10:00:00Z", "applied")
    assert listed() == ["waiting", "dead", "applied"]
    assert listed("--shop", "CONTOSO-outdoor") == ["waiting"]
    assert listed("--topic", "products/delete") == ["dead"]
    assert listed("--outcome", "dead") == ["dead"]
    assert listed("--outcome", "waiting") == ["waiting"]
    assert listed("--error", "NO NUMBER") == ["dead"]
    assert listed("--error", "%") == []
    assert listed("--since", row["closed_at"]) == ["waiting", "dead"]  # a time as the answers show it
    assert listed("--until", row["closed_at"]) == ["applied"]
    assert listed("--since", "2999-01-01") == []
    assert listed("--id", str(row["id"])) == ["applied"]


def test_one_delivery_is_shown_and_an_unknown_one_is_a_finding(run, told, door):
    door.post({"id": 5}, "customers/update", webhook_id="this")

    status, shown = told("deliveries", "show", "1")

    missing = run("deliveries", "show", "99", "--json")
    assert (status, shown["webhook_id"], shown["state"]) == (FINE, "this", "waiting")
    assert (missing.returncode, missing.stdout) == (FINDINGS, "")
    assert "99" in missing.stderr


def test_a_replay_without_yes_is_a_forecast_that_changes_nothing(run, told, door, install, take_turns, product):
    install()
    door.post(product(77))
    take_turns()
    before = door.rows()

    forecast = told("deliveries", "replay", "--topic", "products/update")

    assert forecast[0] == FINE
    assert forecast[1]["reopened"] == 0
    assert "--yes" in run("deliveries", "replay", "--topic", "products/update").stdout
    assert door.rows() == before


def test_a_replay_opens_closed_deliveries_again_in_the_bulk_lane(told, door, install, take_turns, product):
    install()
    door.post(product(77))
    take_turns()

    status, answer = told("deliveries", "replay", "--topic", "products/update", "--yes")

    row = next(row for row in door.rows() if row["topic"] == "products/update")
    assert (status, answer["reopened"]) == (FINE, 1)
    assert (row["state"], row["lane"], row["outcome"], row["attempts"]) == ("waiting", "bulk", None, 0)


def test_dismissing_closes_the_dead_alone_and_keeps_the_reason(told, door):
    door.post({"id": "none"}, webhook_id="dead")
    door.post({"id": 1}, webhook_id="waiting")

    counted = told("deliveries", "dismiss", "--reason", "a test")
    outcomes_before = [row["outcome"] for row in door.rows()]
    dismissed = told("deliveries", "dismiss", "--outcome", "dead", "--reason", "a test", "--yes")

    assert (counted[1]["dismissed"], outcomes_before) == (0, ["dead", None])
    assert dismissed[1]["dismissed"] == 1
    assert [(row["outcome"], row["reason"]) for row in door.rows()] == [("filtered", "dismissed: a test"), (None, None)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("deliveries", "list", "--topic", "products/explode"),
        ("deliveries", "list", "--since", "yesterday"),
        ("deliveries", "list", "--limit", "0"),
        ("deliveries", "dismiss"),
        ("deliveries", "show", "one"),
        ("lookup", SHOP),
        ("lookup",),
        ("shops", "add", SHOP),
        ("no-such-command",),
    ],
)
def test_wrong_usage_is_2_and_says_why(run, arguments):
    done = run(*arguments)

    assert (done.returncode, done.stdout) == (USAGE, "")
    assert "Error:" in done.stderr


# -- as processes


def test_with_json_stdout_of_the_process_is_one_document_and_nothing_else(
    process, full_environment, in_mirror, product
):
    in_mirror(product(77, variants=[{"sku": "ABC-1"}]))
    without_redis = full_environment | {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}

    found = process("lookup", SHOP, "ABC-1", "--json", environment=without_redis)
    missing = process("lookup", SHOP, "987654321", "--json")
    added = process("shops", "add", SHOP, "--token", "t", "--json", environment=without_redis)

    assert [done.returncode for done in (found, missing, added)] == [FINE, FINDINGS, FINE]
    assert json.loads(found.stdout)["results"][0]["id"] == 77
    assert json.loads(missing.stdout)["absent"]["state"] == "never_seen"
    assert json.loads(added.stdout)["state"] == "active"


def test_without_postgres_the_process_ends_with_3_and_one_sentence(process, full_environment):
    away = {"DATABASE_URL": f"postgresql://postgres:very-secret-word@127.0.0.1:{free_port()}/none"}

    done = process("deliveries", "list", "--json", environment=full_environment | away)

    assert (done.returncode, done.stdout) == (UNREACHABLE, "")
    assert done.stderr.startswith("Postgres does not answer")
    assert "very-secret-word" not in done.stderr
    assert "Traceback" not in done.stderr


# -- the environment and the neighbours


@pytest.mark.parametrize(
    "arguments",
    [("shops", "list"), ("lookup", SHOP, "x"), ("deliveries", "list"), ("deliveries", "replay", "--yes"), ("migrate",)],
)
def test_without_postgres_a_command_is_3_and_one_sentence(run, arguments):
    done = run(*arguments, "--json", DATABASE_URL=f"postgresql://postgres@127.0.0.1:{free_port()}/none")

    assert (done.returncode, done.stdout) == (UNREACHABLE, "")
    assert "Postgres does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_variable_says_what_to_set_and_is_2(process, full_environment):
    without = {name: value for name, value in full_environment.items() if name not in ("DATABASE_URL", "SECRET_KEY")}

    done = process("shops", "list", "--json", environment=without)

    assert (done.returncode, done.stdout) == (USAGE, "")
    assert "DATABASE_URL is not set: a Postgres address, for example" in done.stderr
    assert "SECRET_KEY is not set" in done.stderr
    assert "REDIS_URL" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_web_process_does_not_start_without_its_environment():
    command = [sys.executable, "-c", "from app import create_app; create_app()"]

    done = subprocess.run(command, cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == USAGE
    assert "DATABASE_URL is not set" in done.stderr


def test_help_needs_no_environment(process):
    done = process("--help", environment={"PATH": ""})

    assert (done.returncode, done.stderr) == (FINE, "")
    assert all(word in done.stdout for word in ("shops", "lookup", "explain", "deliveries", "ops", "migrate"))


def test_a_password_is_hashed_without_any_environment(process):
    done = process("ops", "hash-password", "--password", "correct horse", "--json", environment={"PATH": ""})

    assert done.returncode == FINE
    assert check_password_hash(json.loads(done.stdout)["hash"], "correct horse")


def test_migrate_brings_an_empty_database_to_the_newest_schema(run, create_database):
    url = create_database("for-the-migrate-command")

    first, second = run("migrate", DATABASE_URL=url), run("migrate", "--json", DATABASE_URL=url)

    listed = run("shops", "list", "--json", DATABASE_URL=url)
    assert (first.returncode, second.returncode) == (FINE, FINE)
    assert json.loads(second.stdout) == {"current": True}
    assert json.loads(listed.stdout) == {"shops": []}
