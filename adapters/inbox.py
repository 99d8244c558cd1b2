"""The inbox: every delivery that was received, and what became of it. 200 means: it is in this table."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Double, LargeBinary, Text

from domain.deliveries import Verdict, Waiting


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery as it came through a door. `dead_because` closes it at once: genuine, kept, but unreadable."""

    shop: str
    webhook_id: str
    topic: str
    feed: str | None
    resource_id: int | None
    triggered_at: datetime
    received_at: datetime
    changed_at: datetime | None = None
    event_id: str | None = None
    api_version: str | None = None
    source: str = "webhook"
    lane: str = "live"
    secret: int | None = None
    body: bytes | None = None
    run: int | None = None
    dead_because: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.shop, self.webhook_id


_STORE = text("""
    INSERT INTO deliveries (shop, webhook_id, event_id, topic, api_version, feed, resource_id, source, lane, secret,
                            changed_at, triggered_at, received_at, run, body, body_bytes,
                            state, outcome, reason, closed_at)
    SELECT shop, webhook_id, event_id, topic, api_version, feed, resource_id, source, lane, secret,
           changed_at, triggered_at, received_at, run,
           substr(CAST(:bodies AS bytea), first, size), coalesce(size, 0),
           CASE WHEN dead_because IS NULL THEN 'waiting' ELSE 'closed' END,
           CASE WHEN dead_because IS NULL THEN NULL ELSE 'dead' END,
           dead_because,
           CASE WHEN dead_because IS NULL THEN NULL ELSE received_at END
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
         AS r(shop text, webhook_id text, event_id text, topic text, api_version text, feed text, resource_id bigint,
              source text, lane text, secret smallint, changed_at timestamptz, triggered_at timestamptz,
              received_at timestamptz, run bigint, dead_because text,
              first integer, size integer)
    ON CONFLICT (shop, webhook_id) DO NOTHING
    RETURNING shop, webhook_id
""").bindparams(bindparam("bodies", type_=LargeBinary))
_FIELDS = [name for name in Arrival.__dataclass_fields__ if name != "body"]


def store(db: Connection, arrivals: Collection[Arrival]) -> set[tuple[str, str]]:
    """Keep each once per (shop, webhook id); the keys that were new are returned.

    Sorted, so that two processes that store the same two deliveries cannot each wait for the other. DO NOTHING rather
    than counting the copy here: a conflicting row may be locked by its turn, and Shopify's answer must not wait for it.

    Rows travel as one JSON parameter and all bodies as one run of bytes, cut up by the database: adapting them one by
    one was a fifth of what the front door did.
    """
    ordered = sorted({arrival.key: arrival for arrival in arrivals}.values(), key=lambda arrival: arrival.key)
    bodies = b"".join(arrival.body or b"" for arrival in ordered)
    rows, first = [], 1
    for arrival in ordered:
        row = {name: getattr(arrival, name) for name in _FIELDS}
        if arrival.body is not None:
            row |= {"first": first, "size": len(arrival.body)}
            first += len(arrival.body)
        rows.append(row)
    values = {"rows": orjson.dumps(rows).decode(), "bodies": bodies}
    return {(row.shop, row.webhook_id) for row in db.execute(_STORE, values)}


_COUNT_COPIES = text("""
    UPDATE deliveries SET copies = copies + again.times
    FROM (SELECT shop, webhook_id, count(*) AS times
          FROM unnest(:shops, :webhook_ids) AS c(shop, webhook_id) GROUP BY 1, 2) AS again
    WHERE deliveries.shop = again.shop AND deliveries.webhook_id = again.webhook_id
""").bindparams(bindparam("shops", type_=ARRAY(Text)), bindparam("webhook_ids", type_=ARRAY(Text)))


def count_copies(db: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Note that these came again, so that a screen can show it. Off the path that answers Shopify."""
    db.execute(_COUNT_COPIES, {"shops": [shop for shop, _ in keys], "webhook_ids": [wid for _, wid in keys]})


_PEEK = text("""
    SELECT id, topic, feed, resource_id, source, attempts, changed_at, triggered_at, received_at, body_bytes, run
    FROM deliveries
    WHERE lane = :lane AND shop = :shop AND state = 'waiting' AND next_attempt_at <= now()
    ORDER BY next_attempt_at, id
    LIMIT :most
""")


def peek(db: Connection, lane: str, shop: str, most: int) -> list[Waiting]:
    """What is due of a shop, longest due first, without bodies: most of them will turn out to be overtaken."""
    return [Waiting(**row) for row in db.execute(_PEEK, {"lane": lane, "shop": shop, "most": most}).mappings()]


_BODIES = text("SELECT id, body FROM deliveries WHERE id = ANY(:ids)").bindparams(
    bindparam("ids", type_=ARRAY(BigInteger))
)


def bodies(db: Connection, ids: Sequence[int]) -> dict[int, bytes | None]:
    """The bytes as Shopify sent them, by delivery."""
    return {row.id: row.body for row in db.execute(_BODIES, {"ids": list(ids)})}


_LOCK = text("""
    SELECT id FROM deliveries WHERE id = ANY(:ids) AND state = 'waiting' ORDER BY id FOR UPDATE SKIP LOCKED
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))


def lock(db: Connection, ids: Iterable[int]) -> set[int]:
    """Those of `ids` that still wait and that nobody else is deciding about. Held until the transaction ends."""
    return {row.id for row in db.execute(_LOCK, {"ids": list(ids)})}


_CLOSE = text("""
    UPDATE deliveries SET state = 'closed', outcome = v.outcome, reason = v.reason, closed_at = now()
    FROM unnest(:ids, :outcomes, :reasons) AS v(id, outcome, reason)
    WHERE deliveries.id = v.id AND deliveries.state = 'waiting'
""").bindparams(
    bindparam("ids", type_=ARRAY(BigInteger)),
    bindparam("outcomes", type_=ARRAY(Text)),
    bindparam("reasons", type_=ARRAY(Text)),
)


def close(db: Connection, verdicts: Mapping[int, Verdict]) -> None:
    """Give each delivery its one outcome, in the transaction that wrote what it meant."""
    if verdicts:
        ids = sorted(verdicts)
        columns = {
            "ids": ids,
            "outcomes": [verdicts[i].outcome.value for i in ids],
            "reasons": [verdicts[i].reason for i in ids],
        }
        db.execute(_CLOSE, columns)


_POSTPONE = text("""
    UPDATE deliveries
    SET attempts = attempts + :counts, next_attempt_at = now() + make_interval(secs => v.seconds), reason = :reason
    FROM unnest(:ids, :seconds) AS v(id, seconds)
    WHERE deliveries.id = v.id AND state = 'waiting'
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)), bindparam("seconds", type_=ARRAY(Double)))


def postpone(db: Connection, pauses: Mapping[int, float], reason: str, *, counts: bool) -> None:
    """Leave these waiting for so many seconds each. `counts`: it was an attempt that failed, not a mere wait."""
    ids = sorted(pauses)
    db.execute(_POSTPONE, {"ids": ids, "seconds": [pauses[i] for i in ids], "reason": reason, "counts": int(counts)})


_ASKED = text("""
    SELECT DISTINCT resource_id FROM deliveries
    WHERE shop = :shop AND resource_id = ANY(:ids) AND topic = :topic AND state = 'waiting'
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))


def already_asked(db: Connection, shop: str, topic: str, ids: Sequence[int]) -> set[int]:
    """The resources that such a delivery waits for already."""
    return {row.resource_id for row in db.execute(_ASKED, {"shop": shop, "topic": topic, "ids": list(ids)})}


_HURRY = text("""
    UPDATE deliveries SET next_attempt_at = now() WHERE shop = :shop AND state = 'waiting' AND next_attempt_at > now()
""")


def hurry(db: Connection, shop: str) -> None:
    """What kept this shop's mail waiting is over (a new token): all of it is due now."""
    db.execute(_HURRY, {"shop": shop})


_NEXT_DUE = text("""
    SELECT extract(epoch FROM next_attempt_at)::float8 AS due FROM deliveries
    WHERE lane = :lane AND shop = :shop AND state = 'waiting' ORDER BY next_attempt_at LIMIT 1
""")


def next_due(db: Connection, lane: str, shop: str) -> float | None:
    """When (seconds since 1970) the shop's next delivery is due; None if nothing waits."""
    due: float | None = db.execute(_NEXT_DUE, {"lane": lane, "shop": shop}).scalar()
    return due


# A walk from shop to shop along the index of the waiting: as many steps as there are shops with mail, not deliveries.
_WITH_MAIL = text("""
    WITH RECURSIVE walk AS (
        (SELECT shop FROM deliveries WHERE lane = :lane AND state = 'waiting' ORDER BY shop LIMIT 1)
        UNION ALL
        SELECT (SELECT shop FROM deliveries WHERE lane = :lane AND state = 'waiting' AND shop > walk.shop
                ORDER BY shop LIMIT 1)
        FROM walk WHERE walk.shop IS NOT NULL
    )
    SELECT walk.shop, extract(epoch FROM first.next_attempt_at)::float8 AS due
    FROM walk CROSS JOIN LATERAL (
        SELECT next_attempt_at FROM deliveries
        WHERE lane = :lane AND shop = walk.shop AND state = 'waiting' ORDER BY next_attempt_at LIMIT 1
    ) AS first
    WHERE walk.shop IS NOT NULL
""")


def shops_with_mail(db: Connection, lane: str) -> dict[str, float]:
    """Every shop with something waiting in the lane, and when its first delivery is due (seconds since 1970)."""
    return {row.shop: row.due for row in db.execute(_WITH_MAIL, {"lane": lane})}


_LANE_FIGURES = text("""
    SELECT lane, count(*) AS waiting, extract(epoch FROM now() - min(received_at))::float8 AS oldest
    FROM deliveries WHERE state = 'waiting' GROUP BY lane
""")


def lane_figures(db: Connection) -> dict[str, tuple[int, float]]:
    """By lane: how many wait, and the age of the oldest in seconds. Reads the index of the waiting alone."""
    return {row.lane: (row.waiting, row.oldest) for row in db.execute(_LANE_FIGURES)}


def count_waiting(db: Connection, shop: str, feed: str) -> int:
    """A feed's waiting deliveries, of both lanes."""
    statement = text("""SELECT count(*) FROM deliveries
                        WHERE lane IN ('live', 'bulk') AND shop = :shop AND state = 'waiting' AND feed = :feed""")
    return int(db.execute(statement, {"shop": shop, "feed": feed}).scalar_one())


def count_webhooks(db: Connection, shop: str, since: datetime) -> int:
    """Changes that Shopify told of since then."""
    statement = text("""SELECT count(*) FROM deliveries
                        WHERE shop = :shop AND received_at >= :since AND source = 'webhook' AND feed IS NOT NULL""")
    return int(db.execute(statement, {"shop": shop, "since": since}).scalar_one())


_HISTORY = text("""
    SELECT * FROM deliveries WHERE shop = :shop AND feed = :feed AND resource_id = :id ORDER BY id DESC LIMIT :most
""")


def history(db: Connection, shop: str, feed: str, resource_id: int, most: int = 20) -> list[dict[str, Any]]:
    """The latest deliveries about one resource, newest first, as JSON-ready values."""
    rows = db.execute(_HISTORY, {"shop": shop, "feed": feed, "id": resource_id, "most": most}).mappings()
    return [as_json(row) for row in rows]


SHOWN = (
    *("id", "shop", "topic", "feed", "resource_id", "webhook_id", "source", "lane", "state", "outcome", "reason"),
    *("attempts", "copies", "triggered_at", "received_at", "closed_at"),
)


def as_json(row: RowMapping) -> dict[str, Any]:
    """A delivery as every screen, command and answer shows it."""
    return {name: row[name] for name in SHOWN}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which deliveries. The same words on every screen and in every command."""

    shop: str | None = None
    topic: str | None = None
    outcome: str | None = None
    error: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    resource: int | None = None
    id: int | None = None


_CONDITIONS = {
    "shop": "shop = :shop",
    "topic": "topic = :topic",
    "outcome": "outcome = :outcome",
    "error": "position(lower(:error) in lower(reason)) > 0",
    "since": "received_at >= :since",
    "until": "received_at < :until",
    "resource": "resource_id = :resource",
    "id": "id = :id",
}


def _where(chosen: Filter) -> tuple[str, dict[str, Any]]:
    """`waiting` is a state, not an outcome, but a person who filters by it means what they say."""
    values = {name: getattr(chosen, name) for name in _CONDITIONS if getattr(chosen, name) is not None}
    conditions = [_CONDITIONS[name] for name in values]
    if values.get("outcome") == "waiting":
        conditions = [c for c in conditions if not c.startswith("outcome")] + ["state = 'waiting'"]
        del values["outcome"]
    return " AND ".join(conditions) or "true", values


def select(db: Connection, chosen: Filter, most: int = 100) -> list[dict[str, Any]]:
    """Deliveries that match, newest first."""
    where, values = _where(chosen)
    query = f"SELECT * FROM deliveries WHERE {where} ORDER BY id DESC LIMIT :most"  # noqa: S608 — conditions of ours
    statement = text(query)
    return [as_json(row) for row in db.execute(statement, values | {"most": most}).mappings()]


# What has no resource has nothing that a turn could be about.
_REOPENABLE = "state = 'closed' AND feed IS NOT NULL AND resource_id IS NOT NULL"


def forecast(db: Connection, chosen: Filter) -> dict[str, int]:
    """How many deliveries a replay would reopen, by today's outcome."""
    where, values = _where(chosen)
    statement = text(f"""
        SELECT outcome, count(*) AS n FROM deliveries WHERE {where} AND {_REOPENABLE} GROUP BY outcome
    """)  # noqa: S608 — conditions of ours, values bound
    return {row.outcome: row.n for row in db.execute(statement, values)}


def reopen(db: Connection, chosen: Filter) -> int:
    """A replay: closed deliveries wait again, in the lane that never delays live mail. The count is returned.

    A dead delivery without a body of its own (a customer's is never kept) is a signal again, and Shopify is asked.
    """
    where, values = _where(chosen)
    statement = text(f"""
        UPDATE deliveries SET state = 'waiting', outcome = NULL, reason = NULL, closed_at = NULL, attempts = 0,
               next_attempt_at = now(), lane = 'bulk'
        WHERE {where} AND {_REOPENABLE}
    """)  # noqa: S608 — conditions of ours, values bound
    return db.execute(statement, values).rowcount


def count_dead(db: Connection, chosen: Filter) -> int:
    """How many dead deliveries match, those included that no replay could reopen."""
    where, values = _where(chosen)
    statement = text(f"""
        SELECT count(*) FROM deliveries WHERE {where} AND outcome = 'dead'
    """)  # noqa: S608 — conditions of ours, values bound
    return int(db.execute(statement, values).scalar_one())


def dismiss(db: Connection, chosen: Filter, reason: str) -> int:
    """Close dead deliveries without applying them. The count is returned."""
    where, values = _where(chosen)
    statement = text(f"""
        UPDATE deliveries SET outcome = 'filtered', reason = :note WHERE {where} AND outcome = 'dead'
    """)  # noqa: S608 — conditions of ours, values bound
    return db.execute(statement, values | {"note": f"dismissed: {reason}"}).rowcount
