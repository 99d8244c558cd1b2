"""Gives deliveries that have failed their groups, a few seconds after they failed."""

import structlog

from adapters import failures
from workers.workshop import Workshop

log = structlog.get_logger()

TOGETHER = 2_000  # a transaction; it holds the rows of waiting ones, which a turn passes over meanwhile
ROUNDS = 5  # then the clock has other duties


def file_failures(workshop: Workshop) -> None:
    """Duty: whatever is left over is filed the next time."""
    for _ in range(ROUNDS):
        with workshop.db.begin() as db:
            filed = failures.file(db, TOGETHER)
        for group in filed.news:
            log.warning("issue_opened", issue=group)
        if filed.deliveries < TOGETHER:
            return
