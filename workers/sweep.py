"""Rings for what was forgotten: mail whose bell was lost with Redis, with a worker, or between the two."""

import time

import structlog

from adapters import inbox
from adapters.bell import LANES
from workers.workshop import Workshop

log = structlog.get_logger()


def sweep(workshop: Workshop) -> None:
    """Every shop with something waiting stands in the bell, safe to repeat.

    Those that stand there already keep their place; whoever was forgotten goes to the end of the line, however old its
    mail: a shop with a long backlog must not get in front of all others every few seconds.
    """
    for lane in LANES:
        with workshop.db.connect() as db:
            due = inbox.shops_with_mail(db, lane)
        now = time.time()
        workshop.bell.ring(lane, {shop: max(moment, now) for shop, moment in due.items()})
