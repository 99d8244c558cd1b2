"""Replays: closed deliveries are opened again, as an act with a name. One step, one transaction: a crash repeats none.

What a replay chose is frozen when it starts: the filter (its times are absolute) and the ids of the first and the last
delivery that matched. Its place moves in the transaction that opens, so nothing is opened twice or left out.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Text

from adapters import audit, identities, inbox
from adapters.chosen import Filter, condition_of
from adapters.inbox import REPLAYABLE
from domain.deliveries import Identity, Waiting
from domain.replays import Facts


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay as its next step needs it. `refreshed`: Shopify is asked, instead of applying what was sent."""

    id: int
    name: str
    who: str
    why: str
    chosen: Filter
    refreshed: bool
    state: str
    upto: int
    place: int
    total: int
    opened: int
    forgiven_closed: int
    forgiven_dead: int


_NAMES = "id, name, who, why, chosen, refreshed, state, upto, place, total, opened, forgiven_closed, forgiven_dead"


def _replay(row: RowMapping) -> Replay:
    return Replay(**{**row, "chosen": Filter.read(row["chosen"])})


# Starting.

_START = text(f"""
    INSERT INTO replays (key, name, who, why, chosen, refreshed, upto, place, total)
    VALUES (:key, :name, :who, :why, CAST(:chosen AS jsonb), :refreshed, :upto, :place, :total)
    ON CONFLICT DO NOTHING RETURNING {_NAMES}
""")  # noqa: S608 — names of our own columns
_SAME = text(f"""
    SELECT {_NAMES} FROM replays
    WHERE key = :key
       OR (state = 'running' AND place < upto AND md5(chosen::text) = md5(CAST(:chosen AS jsonb)::text))
    ORDER BY key = :key DESC LIMIT 1
""")  # noqa: S608 — names of our own columns


def start(
    db: Connection, name: str, who: str, why: str, chosen: Filter, *, refreshed: bool, key: str
) -> tuple[Replay, bool]:
    """A new replay, or the one that is meant: (replay, whether it is new).

    The same `key` is the same press of a button, however late; and of one filter only one replay is opening at a time.
    """
    values = {"key": key, "chosen": orjson.dumps(chosen.as_words()).decode()}
    while True:
        same = db.execute(_SAME, values).mappings().one_or_none()
        if same is not None:
            return _replay(same), False
        scope = _scope(db, chosen)
        about = {"name": name, "who": who, "why": why, "refreshed": refreshed}
        row = db.execute(_START, values | about | scope).mappings().one_or_none()
        if row is not None:
            audit.note(
                db, who, "replay started", why=why, chosen=chosen, count=row["total"], target=f"replay {row['id']}"
            )
            return _replay(row), True


def _scope(db: Connection, chosen: Filter) -> dict[str, int]:
    where, values = condition_of(chosen)
    statement = text(f"""
        SELECT count(*) AS total, coalesce(min(id) - 1, 0) AS place, coalesce(max(id), 0) AS upto
        FROM deliveries WHERE {where} AND {REPLAYABLE}
    """)  # noqa: S608 — conditions of ours, values bound
    return dict(db.execute(statement, values).mappings().one())


# Steps.

_CLAIM = text(f"""
    SELECT {_NAMES} FROM replays WHERE state = 'running' AND next_step_at <= now()
    ORDER BY next_step_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
""")  # noqa: S608 — names of our own columns


def claim(db: Connection) -> Replay | None:
    """The replay that has been due longest, held until the transaction ends: whoever dies with it has done nothing."""
    row = db.execute(_CLAIM).mappings().one_or_none()
    return _replay(row) if row is not None else None


def is_due(db: Connection) -> bool:
    statement = text("SELECT EXISTS (SELECT 1 FROM replays WHERE state = 'running' AND next_step_at <= now())")
    return bool(db.execute(statement).scalar_one())


_CAME_OF_IT = text("""
    SELECT (SELECT count(*) FROM deliveries WHERE replay = :id AND outcome IS NULL) AS waiting,
           (SELECT count(*) FROM deliveries WHERE replay = :id AND outcome = 'dead') AS dead
""")


def facts(db: Connection, replay: Replay, now: float) -> Facts:
    """How it stands, and how late live mail is (`now` in seconds since 1970)."""
    row = db.execute(_CAME_OF_IT, {"id": replay.id}).one()
    due = inbox.shops_with_mail(db, "live").values()
    return Facts(
        is_all_open=replay.place >= replay.upto,
        waiting=row.waiting,
        closed=replay.opened - row.waiting - replay.forgiven_closed,
        dead=row.dead - replay.forgiven_dead,
        live_lag=max(0.0, now - min(due, default=now)),
    )


@dataclass(frozen=True, slots=True)
class Opened:
    """What a step has opened, and whose mail it is. `passed_over`: no id can be read in their bodies, still."""

    count: int
    passed_over: int
    shops: frozenset[str]


_ADVANCE = text("""
    UPDATE replays SET place = :place, opened = opened + :opened, passed_over = passed_over + :passed_over,
           next_step_at = now() + make_interval(secs => :pause)
    WHERE id = :id
""")


def open_next(
    db: Connection, replay: Replay, most: int, read: Callable[[str, bytes, datetime], Identity], pause: float = 0.0
) -> Opened:
    """Open the next ones, oldest first, and move on: all in the caller's transaction.

    `read` finds ids in bodies that had none (see `identities.identify`).
    """
    rest = replace(replay.chosen, id_from=replay.place + 1, id_upto=replay.upto)
    where, values = condition_of(rest)
    statement = text(f"""
        SELECT id, shop, resource_id FROM deliveries WHERE {where} AND {REPLAYABLE} ORDER BY id LIMIT :most FOR UPDATE
    """)  # noqa: S608 — conditions of ours, values bound
    found = db.execute(statement, values | {"most": most}).all()
    place = found[-1].id if len(found) == most else replay.upto
    part = replace(rest, id_upto=place)
    nameless = sum(row.resource_id is None for row in found)
    passed_over = nameless - identities.identify(db, part, read) if nameless else 0
    opened = inbox.reopen(db, part, replay=replay.id) if found else 0
    numbers = {"place": place, "opened": opened, "passed_over": passed_over, "pause": pause}
    db.execute(_ADVANCE, {"id": replay.id} | numbers)
    return Opened(opened, passed_over, frozenset(row.shop for row in found))


def wait(db: Connection, replay: Replay, seconds: float) -> None:
    statement = text("UPDATE replays SET next_step_at = now() + make_interval(secs => :seconds) WHERE id = :id")
    db.execute(statement, {"id": replay.id, "seconds": seconds})


# Ends. What is open stays open and is decided: only what has not been opened yet is kept from it.

_TO_GO = "CASE WHEN place >= upto THEN 0 ELSE greatest(total - opened - passed_over, 0) END"
_END = text(f"""
    UPDATE replays SET state = :state, reason = :reason, finished_at = now(), outcomes = CAST(:outcomes AS jsonb)
    WHERE id = :id AND state = 'running' RETURNING chosen, {_TO_GO} AS to_go
""").bindparams(bindparam("reason", type_=Text), bindparam("outcomes", type_=Text))  # noqa: S608 — names of ours


def finish(db: Connection, replay: Replay) -> None:
    """What came of it is written down: a later replay may open the same deliveries again."""
    outcomes = orjson.dumps(_outcomes(db, [replay.id])[replay.id]).decode()
    db.execute(_END, {"id": replay.id, "state": "finished", "reason": None, "outcomes": outcomes})


def stop(db: Connection, replay_id: int, reason: str) -> None:
    """It stops itself, and says why."""
    row = db.execute(_END, {"id": replay_id, "state": "stopped", "reason": reason, "outcomes": None}).one_or_none()
    if row is not None:
        _note(db, "replay", "replay stopped", reason, replay_id, row)


def cancel(db: Connection, replay_id: int, who: str, why: str | None = None) -> bool:
    """Nothing more is opened from here on; False if it is not running."""
    reason = f"cancelled by {who}" + (f": {why}" if why else "")
    about = {"id": replay_id, "state": "cancelled", "reason": reason, "outcomes": None}
    cancelled = db.execute(_END, about).one_or_none()
    if cancelled is not None:
        _note(db, who, "replay cancelled", why, replay_id, cancelled)
    return cancelled is not None


def _note(db: Connection, who: str, act: str, why: str | None, replay_id: int, about: Any) -> None:
    """With the filter, and how many it had not opened yet."""
    chosen = Filter.read(about.chosen)
    audit.note(db, who, act, why=why, chosen=chosen, count=about.to_go, target=f"replay {replay_id}")


_RESUME = text(f"""
    UPDATE replays SET state = 'running', reason = NULL, finished_at = NULL, next_step_at = now(),
           forgiven_closed = opened - came.waiting, forgiven_dead = came.dead
    FROM (SELECT count(*) FILTER (WHERE outcome IS NULL) AS waiting, count(*) FILTER (WHERE outcome = 'dead') AS dead
          FROM deliveries WHERE replay = :id) AS came
    WHERE id = :id AND state IN ('cancelled', 'stopped')
      AND NOT EXISTS (SELECT 1 FROM replays other
                      WHERE other.state = 'running' AND other.place < other.upto AND other.chosen = replays.chosen)
    RETURNING chosen, {_TO_GO} AS to_go
""")  # noqa: S608 — names of our own columns


def resume(db: Connection, replay_id: int, who: str, why: str | None = None) -> bool:
    """Go on where it ended, and forgive what has failed so far.

    False if it was neither cancelled nor stopped, or if another replay of the same filter is opening now.
    """
    resumed = db.execute(_RESUME, {"id": replay_id}).one_or_none()
    if resumed is not None:
        _note(db, who, "replay resumed", why, replay_id, resumed)
    return resumed is not None


# Looking.

_SHOWN = text(f"""
    SELECT id, name, who, why, chosen AS filter, CASE WHEN refreshed THEN 'refreshed' ELSE 'as_sent' END AS mode,
           state, reason, total, opened, passed_over,
           {_TO_GO} AS to_go,
           outcomes, started_at, finished_at
    FROM replays
    WHERE (CAST(:only AS bigint) IS NULL OR id = :only) AND (CAST(:state AS text) IS NULL OR state = :state)
      AND (CAST(:before AS bigint) IS NULL OR id < :before)
    ORDER BY id DESC LIMIT :most
""")  # noqa: S608 — names of our own columns


def find(db: Connection, replay_id: int) -> dict[str, Any] | None:
    """One replay as every screen and command shows it; None if there is none of that number."""
    return next(iter(_shown(db, only=replay_id, most=1)), None)


def listed(
    db: Connection, most: int = 50, *, state: str | None = None, before: int | None = None
) -> list[dict[str, Any]]:
    """Newest first, JSON-ready. `outcomes` says what came of what it opened, with `waiting` for what is undecided."""
    return _shown(db, state=state, before=before, most=most)


def _shown(
    db: Connection, *, most: int, only: int | None = None, state: str | None = None, before: int | None = None
) -> list[dict[str, Any]]:
    values = {"only": only, "state": state, "before": before, "most": most}
    found = [dict(row) for row in db.execute(_SHOWN, values).mappings()]
    open_yet = [row["id"] for row in found if row["outcomes"] is None]
    now = _outcomes(db, open_yet) if open_yet else {}
    return [row | {"outcomes": row["outcomes"] if row["outcomes"] is not None else now[row["id"]]} for row in found]


_OUTCOMES = text("""
    SELECT replay, coalesce(outcome, 'waiting') AS outcome, count(*) AS n FROM deliveries
    WHERE replay = ANY(:ids) GROUP BY 1, 2 ORDER BY 1, 2
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))


def _outcomes(db: Connection, ids: list[int]) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {i: {} for i in ids}
    for row in db.execute(_OUTCOMES, {"ids": ids}):
        found[row.replay][row.outcome] = row.n
    return found


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed delivery as a forecast needs it: what would wait if it were opened."""

    shop: str
    delivery: Waiting


def preview(db: Connection, chosen: Filter, most: int) -> list[Closed]:
    """The newest closed deliveries that match, without bodies; those included that no replay can open."""
    where, values = condition_of(chosen)
    statement = text(f"""
        SELECT shop, id, topic, feed, resource_id, source, attempts, changed_at, triggered_at, received_at, body_bytes,
               run
        FROM deliveries WHERE {where} AND state = 'closed' ORDER BY id DESC LIMIT :most
    """)  # noqa: S608 — conditions of ours, values bound
    rows = db.execute(statement, values | {"most": most}).mappings()
    return [Closed(row["shop"], Waiting(**{name: row[name] for name in row if name != "shop"})) for row in rows]


def count_closed(db: Connection, chosen: Filter) -> int:
    """How many closed deliveries match, however many of them a replay can open."""
    where, values = condition_of(chosen)
    statement = text(f"""
        SELECT count(*) FROM deliveries WHERE {where} AND state = 'closed'
    """)  # noqa: S608 — conditions of ours, values bound
    return int(db.execute(statement, values).scalar_one())
