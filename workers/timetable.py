"""Everything that happens by the clock, on one page."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis
import structlog
from sqlalchemy.exc import SQLAlchemyError

from adapters import duties, telemetry
from adapters.breakage import where_it_broke
from workers.activity import count_activity
from workers.alerts import forget_old_alerts, wake_for_alerts, watch_for_alerts
from workers.failures import file_failures
from workers.health import count_what_was_heard, forget_what_was_heard, wake_for_due_checks
from workers.notices import wake_for_notices, watch_feeds
from workers.retention import wake_for_retention
from workers.starts import start_due_runs, wake_for_what_is_due
from workers.stock import take_stock, take_stock_of_shops
from workers.sweep import sweep
from workers.workshop import Workshop

log = structlog.get_logger()
TICK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Duty:
    """Done once `every` so many seconds, by whichever clock claims it first."""

    name: str
    every: float
    do: Callable[[Workshop], None]


DUTIES = (
    Duty("sweep", 5.0, sweep),
    Duty("start due runs", 1.0, start_due_runs),
    Duty("wake", 0.5, wake_for_what_is_due),
    Duty("wake for due checks", 1.0, wake_for_due_checks),
    Duty("count what was heard", 60.0, count_what_was_heard),
    Duty("forget what was heard", 3_600.0, forget_what_was_heard),
    Duty("watch feeds", 30.0, watch_feeds),
    Duty("wake for notices", 1.0, wake_for_notices),
    Duty("count activity", 60.0, count_activity),
    Duty("file failures", 2.0, file_failures),
    Duty("take stock", 10.0, take_stock),
    Duty("take stock of shops", 60.0, take_stock_of_shops),
    Duty("watch for alerts", 15.0, watch_for_alerts),
    Duty("wake for alerts", 1.0, wake_for_alerts),
    Duty("forget old alerts", 3_600.0, forget_old_alerts),
    Duty("wake for retention", 3_600.0, wake_for_retention),
)


def keep_time(workshop: Workshop, stopping: threading.Event) -> None:
    """Until told to stop. A neighbour that is away costs this round, not the clock."""
    while not stopping.is_set():
        began = time.monotonic()
        for duty in due(workshop):
            _attempt(workshop, duty)
        stopping.wait(max(0.0, TICK_SECONDS - (time.monotonic() - began)))


def due(workshop: Workshop) -> list[Duty]:
    """Those that seem to be due: one look instead of a claim each, of which nine in ten would be refused."""
    try:
        with workshop.db.connect() as db:
            resting = duties.resting(db)
    except SQLAlchemyError as error:
        log.warning("timetable_unread", error=type(error).__name__)
        return []
    return [duty for duty in DUTIES if duty.name not in resting]


def _attempt(workshop: Workshop, duty: Duty) -> None:
    try:
        with workshop.db.begin() as db:
            mine = duties.claim(db, duty.name, duty.every)
        if mine:
            duty.do(workshop)
    except (SQLAlchemyError, redis.RedisError) as error:
        log.warning("duty_failed", duty=duty.name, error=type(error).__name__)
    except Exception as error:  # noqa: BLE001 — a bug in one duty must not stop the clock for all others
        log.error("duty_failed", duty=duty.name, reason=where_it_broke(error))  # noqa: TRY400 — its text may quote
        telemetry.report(f"A duty {where_it_broke(error)}", duty=duty.name)
