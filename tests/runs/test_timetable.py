"""When runs start: every shop in its rhythm, each run once, whatever the clocks do."""

import threading
from datetime import timedelta

import pytest

from adapters import runs
from workers.starts import start_due_runs

EVERY, COMPLETE_EVERY = 600, 3_600


@pytest.fixture
def plan(database):
    """plan(shops, **columns of feeds as SQL) → so many shops whose first import is done; their products feed alone."""

    def make(shops, **columns):
        from sqlalchemy import text

        told = {"next_run_at": "now()", "next_complete_at": "now() + interval '1 hour'", "last_complete_at": "now()"}
        told |= columns
        with database.begin() as db:
            db.execute(
                text("""INSERT INTO shops (domain, state, token)
                        SELECT 'shop-' || n || '.myshopify.com', 'active', 'x' FROM generate_series(1, :n) AS n"""),
                {"n": shops},
            )
            db.execute(
                text(f"""INSERT INTO feeds (shop, feed, {", ".join(told)})
                         SELECT domain, 'products', {", ".join(told.values())} FROM shops""")
            )

    return make


@pytest.fixture
def take(database):
    def make(most=100):
        with database.begin() as db:
            return runs.take_due(db, EVERY, COMPLETE_EVERY, most)

    return make


@pytest.fixture
def ask(database):
    def make(statement):
        from sqlalchemy import text

        with database.begin() as db:
            answer = db.execute(text(statement))
            return [tuple(row) for row in answer] if answer.returns_rows else None

    return make


def next_times(ask):
    return [moment for (moment,) in ask("SELECT next_run_at FROM feeds ORDER BY shop")]


def test_a_thousand_shops_that_an_outage_made_late_do_not_start_together_ever_after(plan, take, ask):
    plan(1_000, next_run_at="now() - interval '2 hours'")

    while take():
        pass

    times = next_times(ask)
    per_minute = [sum(min(times) + timedelta(minutes=n) <= t < min(times) + timedelta(minutes=n + 1) for t in times)
                  for n in range(10)]  # fmt: skip
    assert max(times) - min(times) > timedelta(seconds=EVERY * 0.9)
    assert len(set(times)) > 500
    assert max(per_minute) < 180  # a hundred would be perfect


def test_a_feed_keeps_its_rhythm_however_late_the_clock_looks(plan, take, ask):
    plan(1, next_run_at="date_trunc('second', now()) - interval '7 seconds'")
    (before,) = next_times(ask)

    take()

    assert next_times(ask) == [before + timedelta(seconds=EVERY)]


def test_a_clock_that_was_down_for_an_hour_starts_one_run_not_six(plan, take):
    plan(3, next_run_at="now() - interval '1 hour'")

    assert [len(take()), len(take())] == [3, 0]


def test_nobody_waits_longer_than_one_interval_after_an_outage(plan, take, ask):
    plan(200, next_run_at="now() - interval '1 day'")

    while take():
        pass

    assert ask("SELECT count(*) FROM feeds WHERE next_run_at > now() + interval '600 seconds'") == [(0,)]


def test_whoever_is_due_longest_is_first(plan, take, ask):
    plan(5)
    ask(
        "UPDATE feeds SET next_run_at = now() - split_part(split_part(shop, '.', 1), '-', 2)::int * interval '1 second'"
    )

    assert {feed["shop"] for feed in take(most=2)} == {"shop-5.myshopify.com", "shop-4.myshopify.com"}


@pytest.mark.parametrize(
    ("columns", "complete", "first"),
    [
        ({}, False, False),
        ({"next_complete_at": "now() - interval '1 second'"}, True, False),
        ({"last_complete_at": "NULL"}, True, True),
    ],
    ids=["an ordinary one", "the complete one is due", "never imported"],
)
def test_which_run_is_due(plan, take, columns, complete, first):
    plan(1, **columns)

    (feed,) = take()

    assert (feed["complete"], feed["first"]) == (complete, first)


def test_after_a_complete_run_the_next_one_is_a_whole_interval_away(plan, take, ask):
    plan(1, next_complete_at="now() - interval '1 day'")

    take()

    assert ask("SELECT round(extract(epoch FROM next_complete_at - now())) FROM feeds") == [(COMPLETE_EVERY,)]


@pytest.mark.parametrize("state", ["needs_auth", "uninstalled"])
def test_a_shop_that_lets_nobody_in_is_not_asked(plan, take, ask, state):
    plan(1)
    ask(f"UPDATE shops SET state = '{state}'")

    assert take() == []


def test_a_run_that_is_going_is_not_doubled_and_the_next_is_not_lost(plan, take, ask, database):
    plan(1, next_complete_at="now() - interval '1 second'")
    with database.begin() as db:
        going, _ = runs.start(db, "shop-1.myshopify.com", "products", "schedule", complete=False)
    assert take() == []

    with database.begin() as db:
        runs.finish(db, going, None, None)

    assert [feed["complete"] for feed in take()] == [True]


def test_two_clocks_at_once_start_each_run_once(open_shop, plan, database):
    scene = open_shop(products=0, customers=0)
    scene.execute("DELETE FROM feeds")
    scene.execute("DELETE FROM shops")
    plan(60)
    threads = [threading.Thread(target=start_due_runs, args=(scene.workshop,)) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    start_due_runs(scene.workshop)

    assert scene.value("SELECT count(*) FROM runs") == 60
    assert scene.value("SELECT count(DISTINCT shop) FROM runs") == 60


def test_starting_runs_wakes_a_bulk_worker_and_only_then(open_shop):
    scene = open_shop(products=0, customers=0)

    start_due_runs(scene.workshop)
    assert scene.workshop.bell.state()["bulk"]["jobs"] == 1

    scene.workshop.bell.redis.flushall()
    start_due_runs(scene.workshop)
    assert scene.workshop.bell.state()["bulk"]["jobs"] == 0


def test_a_run_whose_worker_died_wakes_another_when_its_lease_is_over(open_shop):
    from workers.starts import wake_for_what_is_due

    scene = open_shop(products=0, customers=0)
    start_due_runs(scene.workshop)
    with scene.db.begin() as db:
        assert {runs.claim(db).feed, runs.claim(db).feed} == {"products", "customers"}
    scene.workshop.bell.redis.flushall()

    wake_for_what_is_due(scene.workshop)
    assert scene.workshop.bell.state()["bulk"]["jobs"] == 0

    scene.execute("UPDATE runs SET leased_until = now() - interval '1 second'")
    wake_for_what_is_due(scene.workshop)
    assert scene.workshop.bell.state()["bulk"]["jobs"] == 1
