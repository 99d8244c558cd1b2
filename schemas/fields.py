"""Marshmallow fields for JSON that was written elsewhere: none raises for null, and no bad field spoils the rest.

A field that cannot use its value raises a ValidationError that holds a `Flaw`; when something could be saved of the
value (text without its NULs), the error carries that as `valid_data`, which Marshmallow keeps in the result.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields, missing

from domain.issues import Issue
from domain.metafield_values import kind
from domain.text import is_storable, shown, storable

LARGEST_ID = 2**63 - 1
_DIGITS = re.compile(r"[0-9]{1,19}")
_SIGNED = re.compile(r"-?[0-9]{1,19}")
_GID = re.compile(r"gid://shopify/([A-Za-z]{1,40})/([0-9]{1,19})(?:\?.*)?", re.DOTALL)
_MONEY = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,10})?")


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a field's value was not used, or not as it stood."""

    code: str
    expected: str = ""
    value: Any = None


class Lenient(Schema):
    """What Shopify adds is ignored: it adds fields at any time."""

    class Meta:  # noqa: D106 - the name is Marshmallow's
        unknown = EXCLUDE


T = TypeVar("T")


class Plain(fields.Field[T]):
    """Null and absence stay what they are, and whatever else is wrong `_deserialize` says.

    Marshmallow's own `deserialize` looks for validators, defaults and hooks at each value, and finds none here: without
    that, a product of five variants is read in two thirds of the time.
    """

    def deserialize(
        self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        return value if value is None or value is missing else self._deserialize(value, attr, data, **kwargs)


class Text(Plain[str]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if type(value) is not str:
            raise refused("text", value)
        if is_storable(value):
            return value
        raise mended(storable(value))


class Word(Text):
    """One of Shopify's enums, which it may extend: `ACTIVE` in GraphQL is `active` in a webhook."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return super()._deserialize(value, *args, **kwargs).strip().lower()


class Id(Plain[int]):
    """123, "123" or gid://shopify/Kind/123. A float is refused: it may have lost the id's last digits."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        found = as_id(value)
        if found is None:
            raise refused("an id", value)
        return found


class WholeNumber(Plain[int]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if isinstance(value, str) and _SIGNED.fullmatch(value):
            value = int(value)
        if type(value) is not int or abs(value) > LARGEST_ID:
            raise refused("a whole number", value)
        return value


class YesNo(Plain[bool]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if type(value) is not bool:
            raise refused("true or false", value)
        return value


class Money(Plain[str]):
    """A decimal string, kept as it is written."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if type(value) is not str or not _MONEY.fullmatch(value):
            raise refused("an amount", value)
        return value


class Tags(Plain[tuple[str, ...]]):
    """A webhook joins the tags with ", "; GraphQL lists them. A tag itself holds no comma."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, ...]:
        if type(value) is str:
            tags = [stripped for tag in value.split(",") if (stripped := tag.strip())] if value else []
        elif isinstance(value, list) and all(type(tag) is str for tag in value):
            tags = value
        else:
            raise refused("a list of tags", value)
        if not all(map(is_storable, tags)):
            raise mended(tuple(map(storable, tags)))
        return tuple(tags)


class Moment(Plain[datetime]):
    """A time with its zone, in UTC. Before 1970 nothing was sold on Shopify."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise unusable_time("it names no time zone", value)
            moment = moment.astimezone(UTC)
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, ValidationError):
                raise
            raise unusable_time("it is not a time", value) from None
        if moment.year < 1970:
            raise unusable_time("it lies before 1970", value)
        return moment


def refused(expected: str, value: Any) -> ValidationError:
    return ValidationError([Flaw("FIELD_WRONG_TYPE", expected, value)])


def mended(saved: Any) -> ValidationError:
    return ValidationError([Flaw("TEXT_UNSTORABLE")], valid_data=saved)


def unusable_time(problem: str, value: Any) -> ValidationError:
    return ValidationError([Flaw("UPDATED_AT_INVALID", problem, value)])


def as_id(value: Any, of: str | None = None) -> int | None:
    """`of` is the kind that a gid must name."""
    if type(value) is str:
        gid = _GID.fullmatch(value)
        if gid is not None and of in {None, gid[1]}:
            value = int(gid[2])
        elif _DIGITS.fullmatch(value):
            value = int(value)
    return value if type(value) is int and 0 < value <= LARGEST_ID else None


def load(schema: Schema, found: Any) -> tuple[Any, dict[Any, Any]]:
    """What could be read, and Marshmallow's messages about the rest."""
    try:
        return schema.load(found), {}
    except ValidationError as error:
        messages = error.messages
        return error.valid_data, messages if isinstance(messages, dict) else {}


def issues_of(messages: Mapping[Any, Any], prefix: str, names: Mapping[str, str], *, quoting: bool) -> Iterator[Issue]:
    """`names` turns Shopify's spelling into the record's. `quoting` is False where values may be personal."""
    for field, flaws in messages.items():
        path = f"{prefix}{names.get(field, field)}"
        for flaw in flaws if isinstance(flaws, list) else ():
            if isinstance(flaw, Flaw):
                yield _issue(flaw, path, quoting=quoting)


def too_far_ahead(moment: datetime | None, now: datetime) -> bool:
    """Such a time would win over every later state; clocks that differ by minutes are no reason to refuse one."""
    return moment is not None and moment > now + timedelta(days=1)


def _issue(flaw: Flaw, path: str, *, quoting: bool) -> Issue:
    if flaw.code == "UPDATED_AT_INVALID":
        return Issue(flaw.code, path, None, {"problem": flaw.expected})
    if flaw.code == "TEXT_UNSTORABLE":
        return Issue(flaw.code, path)
    snippet = shown(flaw.value) if quoting else None
    return Issue(flaw.code, path, snippet, {"expected": flaw.expected, "found": kind(flaw.value)})
