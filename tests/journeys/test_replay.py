"""A replay whose worker is killed in the middle of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

ROOT = Path(__file__).resolve().parent.parent.parent
SHOP = "northwind-trade.myshopify.com"


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
