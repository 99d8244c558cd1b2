"""What a turn finds out before it writes: candidates for each resource, outside any transaction."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar

from rq.timeouts import JobTimeoutException
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from adapters import access
from adapters.breakage import sqlstate
from adapters.shops import Shop
from domain.deliveries import Fold, Outcome, Verdict, Waiting
from domain.failures import TokenDead, Transient
from domain.versions import Version
from workers.workshop import Workshop

R = TypeVar("R")
F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Candidate(Generic[R]):
    """A state that wants into the mirror, and the deliveries that brought it. `record` None: the resource is gone."""

    version: Version
    record: R | None
    source: str
    by: tuple[Waiting, ...]


@dataclass(slots=True)
class Gathered(Generic[F]):
    """`findings` go on to be written. `dead` are decided already; `held_up` wait for the world to get better.

    `answered`: Shopify was asked, and took the token.
    """

    findings: list[F] = field(default_factory=list)
    dead: dict[int, Verdict] = field(default_factory=dict)
    held_up: dict[int, tuple[Waiting, Transient]] = field(default_factory=dict)
    answered: bool = False

    def hold_up(self, deliveries: Iterable[Waiting], why: Transient) -> None:
        for delivery in deliveries:
            self.held_up[delivery.id] = (delivery, why)

    def bury(self, deliveries: Iterable[Waiting], reason: str) -> None:
        for delivery in deliveries:
            self.dead[delivery.id] = Verdict(Outcome.DEAD, reason)


def newest(candidates: Iterable[Candidate[R]]) -> Candidate[R] | None:
    return max(candidates, key=lambda candidate: candidate.version, default=None)


def verdicts_of(fold: Fold, best: Candidate[R] | None, verdict: Verdict | None) -> dict[int, Verdict]:
    """One outcome for each delivery of a fold whose best candidate met `verdict`.

    What was overtaken within the fold is superseded. Signals that one read answered share its outcome when it says that
    the resource does not belong; otherwise the last of them did the work.
    """
    overtaken = Verdict(Outcome.SUPERSEDED, "a newer delivery for the same record was applied instead")
    verdicts = {delivery.id: overtaken for delivery in (*fold.older, *fold.asked)}
    if fold.told:
        verdicts[fold.told.id] = overtaken
    if best is not None and verdict is not None:
        shared = best.by if verdict.outcome is Outcome.FILTERED else best.by[-1:]
        verdicts |= {delivery.id: verdict for delivery in shared}
    return verdicts


# https://www.postgresql.org/docs/current/errcodes-appendix.html: connections, resources, operator, deadlocks, locks
_WORLD = ("08", "53", "57P", "40", "55P03")


def is_the_worlds_fault(error: Exception) -> bool:
    """Nothing about the rows: the same batch may pass later. A cancelled statement (57014) may be one row's doing."""
    if isinstance(error, PoolTimeout | JobTimeoutException):
        return True
    if is_away(error):
        return True
    return (sqlstate(error) or "").startswith(_WORLD)


def is_away(error: BaseException) -> bool:
    """Whether the database itself is unreachable, or has no room: every shop's turn would fail now.

    Without a SQLSTATE a lost connection is; a value that the driver refuses to send (a NUL in a text) is the row's.
    """
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = sqlstate(error)
    if state is None:
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return error.connection_invalidated or state.startswith(("08", "53", "57P"))


def token_of(workshop: Workshop, shop: Shop) -> str:
    """A token of the shop's that will live for a while, or the reason why nobody can be asked."""
    fresh = access.with_fresh_token(workshop.db, workshop.vault, workshop.tokens, shop, datetime.now(UTC))
    if fresh.token is None:
        raise TokenDead(f"{shop.domain} has no token. Open the app in the Shopify admin, or run `flask shops add`.")
    return fresh.token
