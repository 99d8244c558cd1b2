"""What every act of the console asks for: who, why, and above a thousand the number once more."""

from flask import g, request
from werkzeug.exceptions import BadRequest

from domain.text import storable

LONGEST_REASON = 500
TYPED_ABOVE = 1_000


def who() -> str:
    """As the audit names people. No user's name can have a colon, so `cli:…` is never one."""
    name: str = g.person.name
    return name


def reason_given() -> str:
    """Raises BadRequest without one."""
    reason = storable(request.form.get("why", "")).strip()[:LONGEST_REASON]
    if not reason:
        raise BadRequest("Say why: it stands in the audit, and whoever comes after you will want to know.")
    return reason


def reason_if_any() -> str | None:
    return storable(request.form.get("why", "")).strip()[:LONGEST_REASON] or None


def confirmed_count() -> int:
    """How many the page said that it is about. Above a thousand the same number must have been typed in."""
    told = request.form.get("count", "")
    if not (told.isascii() and told.isdecimal() and len(told) < 10):
        raise BadRequest("This form is not complete. Open the page again.")
    count = int(told)
    typed = request.form.get("typed", "").replace(",", "").strip()
    if count > TYPED_ABOVE and typed != told:
        raise BadRequest(f"{count:,} deliveries are a lot. Go back and type {count} into the field to confirm it.")
    return count
