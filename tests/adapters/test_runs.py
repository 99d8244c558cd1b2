"""Runs and feeds in Postgres: one at a time, leased, and nothing counted twice."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from adapters import runs
from adapters.runs import Progress

SHOP = "northwind-trade.myshopify.com"


@pytest.fixture
def shop(database):
    with database.begin() as db:
        db.execute(text("INSERT INTO shops (domain, state, token) VALUES (:shop, 'active', 'x')"), {"shop": SHOP})
        runs.open_feeds(db, SHOP)
    return SHOP


@pytest.fixture
def ask(database, shop):
    """ask(function, …) → what it answers in a transaction of its own."""

    def call(function, *arguments, **more):
        with database.begin() as db:
            return function(db, *arguments, **more)

    return call


@pytest.fixture
def start(ask):
    def make(feed="products", *, complete=True):
        return ask(runs.start, SHOP, feed, "schedule", complete=complete)[0]

    return make


def test_of_many_starts_at_once_one_is_new_and_all_name_it(database, shop):
    found = []

    def start():
        with database.begin() as db:
            found.append(runs.start(db, SHOP, "products", "refresh", complete=True))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({run.id for run, _ in found}) == 1
    assert sorted(is_new for _, is_new in found) == [False] * 7 + [True]


def test_the_database_itself_refuses_a_second_run(start, database):
    start()

    with pytest.raises(IntegrityError), database.begin() as db:
        db.execute(text("INSERT INTO runs (shop, feed, trigger, complete) SELECT shop, feed, trigger, true FROM runs"))


def test_a_claimed_run_is_nobody_elses_until_its_lease_is_over(start, ask):
    run = start()

    assert ask(runs.claim).id == run.id
    assert (ask(runs.claim), ask(runs.is_due)) == (None, False)

    ask(lambda db: db.execute(text("UPDATE runs SET leased_until = now() - interval '1 second'")))
    assert ask(runs.is_due)
    assert ask(runs.claim).id == run.id


def test_the_run_that_has_been_due_longest_is_claimed_first(start, ask):
    start("products")
    late = start("customers")
    ask(
        lambda db: db.execute(text("UPDATE runs SET next_step_at = now() - interval '1 hour' WHERE feed = 'customers'"))
    )

    assert ask(runs.claim).id == late.id


def test_a_step_adds_up_keeps_its_place_and_gives_the_lease_back(start, ask):
    run = start()
    ask(runs.claim)

    ask(runs.advance, run, {"phase": "page"}, Progress(seen=5, created=2, changed=1, unchanged=2))
    ask(runs.advance, run, {"phase": "page", "after": "x"}, Progress(seen=3, removed=1, rejected=1), expected=9)

    row = ask(runs.find, run.id)
    counters = ("seen", "created", "changed", "unchanged", "removed", "rejected", "expected")
    assert [row[name] for name in counters] == [8, 2, 1, 2, 1, 1, 9]
    assert (row["place"], row["leased_until"]) == ({"phase": "page", "after": "x"}, None)


def test_a_stumble_counts_and_a_step_that_succeeds_forgives(start, ask):
    run = start()
    for counts in (True, False, True):
        ask(runs.stumble, run, 0, "did not answer", counts=counts)
    assert ask(runs.find, run.id)["attempts"] == 2

    ask(runs.advance, run, {}, Progress())

    assert ask(runs.find, run.id)["attempts"] == 0


def test_what_has_ended_is_moved_by_nobody(start, ask):
    run = start()
    ask(runs.finish, run, None, 3)

    ask(runs.advance, run, {"phase": "page"}, Progress(seen=5))
    ask(runs.stumble, run, 0, "too late", counts=True)
    ask(runs.fail, run, "too late")
    ask(runs.finish, run, datetime.now(UTC), 99)

    row = ask(runs.find, run.id)
    assert (row["state"], row["reason"], row["seen"], row["place"]) == ("finished", None, 0, {})
    feed = ask(runs.feed, SHOP, "products")
    assert (feed["expected"], feed["failing_because"], feed["watermark"]) == (3, None, None)


def test_what_was_seen_is_counted_once(start, ask):
    run = start()

    assert ask(runs.note_seen, run, [3, 1, 2, 3]) == 3
    assert ask(runs.note_seen, run, [2, 3, 4]) == 1
    assert ask(runs.note_seen, run, []) == 0


@pytest.mark.parametrize("ending", ["finished", "failed"])
def test_a_run_that_has_ended_leaves_no_list_behind(start, ask, ending):
    run = start()
    ask(runs.note_seen, run, [1, 2, 3])

    ask(runs.finish, run, None, None) if ending == "finished" else ask(runs.fail, run, "broken")

    assert ask(lambda db: db.execute(text("SELECT count(*) FROM run_seen")).scalar_one()) == 0


def test_a_watermark_never_goes_back(start, ask):
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    ask(runs.finish, start(), noon, None)

    ask(runs.finish, start(), noon - timedelta(hours=1), None)
    assert ask(runs.feed, SHOP, "products")["watermark"] == noon

    ask(runs.finish, start(), None, None)
    assert ask(runs.feed, SHOP, "products")["watermark"] == noon


def test_an_incremental_run_moves_the_last_import_and_not_the_last_complete_one(start, ask):
    ask(runs.finish, start(complete=True), None, 3)
    before = ask(runs.feed, SHOP, "products")

    ask(runs.finish, start(complete=False), None, None)

    after = ask(runs.feed, SHOP, "products")
    assert after["last_import_at"] > before["last_import_at"]
    assert [after[name] for name in ("last_complete_at", "expected", "checked")] == [
        before[name] for name in ("last_complete_at", "expected", "checked")
    ]


def test_a_held_run_is_not_confirmed_while_another_of_its_feed_is_going(start, ask):
    held = start()
    ask(runs.fail, held, "too many", held=True)
    going = start()

    assert ask(runs.confirm, held.id) is None
    ask(runs.finish, going, None, None)
    assert ask(runs.confirm, held.id).place == {"confirmed": True}
    assert ask(runs.find, held.id)["state"] == "running"


def test_opening_known_feeds_again_makes_both_due_and_forgets_nothing(start, ask):
    ask(runs.finish, start(), None, 3)
    ask(lambda db: db.execute(text("UPDATE feeds SET next_run_at = now() + interval '1 day'")))

    ask(runs.open_feeds, SHOP)

    due = ask(runs.take_due, 600, 3_600)
    assert {(feed["feed"], feed["complete"], feed["first"]) for feed in due} == {
        ("products", True, False),
        ("customers", True, True),
    }
    assert ask(runs.feed, SHOP, "products")["expected"] == 3
