"""Starts the runs that are due, and wakes a worker for those whose next step is."""

import structlog

from adapters import runs
from workers.workshop import Workshop

log = structlog.get_logger()


def start_due_runs(workshop: Workshop) -> None:
    """Each due feed gets its run and its next time in one transaction: a clock that dies in between starts nothing."""
    settings = workshop.settings
    with workshop.db.begin() as db:
        due = runs.take_due(db, settings.reconcile_seconds, settings.complete_run_seconds)
        for feed in due:
            trigger = "install" if feed["first"] else "schedule"
            runs.start(db, feed["shop"], feed["feed"], trigger, complete=feed["complete"])
    if due:
        log.info("runs_started", runs=len(due))
        workshop.bell.wake("bulk")


def wake_for_due_steps(workshop: Workshop) -> None:
    """A run that waits for Shopify, or whose worker died, goes on when its time has come."""
    with workshop.db.connect() as db:
        due = runs.is_due(db)
    if due:
        workshop.bell.wake("bulk")
