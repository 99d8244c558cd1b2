"""The inbox: every delivery that was received, and what became of it. 200 means: it is in this table."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Any

import orjson
from sqlalchemy import Connection, RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Double, LargeBinary, Text

from adapters import attempts
from adapters.chosen import SEARCH_BOUND, SEARCHED, Filter, condition_of, is_bounded
from adapters.identities import UNIDENTIFIED, count_identifiable, identify
from domain.deliveries import Outcome, Verdict, Waiting
from domain.fingerprints import error_class

__all__ = [
    "SEARCH_BOUND",
    "Filter",
    "condition_of",
    "count_identifiable",
    "identify",
    "is_bounded",
]  # read with the rest


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
           changed_at, least(triggered_at, now() + interval '5 minutes'), received_at, run,
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
_values = attrgetter(*_FIELDS)


def store(db: Connection, arrivals: Collection[Arrival]) -> set[tuple[str, str]]:
    """Keep each once per (shop, webhook id); the keys that were new are returned.

    A sender's clock that runs ahead must not win over everything to come. The database's judges it: a front door whose
    own clock is behind would cut true times, and lose each delete to the state before it.

    Sorted, so that two processes that store the same two deliveries cannot each wait for the other. DO NOTHING rather
    than counting the copy here: a conflicting row may be locked by its turn, and Shopify's answer must not wait for it.

    Rows travel as one JSON parameter and all bodies as one run of bytes, cut up by the database: adapting them one by
    one was a fifth of what the front door did.
    """
    ordered = sorted({arrival.key: arrival for arrival in arrivals}.values(), key=lambda arrival: arrival.key)
    bodies = b"".join(arrival.body or b"" for arrival in ordered)
    rows, first = [], 1
    for arrival in ordered:
        row = dict(zip(_FIELDS, _values(arrival), strict=True))
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


_PEEK = """
    SELECT id, topic, feed, resource_id, source, attempts, changed_at, triggered_at, received_at, body_bytes, run,
           replay, coalesce((SELECT refreshed FROM replays WHERE replays.id = deliveries.replay), false) AS refreshed
    FROM deliveries
    WHERE lane = :lane AND shop = :shop AND state = 'waiting' AND next_attempt_at <= now()
    ORDER BY {order}
    LIMIT :most
"""
_PEEK_FIRST = text(_PEEK.format(order="next_attempt_at, id"))
_PEEK_LATEST = text(_PEEK.format(order="next_attempt_at DESC, id DESC"))


def peek(db: Connection, lane: str, shop: str, most: int) -> list[Waiting]:
    """What is due of a shop, longest due first, without bodies: most of them will turn out to be overtaken."""
    return [Waiting(**row) for row in db.execute(_PEEK_FIRST, {"lane": lane, "shop": shop, "most": most}).mappings()]


def peek_latest(db: Connection, lane: str, shop: str, most: int) -> list[Waiting]:
    """The same from the other end."""
    return [Waiting(**row) for row in db.execute(_PEEK_LATEST, {"lane": lane, "shop": shop, "most": most}).mappings()]


_BODIES = text("SELECT id, body FROM deliveries WHERE id = ANY(:ids)").bindparams(
    bindparam("ids", type_=ARRAY(BigInteger))
)


def bodies(db: Connection, ids: Sequence[int]) -> dict[int, bytes | None]:
    """The bytes as Shopify sent them, by delivery."""
    return {row.id: row.body for row in db.execute(_BODIES, {"ids": list(ids)})}


# "Waiting" is said here, and where it is closed or postponed, by what it has not: an outcome. By `state` the index of
# all that waits would do as well, and did: a plan that is made while nearly nothing waits takes it for the shortest
# way, and is kept when tens of thousands wait.
_LOCK = text("""
    SELECT id FROM deliveries WHERE id = ANY(:ids) AND outcome IS NULL ORDER BY id FOR UPDATE SKIP LOCKED
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))


def lock(db: Connection, ids: Iterable[int]) -> set[int]:
    """Those of `ids` that still wait and that nobody else is deciding about. Held until the transaction ends."""
    return {row.id for row in db.execute(_LOCK, {"ids": list(ids)})}


_CLOSE = text("""
    UPDATE deliveries SET state = 'closed', outcome = v.outcome, reason = v.reason, closed_at = now(),
           fingerprint = CASE WHEN v.outcome = 'dead' THEN NULL ELSE fingerprint END
    FROM unnest(:ids, :outcomes, :reasons) AS v(id, outcome, reason)
    WHERE deliveries.id = ANY(:ids) AND deliveries.id = v.id AND deliveries.outcome IS NULL
    RETURNING deliveries.id, attempts + 1 AS n
""").bindparams(
    bindparam("ids", type_=ARRAY(BigInteger)),
    bindparam("outcomes", type_=ARRAY(Text)),
    bindparam("reasons", type_=ARRAY(Text)),
)


def close(db: Connection, verdicts: Mapping[int, Verdict]) -> None:
    """Give each delivery its one outcome, in the transaction that wrote what it meant.

    Who dies leaves what the attempt said. Its group is found later, by a duty: a flood of poison must not make every
    turn wait for the one row of its group.
    """
    if not verdicts:
        return
    ids = sorted(verdicts)
    columns = {
        "ids": ids,
        "outcomes": [verdicts[i].outcome.value for i in ids],
        "reasons": [verdicts[i].reason for i in ids],
    }
    closed = {row.id: row.n for row in db.execute(_CLOSE, columns)}
    dead = {i: verdicts[i].reason or "" for i in closed if verdicts[i].outcome is Outcome.DEAD}
    attempts.note(db, [attempts.Failed(i, closed[i], reason, error_class(reason)) for i, reason in dead.items()])


_FORGET_BODIES = text("""
    UPDATE deliveries SET body = NULL, body_bytes = 0 WHERE id = ANY(:ids) AND body IS NOT NULL
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))


def forget_bodies(db: Connection, ids: Iterable[int]) -> None:
    """Keep the deliveries without what they said."""
    db.execute(_FORGET_BODIES, {"ids": list(ids)})


_POSTPONE = text("""
    UPDATE deliveries
    SET attempts = attempts + :counts, next_attempt_at = now() + make_interval(secs => v.seconds), reason = :reason
    FROM unnest(:ids, :seconds) AS v(id, seconds)
    WHERE deliveries.id = ANY(:ids) AND deliveries.id = v.id AND outcome IS NULL
    RETURNING deliveries.id, attempts AS n
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)), bindparam("seconds", type_=ARRAY(Double)))


def postpone(
    db: Connection, pauses: Mapping[int, float], reason: str, *, counts: bool, error: str | None = None
) -> None:
    """Leave these waiting for so many seconds each. `counts`: it was an attempt that failed, not a mere wait.

    `error` is its class. What an attempt said is kept beside the delivery; a mere wait has said nothing.
    """
    ids = sorted(pauses)
    values = {"ids": ids, "seconds": [pauses[i] for i in ids], "reason": reason, "counts": int(counts)}
    postponed = db.execute(_POSTPONE, values).all()
    if counts:
        attempts.note(db, [attempts.Failed(row.id, row.n, reason, error) for row in postponed])


_ASKED = text("""
    SELECT DISTINCT resource_id FROM deliveries
    WHERE shop = :shop AND resource_id = ANY(:ids) AND topic = :topic AND state = 'waiting'
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))


def already_asked(db: Connection, shop: str, topic: str, ids: Sequence[int]) -> set[int]:
    """The resources that such a delivery waits for already."""
    values = {"shop": shop, "topic": topic, "ids": list(ids)}
    return {row.resource_id for row in db.execute(_ASKED, values)} if ids else set()


_HURRY = text("""
    UPDATE deliveries SET next_attempt_at = now() WHERE shop = :shop AND state = 'waiting' AND next_attempt_at > now()
""")


def hurry(db: Connection, shop: str) -> None:
    """What kept this shop's mail waiting is over (a new token): all of it is due now."""
    db.execute(_HURRY, {"shop": shop})


_NEXT_DUE = text("""
    SELECT kind.lane, extract(epoch FROM first.next_attempt_at)::float8 AS due
    FROM (VALUES ('live'), ('bulk')) AS kind (lane) CROSS JOIN LATERAL (
        SELECT next_attempt_at FROM deliveries
        WHERE lane = kind.lane AND shop = :shop AND state = 'waiting' ORDER BY next_attempt_at LIMIT 1
    ) AS first
""")


def next_due(db: Connection, shop: str) -> dict[str, float]:
    """By lane, when (seconds since 1970) the shop's next delivery is due. A lane where nothing waits is left out."""
    return {row.lane: row.due for row in db.execute(_NEXT_DUE, {"shop": shop})}


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


SHOWN = (
    *("id", "shop", "topic", "feed", "resource_id", "webhook_id", "source", "lane", "state", "outcome", "reason"),
    *("attempts", "copies", "triggered_at", "received_at", "closed_at"),
)
_SHOWN = ", ".join(SHOWN)
_HISTORY = text(f"""
    SELECT {_SHOWN} FROM deliveries
    WHERE shop = :shop AND feed = :feed AND resource_id = :id ORDER BY id DESC LIMIT :most
""")  # noqa: S608 — names of ours


def history(db: Connection, shop: str, feed: str, resource_id: int, most: int = 20) -> list[dict[str, Any]]:
    """The latest deliveries about one resource, newest first, as JSON-ready values."""
    rows = db.execute(_HISTORY, {"shop": shop, "feed": feed, "id": resource_id, "most": most}).mappings()
    return [as_json(row) for row in rows]


def as_json(row: RowMapping) -> dict[str, Any]:
    """A delivery as every screen, command and answer shows it."""
    return {name: row[name] for name in SHOWN}


LISTED = (*SHOWN, "next_attempt_at", "fingerprint", "replay")
DETAILS = (*LISTED, "event_id", "api_version", "secret", "run", "changed_at", "body_bytes")


def select(
    db: Connection, chosen: Filter, most: int = 100, *, before: int | None = None, details: bool = False
) -> list[dict[str, Any]]:
    """Deliveries that match, newest first; the next page is what comes `before` the last one's id."""
    where, values = condition_of(chosen)
    columns = ", ".join(DETAILS if details else LISTED)
    older = "AND id < :before" if before is not None else ""
    statement = text(f"""
        SELECT {columns} FROM deliveries WHERE {where} {older} ORDER BY id DESC LIMIT :most
    """)  # noqa: S608 — names and conditions of ours, values bound
    values |= {"most": most} | ({"before": before} if before is not None else {})
    return [dict(row) for row in db.execute(statement, values).mappings()]


def count(db: Connection, chosen: Filter, most: int = 100_001) -> int:
    """How many match; at least `most` if it says `most`."""
    where, values = condition_of(chosen)
    statement = text(f"""
        SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE {where} LIMIT :most) AS found
    """)  # noqa: S608 — conditions of ours, values bound
    return int(db.execute(statement, values | {"most": most}).scalar_one())


def frozen(db: Connection, chosen: Filter) -> Filter:
    """The same deliveries whenever it is asked again: what arrives later is not among them."""
    newest = int(db.execute(text("SELECT coalesce(max(id), 0) FROM deliveries")).scalar_one())
    first = max(newest - SEARCHED, 0) + 1 if is_bounded(chosen) else chosen.id_from
    return replace(chosen, id_from=first, id_upto=newest if chosen.id_upto is None else min(chosen.id_upto, newest))


# What has no resource has nothing that a turn could be about.
_REOPENABLE = "state = 'closed' AND feed IS NOT NULL AND resource_id IS NOT NULL"
REPLAYABLE = f"(({_REOPENABLE}) OR ({UNIDENTIFIED}))"


def forecast(db: Connection, chosen: Filter) -> dict[str, int]:
    """How many deliveries a replay would reopen, by today's outcome."""
    where, values = condition_of(chosen)
    statement = text(f"""
        SELECT outcome, count(*) AS n FROM deliveries WHERE {where} AND {REPLAYABLE} GROUP BY outcome
    """)  # noqa: S608 — conditions of ours, values bound
    return {row.outcome: row.n for row in db.execute(statement, values)}


# Nothing is overwritten: how each had closed stands among its attempts.
_KEEP_OUTCOME = """
    kept AS (INSERT INTO attempts (delivery, at, outcome, sentence)
             SELECT id, coalesce(closed_at, now()), outcome, coalesce(reason, outcome) FROM chosen)
"""


def reopen(db: Connection, chosen: Filter, *, replay: int | None = None) -> int:
    """A replay: closed deliveries wait again, in the lane that never delays live mail. The count is returned.

    A dead delivery without a body of its own (a customer's is never kept) is a signal again, and Shopify is asked. One
    without an id must be identified first. All keep the group of failures they belonged to.
    """
    where, values = condition_of(chosen)
    statement = text(f"""
        WITH chosen AS (SELECT id, outcome, reason, closed_at FROM deliveries WHERE {where} AND {_REOPENABLE}
                        ORDER BY id FOR UPDATE),
             {_KEEP_OUTCOME}
        UPDATE deliveries SET state = 'waiting', outcome = NULL, reason = NULL, closed_at = NULL, attempts = 0,
               next_attempt_at = now(), lane = 'bulk', replay = coalesce(:by, replay)
        FROM chosen WHERE deliveries.id = chosen.id
    """)  # noqa: S608 — conditions of ours, values bound
    return db.execute(statement.bindparams(bindparam("by", type_=BigInteger)), values | {"by": replay}).rowcount


NOTHING_TO_REPLAY = (
    "Nothing of it was kept that a replay could be about: no id could be read, and a body of this topic is never kept."
    " The next complete run reads from Shopify what it may have told."
)


def count_beyond_replay(db: Connection, chosen: Filter) -> int:
    """How many closed deliveries no replay can ever open: see `NOTHING_TO_REPLAY`."""
    where, values = condition_of(chosen)
    statement = text(f"""
        SELECT count(*) FROM deliveries
        WHERE {where} AND state = 'closed' AND NOT coalesce({REPLAYABLE}, false)
    """)  # noqa: S608 — conditions of ours, values bound
    return int(db.execute(statement, values).scalar_one())


def count_dead(db: Connection, chosen: Filter) -> int:
    """How many dead deliveries match, those included that no replay could reopen."""
    where, values = condition_of(chosen)
    statement = text(f"""
        SELECT count(*) FROM deliveries WHERE {where} AND outcome = 'dead'
    """)  # noqa: S608 — conditions of ours, values bound
    return int(db.execute(statement, values).scalar_one())


def dismiss(db: Connection, chosen: Filter, reason: str) -> int:
    """Close dead deliveries without applying them. The count is returned; what killed them stays among the attempts."""
    where, values = condition_of(chosen)
    statement = text(f"""
        WITH chosen AS (SELECT id, outcome, reason, closed_at FROM deliveries WHERE {where} AND outcome = 'dead'
                        ORDER BY id FOR UPDATE),
             {_KEEP_OUTCOME}
        UPDATE deliveries SET outcome = 'filtered', reason = :note FROM chosen WHERE deliveries.id = chosen.id
    """)  # noqa: S608 — conditions of ours, values bound
    return db.execute(statement, values | {"note": f"dismissed: {reason}"}).rowcount
