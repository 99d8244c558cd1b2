"""What wins: a finding about one resource against what the mirror holds of it."""

from dataclasses import dataclass
from enum import StrEnum

from domain.deliveries import Outcome, Verdict
from domain.versions import NEVER, Version


class Step(StrEnum):
    """What the mirror is told to do. `RENEW` writes the version alone: the same content, seen at a later time."""

    WRITE = "write"
    RENEW = "renew"
    REMOVE = "remove"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Held:
    """What the mirror holds of a resource: version and content hash of the live record, version of its removal."""

    version: Version = NEVER
    content: str | bytes | None = None
    removed: bool = False


ABSENT = Held()


def settle(held: Held, version: Version, content: str | bytes | None) -> Step:
    """`content` None means gone. The version decides, never the order of arrival; equal wins again, older loses.

    Even unchanged content moves the version on: otherwise A(1), A(3), B(2) in this order would end as B.
    """
    if version < held.version:
        return Step.NOTHING
    if content is None:
        return Step.RENEW if held.removed else Step.REMOVE
    if content == held.content and not held.removed:
        return Step.RENEW
    return Step.WRITE


VERDICTS = {
    Step.WRITE: Verdict(Outcome.APPLIED),
    Step.REMOVE: Verdict(Outcome.DELETED),
    Step.RENEW: Verdict(Outcome.UNCHANGED),
    Step.NOTHING: Verdict(Outcome.SUPERSEDED, "the mirror already holds a newer state"),
}
