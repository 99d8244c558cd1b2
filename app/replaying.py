"""A replay is started by a person, on the console or the command line, and its first step is taken at once."""

import time

import redis

from adapters import replays
from adapters.chosen import Filter
from adapters.replays import Replay
from app.office import Office
from domain.replays import MOST_OPENED
from schemas.webhooks import read_identity


def start(
    desk: Office, name: str, who: str, why: str, chosen: Filter, *, refreshed: bool, key: str
) -> tuple[Replay, bool]:
    """The replay, and whether it is new (see `replays.start`).

    A small one is open as a whole when this returns, without waiting for a worker; a large one goes on at its pace.
    """
    with desk.db.begin() as db:
        replay, is_new = replays.start(db, name, who, why, chosen, refreshed=refreshed, key=key)
        opened = replays.open_next(db, replay, MOST_OPENED, read_identity) if is_new else None
    if opened is not None:
        ring(desk, opened.shops)
    return replay, is_new


def ring(desk: Office, shops: frozenset[str] = frozenset()) -> None:
    """A worker goes on with it now. Without Redis the clock's wake and the sweep see to it a little later."""
    try:
        desk.bell.ring("bulk", dict.fromkeys(shops, time.time()))
        desk.bell.wake("bulk")
    except redis.RedisError:
        return
