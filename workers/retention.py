"""Deletes what has been kept long enough: a job of the bulk lane, a few seconds at a time.

The clock must not stand still for it, so its duty only asks for the job; a job that has not come to the end asks for
the next one, and mail and runs get their turn in between.
"""

import time
from collections.abc import Callable

import structlog
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from adapters import retention
from adapters.breakage import sqlstate
from domain.retention import SWEPT, Kept
from workers import turns
from workers.workshop import Workshop, workshop

log = structlog.get_logger()

LANE = "bulk"
SWEEP_JOB = "workers.retention.serve"
JOB_SECONDS = 180
QUEUED = "retention:queued"  # in Redis: a job is queued already; forgotten after some minutes
QUEUED_SECONDS = 600
SPELL_SECONDS = 5.0
BATCH = 5_000  # rows a transaction: some tenths of a second
SLICES = 20  # batches of a class a job, so that a walk through millions does not keep the others waiting


def wake_for_retention(workshop: Workshop) -> None:
    """Duty: one job, unless one is queued."""
    redis = workshop.bell.redis
    if redis.set(QUEUED, 1, nx=True, ex=QUEUED_SECONDS):
        queue = Queue(LANE, connection=redis, serializer=JSONSerializer)
        queue.enqueue_call(SWEEP_JOB, timeout=JOB_SECONDS, result_ttl=0, failure_ttl=86_400)


def serve() -> None:
    """RQ job: a spell of it, and another one if that was not all."""
    shop = workshop(LANE)
    shop.bell.redis.delete(QUEUED)
    until = time.monotonic() + SPELL_SECONDS
    try:
        all_done = sweep(shop, lambda: time.monotonic() < until)
        if not all_done and not turns.stopping.is_set():
            wake_for_retention(shop)
    except SQLAlchemyError as error:
        log.warning("retention_broken_off", error=type(error).__name__, sqlstate=sqlstate(error))
    # Whoever rang while this job was the one in the queue took it for a turn's.
    if shop.bell.has_due_mail(LANE):
        shop.bell.wake(LANE)


def sweep(
    workshop: Workshop, there_is_time: Callable[[], bool] = lambda: True, batch: int = BATCH, slices: int = SLICES
) -> bool:
    """Whether nothing is left to do. Of each class at least one batch, or a long one would starve those behind it."""
    left = []
    for kept in SWEPT:
        if turns.stopping.is_set():
            return False
        left.append(_sweep_class(workshop, kept, there_is_time, batch, slices))
    return not any(left)


def _sweep_class(workshop: Workshop, kept: Kept, there_is_time: Callable[[], bool], batch: int, slices: int) -> bool:
    """Whether there is more of it."""
    removed, more = 0, True
    for _ in range(slices):
        with workshop.db.begin() as db:
            # By the database's clock: a worker's that was set to next year must not cost a year of tombstones.
            swept = retention.sweep(db, kept, workshop.clock.read(db), batch)
        removed, more = removed + swept.removed, swept.more
        if not more or not there_is_time():
            break
    if removed:
        log.info("retention_swept", kind=kept.name, removed=removed)
    return more
