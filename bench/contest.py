"""All that compete, standing on the same ground at the same time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.progress import Note
from bench.sides.express import express
from bench.sides.flask_rq import flask_rq
from bench.sides.floor import Floor, floor
from bench.stage import Side, data_sync, ground


@dataclass(frozen=True)
class Contest:
    """`sides` are in the order in which they take their turns: Data Sync, and then what it is compared with."""

    folder: Path
    secret: str
    shops: list[str]
    sides: tuple[Side, ...]
    floor: Floor

    @property
    def data_sync(self) -> Side:
        return self.sides[0]

    def settle(self) -> None:
        """Empty tables and a written checkpoint, so that no round pays for the one before it."""
        for side in self.sides:
            side.clear()
        self.floor.clear()
        self.data_sync.db.execute("CHECKPOINT")


@contextmanager
def contest(note: Note, shops: int) -> Iterator[Contest]:
    """Everything started, warm and empty; all of it stopped and removed at the end."""
    domains = [f"bench-{number:02d}.myshopify.com" for number in range(1, shops + 1)]
    with (
        ground(note) as on,
        data_sync(on, domains) as ours,
        express(on, 1) as express_bullmq,
        flask_rq(on, 2, "SimpleWorker", share=0.2) as simple,
        flask_rq(on, 3, "Worker", share=0.05) as forking,
        floor(on, ours) as below,
    ):
        yield Contest(on.folder, on.secret, domains, (ours, express_bullmq, simple, forking), below)
