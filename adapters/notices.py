"""Notices to merchants: written with the decision, sent afterwards, tried a few times, and kept to be shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text

LEASE_SECONDS = 120  # longer than any attempt takes
MOST_ATTEMPTS = 3
PAUSES = (10.0, 60.0)  # after the first and the second attempt


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told to whom by which channel (`mail`, `url`). `feed` None: a test."""

    id: int
    shop: str
    channel: str
    feed: str | None
    told: Mapping[str, Any]
    attempts: int
    made_at: datetime


_WRITE = text("""
    INSERT INTO notices (shop, channel, feed, told)
    SELECT :shop, channel, :feed, CAST(:told AS jsonb) FROM unnest(CAST(:channels AS text[])) AS channel
""")


def write(db: Connection, shop: str, channels: Sequence[str], feed: str | None, told: Mapping[str, Any]) -> None:
    """One for each channel, to be sent as soon as this transaction is committed."""
    as_json = orjson.dumps(told, option=orjson.OPT_UTC_Z).decode()
    db.execute(_WRITE, {"shop": shop, "channels": list(channels), "feed": feed, "told": as_json})


_WRITE_TEST = text("""
    INSERT INTO notices (shop, channel, told)
    SELECT :shop, channel, CAST(:told AS jsonb) FROM unnest(CAST(:channels AS text[])) AS channel
    WHERE NOT EXISTS (SELECT 1 FROM notices n WHERE n.shop = :shop AND n.feed IS NULL
                                                AND n.made_at > now() - interval '1 minute')
""")


def write_test(db: Connection, shop: str, channels: Sequence[str], told: Mapping[str, Any]) -> bool:
    """False when there was a test within the last minute: this page is no means to flood a mailbox."""
    db.execute(text("SELECT 1 FROM shops WHERE domain = :shop FOR NO KEY UPDATE"), {"shop": shop})
    values = {"shop": shop, "channels": list(channels), "told": orjson.dumps(told).decode()}
    return db.execute(_WRITE_TEST, values).rowcount > 0


# In order for each receiver: "green again" never comes before what it ends.
_CLAIMABLE = """
    n.state = 'waiting' AND n.next_attempt_at <= now()
    AND NOT EXISTS (SELECT 1 FROM notices earlier WHERE earlier.shop = n.shop AND earlier.channel = n.channel
                                                    AND earlier.state = 'waiting' AND earlier.id < n.id)
"""
_CLAIM = text(f"""
    UPDATE notices SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => :lease)
    WHERE id = (SELECT n.id FROM notices n WHERE {_CLAIMABLE} ORDER BY n.next_attempt_at LIMIT 1
                FOR UPDATE SKIP LOCKED)
    RETURNING id, shop, channel, feed, told, attempts, made_at
""")  # noqa: S608 — put together from our own statements


def claim(db: Connection) -> Notice | None:
    """The notice that has been due longest, leased; this attempt is counted already."""
    row = db.execute(_CLAIM, {"lease": LEASE_SECONDS}).one_or_none()
    return Notice(*row) if row is not None else None


def is_due(db: Connection) -> bool:
    statement = text(f"SELECT EXISTS (SELECT 1 FROM notices n WHERE {_CLAIMABLE})")  # noqa: S608 — as above
    return bool(db.execute(statement).scalar_one())


def sent(db: Connection, notice: Notice) -> None:
    _end(db, notice, "sent", None)


def failed(db: Connection, notice: Notice, trouble: str) -> bool:
    """Again a little later, or given up: True then."""
    if notice.attempts >= MOST_ATTEMPTS:
        _end(db, notice, "given_up", trouble)
        return True
    statement = text("""UPDATE notices SET trouble = :trouble, next_attempt_at = now() + make_interval(secs => :pause)
                        WHERE id = :id AND state = 'waiting'""")
    db.execute(statement, {"id": notice.id, "trouble": trouble, "pause": PAUSES[notice.attempts - 1]})
    return False


def _end(db: Connection, notice: Notice, state: str, trouble: str | None) -> None:
    statement = text("""UPDATE notices SET state = :state, trouble = :trouble, ended_at = now()
                        WHERE id = :id AND state = 'waiting'""")
    db.execute(statement, {"id": notice.id, "state": state, "trouble": trouble})


def latest(db: Connection, shop: str, most: int = 10) -> list[dict[str, Any]]:
    """A shop's newest notices, and what became of them."""
    statement = text("""SELECT id, channel, feed, told, state, trouble, attempts, made_at, ended_at FROM notices
                        WHERE shop = :shop ORDER BY id DESC LIMIT :most""")
    return [dict(row) for row in db.execute(statement, {"shop": shop, "most": most}).mappings()]
