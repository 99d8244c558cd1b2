"""Starts a process of the product as the Procfile does, but everything is kept for KEEP_SECONDS instead of for days.

`python -m hasty live|bulk|clock`, or `granian … hasty:create_app`. So that a soak of half an hour sees the rows of many
times go, and its database come to the size at which it stays.
"""

import os
import sys
from dataclasses import replace

from sqlalchemy import text

KEEP_SECONDS = float(os.environ["KEEP_SECONDS"])


def create_app():
    """The web process, by granian: it deletes nothing by time."""
    from app import create_app

    return create_app()


def main() -> None:
    hasten()
    from workers.__main__ import main

    main(sys.argv[1:])


def hasten() -> None:
    from adapters import retention
    from domain.retention import SWEPT
    from workers import retention as sweeping
    from workers import timetable

    sweeping.SWEPT = tuple(replace(kept, days=KEEP_SECONDS / 86_400) for kept in SWEPT)
    a_day, less = "interval '1 day'", f"interval '{KEEP_SECONDS / 4} seconds'"
    assert a_day in retention._PLACE.text
    retention._PLACE = text(retention._PLACE.text.replace(a_day, less))
    hourly = min(3_600.0, KEEP_SECONDS / 8)
    timetable.DUTIES = tuple(replace(duty, every=min(duty.every, hourly)) for duty in timetable.DUTIES)


if __name__ == "__main__":
    main()
