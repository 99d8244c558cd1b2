"""Processes are killed, Redis is wiped, workers meet: nothing is lost, nothing is done twice."""

import signal
import threading
from collections import Counter

import pytest
from sqlalchemy import text

SHOP = "northwind-trade.myshopify.com"
SHOPS = [f"shop-{n}.myshopify.com" for n in range(20)]


def body(product_id, title="Mug"):
    variants = [{"id": product_id * 10, "sku": f"SKU-{product_id}"}]
    return {"id": product_id, "title": title, "handle": "mug", "status": "active", "variants": variants}


def a_worker_waits_for_the_row(journey):
    return journey.value(
        """SELECT count(*) FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'data-sync'"""
    )


@pytest.fixture
def in_the_middle_of_a_turn(journey, start, until):
    """A worker that has taken its delivery and cannot finish until the rival transaction ends: (worker, rival)."""
    journey.install(SHOP)
    journey.store(SHOP, [body(1)])
    journey.ring(SHOP)
    worker = start("workers", "live")
    until(lambda: not journey.waiting())
    with journey.db.connect() as connection, connection.begin() as rival:
        connection.execute(text("SELECT 1 FROM products WHERE id = 1 FOR UPDATE"))
        journey.store(SHOP, [body(1, "New")])
        journey.ring(SHOP)
        until(lambda: a_worker_waits_for_the_row(journey))
        yield worker, rival


def test_what_a_killed_worker_had_taken_is_served_by_another(in_the_middle_of_a_turn, journey, start, until, redis):
    worker, rival = in_the_middle_of_a_turn
    worker.kill()
    worker.wait()
    rival.rollback()
    lease = f"turn:live:{SHOP}"
    assert journey.waiting() == 1
    assert redis.exists(lease)

    redis.delete(lease)  # as its expiry would
    start("workers", "live")

    def served():
        journey.sweep()
        return not journey.waiting()

    assert until(served)
    assert journey.value("SELECT core ->> 'title' FROM products") == "New"
    assert journey.outcomes()["applied"] == 2


def test_a_worker_that_is_told_to_stop_finishes_its_turn(in_the_middle_of_a_turn, journey):
    worker, rival = in_the_middle_of_a_turn
    worker.send_signal(signal.SIGTERM)
    rival.rollback()

    assert worker.wait(20) == 0
    assert journey.value("SELECT core ->> 'title' FROM products") == "New"


def test_a_wiped_redis_loses_nothing(journey, start, until, redis, web):
    journey.install(SHOP)
    start("workers", "live")
    until(lambda: redis.smembers("rq:workers"))

    statuses = []
    for number in range(1, 61):
        statuses.append(journey.send(web, SHOP, "products/update", body(number))[0])
        if number % 20 == 0:
            redis.flushall()

    def served():
        journey.sweep()
        return not journey.waiting()

    assert set(statuses) == {200}
    assert until(served)
    assert journey.value("SELECT count(*) FROM products") == 60


@pytest.fixture
def closings(database):
    """Every closing of a delivery is written down; the function answers how often each was closed."""
    with database.begin() as db:
        db.execute(text("CREATE TABLE closings (delivery bigint)"))
        db.execute(
            text(
                """CREATE FUNCTION note_closing() RETURNS trigger LANGUAGE plpgsql AS $$
                   BEGIN INSERT INTO closings VALUES (NEW.id); RETURN NEW; END$$"""
            )
        )
        db.execute(
            text(
                """CREATE TRIGGER note_closing AFTER UPDATE ON deliveries FOR EACH ROW
                   WHEN (NEW.state = 'closed') EXECUTE FUNCTION note_closing()"""
            )
        )

    def told():
        with database.connect() as db:
            return Counter(db.execute(text("SELECT delivery FROM closings")).scalars())

    yield told
    with database.begin() as db:
        db.execute(text("DROP FUNCTION note_closing CASCADE"))
        db.execute(text("DROP TABLE closings"))


def test_two_workers_on_one_lane_close_every_delivery_once(journey, start, until, closings):
    journey.install(*SHOPS)
    for shop in SHOPS:
        journey.store(shop, [body(n % 30 + 1) for n in range(60)])
    workers = [start("workers", "live") for _ in range(2)]
    journey.sweep()

    until(lambda: not journey.waiting())

    times = closings()
    assert len(times) == 20 * 60
    assert set(times.values()) == {1}
    assert journey.value("SELECT count(*) FROM products") == 20 * 30
    assert [worker.poll() for worker in workers] == [None, None]


def test_two_turns_of_one_shop_at_once_close_every_delivery_once(journey, closings):
    """A lease that expired too early: both have the same mail before them."""
    from workers.turns import take_turn

    journey.install(SHOP)
    journey.store(SHOP, [body(n) for n in range(1, 201)])

    turns = [threading.Thread(target=take_turn, args=(journey.workshop, "live", SHOP)) for _ in range(2)]
    for turn in turns:
        turn.start()
    for turn in turns:
        turn.join()
    while journey.waiting():
        take_turn(journey.workshop, "live", SHOP)

    times = closings()
    assert len(times) == 200
    assert set(times.values()) == {1}
