"""How long each class of record is kept, on one page. Whatever is older is deleted within the hour."""

from dataclasses import dataclass
from datetime import datetime, timedelta

# Shopify sends a webhook again for four hours, and the contract knows each webhook id for seven days: a shorter time
# would take a late copy for something new.
LEAST_DAYS = 7


@dataclass(frozen=True, slots=True)
class Kept:
    """`days` count from `since`, in words. None: the class has its own end, which `until` says."""

    name: str
    what: str
    since: str
    days: int | None = None
    until: str | None = None

    def before(self, now: datetime) -> datetime | None:
        """Older than this has no business here any more."""
        return now - timedelta(days=self.days) if self.days is not None else None

    @property
    def in_words(self) -> str:
        return self.until or f"{self.days} days"


DELIVERIES = Kept("deliveries", "Deliveries that were decided, their bodies and attempts", "their decision", 30)
DEAD = Kept("dead deliveries", "Dead ones, which somebody has yet to replay or dismiss", "their death", 90)
RUNS = Kept("runs", "Runs, but for a feed's latest of each ending", "their end", 90)
GAPS = Kept("gaps", "What webhooks missed and runs repaired", "the repair", 90)
ACTIVITY = Kept("activity", "Counts by hour", "the hour", 400)
ISSUES = Kept("resolved issues", "Issues that a record no longer has", "their end", 90)
FAILURES = Kept("failures", "Groups of failures of which no delivery is left", "the last one", 90)
NOTICES = Kept("notices", "What merchants were told", "its writing", 90)
REPLAYS = Kept("replays", "Who replayed what, and what came of it", "their beginning", 400)
AUDIT = Kept("audit", "Who did what by hand", "the act", 400)
NOT_ELIGIBLE = Kept("not eligible", "Of customers who do not belong: id, reason and time", "they were last seen", 180)
# A tombstone keeps an old state from reviving its record. Old states come from Shopify, some days late at most, and out
# of the inbox by a replay. So it outlives the dead, whose ids may not even have been read, and goes only once no
# delivery about its record is left, for a replay that fails makes a delivery young again.
REMOVED_PRODUCTS = Kept("removed products", "Tombstones, with what was last known of the product", "the removal", 120)
REMOVED_CUSTOMERS = Kept("removed customers", "Tombstones: id, reason and time", "they were last seen", 120)

# Ends that stand elsewhere.
RECEIPTS = Kept("receipts", "What was erased on whose request: domain, id, times, counts", "", until="for good")
REDACTED = Kept("redacted", "The marks that keep a redacted customer from coming back: the id", "", until="for good")
MIRROR = Kept(
    *("mirror", "Products and B2B customers, these sealed; open issues", ""),
    until="while they belong, or until the shop is erased, which Shopify asks for 48 hours after an uninstall",
)
ACCESS = Kept("access", "Tokens, sealed", "", until="the uninstall")
HEARD = Kept("heard", "Webhooks by hour", "", until="a week before a feed's last webhook")
ALERTS = Kept("alerts", "Alerts that are over", "", until="a day after their end was told")
FIGURES = Kept("figures", "In Redis: figures, the last 1,000 rejected requests without bodies", "", until="overwritten")

SWEPT = (
    *(DELIVERIES, DEAD, RUNS, GAPS, ACTIVITY, ISSUES, FAILURES, NOTICES, REPLAYS, AUDIT),
    *(NOT_ELIGIBLE, REMOVED_CUSTOMERS, REMOVED_PRODUCTS),
)
ALL = (*SWEPT, RECEIPTS, REDACTED, MIRROR, ACCESS, HEARD, ALERTS, FIGURES)
