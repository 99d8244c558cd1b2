"""What state a feed is in, why, and in which words a merchant reads it. `no_data` wins over issues."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class FeedFacts:
    """What is known of a feed. Counts are of records; times are None while nothing of the kind has happened."""

    feed: str
    shop_state: str
    synchronised: int
    checked: int | None
    last_import_at: datetime | None
    last_complete_at: datetime | None
    failing_because: str | None
    errors: int
    interval: timedelta
    b2b_tag: str = "b2b"


@dataclass(frozen=True, slots=True)
class FeedState:
    """`state`: `ok` (green), `ok_with_errors` (amber), `no_data` (amber). `reason` is None when all is well."""

    state: str
    reason: str | None
    sentence: str


def state_of(facts: FeedFacts, now: datetime) -> FeedState:
    """The first that applies: no access, nothing imported yet, nothing imported lately, nothing there, errors, fine."""
    kind = "Products" if facts.feed == "products" else "Customers"
    if facts.shop_state != "active":
        return FeedState(
            "no_data",
            "auth_failed",
            "Shopify no longer lets the app in. Open the app in your Shopify admin to reconnect.",
        )
    if facts.last_complete_at is None or facts.last_import_at is None:
        return FeedState("no_data", "never_imported", _never_imported(facts))
    if now - facts.last_import_at > 3 * facts.interval:
        because = f": {facts.failing_because}" if facts.failing_because else "."
        return FeedState(
            "no_data", "stale", f"Nothing has been imported for {_long(now - facts.last_import_at)}{because}"
        )
    if facts.synchronised == 0:
        return FeedState("no_data", "source_empty", _source_empty(facts))
    if facts.errors:
        issues = "1 issue needs" if facts.errors == 1 else f"{facts.errors:,} issues need"
        return FeedState("ok_with_errors", "issues", f"{kind} are synchronising, but {issues} your attention.")
    return FeedState("ok", None, f"{kind} are synchronising.")


def _long(span: timedelta) -> str:
    """How long ago reads the same in every zone; a time of day does not."""
    minutes = int(span.total_seconds() / 60)
    if minutes < 2:
        return f"{int(span.total_seconds())} seconds"
    if minutes < 120:
        return f"{minutes} minutes"
    hours = minutes // 60
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"


def _never_imported(facts: FeedFacts) -> str:
    if facts.failing_because:
        return f"The first import has not succeeded yet: {facts.failing_because}"
    return "The first import has not finished yet."


def _source_empty(facts: FeedFacts) -> str:
    if facts.feed == "products":
        return "The shop has no products yet. Add one in Shopify, and it appears here."
    checked = f"{facts.checked or 0:,} customers checked, 0 tagged {facts.b2b_tag} or with sparklayer metafields."
    return f"{checked} Add the tag {facts.b2b_tag} to a customer in Shopify to import them."
