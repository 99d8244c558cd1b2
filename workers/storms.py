"""A shop that tells of the same few products over and over: an import that touches each ten times, a runaway script.

Served in order, five hundred at a time, each turn would write all of these products once more, and the shop would be
behind for as long as that takes. So the latest are taken as well as the first: they overtake the rest, which is then
closed where it lies, by comparing versions in the database, a slice a turn, so that other shops are served in between.
Of the first there must be some, or a product that was edited once would wait until the storm is over. And between two
turns that write, the shop is left to gather (`rest_after`).
"""

from collections.abc import Sequence

import structlog

from adapters import inbox, overtaken
from adapters.figures import OUTCOMES
from domain.deliveries import Verdict, Waiting
from workers.workshop import Workshop

log = structlog.get_logger()
SLICE = 2_500  # deliveries that are closed together


def is_one(waiting: Sequence[Waiting], most: int) -> bool:
    """Whether a full turn's mail is about half as many records or fewer."""
    return len(waiting) == most and 2 * len({(one.feed, one.resource_id) for one in waiting}) <= most


def calm(workshop: Workshop, lane: str, shop: str, most: int) -> tuple[list[Waiting], dict[int, Verdict]]:
    """What is to be served now, and what was closed as overtaken. A full slice of it is a turn's work: nothing else."""
    with workshop.db.begin() as db:
        closed = overtaken.close(db, shop, SLICE)
    if closed:
        workshop.figures.count(OUTCOMES, "products", overtaken.OLDER.outcome.value, by=len(closed))
        log.info("overtaken", deliveries=len(closed))
    if len(closed) == SLICE:
        return [], closed
    with workshop.looks.connect() as db:
        both = (*inbox.peek(db, lane, shop, most // 2), *inbox.peek_latest(db, lane, shop, most // 2))
    return list({one.id: one for one in both}.values()), closed
