"""The API's description in OpenAPI 3.1, made of the routes, the notes beside their views and the schemas these name."""

import inspect
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from flask import Flask, Response, current_app
from marshmallow import Schema, fields
from werkzeug.routing import Rule

from adapters.rate_limit import BURST, PER_SECOND
from app.api.answers import as_json
from app.api.described import NOTE, Note
from app.api.entrance import OPEN, blueprint
from app.office import office
from schemas import api
from schemas.api_fields import LARGEST_ID

Described = dict[str, Any]
ABOUT = f"""What SparkLayer knows of one Shopify shop, and how its data sync is doing.

Each call brings Shopify's session token, which names the shop; there is no way to ask about another one. Ids are
integers of 64 bits, times ISO 8601 in UTC. Errors are RFC 9457 problem documents. Answers to GET carry an ETag: ask
with `If-None-Match`, and what has not changed is a 304. A shop may ask {BURST} times at once, and {PER_SECOND} times a
second for as long as it likes."""

FAILS = {
    400: "A parameter is missing or cannot be read; `errors` names it and says what it must be.",
    401: "The session token is missing, wrong or too old. Fetch a fresh one.",
    403: "The shop has not installed the app.",
    404: "There is nothing of this name in this shop.",
    409: "A run of this feed is going already: `run`.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    429: "The shop asks too often. `Retry-After` says how many seconds to wait.",
    503: "The database does not answer right now. Nothing is lost.",
}
METHODS = ("get", "post", "patch")
_CONVERTED = re.compile(r"<(?:[^:<>]*:)?([^<>]+)>")
PROBLEMS: Mapping[int, type[Schema]] = {400: api.BadRequest, 409: api.AlreadyRunning}


@blueprint.get("/openapi.json")
def describe() -> Response:
    """Describe the API: this document."""
    extensions = current_app.extensions
    if "openapi" not in extensions:  # routes do not change while the process lives
        extensions["openapi"] = document(current_app)
    return as_json(extensions["openapi"])


def document(app: Flask) -> Described:
    """Every route of the blueprint is in it; a view without a note is a mistake that shows here."""
    schemas = MarshmallowPlugin()
    spec = APISpec("Data Sync", "1", "3.1.0", plugins=[schemas], info={"description": ABOUT}, security=[{"token": []}])
    assert schemas.converter is not None  # made by APISpec's constructor
    schemas.converter.add_attribute_function(_either)  # type: ignore[no-untyped-call]  # apispec types it not
    spec.options["servers"] = [{"url": office().settings.app_url}]
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(f"{blueprint.name}."):
            operations = {method: _operation(app, rule) for method in METHODS if method.upper() in (rule.methods or ())}
            spec.path(_path(rule), operations=operations, parameters=list(_parameters_of_path(rule)))
    return spec.to_dict()


def _either(converter: OpenAPIConverter, field: fields.Field[Any], **_: Any) -> Described:
    if not isinstance(field, api.EitherExplanation):
        return {}
    return {"oneOf": [_reference(converter, schema) for schema in field.either]}


def _reference(converter: OpenAPIConverter, schema: type[Schema]) -> Described:
    reference: Described = converter.resolve_nested_schema(schema)  # type: ignore[no-untyped-call]  # as above
    return reference


def _path(rule: Rule) -> str:
    """Flask's `<int(min=1):run_id>` is OpenAPI's `{run_id}`."""
    return _CONVERTED.sub(r"{\1}", rule.rule)


def _parameters_of_path(rule: Rule) -> Iterator[Described]:
    for name in sorted(rule.arguments):
        if name == "feed":
            schema: Described = {"type": "string", "enum": list(api.FEEDS)}
        else:
            schema = {"type": "integer", "format": "int64", "minimum": 1, "maximum": LARGEST_ID}
        yield {"in": "path", "name": name, "required": True, "schema": schema}


def _operation(app: Flask, rule: Rule) -> Described:
    view = app.view_functions[rule.endpoint]
    summary, _, more = (inspect.getdoc(view) or "").partition("\n")
    told: Described = {
        "operationId": rule.endpoint.rpartition(".")[2],
        "summary": summary.rstrip("."),
        "description": more.strip() or summary,
    }
    if rule.endpoint in OPEN:
        return told | {"security": [], "responses": {"200": _json("This document.", {"type": "object"})}}
    note: Note = getattr(view, NOTE)
    if note.asks is not None:
        told["parameters"] = [{"in": "query", "schema": note.asks}]
    if note.takes is not None:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": note.takes}}}
    fails = {404, *note.fails} if rule.arguments else {*note.fails}
    return told | {"responses": _responses(note, fails, reads="GET" in (rule.methods or ()))}


def _responses(note: Note, fails: set[int], *, reads: bool) -> Described:
    responses = {str(note.status): _json(HTTPStatus(note.status).phrase, note.answers)}
    if reads:
        responses["200"]["headers"] = {"ETag": {"schema": {"type": "string"}}}
        responses["304"] = {"description": "Not changed since the ETag in `If-None-Match`."}
    fails = fails | {401, 403, 429, 503}
    fails |= {400} if note.asks is not None else set()
    fails |= {400, 413, 415} if note.takes is not None else set()
    for status in sorted(fails):
        schema = PROBLEMS.get(status, api.Problem)
        responses[str(status)] = {
            "description": FAILS[status],
            "content": {"application/problem+json": {"schema": schema}},
        }
        if status in (429, 503):
            responses[str(status)]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return responses


def _json(about: str, schema: Any) -> Described:
    return {"description": about, "content": {"application/json": {"schema": schema}}}
