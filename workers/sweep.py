"""Rings for what was forgotten: mail whose bell was lost with Redis, with a worker, or between the two."""

import structlog

from adapters import inbox
from adapters.bell import LANES
from workers.workshop import Workshop

log = structlog.get_logger()


def sweep(workshop: Workshop) -> None:
    """Every shop with something waiting stands in the bell with the time its first delivery is due. Safe to repeat."""
    for lane in LANES:
        with workshop.db.connect() as db:
            due = inbox.shops_with_mail(db, lane)
        workshop.bell.ring(lane, due)
