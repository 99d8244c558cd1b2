"""Which failures are the same failure: its topic and its sentence, without what differs from one delivery to the next.

The sentence of a bug names the error's class and the file, so both are part of it; the line's number is not, or every
deploy would begin the groups anew.
"""

import hashlib
import re
from dataclasses import dataclass

_ANY_SHOP = re.compile(r"\b[a-z0-9][a-z0-9-]{0,100}\.myshopify\.com\b", re.IGNORECASE)  # bounded: never the square
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']*'(?!\w)")
# A status or a SQLSTATE says what kind of failure it is; any other number says which delivery's.
_NUMBER = re.compile(r"(?P<kind>(?:HTTP|SQLSTATE) \w+)|\d+(?:[.,:]\d+)*")
_GIVEN_UP = re.compile(r"^given up after two days: ")
_CLASS = re.compile(r"could not be applied: (\w+)")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """`key` names the group; `sentence` is what all of its failures have in common, fit to be kept and shown."""

    key: str
    sentence: str


def fingerprint(topic: str, reason: str | None) -> Fingerprint:
    """The group of a delivery that failed with this reason. Being given up in the end does not make it another one."""
    common = common_sentence(reason or "no reason was kept")
    return Fingerprint(hashlib.sha256(f"{topic}\n{common}".encode()).hexdigest()[:12], common)


def common_sentence(reason: str) -> str:
    sentence = _GIVEN_UP.sub("", reason)
    sentence = _QUOTED.sub("“…”", sentence)
    sentence = _ANY_SHOP.sub("the shop", sentence)
    return _NUMBER.sub(lambda found: found["kind"] or "N", sentence)


def error_class(reason: str | None) -> str | None:
    """The class of error that a bug's sentence names; None for a sentence that says it in words."""
    found = _CLASS.search(reason or "")
    return found[1] if found else None
