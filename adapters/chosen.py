"""Which deliveries: one filter for every screen and command, and what it is in SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Filter:
    """Which deliveries. The same words on every screen and in every command, and one scope for list, count and act.

    `since` and `until` are about when it was received, `closed_…` about when it was decided. `version`: the code that
    an attempt failed in. `copies` and `attempts` are at least so many; `id_from` and `id_upto` are both included.
    """

    shop: str | None = None
    topic: str | None = None
    outcome: str | None = None
    error: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    closed_since: datetime | None = None
    closed_until: datetime | None = None
    version: str | None = None
    resource: int | None = None
    id: int | None = None
    id_from: int | None = None
    id_upto: int | None = None
    fingerprint: str | None = None
    replay: int | None = None
    lane: str | None = None
    source: str | None = None
    copies: int | None = None
    attempts: int | None = None
    ids: tuple[int, ...] | None = None  # ticked one by one

    def as_words(self) -> dict[str, Any]:
        """What was asked for, JSON-ready; `Filter.read` makes the same filter of it."""
        chosen = {name: getattr(self, name) for name in _CONDITIONS if getattr(self, name) is not None}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in chosen.items()}

    @classmethod
    def read(cls, words: Mapping[str, Any]) -> "Filter":
        times = {name: datetime.fromisoformat(words[name]) for name in _TIMES if name in words}
        ids = {"ids": tuple(words["ids"])} if "ids" in words else {}
        return cls(**{**words, **times, **ids})


_TIMES = ("since", "until", "closed_since", "closed_until")
_CONDITIONS = {
    "shop": "shop = :shop",
    "topic": "topic = :topic",
    "outcome": "outcome = :outcome",
    "error": "position(lower(:error) in lower(reason)) > 0",
    "since": "received_at >= :since",
    "until": "received_at < :until",
    "closed_since": "closed_at >= :closed_since",
    "closed_until": "closed_at < :closed_until",
    "version": "EXISTS (SELECT 1 FROM attempts a WHERE a.delivery = deliveries.id AND a.version = :version)",
    "resource": "resource_id = :resource",
    "id": "id = :id",
    "id_from": "id >= :id_from",
    "id_upto": "id <= :id_upto",
    "fingerprint": "fingerprint = :fingerprint",
    "replay": "replay = :replay",
    "lane": "lane = :lane",
    "source": "source = :source",
    "copies": "copies >= :copies",
    "attempts": "attempts >= :attempts",
    "ids": "id = ANY(:ids)",
}

# What neither an index nor a time narrows down is looked for among the newest so many, by every screen and command.
SEARCHED = 1_000_000
SEARCH_BOUND = f"Only the newest {SEARCHED:,} deliveries are searched. Say since when, dead or waiting, or an issue."
_NARROW = ("id", "ids", "id_from", "since", "fingerprint", "replay")


def is_bounded(chosen: Filter) -> bool:
    """Whether this filter is looked for among the newest deliveries alone: say so with `SEARCH_BOUND`."""
    narrow = any(getattr(chosen, name) is not None for name in _NARROW)
    one_resource = chosen.shop is not None and chosen.resource is not None
    return not (narrow or one_resource or chosen.outcome in ("dead", "waiting"))


def condition_of(chosen: Filter) -> tuple[str, dict[str, Any]]:
    """`waiting` is a state, not an outcome, but a person who filters by it means what they say."""
    values = {name: getattr(chosen, name) for name in _CONDITIONS if getattr(chosen, name) is not None}
    if chosen.ids is not None:
        values["ids"] = list(chosen.ids)
    conditions = [_CONDITIONS[name] for name in values]
    if values.get("outcome") == "waiting":
        conditions = [c for c in conditions if not c.startswith("outcome")] + ["state = 'waiting'"]
        del values["outcome"]
    elif values.get("outcome") == "dead":
        # In so many words, not as a value: only then the planner may use the indexes of the dead.
        conditions = [c for c in conditions if not c.startswith("outcome")] + ["outcome = 'dead'"]
        del values["outcome"]
    if is_bounded(chosen):
        conditions.append("id > (SELECT coalesce(max(id), 0) - :searched FROM deliveries)")
        values["searched"] = SEARCHED
    return " AND ".join(conditions), values
