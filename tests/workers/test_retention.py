"""What has been kept long enough goes, within its hour and some rows at a time; nothing else does."""

import threading

import pytest
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import text

from domain import retention
from domain.retention import SWEPT
from workers import turns
from workers.retention import SWEEP_JOB, sweep, wake_for_retention

SHOP = "northwind-trade.myshopify.com"


@pytest.fixture
def ask(workshop):
    """ask(statement, **values) → its rows, if it has any."""

    def execute(statement, **values):
        with workshop.db.begin() as db:
            answer = db.execute(text(statement), values)
            return [tuple(row) for row in answer] if answer.returns_rows else None

    execute("INSERT INTO shops (domain, state) VALUES (:shop, 'active')", shop=SHOP)
    return execute


CLOSED = """INSERT INTO deliveries (shop, webhook_id, topic, feed, resource_id, source, lane, state, outcome,
                                    triggered_at, closed_at)
            VALUES (:shop, :name, 'products/update', 'products', :id, 'webhook', 'live', 'closed', :outcome, now(),
                    now() - make_interval(days => :days))"""


@pytest.fixture
def closed(ask):
    """closed(name, days ago, outcome, resource): a delivery that was decided then."""

    def make(name, days, outcome="applied", resource=1):
        ask(CLOSED, shop=SHOP, name=name, id=resource, outcome=outcome, days=days)

    return make


# By class: a row of `:days` ago, and its table.
ROWS = {
    "deliveries": ("deliveries", CLOSED.replace(":outcome", "'applied'").replace(":id", "1")),
    "dead deliveries": ("deliveries", CLOSED.replace(":outcome", "'dead'").replace(":id", "1")),
    "runs": (
        "runs",
        """INSERT INTO runs (shop, feed, trigger, complete, state, finished_at)
           VALUES (:shop, 'products', 'schedule', false, 'finished', now() - make_interval(days => :days))""",
    ),
    "gaps": (
        "gaps",
        """INSERT INTO gaps (shop, feed, resource_id, cause, run, repaired_at)
           VALUES (:shop, 'products', 1, 'late', 1, now() - make_interval(days => :days))""",
    ),
    "activity": (
        "activity",
        """INSERT INTO activity (shop, feed, hour)
           VALUES (:shop, 'customers', now() - make_interval(days => :days))""",
    ),
    "resolved issues": (
        "issues",
        """INSERT INTO issues (shop, feed, resource_id, code, path, scope, severity, resolved_at)
           VALUES (:shop, 'products', :days, 'TITLE', 'title', 'record', 'error',
                   now() - make_interval(days => :days))""",
    ),
    "failures": (
        "failures",
        """INSERT INTO failures (fingerprint, topic, sentence, last_seen)
           VALUES (:name, 'products/update', 'It broke.', now() - make_interval(days => :days))""",
    ),
    "notices": (
        "notices",
        """INSERT INTO notices (shop, channel, told, state, made_at)
           VALUES (:shop, 'mail', '{}', 'sent', now() - make_interval(days => :days))""",
    ),
    "replays": (
        "replays",
        """INSERT INTO replays (key, name, who, why, chosen, refreshed, state, upto, place, total, started_at)
           VALUES (:name, 'n', 'w', 'y', '{}', false, 'finished', 1, 1, 1, now() - make_interval(days => :days))""",
    ),
    "audit": (
        "audit",
        "INSERT INTO audit (who, act, at) VALUES ('ada', 'looked', now() - make_interval(days => :days))",
    ),
    "not eligible": (
        "customers",
        """INSERT INTO customers (shop, id, state, since, at, seen)
           VALUES (:shop, :days, 'not_eligible', '2020-01-01', '2020-01-01', now() - make_interval(days => :days))""",
    ),
    "removed customers": (
        "customers",
        """INSERT INTO customers (shop, id, state, since, at, seen)
           VALUES (:shop, :days, 'removed', '2020-01-01', '2020-01-01', now() - make_interval(days => :days))""",
    ),
    "removed products": (
        "products",
        """INSERT INTO products (shop, id, core_at, core_seen, removed_at)
           VALUES (:shop, :days, '2020-01-01', '2020-01-01', now() - make_interval(days => :days))""",
    ),
}


@pytest.mark.parametrize("kept", SWEPT, ids=lambda kept: kept.name)
def test_of_each_class_goes_what_is_older_and_stays_what_is_younger(workshop, ask, kept):
    table, row = ROWS[kept.name]
    for name, days in (("old", kept.days + 1), ("young", kept.days - 1)):
        known = {"shop": SHOP, "name": name, "days": days}
        ask(row, **{word: value for word, value in known.items() if f":{word}" in row})

    assert sweep(workshop) is True

    assert ask(f"SELECT count(*) FROM {table}") == [(1,)]
    assert ask("SELECT removed FROM swept WHERE class = :class", **{"class": kept.name}) == [(1,)]


def test_a_second_sweep_finds_nothing_left(workshop, closed, ask):
    closed("old", 31)
    closed("young", 29)
    sweep(workshop)

    sweep(workshop)

    assert ask("SELECT webhook_id FROM deliveries") == [("young",)]
    assert ask("SELECT removed FROM swept WHERE class = 'deliveries'") == [(1,)]


def test_what_waits_stays_however_old_it_is_and_so_do_the_dead_of_two_months(workshop, closed, ask):
    closed("dead", 60, "dead")
    closed("reopened", 60)
    ask("""UPDATE deliveries SET state = 'waiting', outcome = NULL, closed_at = NULL, received_at = '2020-01-01'
           WHERE webhook_id = 'reopened'""")

    sweep(workshop)

    assert ask("SELECT webhook_id FROM deliveries ORDER BY id") == [("dead",), ("reopened",)]


def test_attempts_go_with_their_delivery(workshop, closed, ask):
    closed("old", 31)
    closed("young", 29)
    ask("INSERT INTO attempts (delivery, sentence) SELECT id, 'It broke.' FROM deliveries")

    sweep(workshop)

    assert ask("SELECT count(*) FROM attempts") == [(1,)]


@pytest.mark.parametrize("kind", ["removed products", "removed customers"])
def test_a_tombstone_stays_while_any_delivery_about_its_record_could_be_replayed(workshop, closed, ask, kind):
    """Or an update from before the removal would bring the record back."""
    table, row = ROWS[kind]
    ask(row, shop=SHOP, days=400)
    closed("old news", 1, "dead", resource=400)

    sweep(workshop)
    assert ask(f"SELECT count(*) FROM {table}") == [(1,)]

    ask("DELETE FROM deliveries")
    ask("UPDATE swept SET walked_at = now() - interval '25 hours'")
    sweep(workshop)
    assert ask(f"SELECT count(*) FROM {table}") == [(0,)]


def test_who_was_redacted_is_remembered_for_good(workshop, ask):
    ask(ROWS["removed customers"][1], shop=SHOP, days=4_000)
    ask("UPDATE customers SET redacted = true")

    sweep(workshop)

    assert ask("SELECT count(*) FROM customers") == [(1,)]


def test_members_and_products_that_live_stay_however_long_nothing_was_heard_of_them(workshop, ask):
    ask(ROWS["removed customers"][1], shop=SHOP, days=4_000)
    ask("UPDATE customers SET state = 'member'")
    ask(ROWS["removed products"][1], shop=SHOP, days=4_000)
    ask("UPDATE products SET removed_at = NULL")

    sweep(workshop)

    assert ask("SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM products)") == [(1, 1)]


def test_a_feeds_latest_run_of_each_ending_stays_and_a_held_one_that_is_the_latest(workshop, ask):
    for state in ("finished", "finished", "failed", "held"):
        ask(
            """INSERT INTO runs (shop, feed, trigger, complete, state, finished_at)
               VALUES (:shop, 'products', 'schedule', false, :state, now() - interval '1 year')""",
            shop=SHOP,
            state=state,
        )

    sweep(workshop)

    assert ask("SELECT state FROM runs ORDER BY id") == [("finished",), ("failed",), ("held",)]


def test_of_an_erased_shop_not_even_the_latest_run_stays(workshop, ask):
    ask(ROWS["runs"][1], shop="contoso-outdoor.myshopify.com", days=91)

    sweep(workshop)

    assert ask("SELECT count(*) FROM runs") == [(0,)]


def test_a_failure_stays_while_one_of_its_deliveries_does(workshop, closed, ask):
    ask(ROWS["failures"][1], name="f", days=400)
    closed("dead", 1, "dead")
    ask("UPDATE deliveries SET fingerprint = 'f'")

    sweep(workshop)

    assert ask("SELECT count(*) FROM failures") == [(1,)]


def test_a_row_that_somebody_holds_is_passed_over_without_waiting(workshop, closed, ask):
    closed("held", 31)
    closed("free", 31)

    with workshop.db.begin() as somebody:
        somebody.execute(text("SELECT 1 FROM deliveries WHERE webhook_id = 'held' FOR UPDATE"))
        sweep(workshop)
        left = ask("SELECT webhook_id FROM deliveries")
    sweep(workshop)

    assert left == [("held",)]
    assert ask("SELECT webhook_id FROM deliveries") == []


def test_a_long_line_goes_in_batches_and_says_that_there_is_more(workshop, closed, ask):
    for n in range(7):
        closed(f"old-{n}", 40)

    assert sweep(workshop, batch=2, slices=2) is False
    assert ask("SELECT count(*) FROM deliveries") == [(3,)]

    assert sweep(workshop, batch=2, slices=2) is True
    assert ask("SELECT count(*) FROM deliveries") == [(0,)]


def test_with_no_time_left_each_class_still_gets_one_batch(workshop, closed, ask):
    for n in range(3):
        closed(f"old-{n}", 40)
    ask(ROWS["gaps"][1], shop=SHOP, days=100)

    assert sweep(workshop, there_is_time=lambda: False, batch=2) is False

    assert ask("SELECT (SELECT count(*) FROM deliveries), (SELECT count(*) FROM gaps)") == [(1, 0)]


def test_the_walk_through_absent_customers_goes_on_where_it_was_broken_off(workshop, ask):
    """Among many who are young, the old one at the end is reached."""
    ask(
        """INSERT INTO customers (shop, id, state, since, at, seen)
           SELECT :shop, n, 'not_eligible', now(), now(), CASE WHEN n = 9 THEN '2020-01-01' ELSE now() END
           FROM generate_series(1, 9) AS n""",
        shop=SHOP,
    )

    rounds = 1
    while not sweep(workshop, batch=2, slices=1):
        rounds += 1

    assert rounds == 5
    assert ask("SELECT max(id) FROM customers") == [(8,)]


def test_two_sweeps_at_once_count_each_row_once(workshop, closed, ask):
    for n in range(40):
        closed(f"old-{n}", 40)
    threads = [threading.Thread(target=sweep, args=(workshop,), kwargs={"batch": 3}) for _ in range(2)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sweep(workshop)

    assert ask("SELECT count(*) FROM deliveries") == [(0,)]
    assert ask("SELECT removed FROM swept WHERE class = 'deliveries'") == [(40,)]


def test_whoever_is_told_to_stop_begins_no_further_class(workshop, closed, ask):
    closed("old", 40)
    turns.stopping.set()
    try:
        assert sweep(workshop) is False
    finally:
        turns.stopping.clear()

    assert ask("SELECT count(*) FROM deliveries") == [(1,)]


def test_the_clock_asks_for_one_job_however_often_it_asks(workshop):
    wake_for_retention(workshop)
    wake_for_retention(workshop)

    queue = Queue("bulk", connection=workshop.bell.redis, serializer=JSONSerializer)
    assert [job.func_name for job in queue.get_jobs()] == [SWEEP_JOB]


INDEXES = {
    "deliveries": "deliveries_closed",
    "dead deliveries": "deliveries_",
    "runs": "runs_ended",
    "gaps": "gaps_by_time",
    "activity": "activity_pkey",
    "resolved issues": "issues_resolved",
    "removed products": "products_gone",
}


@pytest.mark.parametrize("name", INDEXES)
def test_what_is_old_is_found_by_an_index(workshop, ask, name):
    """Of a small table the planner would rather read all; tests/scale asks it about large ones."""
    from adapters.retention import _OLD

    rows = _OLD[name].rows.format(lock="FOR UPDATE SKIP LOCKED")
    with workshop.db.begin() as db:
        for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin"):
            db.execute(text(f"SET LOCAL enable_{way} = off"))
        plan = db.execute(text(f"EXPLAIN {rows}"), {"before": "2026-01-01", "most": 5_000})
        told = "\n".join(row[0] for row in plan)

    assert INDEXES[name] in told
    table = _OLD[name].table
    assert f"Seq Scan on {table}" not in told


def test_a_customer_who_does_not_belong_is_seen_again_without_touching_any_index(workshop, ask):
    """The commonest webhook of all: an index on `seen` would cost each of them an entry in every index."""
    indexed = ask(
        """SELECT DISTINCT attname FROM pg_index JOIN pg_attribute ON attrelid = indexrelid
           WHERE indrelid = 'customers'::regclass"""
    )

    assert not {"seen", "at", "reason", "applied_at"} & {name for (name,) in indexed}


def test_the_sweep_is_on_the_timetable_once_an_hour():
    from workers.timetable import DUTIES

    assert [duty.every for duty in DUTIES if duty.do is wake_for_retention] == [3_600.0]


def test_every_class_that_is_swept_was_tried_here():
    assert set(ROWS) == {kept.name for kept in SWEPT}
    assert retention.DELIVERIES in SWEPT
