"""`flask doctor`, `flask secrets check`: what does not hold is named with its remedy, whoever is away."""

import json
import re
import time
from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from adapters import signatures
from adapters.database import migrate
from devstore.servers import Valkey, free_port

SHOP = "northwind-trade.myshopify.com"
TOKEN = "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"
FINE, FINDINGS, USAGE, UNREACHABLE = 0, 1, 2, 3


@pytest.fixture
def told(build, devstore, install, redis):
    """told("doctor", …) → (exit status, the one JSON document on stdout), of an installation with one shop."""
    devstore.open_shop(SHOP, token=TOKEN)
    install(SHOP)

    def ask(*words, **changes):
        app = build(SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}", **changes)
        with app.app_context():  # as the command `flask` does
            done = app.test_cli_runner().invoke(args=[*words, "--json"])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, json.loads(done.stdout) if done.stdout else done.stderr

    return ask


def of(answer, check, shop=None):
    """{level: sentence} of one check's findings."""
    return {f["level"]: f["sentence"] for f in answer["findings"] if f["check"] == check and f["shop"] == shop}


def amiss(answer):
    return {(f["check"], f["level"]) for f in answer["findings"] if f["level"] != "ok"}


@pytest.fixture
def running(database, redis):
    """The clock and a worker of each lane are alive, as far as can be seen."""
    with database.begin() as db:
        db.execute(text("INSERT INTO duties (name, due_at) VALUES ('sweep', now())"))
    for lane in ("live", "bulk"):
        name = f"worker-of-{lane}"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        redis.hset(f"rq:worker:{name}", mapping={"queues": lane, "state": "idle", "last_heartbeat": now, "birth": now})
        redis.sadd("rq:workers", f"rq:worker:{name}")


def test_of_a_sound_installation_every_finding_but_the_test_databases_own_is_fine(told, running):
    """The tests' Postgres does without fsync, and says so."""
    status, answer = told("doctor")

    assert status == FINDINGS
    assert amiss(answer) == {("postgres", "problem")}
    assert "fsync is off" in of(answer, "postgres")["problem"]
    assert of(answer, "reach", SHOP) == {"ok": "Shopify answers."}
    assert of(answer, "scopes", SHOP).keys() == {"ok"}
    assert of(answer, "subscriptions", SHOP).keys() == {"ok"}
    assert of(answer, "workers").keys() == {"ok"}
    assert "nothing is lost but bells" in str(answer)


def test_one_shop_may_be_asked_alone_and_an_unknown_one_is_a_usage_error(told, running):
    assert {f["shop"] for f in told("doctor", "northwind-trade")[1]["findings"]} == {None, SHOP}
    assert told("doctor", "nobody")[0] == USAGE


def test_every_finding_that_is_not_fine_names_a_remedy(told):
    _, answer = told("doctor")

    assert ("timetable", "problem") in amiss(answer)
    assert ("workers", "problem") in amiss(answer)
    assert all(f["fix"] for f in answer["findings"] if f["level"] != "ok")


def test_without_postgres_the_rest_is_still_said(told):
    status, answer = told("doctor", DATABASE_URL=f"postgresql://postgres@127.0.0.1:{free_port()}/none")

    assert status == UNREACHABLE
    assert "Postgres does not answer" in of(answer, "postgres")["problem"]
    assert of(answer, "redis").keys() == {"ok"}


def test_a_named_shop_does_not_hide_that_postgres_is_away(told):
    status, answer = told("doctor", SHOP, DATABASE_URL=f"postgresql://postgres@127.0.0.1:{free_port()}/none")

    assert status == UNREACHABLE
    assert "Postgres does not answer" in of(answer, "postgres")["problem"]


def test_without_redis_the_rest_is_still_said(told, running):
    status, answer = told("doctor", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")

    assert status == UNREACHABLE
    assert "webhooks are stored" in of(answer, "redis")["problem"]
    assert of(answer, "reach", SHOP).keys() == {"ok"}


def test_a_schema_that_is_not_there_is_a_problem_and_no_traceback(told, create_database):
    status, answer = told("doctor", DATABASE_URL=create_database("doctor-without-schema"))

    assert status == FINDINGS
    assert of(answer, "schema").keys() == {"problem"}


def test_a_shop_that_does_not_answer_is_unreachable(told, running, devstore):
    devstore.fault("500", times=10)

    status, answer = told("doctor")

    assert status == UNREACHABLE
    assert of(answer, "reach", SHOP).keys() == {"problem"}


def test_a_token_that_shopify_refuses_is_a_problem(told, running, devstore):
    devstore.settings(SHOP, revoke_tokens=True)

    status, answer = told("doctor")

    assert status == FINDINGS
    assert of(answer, "token", SHOP) == {"problem": "Shopify no longer takes the token."}


def test_missing_subscriptions_are_problems(told, running):
    _, answer = told("doctor", WEBHOOK_SUBSCRIPTIONS="shop")

    assert of(answer, "subscriptions", SHOP).keys() == {"problem"}


def test_a_redis_that_would_throw_keys_away_is_found(told, running, server_folder):
    with Valkey(server_folder) as valkey:
        import redis as client

        with client.Redis.from_url(valkey.url) as connection:
            connection.config_set("maxmemory", "100mb")
            connection.config_set("maxmemory-policy", "allkeys-lru")
        _, answer = told("doctor", REDIS_URL=valkey.url)

    assert "allkeys-lru" in of(answer, "redis")["problem"]


def test_what_is_dead_and_what_has_waited_too_long_is_found(told, running, door, product, database):
    door.post({"id": "none"}, "products/create")
    door.post(product())
    with database.begin() as db:
        db.execute(text("UPDATE deliveries SET received_at = now() - interval '1 hour' WHERE state = 'waiting'"))

    _, answer = told("doctor")

    assert of(answer, "dead") == {"problem": "1 delivery is dead."}
    assert re.search(r"1 waiting, the oldest for 36\d\d s", of(answer, "queues")["problem"])


def test_a_held_run_is_found(told, running, database):
    with database.begin() as db:
        db.execute(text("INSERT INTO feeds (shop, feed) VALUES (:s, 'products')"), {"s": SHOP})
        db.execute(
            text("""INSERT INTO runs (shop, feed, trigger, complete, state)
                    VALUES (:s, 'products', 'schedule', true, 'held')"""),
            {"s": SHOP},
        )

    _, answer = told("doctor")

    assert "held" in of(answer, "runs", SHOP)["warning"]


def test_it_speaks_to_people_too(build, running, devstore):
    app = build(SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}")
    with app.app_context():
        done = app.test_cli_runner().invoke(args=["doctor"])

    assert done.exit_code == FINDINGS
    assert "PROBLEM  postgres: 200 does not mean stored" in done.stdout
    assert "→ Set fsync" in done.stdout


# -- flask secrets check


def test_the_secrets_in_use_are_shown_and_none_can_go_at_once(told, door, product):
    door.post(product())
    door.app.extensions["office"].figures.hand_over()

    status, answer = told("secrets", "check")

    assert status == FINE
    assert [secret["name"] for secret in answer["secrets"]] == ["SHOPIFY_API_SECRET", "SHOPIFY_API_SECRET_PREVIOUS"]
    assert [secret["safe_to_remove"] for secret in answer["secrets"]] == [False, False]
    assert answer["unreadable"] == 0


def test_a_previous_secret_that_was_quiet_for_two_days_can_go(told, redis, full_environment):
    current = signatures.digest(full_environment["SHOPIFY_API_SECRET"])
    redis.set(signatures.SINCE, int(time.time()) - 3 * 86_400)
    redis.hset(signatures.LAST, current, int(time.time()))

    status, answer = told("secrets", "check")

    assert status == FINDINGS
    assert answer["secrets"][1]["safe_to_remove"] is True
    assert "SHOPIFY_API_SECRET_PREVIOUS" in answer["findings"][0]["sentence"]


def test_a_key_that_is_missing_is_found_and_an_old_one_is_counted(told, full_environment):
    old, new = full_environment["ENCRYPTION_KEYS"], Fernet.generate_key().decode()

    status, answer = told("secrets", "check", ENCRYPTION_KEYS=f"{new},{old}")
    lost, missing = told("secrets", "check", ENCRYPTION_KEYS=new)

    assert (status, [key["opens"] for key in answer["encryption_keys"]]) == (FINE, [0, 1])
    assert (lost, missing["unreadable"]) == (FINDINGS, 1)
    for words in (("doctor",), ("doctor", SHOP)):
        assert "do not open" in of(told(*words, ENCRYPTION_KEYS=new)[1], "keys")["problem"]


def test_no_secret_is_shown(told, full_environment):
    told_everything = json.dumps([told("secrets", "check"), told("doctor")])

    secrets = ("SHOPIFY_API_SECRET", "SHOPIFY_API_SECRET_PREVIOUS", "ENCRYPTION_KEYS", "SECRET_KEY")
    assert not [name for name in secrets if full_environment[name] in told_everything]
    assert TOKEN not in told_everything


def test_a_second_wall_that_does_not_stand_is_said_with_who_has_to_do_what(told, running, database, database_url):
    assert of(told("doctor")[1], "second wall") == {"ok": "Postgres itself keeps each merchant to their own shop."}
    with database.begin() as db:  # as a migration leaves it where no role may be made
        names_only = "SELECT set_config('data_sync.shop', domain, true)"
        db.execute(
            text(f"""CREATE OR REPLACE FUNCTION enter_shop(domain text) RETURNS void LANGUAGE sql
                            AS $$ {names_only} $$""")
        )
    try:
        status, answer = told("doctor")
    finally:
        migrate(database_url)

    (fix,) = (finding["fix"] for finding in answer["findings"] if finding["check"] == "second wall")
    assert status == FINDINGS
    assert of(answer, "second wall").keys() == {"warning"}
    assert "CREATE ROLE data_sync_tenant NOLOGIN; GRANT data_sync_tenant TO postgres; then `flask migrate`" in fix
