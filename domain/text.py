"""What becomes of text before it is kept or shown."""

import json
import re
from typing import Any

SNIPPET = 80
MASK = "…"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Begun at the start of a word alone: tried at each of its letters, a long word would take the square of its length.
_EMAIL_LIKE = re.compile(r"(?<![^\s@\"'<>,;:\[\]{}])([^\s@\"'<>,;:\[\]{}])[^\s@\"'<>,;:\[\]{}]*@[^\s\"'<>,;\[\]{}]+")
_PHONE_LIKE = re.compile(r"\+?\d(?:[ ().-]{0,2}\d){8,}")


def storable(text: str) -> str:
    """The same text, with what Postgres cannot keep (NUL, lone surrogates) replaced by U+FFFD."""
    return text if is_storable(text) else _UNSTORABLE.sub("\ufffd", text)


def is_storable(text: str) -> bool:
    if "\x00" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: Any) -> str:
    """A value as a snippet: one printable line of at most 80 characters, quoted so that spaces at its ends are seen."""
    if isinstance(value, str):
        return shortened(f'"{value[:SNIPPET]}"')
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return shortened(json.dumps(value)) if isinstance(value, (bool, float)) or value is None else _number(value)


def shortened(text: str, limit: int = SNIPPET) -> str:
    line = "".join(char if char.isprintable() else " " for char in text[: limit + 1])
    return line if len(line) <= limit else line[: limit - 1] + MASK


def masked(text: str) -> str:
    """The text without what looks like an email address or a telephone number."""
    return _PHONE_LIKE.sub(MASK, _EMAIL_LIKE.sub(rf"\1{MASK}@{MASK}", text))


def masked_email(email: str) -> str:
    """`jane@example.com` becomes `j…@…`; what has no @ becomes `j…`."""
    first = shortened(email.strip()[:1])
    return f"{first}{MASK}@{MASK}" if "@" in email else f"{first}{MASK}"


def _number(value: Any) -> str:
    # `str` of an int refuses beyond 4,300 digits
    return str(value) if isinstance(value, int) and abs(value) < 10**40 else "a very long number"
