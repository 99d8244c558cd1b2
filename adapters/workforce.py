"""RQ's own view: who works, on what, and which of its jobs failed. A job carries no data; it is only the bell."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
from rq import Worker
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from adapters.bell import JOB_SECONDS, LANES

MOST = 50
SILENT_SECONDS = 90.0  # an idle worker says every 45 s that it is there
BUSY_SECONDS = JOB_SECONDS + 60.0  # one that is at a job says nothing before its end


@dataclass(frozen=True, slots=True)
class Hand:
    """One worker process. `job` is what it is at, since `since`."""

    name: str
    lane: str
    state: str
    heartbeat: datetime | None
    born_at: datetime | None
    job: str | None
    since: datetime | None
    done: int
    failed: int

    def is_silent(self, now: datetime) -> bool:
        patience = BUSY_SECONDS if self.state == "busy" else SILENT_SECONDS
        return self.heartbeat is None or (now - self.heartbeat).total_seconds() > patience


def hands(client: redis.Redis) -> list[Hand]:
    """All workers that RQ knows, by lane. May raise RedisError."""
    found: list[Any] = Worker.all(connection=client, serializer=JSONSerializer)
    return sorted((_hand(worker) for worker in found), key=lambda hand: (hand.lane, hand.name))


def _hand(worker: Any) -> Hand:
    try:
        job = worker.get_current_job()
    except NoSuchJobError:
        job = None  # it ended between two looks
    return Hand(
        name=worker.name,
        lane=", ".join(worker.queue_names()),
        state=str(worker.get_state()),
        heartbeat=_aware(worker.last_heartbeat),
        born_at=_aware(worker.birth_date),
        job=_called(job) if job is not None else None,
        since=_aware(job.started_at) if job is not None else None,
        done=worker.successful_job_count,
        failed=worker.failed_job_count,
    )


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job of RQ that broke off. `error` is what kind of error and where; its text may quote what nobody may see."""

    id: str
    lane: str
    job: str
    ended_at: datetime | None
    error: str


def failed_jobs(client: redis.Redis) -> list[FailedJob]:
    """The newest of each lane, at most fifty. May raise RedisError."""
    found = []
    for lane in LANES:
        ids = _registry(client, lane).get_job_ids(0, MOST - 1, desc=True)
        jobs = Job.fetch_many(ids, connection=client, serializer=JSONSerializer)
        found += [FailedJob(j.id, lane, _called(j), _aware(j.ended_at), _where(j)) for j in jobs if j is not None]
    return found


def requeue(client: redis.Redis, lane: str, job_id: str) -> bool:
    """Once more; False when it is not among the failed any more."""
    try:
        if job_id not in _registry(client, lane):
            return False
        _registry(client, lane).requeue(job_id)
    except NoSuchJobError:
        return False
    return True


def delete(client: redis.Redis, lane: str, job_id: str) -> bool:
    """Forget it; nothing is lost, the inbox knows what waits. False when it is not among the failed any more."""
    registry = _registry(client, lane)
    if job_id not in registry:
        return False
    try:
        registry.remove(Job.fetch(job_id, connection=client, serializer=JSONSerializer), delete_job=True)
    except NoSuchJobError:
        return False
    return True


def _registry(client: redis.Redis, lane: str) -> FailedJobRegistry:
    return FailedJobRegistry(lane, connection=client, serializer=JSONSerializer)


def _called(job: Job) -> str:
    return f"{job.func_name} {' '.join(str(one) for one in job.args or ())}".strip()


_FRAME = re.compile(r'File "[^"]*?([^/"]+/[^/"]+)", line (\d+)')


def _where(job: Job) -> str:
    """`ValueError in workers/turns.py, line 12`: of a traceback the kind of error and the last place."""
    told = job.latest_result()
    lines = str((told.exc_string if told is not None else None) or "").strip().splitlines()
    if not lines:
        return "It broke off without a word: its worker was killed."
    kind = lines[-1].partition(":")[0].strip()[:100]
    places = _FRAME.findall("\n".join(lines))
    return f"{kind} in {places[-1][0]}, line {places[-1][1]}" if places else kind


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
