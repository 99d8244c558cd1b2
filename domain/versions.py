"""Where a state stands by Shopify's clock."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, order=True, slots=True)
class Version:
    """Compared as a pair: `at` is Shopify's `updatedAt`; `seen`, when the state was triggered or read, breaks ties.

    Two edits within one second carry the same `updated_at` (its grain is a second), and tags or metafields may change
    without moving it: the second part settles both. Both are aware and in UTC. Equal wins again, so that a replay can
    repair what a bug of ours wrote; only strictly older loses.
    """

    at: datetime
    seen: datetime

    @classmethod
    def moment(cls, at: datetime) -> "Version":
        """The version of something that carries one time alone: a delete, or metafields as they were read."""
        return cls(at, at)


NEVER = Version.moment(datetime.min.replace(tzinfo=UTC))
