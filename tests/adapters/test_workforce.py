"""Who works, as RQ knows it, and when silence means that nobody is there."""

from datetime import UTC, datetime, timedelta

from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from adapters import workforce
from adapters.workforce import Hand


def test_a_worker_is_listed_with_its_lane_from_birth_to_death(redis):
    queue = Queue("live", connection=redis, serializer=JSONSerializer)
    worker = SimpleWorker([queue], connection=redis, serializer=JSONSerializer)
    worker.register_birth()
    (hand,) = workforce.hands(redis)
    assert (hand.lane, hand.job) == ("live", None)
    assert not hand.is_silent(datetime.now(UTC))

    worker.register_death()
    assert workforce.hands(redis) == []


def test_a_job_that_ends_while_the_workers_are_looked_at_is_no_longer_one(redis):
    queue = Queue("live", connection=redis, serializer=JSONSerializer)
    worker = SimpleWorker([queue], connection=redis, serializer=JSONSerializer)
    worker.register_birth()
    job = queue.enqueue_call("workers.turns.serve", args=("live",))
    worker.prepare_execution(job)
    assert [hand.job for hand in workforce.hands(redis)] == ["workers.turns.serve live"]

    redis.delete(job.key)  # as between the two questions that RQ asks

    assert [hand.job for hand in workforce.hands(redis)] == [None]


def test_a_busy_worker_may_be_silent_for_as_long_as_a_job_may_last():
    now = datetime.now(UTC)

    def hand(state, seconds):
        return Hand("a", "live", state, now - timedelta(seconds=seconds), now, None, None, 0, 0)

    assert not hand("idle", 60).is_silent(now)
    assert hand("idle", 100).is_silent(now)
    assert not hand("busy", 200).is_silent(now)
    assert hand("busy", 300).is_silent(now)
    assert Hand("a", "live", "idle", None, now, None, None, 0, 0).is_silent(now)


def test_a_redis_that_was_wiped_has_no_jobs_to_requeue(redis):
    assert workforce.failed_jobs(redis) == []
    assert not workforce.requeue(redis, "live", "gone")
    assert not workforce.delete(redis, "live", "gone")
