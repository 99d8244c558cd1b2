"""A bug in a schema makes deliveries dead; it is fixed, and an engineer puts things right from the command line."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from schemas import webhooks

ROOT = Path(__file__).resolve().parent.parent.parent
SHOP = "northwind-trade.myshopify.com"
MANY = 500


@pytest.fixture
def flask(surroundings, database, redis):
    """flask("replays", "list") → (exit status, the JSON document), by a process of its own."""

    def run(*arguments):
        command = [Path(sys.executable).with_name("flask"), *arguments, "--json"]
        done = subprocess.run(
            command, cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return run


def test_a_schema_bug_is_fixed_and_five_hundred_dead_deliveries_are_replayed_without_drift(
    journey, web, start, devstore, flask, monkeypatch
):
    from workers.turns import take_turn

    def bug(*_):
        raise TypeError("a field that nobody expected")

    journey.install(SHOP)
    devstore.settings(SHOP, index_lag=0, bucket=20_000, restore_rate=1_000)
    for n in range(1, MANY + 1):
        devstore.change(SHOP, "create_product", id=n, title=f"Mug {n}")
    assert devstore.settle(60)["settled"]
    with monkeypatch.context() as deployed:
        deployed.setattr(webhooks, "read_product", bug)
        while journey.waiting():
            take_turn(journey.workshop, "live", SHOP)
        unfixed = flask("deliveries", "replay", "--shop", SHOP, "--outcome", "dead")[1]
    assert journey.outcomes()["dead"] == MANY

    status, foreseen = flask("deliveries", "replay", "--shop", SHOP, "--outcome", "dead")
    for lane in ("bulk", "live", "clock"):
        start("workers", lane)
    began = time.monotonic()
    about = ("--name", "schema bug of the 24th", "--reason", "fixed and deployed")
    replayed = flask("deliveries", "replay", "--shop", SHOP, "--outcome", "dead", *about, "--yes", "--wait")
    run = flask("runs", "start", SHOP, "products", "--complete", "--wait")

    assert unfixed["matching"] == {"dead": MANY}
    assert (status, foreseen["forecast"]["would_apply"], foreseen["forecast"]["still_fails"]) == (0, MANY, 0)
    assert (replayed[0], replayed[1]["reopened"]) == (0, MANY)
    assert replayed[1]["replay"]["outcomes"] == {"applied": MANY}
    assert (run[0], run[1]["created"], run[1]["changed"], run[1]["removed"]) == (0, 0, 0, 0)
    assert run[1]["unchanged"] == MANY
    assert flask("deliveries", "list", "--outcome", "dead")[1] == {"deliveries": []}
    assert time.monotonic() - began < 60


def test_a_worker_killed_in_the_middle_of_a_replay_costs_nothing(journey, start, until, redis, flask):
    journey.install(SHOP)
    bodies = [{"id": n, "title": "Mug", "handle": "mug", "status": "active", "variants": []} for n in range(1, 2_501)]
    journey.store(SHOP, bodies)
    with journey.db.begin() as db:
        db.execute(text("UPDATE deliveries SET state = 'closed', outcome = 'dead', closed_at = now()"))
    replay = flask("deliveries", "replay", "--shop", SHOP, "--outcome", "dead", "--yes")[1]["replay"]
    worker = start("workers", "bulk")
    until(lambda: "applied" in journey.outcomes())

    worker.kill()
    worker.wait()
    opened = flask("replays", "show", str(replay["id"]))[1]["opened"]
    redis.flushall()  # what it had leased is free, as it would be two minutes later
    start("workers", "bulk")
    start("workers", "clock")
    status, ended = flask("replays", "watch", str(replay["id"]))

    assert opened < 2_500
    assert (status, ended["state"], ended["opened"]) == (0, "finished", 2_500)
    assert ended["outcomes"] == {"applied": 2_500}
    assert journey.value("SELECT count(*) FROM products") == 2_500
