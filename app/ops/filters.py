"""Which deliveries a page is about: read from its address, and written into the addresses of others."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from flask import request

from adapters.inbox import Filter
from domain.query import LARGEST_ID
from domain.text import storable
from domain.topics import ROUTES

OUTCOMES = ("applied", "unchanged", "superseded", "filtered", "deleted", "dead", "waiting")
LANES = ("live", "bulk")
LONGEST = 200
MOST_CHOSEN = 500  # rows ticked one by one
NUMBERS = ("resource", "id", "replay", "id_from", "id_upto", "attempts")
_SPAN = re.compile(r"(\d{1,5})\s*(min|h|d)")
_SIZES = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class Words(Protocol):
    """An address' or a form's values."""

    def get(self, name: str) -> str | None: ...
    def getlist(self, name: str) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """`words` are what was typed, for the form; `problems` say what of it is no filter. Then nothing must be listed,
    and nothing done: a filter that is not understood would mean all.
    """

    chosen: Filter
    words: Mapping[str, str]
    problems: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return self.chosen == Filter()

    @property
    def address(self) -> dict[str, Any]:
        """For `url_for`: the same filter, its times as they were typed."""
        return {**self.words, **({"ids": list(self.chosen.ids)} if self.chosen.ids else {})}


def hidden(chosen: Filter) -> list[tuple[str, Any]]:
    """For a form's hidden inputs: the same filter, its times absolute."""
    pairs: list[tuple[str, Any]] = []
    for name, value in chosen.as_words().items():
        pairs += [(name, one) for one in value] if isinstance(value, list | tuple) else [(name, value)]
    return pairs


def asked(words: Words | None = None) -> Asked:
    """What the address asks for, or the posted form."""
    given = request.args if words is None else words
    typed = {name: storable(given.get(name) or "").strip()[:LONGEST] for name in _READ}
    typed = {name: value for name, value in typed.items() if value}
    values: dict[str, Any] = {}
    problems = []
    for name, value in typed.items():
        try:
            values[name] = _READ[name](value)
        except ValueError as problem:
            problems.append(f"{name}: {problem}")
    try:
        ids = _ids(given.getlist("ids"))
    except ValueError as problem:
        ids = None
        problems.append(f"ids: {problem}")
    chosen = Filter(**values, ids=ids)
    return Asked(chosen, typed, tuple(problems))


def narrowed(chosen: Filter, **more: Any) -> Filter:
    """The same deliveries, but fewer."""
    return replace(chosen, **more)


def cursor(name: str) -> int | None:
    """Where a list goes on; nonsense is its beginning."""
    typed = request.args.get(name, "")
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 19 else None


def in_words(chosen: Filter) -> str:
    """`dead deliveries of acme.myshopify.com, topic products/update, since 2026-11-23 10:00 UTC`."""
    given = {f.name: getattr(chosen, f.name) for f in fields(chosen) if getattr(chosen, f.name) is not None}
    said = [template.format(_cell(given[name])) for name, template in _SAID.items() if name in given]
    return ", ".join(said) or "every delivery"


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, list | tuple):
        return f"{len(value):,}"
    return str(value)


_SAID = {
    "ids": "{} chosen one by one",
    "outcome": "{}",
    "shop": "of {}",
    "topic": "topic {}",
    "error": "error contains “{}”",
    "resource": "about {}",
    "id": "number {}",
    "fingerprint": "of issue {}",
    "replay": "opened by replay {}",
    "lane": "lane {}",
    "source": "source {}",
    "copies": "received at least {} times",
    "attempts": "at least {} failed attempts",
    "since": "received since {}",
    "until": "received before {}",
    "id_from": "from number {}",
    "id_upto": "up to number {}",
}


def _one_of(words: Sequence[str]) -> Any:
    def read(typed: str) -> str:
        if typed not in words:
            raise ValueError(f"“{typed}” is none of {', '.join(words)}.")
        return typed

    return read


def _topic(typed: str) -> str:
    if typed not in ROUTES:
        raise ValueError(f"“{typed}” is no topic that is known here.")
    return typed


def _shop(typed: str) -> str:
    """The first word is enough, as on the command line."""
    return typed.lower() if "." in typed else f"{typed.lower()}.myshopify.com"


def _number(typed: str) -> int:
    """A product's or customer's id may come as Shopify writes it."""
    number = typed.rpartition("/")[2].partition("?")[0]
    if not re.fullmatch(r"\d{1,19}", number, re.ASCII) or int(number) > LARGEST_ID:
        raise ValueError(f"“{typed}” is no number.")
    return int(number)


def _moment(typed: str) -> datetime:
    """`2h` ago, or a time of UTC."""
    span = _SPAN.fullmatch(typed.lower())
    if span:
        return datetime.now(UTC) - int(span[1]) * _SIZES[span[2]]
    try:
        moment = datetime.fromisoformat(typed)
    except ValueError:
        raise ValueError(f"“{typed}” is no time. Write 30min, 2h, 7d or 2026-11-23T10:00 (UTC).") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _copies(typed: str) -> int:
    """The tick box says 1: anything that came more than once."""
    return max(2, _number(typed))


def _fingerprint(typed: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z_-]{1,64}", typed):
        raise ValueError(f"“{typed}” is no issue.")
    return typed


def _ids(typed: Sequence[str]) -> tuple[int, ...] | None:
    if len(typed) > MOST_CHOSEN:
        raise ValueError(f"More than {MOST_CHOSEN} are chosen one by one. Choose them by a filter.")
    return tuple(sorted({_number(one) for one in typed})) or None


_READ: dict[str, Any] = {
    "shop": _shop,
    "topic": _topic,
    "outcome": _one_of(OUTCOMES),
    "error": str,
    "since": _moment,
    "until": _moment,
    "lane": _one_of(LANES),
    "source": _one_of(("webhook", "run", "fetch", "replay", "operator")),
    "copies": _copies,
    "fingerprint": _fingerprint,
    **dict.fromkeys(NUMBERS, _number),
}
