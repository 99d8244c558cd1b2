"""The bell: who has mail, longest due first, one worker a shop; and what a wiped Redis costs."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis as redis_client

from adapters import bell
from adapters.bell import Bell
from devstore.servers import free_port

A, B, C = (f"{name}.myshopify.com" for name in ("alpha", "bravo", "charlie"))


@pytest.fixture
def ringing(redis):
    return Bell(redis)


def ago(seconds):
    return time.time() - seconds


def jobs(redis, lane="live"):
    return redis.llen(f"rq:queue:{lane}")


def test_the_shop_longest_due_is_next(ringing):
    ringing.ring("live", {A: ago(1), B: ago(30), C: ago(5)})

    assert [ringing.take("live", "me").shop for _ in range(3)] == [B, C, A]
    assert ringing.take("live", "me") is None


def test_a_shop_that_is_due_later_is_not_taken(ringing):
    ringing.ring("live", {A: time.time() + 60})

    assert ringing.take("live", "me") is None
    assert ringing.has_due_mail("live") is False


def test_an_earlier_due_time_stands_and_a_later_one_does_not_put_off(ringing, redis):
    ringing.ring("live", {A: 100.0})
    ringing.ring("live", {A: time.time() + 60})

    assert redis.zscore("mail:live", A) == 100.0
    ringing.ring("live", {A: 50.0})
    assert redis.zscore("mail:live", A) == 50.0


def test_a_noisy_shop_does_not_starve_the_others(ringing):
    ringing.ring("live", {A: ago(1), B: ago(0.5)})
    first = ringing.take("live", "me")
    ringing.ring("live", {A: time.time()})
    ringing.give_back("live", first)

    assert (first.shop, ringing.take("live", "me").shop) == (A, B)


def test_a_shop_is_served_by_one_worker_at_a_time(ringing):
    ringing.ring("live", {A: ago(1)})
    turn = ringing.take("live", "one")
    ringing.ring("live", {A: ago(1), B: ago(0)})

    assert ringing.take("live", "another").shop == B
    assert ringing.take("live", "another") is None
    assert ringing.has_due_mail("live") is True
    ringing.give_back("live", turn)
    assert ringing.take("live", "another").shop == A


def test_of_many_workers_at_once_one_gets_the_shop(ringing):
    ringing.ring("live", {A: ago(1)})

    with ThreadPoolExecutor(8) as threads:
        turns = list(threads.map(lambda n: ringing.take("live", f"worker-{n}"), range(8)))

    assert len([turn for turn in turns if turn]) == 1


def test_a_lease_that_expired_is_not_given_back_for_its_next_holder(ringing, redis):
    ringing.ring("live", {A: ago(1)})
    late = ringing.take("live", "late")
    redis.delete(f"turn:live:{A}")  # as its time-out does
    ringing.ring("live", {A: ago(1)})
    assert ringing.take("live", "next").shop == A

    ringing.give_back("live", late)

    assert redis.get(f"turn:live:{A}") == b"next"


def test_a_lease_ends_by_itself(ringing, redis):
    ringing.ring("live", {A: ago(1)})
    ringing.take("live", "me")

    assert 0 < redis.ttl(f"turn:live:{A}") <= bell.LEASE_SECONDS


def test_lanes_know_nothing_of_each_other(ringing, redis):
    ringing.ring("bulk", {A: ago(1)})

    assert ringing.take("live", "me") is None
    assert (jobs(redis, "live"), jobs(redis, "bulk")) == (0, 1)
    assert ringing.take("bulk", "me").shop == A


def test_one_job_is_queued_however_often_it_rings(ringing, redis):
    for n in range(20):
        ringing.ring("live", {f"shop-{n}.myshopify.com": ago(1)})

    assert jobs(redis) == 1
    assert ringing.state()["live"] == {"shops": 20, "jobs": 1}


def test_a_job_carries_the_lane_and_nothing_else(ringing, redis):
    ringing.ring("live", {A: ago(1)})

    (job,) = ringing._queues["live"].jobs
    assert (job.func_name, list(job.args), job.kwargs) == ("workers.turns.serve", ["live"], {})
    assert A.encode() not in b"".join(redis.hgetall(f"rq:job:{job.id}").values())


def test_mail_that_is_due_later_wakes_nobody_yet(ringing, redis):
    ringing.ring("live", {A: time.time() + 60})

    assert jobs(redis) == 0


def test_nothing_to_ring_for_is_nothing(ringing, redis):
    ringing.ring("live", {})

    assert redis.keys() == []


def test_after_redis_was_wiped_the_next_ring_works(ringing, redis):
    ringing.ring("live", {A: ago(1)})
    ringing.take("live", "me")
    redis.flushall()
    redis.script_flush()

    ringing.ring("live", {A: ago(1)})

    assert ringing.take("live", "me").shop == A
    assert jobs(redis) == 1


def test_a_redis_that_is_gone_is_told_at_once():
    away = Bell(bell.connect(f"redis://127.0.0.1:{free_port()}/0"))
    started = time.monotonic()

    with pytest.raises(redis_client.RedisError):
        away.ring("live", {A: 1.0})

    assert time.monotonic() - started < 2
