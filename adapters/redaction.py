"""What is held of a person or of a shop, and the receipts of what was erased."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from adapters import inbox
from adapters.inbox import Arrival
from domain.topics import COMPLIANCE, ROUTES

TOPICS = sorted(topic for topic, route in ROUTES.items() if route.act in COMPLIANCE)

# Every table that has a shop, but for `shops` itself and for the receipts, which say that the rest is gone. Runs first:
# a step of one that is going holds its row while it writes, and finds afterwards that it is over.
OF_SHOP = (
    *("runs", "feeds", "gaps", "products", "variants", "customers", "issues", "deliveries", "notices"),
    *("activity", "heard", "feed_watch", "health"),
)
DONE_WITHIN = timedelta(days=30)  # https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance


def held_of_customer(db: Connection, shop: str, customer: int) -> dict[str, int]:
    """By table: what redacting this customer would erase."""
    statement = text("""
        SELECT (SELECT count(*) FROM customers WHERE shop = :shop AND id = :id AND state = 'member') AS customers,
               (SELECT count(*) FROM issues WHERE shop = :shop AND feed = 'customers' AND resource_id = :id) AS issues
    """)
    return dict(db.execute(statement, {"shop": shop, "id": customer}).mappings().one())


def held_of_shop(db: Connection, shop: str) -> dict[str, int]:
    """By table: what redacting this shop would erase."""
    values = {"shop": shop}
    counts = {
        table: int(db.execute(text(f"SELECT count(*) FROM {table} WHERE shop = :shop"), values).scalar_one())  # noqa: S608 — own names
        for table in OF_SHOP
    }
    known = "SELECT count(*) FROM shops WHERE domain = :shop"
    return counts | {"shops": int(db.execute(text(known), values).scalar_one())}


def order(db: Connection, shop: str, customer: int | None, webhook_id: str, now: datetime) -> int:
    """Put into the inbox what Shopify would send; the turn that serves it does the rest. The delivery's id."""
    topic, feed = ("customers/redact", "customers") if customer is not None else ("shop/redact", None)
    inbox.store(db, [Arrival(shop, webhook_id, topic, feed, customer, now, now, source="operator")])
    statement = text("SELECT id FROM deliveries WHERE shop = :shop AND webhook_id = :webhook_id")
    return int(db.execute(statement, {"shop": shop, "webhook_id": webhook_id}).scalar_one())


def outcome(db: Connection, delivery: int) -> tuple[str | None, str | None]:
    """The delivery's outcome and reason; None while it waits."""
    statement = text("SELECT outcome, reason FROM deliveries WHERE id = :id")
    row = db.execute(statement, {"id": delivery}).one()
    return row.outcome, row.reason


def receipt(db: Connection, shop: str, customer: int | None, since: datetime) -> dict[str, Any] | None:
    """The receipt of what was ordered then."""
    statement = text("""
        SELECT id, shop, topic, resource_id, requested_at, done_at, counts FROM receipts
        WHERE shop = :shop AND resource_id IS NOT DISTINCT FROM CAST(:customer AS bigint) AND requested_at = :since
        ORDER BY id DESC LIMIT 1
    """)
    row = db.execute(statement, {"shop": shop, "customer": customer, "since": since}).mappings().one_or_none()
    return dict(row) if row is not None else None


@dataclass(frozen=True, slots=True)
class Undone:
    """A request of Shopify's, or of an operator's, about a person's or a shop's data that has no receipt yet."""

    delivery: int
    shop: str
    asked_at: datetime

    @property
    def until(self) -> datetime:
        """When Shopify wants it done. It takes seconds, unless something is wrong."""
        return self.asked_at + DONE_WITHIN


_UNDONE = text("""
    SELECT id, shop, triggered_at FROM deliveries WHERE state = 'waiting' AND topic = ANY(:topics)
    UNION ALL
    SELECT id, shop, triggered_at FROM deliveries WHERE outcome = 'dead' AND topic = ANY(:topics)
    ORDER BY triggered_at, id
""")


def undone(db: Connection, shop: str | None = None) -> list[Undone]:
    """What waits or is dead, the most urgent first."""
    rows = db.execute(_UNDONE, {"topics": TOPICS})
    return [Undone(row.id, row.shop, row.triggered_at) for row in rows if shop in (None, row.shop)]
