"""Whose turn it is next is asked for each check and each run: it must not cost more where there are more shops."""

import uuid

import psycopg
import pytest
from sqlalchemy import text

from adapters import health, runs
from adapters.database import connect, migrate
from adapters.vault import Vault
from bench import crowd
from bench.crowd import Amount
from tests.scale.recorder import Recorder

FEW, MANY = 100, 4_000
DUE = 10  # shops


@pytest.fixture
def crowds(create_database, environment):
    """Engines of two databases: few shops, and many."""
    engines = []
    for shops in (FEW, MANY):
        url = create_database(f"crowd_{uuid.uuid4().hex}")
        migrate(url)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as db:
            crowd.fill(db, Vault([environment["ENCRYPTION_KEYS"]]), Amount(shops=shops, runs=2))
        engines.append(connect(url))
    yield engines
    for engine in engines:
        engine.dispose()


def asked(engine):
    """Once when nothing is due, and once for each reason why something may be."""
    recorder = Recorder()
    with recorder.listening():
        for deed, statement in REASONS.items():
            with engine.begin() as db:
                db.execute(text(statement), {"due": [crowd.shop(n) for n in range(DUE)]})
            with recorder.of(deed), engine.begin() as db:
                health.is_due(db)
                found = health.claim(db, 600)
            assert (found is None) == (deed in ("nothing is due", "runs are due"))
            with recorder.of(f"{deed}: runs"), engine.begin() as db:
                taken = runs.take_due(db, 600, 3_600)
                runs.start_taken(db, taken)
                runs.is_due(db)
                runs.claim(db)
            assert len(taken) == (2 * DUE if deed == "runs are due" else 0)
    return {(seen.deed, seen.short): seen.blocks for seen in recorder.seen}


REASONS = {
    "nothing is due": "SELECT CAST(:due AS text[])",
    "its time has come": "UPDATE health SET next_check_at = now() WHERE shop = ANY(:due)",
    "it lost its token": "UPDATE shops SET state = 'needs_auth' WHERE domain = ANY(:due)",
    "a run failed": """UPDATE feeds SET failing_because = 'why', last_attempt_at = now() + interval '1 hour'
                       WHERE shop = ANY(:due)""",
    "it is new": "DELETE FROM health WHERE shop = ANY(:due)",
    "runs are due": """WITH checked AS (UPDATE shops SET state = 'active', checked_state = 'active'),
                            cured AS (UPDATE feeds SET failing_because = NULL, next_run_at = now() - interval '1 second'
                                      WHERE shop = ANY(:due))
                       UPDATE health SET next_check_at = now() + interval '1 day'""",
}


def test_the_next_check_and_the_next_run_cost_the_same_among_forty_times_as_many_shops(crowds):
    few, many = (asked(engine) for engine in crowds)

    assert {key: (few[key], blocks) for key, blocks in many.items() if blocks > 2 * few[key] + 60} == {}
