"""How fast a replay may go: it makes way for live mail, and stops itself when what it opens only fails again."""

from dataclasses import dataclass

MOST_OPENED = 500  # at once
MOST_WAITING = 1_000  # of one replay: what is open is on the screens as waiting, and delays other replays
TRICKLE = 25  # while live mail is late: one shop that is stuck must not keep every replay waiting for ever
LATE_SECONDS = 2.0
STOP_SHARE = 0.2
STOP_FROM = 50  # closed ones: among fewer, a share says little


@dataclass(frozen=True, slots=True)
class Facts:
    """How a replay stands. `closed` and `dead` count since it was started or let go on; `waiting` is open, undecided.

    `live_lag`: for how many seconds the live lane's oldest mail has been due.
    """

    is_all_open: bool
    waiting: int
    closed: int
    dead: int
    live_lag: float


@dataclass(frozen=True, slots=True)
class Open:
    """Open so many, then pause for so many seconds."""

    most: int
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float


@dataclass(frozen=True, slots=True)
class Stop:
    because: str


@dataclass(frozen=True, slots=True)
class Finish:
    """All of it is open, and all of that is decided."""


def next_step(facts: Facts) -> Open | Wait | Stop | Finish:
    if facts.is_all_open:
        return Wait(0.5) if facts.waiting else Finish()
    if fails_too_often(facts.closed, facts.dead):
        return Stop(
            f"{facts.dead:,} of the first {facts.closed:,} failed again, more than {STOP_SHARE:.0%}. "
            f"See why, then resume it."
        )
    if facts.live_lag > LATE_SECONDS:
        return Open(TRICKLE, pause=1.0) if facts.waiting < TRICKLE else Wait(1.0)
    room = min(MOST_OPENED, MOST_WAITING - facts.waiting)
    return Open(room) if room > 0 else Wait(0.1)


def fails_too_often(closed: int, dead: int) -> bool:
    return closed >= STOP_FROM and dead > STOP_SHARE * closed
