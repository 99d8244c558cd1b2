"""What is being done, on one line of a terminal; elsewhere a line whenever a new step begins."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.status import Status


class Note(Protocol):
    def __call__(self, step: str, detail: str = "") -> None:
        """`detail` changes within a step; only a terminal shows it."""


@contextmanager
def progress() -> Iterator[Note]:
    console = Console(stderr=True)
    if console.is_terminal:
        # Twice a second: an eager spinner would cost the cores that are measured.
        with Status("", console=console, refresh_per_second=2) as status:
            yield lambda step, detail="": status.update(f"{step} {detail}")
        return
    said = ""

    def note(step: str, detail: str = "") -> None:  # noqa: ARG001  # see Note
        nonlocal said
        if step != said:
            print(step, file=sys.stderr, flush=True)
        said = step

    yield note
