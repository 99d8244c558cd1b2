"""Fields of what the API is asked and answers. An answer's fields are always there, and null only where it is said."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, fields, missing, validate

from domain.text import storable

LARGEST_ID = 2**63 - 1
_LOST_PLUS = re.compile(r"(T[^T]*) (\d\d:\d\d)$")  # a plus that was not written as %2B arrives as a space


class Question(Schema):
    """Parameters of an address. Those that nobody knows are ignored, as everywhere on the web."""

    class Meta:  # noqa: D106 - the name is Marshmallow's
        unknown = EXCLUDE


class Change(Schema):
    """A JSON body. A name that nobody knows is refused: it is misspelt, and silence would look like success."""

    class Meta:  # noqa: D106 - the name is Marshmallow's
        unknown = RAISE

    error_messages = {"unknown": "is not known", "type": "must be an object"}  # noqa: RUF012 - Marshmallow's own


class Answer(Schema):
    """What stands here is sent, and nothing else."""


class Typed(fields.String):
    """What somebody typed, as Postgres can keep it."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        return storable(super()._deserialize(value, attr, data, **kwargs) or "")


class Since(fields.AwareDateTime):
    """A time or a day; one without a zone is in UTC."""

    def __init__(self, **more: Any) -> None:
        super().__init__(format="iso", default_timezone=UTC, **more)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        whole = _LOST_PLUS.sub(r"\1+\2", str(value))
        return super()._deserialize(whole, attr, data, **kwargs)


def typed(
    about: str,
    *,
    required: bool = False,
    example: str | None = None,
    words: tuple[str, ...] = (),
    longest: int | None = None,
) -> Typed:
    metadata = _about(about, example) | ({"enum": list(words)} if words else {})
    short = [validate.Length(max=longest, error="must not be longer than {max} characters")] if longest else []
    return Typed(required=required, validate=short, metadata=metadata, error_messages=_refusals("must be text"))


def choice(*words: str, about: str) -> fields.String:
    one = validate.OneOf(words, error="must be one of: {choices}")
    return fields.String(validate=one, metadata=_about(about), error_messages=_refusals("must be text"))


def whole(about: str, low: int, high: int = LARGEST_ID, default: int | None = None) -> fields.Integer:
    words = f"must be a whole number from {low} to {high}" if high < LARGEST_ID else "must be a whole number"
    refusals = _refusals(words) | {"too_large": words}
    given: Any = missing if default is None else default
    within = validate.Range(low, high, error=words)
    return fields.Integer(validate=within, metadata=_about(about), error_messages=refusals, load_default=given)


def since(about: str, example: str) -> Since:
    return Since(metadata=_about(about, example), error_messages=_refusals(f"must be a time such as {example}"))


def wish(kind: type[fields.String | fields.Integer], about: str, *, null: bool = False) -> fields.Field[Any]:
    """A member of a change. JSON knows numbers from texts, and so does this."""
    if kind is fields.String:
        return fields.String(allow_none=null, metadata=_about(about), error_messages=_refusals("must be text"))
    refusals = _refusals("must be a whole number")
    return fields.Integer(strict=True, allow_none=null, metadata=_about(about), error_messages=refusals)


def _refusals(invalid: str) -> dict[str, Any]:
    return {"required": "is missing", "null": "must not be null", "invalid": invalid, "invalid_utf8": invalid}


# Answers.


def text(about: str = "", *, null: bool = False, example: str | None = None) -> fields.String:
    return fields.String(required=True, allow_none=null, metadata=_about(about, example))


def word(*words: str, about: str = "", null: bool = False) -> fields.String:
    """One of our own words. Shopify's, which it may extend, are texts."""
    return fields.String(required=True, allow_none=null, validate=validate.OneOf(words), metadata=_about(about))


def number(about: str = "", *, null: bool = False, example: int | None = None) -> fields.Integer:
    return fields.Integer(strict=True, required=True, allow_none=null, metadata=_about(about, example))


def identity(about: str = "", *, null: bool = False, example: int = 7356521840875) -> fields.Integer:
    """An id of 64 bits: more than a JavaScript number holds."""
    metadata = _about(about, example) | {"format": "int64"}
    return fields.Integer(strict=True, required=True, allow_none=null, metadata=metadata)


def share(about: str) -> fields.Float:
    metadata = _about(about) | {"minimum": 0, "maximum": 1}
    return fields.Float(required=True, allow_none=True, metadata=metadata)


def yes_no(about: str = "", *, null: bool = False) -> fields.Boolean:
    return fields.Boolean(required=True, allow_none=null, metadata=_about(about))


def moment(about: str = "", *, null: bool = False) -> fields.AwareDateTime:
    """ISO 8601 in UTC, ending in Z."""
    example = "2026-11-23T10:00:00.123456Z"
    return fields.AwareDateTime(format="iso", required=True, allow_none=null, metadata=_about(about, example))


def day(about: str = "", *, null: bool = False) -> fields.Date:
    return fields.Date(format="iso", required=True, allow_none=null, metadata=_about(about))


def one(schema: type[Schema], about: str = "", *, null: bool = False) -> fields.Nested:
    return fields.Nested(schema, required=True, allow_none=null, metadata=_about(about))


def many(schema: type[Schema], about: str = "") -> "fields.List[Any]":
    return fields.List(fields.Nested(schema), required=True, metadata=_about(about))


def texts(about: str = "", *, null: bool = False) -> "fields.List[str]":
    return fields.List(fields.String(), required=True, allow_none=null, metadata=_about(about))


def by_name(values: fields.Field[Any], about: str = "", *, null: bool = False) -> fields.Dict:
    """Names that nobody can list beforehand."""
    return fields.Dict(keys=fields.String(), values=values, required=True, allow_none=null, metadata=_about(about))


def anything(about: str) -> fields.Raw:
    """JSON that a merchant wrote."""
    return fields.Raw(required=True, allow_none=True, metadata=_about(about))


def _about(about: str, example: object = None) -> dict[str, Any]:
    told: dict[str, Any] = {"description": about} if about else {}
    return told if example is None else told | {"examples": [example]}
