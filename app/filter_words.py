"""The words of a filter: what may be typed for each, on a screen, in an address or as an option of a command."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.bell import LANES
from domain.query import LARGEST_ID
from domain.topics import ROUTES

OUTCOMES = ("waiting", "dead", "applied", "unchanged", "superseded", "filtered", "deleted")
SOURCES = ("webhook", "run", "fetch", "replay", "operator")
MOST_CHOSEN = 500  # named one by one
_SPAN = re.compile(r"(\d{1,5})\s*(min|h|d)")
_SIZES = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def _one_of(words: Sequence[str]) -> Callable[[str], str]:
    def read(typed: str) -> str:
        if typed not in words:
            raise ValueError(f"“{typed}” is none of {', '.join(words)}.")
        return typed

    return read


def _topic(typed: str) -> str:
    if typed not in ROUTES:
        raise ValueError(f"“{typed}” is no topic that is known here. Known are {', '.join(sorted(ROUTES))}.")
    return typed


def full_domain(typed: str) -> str:
    """The first word is enough."""
    return typed.lower() if "." in typed else f"{typed.lower()}.myshopify.com"


def number(typed: str) -> int:
    """A product's or customer's id may come as Shopify writes it."""
    digits = typed.rpartition("/")[2].partition("?")[0]
    if not re.fullmatch(r"\d{1,19}", digits, re.ASCII) or int(digits) > LARGEST_ID:
        raise ValueError(f"“{typed}” is no number.")
    return int(digits)


def moment(typed: str) -> datetime:
    """`2h` ago, or a time of UTC. Whatever a screen or an answer shows can be pasted back."""
    span = _SPAN.fullmatch(typed.lower())
    if span:
        return datetime.now(UTC) - int(span[1]) * _SIZES[span[2]]
    try:
        told = datetime.fromisoformat(typed.removesuffix(" UTC"))
    except ValueError:
        raise ValueError(f"“{typed}” is no time. Write 30min, 2h, 7d or 2026-11-23T10:00 (UTC).") from None
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def _copies(typed: str) -> int:
    """The tick box says 1: anything that came more than once."""
    return max(2, number(typed))


def _fingerprint(typed: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z_-]{1,64}", typed):
        raise ValueError(f"“{typed}” is no issue.")
    return typed


def numbers(typed: Sequence[str]) -> tuple[int, ...] | None:
    """Deliveries named one by one; None when none was."""
    if len(typed) > MOST_CHOSEN:
        raise ValueError(f"More than {MOST_CHOSEN} are chosen one by one. Choose them by a filter.")
    return tuple(sorted({number(one) for one in typed})) or None


READ: Mapping[str, Callable[[str], Any]] = {
    "shop": full_domain,
    "topic": _topic,
    "outcome": _one_of(OUTCOMES),
    "error": str,
    "since": moment,
    "until": moment,
    "closed_since": moment,
    "closed_until": moment,
    "version": str,
    "lane": _one_of(LANES),
    "source": _one_of(SOURCES),
    "copies": _copies,
    "fingerprint": _fingerprint,
    **dict.fromkeys(("resource", "id", "replay", "id_from", "id_upto", "attempts"), number),
}
