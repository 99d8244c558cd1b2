"""When the world is in the way nothing is lost and nobody is to blame: what was taken waits, and is served later."""

import threading
import time

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from workers.turns import serve_shop, take_turn


def someone_waits_for_a_lock(floor):
    return floor.value(
        """SELECT count(*) FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'data-sync'"""
    )


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "55P03", "53300", "57P01"])
def test_what_may_pass_later_is_not_the_deliveries_fault(floor, sabotage, sqlstate):
    lift = sabotage("products", "NEW.id = 3", sqlstate)
    ids = floor.store(floor.body(n, 1) for n in range(1, 6))

    with pytest.raises(DBAPIError):
        take_turn(floor.workshop, "live", floor.shop)
    assert floor.outcomes() == {"waiting": 5}
    assert floor.value("SELECT count(*) FROM products") == 0
    lift()

    assert floor.turn() == dict.fromkeys(ids, "applied")


def test_a_deadlock_is_survived(floor, until):
    floor.store(floor.body(n, 1) for n in (1, 2))
    floor.turn()
    floor.store(floor.body(n, 2, title="New") for n in (1, 2))
    turn = threading.Thread(target=serve_shop, args=(floor.workshop, "live", floor.shop))

    with floor.db.begin() as rival:
        rival.execute(text("SELECT 1 FROM products WHERE id = 2 FOR UPDATE"))
        turn.start()
        until(lambda: someone_waits_for_a_lock(floor))
        rival.execute(text("SELECT 1 FROM products WHERE id = 1 FOR UPDATE"))
    turn.join()

    floor.serve(lanes=("live",))
    assert {floor.product(n).core.title for n in (1, 2)} == {"New"}
    assert floor.outcomes() == {"applied": 4, "waiting": 2}  # those who ask for metafields


def test_a_connection_that_is_cut_in_the_middle_of_a_turn_loses_nothing(floor, until):
    floor.store([floor.body(1, 1)])
    floor.turn()
    ids = floor.store([floor.body(1, 2, title="New")])
    raised = []

    def turn():
        try:
            take_turn(floor.workshop, "live", floor.shop)
        except DBAPIError as error:
            raised.append(error)

    thread = threading.Thread(target=turn)
    with floor.db.begin() as rival:
        rival.execute(text("SELECT 1 FROM products WHERE id = 1 FOR UPDATE"))
        thread.start()
        until(lambda: someone_waits_for_a_lock(floor))
        rival.execute(
            text(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE wait_event_type = 'Lock' AND datname = current_database()"""
            )
        )
        thread.join()

    assert [error.connection_invalidated for error in raised] == [True]
    assert floor.turn() == {ids[0]: "applied"}
    assert floor.product(1).core.title == "New"


def test_rows_that_somebody_else_decides_about_are_left_to_them(floor):
    mine, theirs = floor.store(floor.body(n, 1) for n in (1, 2))

    with floor.db.begin() as rival:
        rival.execute(text("SELECT 1 FROM deliveries WHERE webhook_id = :id FOR UPDATE"), {"id": theirs})
        assert floor.turn() == {mine: "applied"}

    assert floor.turn() == {theirs: "applied"}


def test_a_turn_that_breaks_off_puts_the_shop_back(floor, sabotage):
    sabotage("products", "true", "40001")
    floor.store([floor.body(1, 1)])

    before = time.time()
    serve_shop(floor.workshop, "live", floor.shop)

    [(shop, due)] = floor.workshop.bell.redis.zrange("mail:live", 0, -1, withscores=True)
    assert shop.decode() == floor.shop
    assert before + 1 < due < time.time() + 5


def test_one_shops_contention_does_not_make_the_worker_sleep(floor, sabotage):
    sabotage("products", "true", "55P03")
    floor.store([floor.body(1, 1)])

    before = time.monotonic()
    serve_shop(floor.workshop, "live", floor.shop)

    assert time.monotonic() - before < 1


def test_a_shop_whose_mail_somebody_else_holds_is_not_taken_again_at_once(floor):
    floor.store([floor.body(1, 1)])

    with floor.db.begin() as rival:
        rival.execute(text("SELECT 1 FROM deliveries FOR UPDATE"))
        serve_shop(floor.workshop, "live", floor.shop)

    [(_, due)] = floor.workshop.bell.redis.zrange("mail:live", 0, -1, withscores=True)
    assert due > time.time() + 1


def test_a_bug_outside_the_batches_parks_the_shop_for_a_while(floor):
    floor.execute("UPDATE shops SET token = 'sealed by a key that is lost' WHERE domain = :shop")
    floor.store([floor.body(1, 1)])

    serve_shop(floor.workshop, "live", floor.shop)

    [(_, due)] = floor.workshop.bell.redis.zrange("mail:live", 0, -1, withscores=True)
    assert due > time.time() + 20
    assert floor.outcomes() == {"waiting": 1}


def test_a_statement_that_one_row_makes_endless_costs_that_row_alone(floor, sabotage, database_url):
    from dataclasses import replace

    sabotage("products", "NEW.id = 3", None)
    ids = floor.store(floor.body(n, 1) for n in range(1, 5))
    hasty = create_engine(database_url, connect_args={"options": "-c statement_timeout=100"})

    verdicts = take_turn(replace(floor.workshop, db=hasty), "live", floor.shop)
    hasty.dispose()

    assert sorted(verdict.outcome.value for verdict in verdicts.values()) == ["applied"] * 3 + ["dead"]
    assert "57014" in floor.delivery(ids[2])["reason"]
