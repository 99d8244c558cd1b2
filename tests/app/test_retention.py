"""`flask retention`: what is kept for how long, told from the one page that the sweep goes by."""

import json

import pytest
from sqlalchemy import text

from domain.retention import ALL, SWEPT

FINE, FINDINGS = 0, 1


@pytest.fixture
def told(build, database, redis):
    """told() → (exit status, {class: what is said of it})."""

    def ask():
        app = build()
        with app.app_context():
            done = app.test_cli_runner().invoke(args=["retention", "--json"])
        return done.exit_code, {one["class"]: one for one in json.loads(done.stdout)["classes"]}

    return ask


@pytest.fixture
def old_gap(database):
    with database.begin() as db:
        db.execute(
            text("""INSERT INTO gaps (shop, feed, resource_id, cause, run, repaired_at)
                    VALUES ('northwind-trade.myshopify.com', 'products', 1, 'late', 1, now() - interval '100 days')""")
        )


def test_every_class_is_told_with_its_time(told):
    status, classes = told()

    assert status == FINE
    assert {name: one["kept"] for name, one in classes.items()} == {kept.name: kept.in_words for kept in ALL}
    assert {name for name, one in classes.items() if one["older"] == 0} == {kept.name for kept in SWEPT}
    assert classes["receipts"]["older"] is None


def test_what_is_older_than_that_and_nobody_looked_at_is_a_finding(told, old_gap):
    status, classes = told()

    assert (status, classes["gaps"]["older"]) == (FINDINGS, 1)


def test_what_is_older_since_less_than_the_hour_is_none(told, old_gap, database):
    with database.begin() as db:
        db.execute(text("INSERT INTO swept (class, removed) VALUES ('gaps', 7)"))

    status, classes = told()

    assert (status, classes["gaps"]["older"], classes["gaps"]["deleted"]) == (FINE, 1, 7)


def test_a_person_reads_a_table(build, database, redis):
    app = build()
    with app.app_context():
        lines = app.test_cli_runner().invoke(args=["retention"]).stdout.splitlines()

    assert len(lines) == len(ALL) + 1
    assert any("deliveries" in line and "30 days" in line for line in lines)
