"""Starts a process of the product as the Procfile does, by a clock that goes wrong on request.

`python -m astray live|bulk|clock`, or `granian … astray:create_app`. While the folder that KILLER names holds a file
`clock of web` or `clock of workers`, the processes of that kind think that it is so many seconds later than it is: as
on a machine whose clock was set, at once. What only counts seconds (`time.monotonic`) goes on counting, there as here.
"""

import datetime  # noqa: ICN001  # this is about the module itself
import os
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["KILLER"])
true_time, true_datetime = time.time, datetime.datetime


def create_app():
    """The web process, by granian."""
    set_clock("web")
    from app import create_app

    return create_app()


def main() -> None:
    set_clock("workers")
    from workers.__main__ import main

    main(sys.argv[1:])


def set_clock(kind: str) -> None:
    """Before anything of the product is imported: it takes `datetime` by name."""
    file = FOLDER / f"clock of {kind}"

    def astray() -> float:
        try:
            return float(file.read_text() or 0)
        except FileNotFoundError:
            return 0.0

    class Kind(type):
        def __instancecheck__(cls, one) -> bool:
            return isinstance(one, true_datetime)

        def __subclasscheck__(cls, other) -> bool:
            return issubclass(other, true_datetime)

    class Datetime(true_datetime, metaclass=Kind):
        """Makes true ones: libraries written in C take no other."""

        def __new__(cls, *words, **named):
            return true_datetime(*words, **named)

        @classmethod
        def now(cls, tz=None):
            return true_datetime.now(tz) + datetime.timedelta(seconds=astray())

    datetime.datetime = Datetime
    time.time = lambda: true_time() + astray()


if __name__ == "__main__":
    main()
