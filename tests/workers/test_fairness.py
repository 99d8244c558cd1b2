"""Whose turn it is: bounded turns, the shop longest due first, and nobody forgotten."""

import time

import pytest
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from workers import turns
from workers.starts import wake_for_what_is_due
from workers.sweep import sweep
from workers.timetable import DUTIES
from workers.workshop import workshop as own_workshop


@pytest.fixture
def process(surroundings, monkeypatch):
    """This test's process is a worker's: its environment is complete."""
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    own_workshop.cache_clear()
    yield own_workshop
    for lane in ("live", "bulk"):
        own_workshop(lane).db.dispose()
        own_workshop(lane).admin.close()
    own_workshop.cache_clear()


@pytest.fixture
def answer_the_bell(process, redis):
    """Runs RQ's jobs of a lane until none is queued; how many there were."""

    def work(lane="live"):
        queue = Queue(lane, connection=redis, serializer=JSONSerializer)
        jobs = queue.count
        SimpleWorker([queue], connection=redis, serializer=JSONSerializer).work(burst=True, logging_level="ERROR")
        return jobs

    return work


def closed_order(floor):
    rows = floor.rows("SELECT shop FROM deliveries WHERE state = 'closed' ORDER BY closed_at, id")
    return [row["shop"] for row in rows]


def test_a_webhook_rings_and_the_job_serves_it(floor, answer_the_bell, redis, until):
    floor.send("products/update", floor.body(1, 1), 1)
    until(lambda: redis.llen("rq:queue:live"))

    answer_the_bell()

    assert floor.outcomes()["applied"] == 1
    assert floor.product(1).core.title == "Mug"


def test_a_shop_with_one_delivery_does_not_wait_for_one_with_five_thousand(floor, other, answer_the_bell):
    bell = floor.workshop.bell
    floor.store(floor.body(n % 900 + 1, n) for n in range(5_000))
    bell.ring("live", {floor.shop: time.time()})
    other.store([other.body(1, 1)])
    bell.ring("live", {other.shop: time.time()})

    answer_the_bell()

    order = closed_order(floor)
    assert len(order) == 5_001
    assert order.index(other.shop) <= turns.MOST


def test_a_turn_in_bulk_ends_where_live_mail_may_find_a_gap(floor):
    floor.store(floor.body(n + 1, n) for n in range(turns.MOST_IN_BULK + 1))
    floor.execute("UPDATE deliveries SET lane = 'bulk'")

    assert len(turns.take_turn(floor.workshop, "bulk", floor.shop)) == turns.MOST_IN_BULK


def test_the_sweep_does_not_put_a_long_backlog_in_front_of_the_others(floor, other):
    floor.store([floor.body(1, 1)])
    floor.execute("UPDATE deliveries SET next_attempt_at = now() - interval '1 hour'")
    other.store([other.body(1, 1)])
    floor.workshop.bell.ring("live", {other.shop: time.time()})

    sweep(floor.workshop)

    assert floor.workshop.bell.take("live", "a").shop == other.shop


def test_of_two_shops_the_one_longest_due_is_next(floor, other):
    bell = floor.workshop.bell
    now = time.time()
    bell.ring("live", {floor.shop: now - 1, other.shop: now - 2})

    assert [bell.take("live", "a").shop for _ in range(2)] == [other.shop, floor.shop]
    assert bell.take("live", "a") is None


def test_a_shop_that_is_having_its_turn_is_not_taken_twice(floor):
    bell = floor.workshop.bell
    bell.ring("live", {floor.shop: time.time() - 1})
    turn = bell.take("live", "a")

    bell.ring("live", {floor.shop: time.time() - 1})
    assert bell.take("live", "b") is None
    bell.give_back("live", turn)

    assert bell.take("live", "b").shop == floor.shop


def test_a_lease_that_somebody_else_holds_by_now_is_not_taken_from_them(floor, redis):
    bell = floor.workshop.bell
    bell.ring("live", {floor.shop: time.time() - 1})
    slow = bell.take("live", "slow")
    redis.delete(f"turn:live:{floor.shop}")  # as its expiry would
    bell.ring("live", {floor.shop: time.time() - 1})
    bell.take("live", "quick")

    bell.give_back("live", slow)

    assert redis.get(f"turn:live:{floor.shop}") == b"quick"


def test_what_is_due_later_is_not_taken_before(floor):
    floor.workshop.bell.ring("live", {floor.shop: time.time() + 60})

    assert floor.workshop.bell.take("live", "a") is None
    assert not floor.workshop.bell.has_due_mail("live")


def test_an_earlier_due_time_stands(floor, redis):
    for seconds in (5, 60, 30):
        floor.workshop.bell.ring("live", {floor.shop: seconds})

    assert redis.zscore("mail:live", floor.shop) == 5


def test_mail_is_served_after_redis_was_wiped(floor, answer_the_bell, redis, until):
    floor.send("products/update", floor.body(1, 1), 1)
    until(lambda: redis.llen("rq:queue:live"))
    redis.flushall()
    assert answer_the_bell() == 0

    sweep(floor.workshop)
    answer_the_bell()

    assert floor.outcomes()["applied"] == 1


def test_the_sweep_knows_every_shop_with_mail_in_each_lane(floor, other, redis):
    floor.store([floor.body(1, 1)])
    floor.execute("UPDATE deliveries SET next_attempt_at = now() + interval '1 hour'")
    other.store([other.body(n, 1) for n in range(1, 40)])
    other.execute("UPDATE deliveries SET lane = 'bulk' WHERE shop = :shop")

    for _ in range(2):
        sweep(floor.workshop)

    [(live, later)] = redis.zrange("mail:live", 0, -1, withscores=True)
    [(bulk, due)] = redis.zrange("mail:bulk", 0, -1, withscores=True)
    assert (live.decode(), bulk.decode()) == (floor.shop, other.shop)
    assert later > time.time() + 3_000
    assert due <= time.time()
    assert (redis.llen("rq:queue:live"), redis.llen("rq:queue:bulk")) == (0, 1)


def test_new_products_ring_the_lane_that_asks_for_their_metafields(floor, answer_the_bell, until):
    floor.change("create_product", id=1, variants=[{"id": 10, "metafields": [{"key": "rrp", "value": "2.5"}]}])
    sweep(floor.workshop)

    answer_the_bell("live")
    until(lambda: floor.workshop.bell.has_due_mail("bulk"))
    wake_for_what_is_due(floor.workshop)
    answer_the_bell("bulk")

    assert floor.product(1).metafields.by_variant[10][0].value == "2.5"


def test_a_duty_is_claimed_once_however_many_clocks_there_are(floor):
    from adapters import duties

    claims = []
    for _ in range(3):
        with floor.db.begin() as db:
            claims.append(duties.claim(db, "sweep", 60))
    floor.execute("UPDATE duties SET due_at = now()")
    with floor.db.begin() as first:
        claims.append(duties.claim(first, "sweep", 60))
    with floor.db.begin() as second:
        claims.append(duties.claim(second, "sweep", 60))

    assert claims == [True, False, False, True, False]


def test_the_sweep_is_among_the_duties():
    assert {duty.name: duty.every for duty in DUTIES}["sweep"] <= 10
