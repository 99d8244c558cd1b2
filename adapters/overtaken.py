"""What the mirror has overtaken of a shop's mail, without anybody reading it: for storms."""

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from domain.deliveries import Outcome, Verdict
from domain.settlement import VERDICTS, Step
from domain.topics import ROUTES, Act

OLDER: Verdict = VERDICTS[Step.NOTHING]

# As `settle` compares them: only the strictly older loses, whether the product is live or gone.
_CLOSE = text("""
    WITH overtaken AS (
        SELECT d.id FROM deliveries d JOIN products p ON p.shop = d.shop AND p.id = d.resource_id
        WHERE d.lane = 'live' AND d.shop = :shop AND d.state = 'waiting' AND d.next_attempt_at <= now()
          AND d.topic = ANY(:topics)
          AND (coalesce(d.changed_at, d.triggered_at), d.triggered_at) < (p.core_at, p.core_seen)
        ORDER BY d.next_attempt_at, d.id LIMIT :most FOR UPDATE OF d SKIP LOCKED)
    UPDATE deliveries SET state = 'closed', outcome = :outcome, reason = :reason, closed_at = now()
    FROM overtaken WHERE deliveries.id = overtaken.id
    RETURNING deliveries.id
""").bindparams(bindparam("topics", type_=ARRAY(Text)))
_BODIES = [topic for topic, route in ROUTES.items() if route.act is Act.CORE]


def close(db: Connection, shop: str, most: int) -> dict[int, Verdict]:
    """Close up to `most` live deliveries with products' bodies that are older than what the mirror holds of them."""
    assert OLDER.outcome is Outcome.SUPERSEDED
    values = {"outcome": OLDER.outcome.value, "reason": OLDER.reason, "topics": _BODIES}
    return {row.id: OLDER for row in db.execute(_CLOSE, values | {"shop": shop, "most": most})}
