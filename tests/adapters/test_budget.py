import threading

import pytest
import redis as redis_client
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.budget import QUERY_CAP, REDIS_REST, Budget
from devstore.servers import Valkey

NEVER = Retry(NoBackoff(), 0)
SHOP, NEIGHBOUR = "one.myshopify.com", "two.myshopify.com"


def status(available, maximum=2_000, rate=1):
    return {"currentlyAvailable": available, "maximumAvailable": maximum, "restoreRate": rate}


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def without_redis():
    """A client of nobody: port 1 refuses."""
    return redis_client.Redis(port=1, socket_connect_timeout=0.2, retry=NEVER)


def test_a_shop_nobody_heard_from_may_be_asked(budget):
    assert budget.reserve(SHOP, 900) == 0
    assert budget.ceiling(SHOP) == QUERY_CAP


def test_points_are_taken_until_they_run_out_and_then_the_wait_is_told(budget):
    budget.report(SHOP, status(1_000, rate=10))

    assert budget.reserve(SHOP, 700) == 0
    assert budget.reserve(SHOP, 700) == pytest.approx(40, abs=1)


def test_what_was_refused_is_not_taken(budget):
    budget.report(SHOP, status(500))
    budget.reserve(SHOP, 900)

    assert budget.reserve(SHOP, 499) == 0


def test_two_processes_share_one_budget(redis_url, redis):
    with redis_client.Redis.from_url(redis_url) as other_connection:
        one, other = Budget(redis), Budget(other_connection)
        one.report(SHOP, status(1_000, maximum=1_000))

        assert one.reserve(SHOP, 700) == 0
        assert other.reserve(SHOP, 700) > 300
        assert other.ceiling(SHOP) == 1_000


def test_many_at_once_never_take_more_than_there_is(redis_url, redis):
    Budget(redis).report(SHOP, status(1_000, rate=0.001))
    granted = []

    def take():
        with redis_client.Redis.from_url(redis_url) as connection:
            budget = Budget(connection)
            granted.extend(budget.reserve(SHOP, 100) == 0 for _ in range(10))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert granted.count(True) == 10
    assert granted.count(False) == 30


def test_shops_do_not_share(budget):
    budget.report(SHOP, status(0))

    assert budget.reserve(SHOP, 100) > 0
    assert budget.reserve(NEIGHBOUR, 100) == 0


def test_an_answer_gives_back_what_the_query_did_not_use(budget):
    budget.report(SHOP, status(1_000))
    budget.reserve(SHOP, 1_000)

    budget.report(SHOP, status(990))

    assert budget.reserve(SHOP, 980) == 0


def test_a_small_bucket_lowers_the_ceiling_and_a_large_one_does_not_raise_it(budget):
    budget.report(SHOP, status(60, maximum=60))
    budget.report(NEIGHBOUR, status(20_000, maximum=20_000))

    assert budget.ceiling(SHOP) == 60
    assert budget.ceiling(NEIGHBOUR) == QUERY_CAP


def test_a_cost_over_the_whole_bucket_waits_for_a_full_one(budget):
    budget.report(SHOP, status(0, maximum=50))

    assert budget.reserve(SHOP, 900) == pytest.approx(50, abs=1)


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"currentlyAvailable": None, "maximumAvailable": 1, "restoreRate": 1},
        status("many"),
        status(1, rate=0),
        status(1, maximum=0),
        status(float("nan")),
        status(1, maximum=float("inf")),
    ],
)
def test_a_report_that_makes_no_sense_changes_nothing(budget, nonsense):
    budget.report(SHOP, status(10))

    budget.report(SHOP, nonsense)

    assert budget.reserve(SHOP, 11) == pytest.approx(1, abs=0.5)


def test_without_redis_a_process_goes_by_what_it_saw_itself(without_redis):
    clock = Clock()
    budget = Budget(without_redis, clock)
    assert budget.reserve(SHOP, 500) == 0

    budget.report(SHOP, status(600, maximum=600, rate=50))

    assert budget.ceiling(SHOP) == 600
    assert budget.reserve(SHOP, 500) == 0
    assert budget.reserve(SHOP, 500) == 8
    clock.now += 8
    assert budget.reserve(SHOP, 500) == 0


def test_a_redis_that_failed_is_left_alone_for_a_while(without_redis):
    tries = []
    without_redis.hget = lambda *_: tries.append(1) or without_redis.ping()
    clock = Clock()
    budget = Budget(without_redis, clock)

    budget.ceiling(SHOP)
    budget.ceiling(SHOP)
    assert len(tries) == 1

    clock.now += REDIS_REST
    budget.ceiling(SHOP)
    assert len(tries) == 2


def test_a_redis_that_dies_and_comes_back_empty_is_survived(server_folder):
    clock = Clock()
    with Valkey(server_folder / "valkey") as server, redis_client.Redis.from_url(server.url, retry=NEVER) as connection:
        budget = Budget(connection, clock)
        budget.report(SHOP, status(1_000))
        server.kill()
        assert budget.reserve(SHOP, 900) == 0
        assert budget.reserve(SHOP, 900) == 800

        server.start()
        clock.now += REDIS_REST
        budget.report(SHOP, status(10))

        assert Budget(connection).reserve(SHOP, 11) > 0


@pytest.mark.parametrize("shared", [True, False])
def test_bulk_work_leaves_a_share_of_the_bucket_to_live_mail(redis, without_redis, shared):
    client = redis if shared else without_redis
    live, bulk = Budget(client), Budget(client, leave=0.25)
    for budget in (live, bulk):
        budget.report(SHOP, status(600, rate=100))

    assert bulk.reserve(SHOP, 200) == pytest.approx(1.0, abs=0.2)
    assert live.reserve(SHOP, 200) == 0


def test_a_bucket_too_small_to_leave_anything_still_serves_bulk_work(redis):
    bulk = Budget(redis, leave=0.25)
    bulk.report(SHOP, status(60, maximum=60))

    assert bulk.reserve(SHOP, 60) == 0
