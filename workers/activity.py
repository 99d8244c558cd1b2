"""Keeps the pictures of the merchants' pages up to date."""

from adapters import activity
from workers.workshop import Workshop


def count_activity(workshop: Workshop) -> None:
    """What happened since the last time, added to its hours."""
    with workshop.db.begin() as db:
        activity.roll_up(db)
