"""Steps of replays, beside the turns of the bulk lane: as many as live mail leaves room for."""

import time
from collections.abc import Collection

import structlog
from sqlalchemy import Connection

from adapters import replays, telemetry
from adapters.breakage import where_it_broke
from adapters.replays import Replay
from domain.replays import Finish, Open, Stop, Wait, next_step
from schemas.webhooks import read_identity
from workers.gathering import is_the_worlds_fault
from workers.workshop import Workshop

log = structlog.get_logger()


def step(workshop: Workshop) -> bool:
    """Take the replay that has been due longest one step further; False if none is due, or the database is away.

    One transaction, the mail's bell after it: whoever is killed in it has done nothing, and the sweep rings for whom
    nobody rang for.
    """
    going: Replay | None = None
    try:
        with workshop.db.begin() as db:
            going = replays.claim(db)
            opened_for = _step(db, going) if going else ()
    except Exception as error:
        if is_the_worlds_fault(error):
            log.warning("replay_broken_off", replay=going and going.id, error=type(error).__name__)
            return False
        if going is None:
            raise
        _give_up(workshop, going, error)
        return True
    if opened_for:
        workshop.bell.ring("bulk", dict.fromkeys(opened_for, time.time()))
    return going is not None


def _step(db: Connection, replay: Replay) -> Collection[str]:
    """Whose mail was opened."""
    match next_step(replays.facts(db, replay, time.time())):
        case Open(most, pause):
            opened = replays.open_next(db, replay, most, read_identity, pause)
            log.info("replay_opened", replay=replay.id, deliveries=opened.count)
            return opened.shops
        case Wait(seconds):
            replays.wait(db, replay, seconds)
        case Stop(because):
            replays.stop(db, replay.id, because)
            log.warning("replay_stopped", replay=replay.id, reason=because)
            telemetry.report("A replay stopped itself", replay=replay.id)
        case Finish():
            replays.finish(db, replay)
            log.info("replay_finished", replay=replay.id)
    return ()


def _give_up(workshop: Workshop, replay: Replay, error: Exception) -> None:
    """A bug of ours: the others' replays must not wait behind it, nor must it be tried for ever."""
    reason = f"A step of it {where_it_broke(error)}"
    with workshop.db.begin() as db:
        replays.stop(db, replay.id, reason)
    log.error("replay_stopped", replay=replay.id, reason=reason)
    telemetry.report("A replay stopped for a bug", replay=replay.id, reason=reason)
