"""A view's question and answer, noted beside the view: what reads its requests describes them, too."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeAlias

import orjson
from flask import Response, request
from marshmallow import Schema, ValidationError
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from app.problems import problem

Asked: TypeAlias = dict[str, Any]
View: TypeAlias = Callable[..., Response]
NOTE = "described_as"


@dataclass(frozen=True, slots=True)
class Note:
    """`asks` are the parameters of the address, `takes` is the JSON body, `fails` failures that not all views have."""

    answers: type[Schema]
    asks: type[Schema] | None
    takes: type[Schema] | None
    status: int
    fails: tuple[int, ...]


def described(
    *,
    answers: type[Schema],
    asks: type[Schema] | None = None,
    takes: type[Schema] | None = None,
    status: int = 200,
    fails: tuple[int, ...] = (),
) -> Callable[[View], View]:
    """The view gets what was asked, loaded, as its first argument, and may raise ValidationError itself.

    Its docstring is what the document says of it.
    """
    reads: Callable[[], Asked] | None = None
    if asks is not None:
        reads = lambda: _loaded(asks(), request.args.to_dict())  # noqa: E731 — two readings of one line each
    if takes is not None:
        reads = lambda: _loaded(takes(), _body())  # noqa: E731 — see above

    def note(view: View) -> View:
        @wraps(view)
        def reading(**of_the_address: Any) -> Response:
            if reads is None:
                return view(**of_the_address)
            try:
                return view(reads(), **of_the_address)
            except ValidationError as refused:
                return _bad_request(refused)

        setattr(reading, NOTE, Note(answers, asks, takes, status, fails))
        return reading

    return note


def _loaded(schema: Schema, given: Mapping[str, Any]) -> Asked:
    loaded: Asked = schema.load(given)
    return loaded


def _body() -> Mapping[str, Any]:
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send a JSON object, with Content-Type: application/json.")
    try:
        body = orjson.loads(request.get_data())
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: line {error.lineno}, column {error.colno}: {error.msg}.") from None
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    return body


def _bad_request(refused: ValidationError) -> Response:
    """Names each parameter that cannot be used, and says what it must be."""
    errors = {str(name)[:80]: _first(words) for name, words in refused.messages_dict.items()}
    detail = " ".join(f"`{name}`: {words}." for name, words in errors.items())
    return problem(400, "Bad request", detail[:900], errors=errors)


def _first(words: Any) -> str:
    """Of messages that may lie in lists and, for entries of lists, in mappings."""
    while isinstance(words, (list, dict)):
        words = words[0] if isinstance(words, list) else next(iter(words.values()))
    return str(words).rstrip(".")
