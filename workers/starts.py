"""Starts the runs that are due, and wakes a worker for those whose next step is."""

import structlog

from adapters import replays, runs
from adapters.bell import LANES
from workers.workshop import Workshop

log = structlog.get_logger()


def start_due_runs(workshop: Workshop) -> None:
    """Each due feed gets its run and its next time in one transaction: a clock that dies in between starts nothing."""
    settings = workshop.settings
    with workshop.db.begin() as db:
        due = runs.take_due(db, settings.reconcile_seconds, settings.complete_run_seconds)
        runs.start_taken(db, due)
    if due:
        log.info("runs_started", runs=len(due))
        workshop.bell.wake("bulk")


def wake_for_what_is_due(workshop: Workshop) -> None:
    """Mail that was put off, and the next steps of runs and replays: their time comes without a bell."""
    for lane in LANES:
        if workshop.bell.has_due_mail(lane):
            workshop.bell.wake(lane)
    with workshop.db.connect() as db:
        due = runs.is_due(db) or replays.is_due(db)
    if due:
        workshop.bell.wake("bulk")
