"""Which deliveries a page is about: read from its address, and written into the addresses of others."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from flask import request

from adapters.inbox import Filter
from app.filter_words import READ, numbers
from domain.text import storable

LONGEST = 200


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
    typed = {name: storable(given.get(name) or "").strip()[:LONGEST] for name in READ}
    typed = {name: value for name, value in typed.items() if value}
    values: dict[str, Any] = {}
    problems = []
    for name, value in typed.items():
        try:
            values[name] = READ[name](value)
        except ValueError as problem:
            problems.append(f"{name}: {problem}")
    try:
        ids = numbers(given.getlist("ids"))
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
    "closed_since": "decided since {}",
    "closed_until": "decided before {}",
    "version": "tried by code {}",
    "id_from": "from number {}",
    "id_upto": "up to number {}",
}
