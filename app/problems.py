"""Every error of the API as an RFC 9457 problem document."""

from typing import Any

import orjson
from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException

from app.session_tokens import NotAuthorised


def problem(status: int, title: str, detail: str, **more: Any) -> Response:
    """`more` are members of their own, like the id of a run that is already going."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    content = orjson.dumps(body, option=orjson.OPT_UTC_Z)
    return current_app.response_class(content, status, mimetype="application/problem+json")


def register(app: Flask) -> None:
    app.register_error_handler(HTTPException, of_http)
    app.register_error_handler(NotAuthorised, _not_authorised)


def of_http(error: HTTPException) -> Response:
    code = error.code or 500
    answer = problem(code, error.name, error.description or error.name)
    if error.response is not None:
        return answer
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            answer.headers[name] = value
    return answer


def _not_authorised(error: NotAuthorised) -> Response:
    """The header makes App Bridge try once more with a fresh token, which cures the usual cause: a sleepy tab."""
    answer = problem(401, "Not authorised", str(error))
    answer.headers["WWW-Authenticate"] = "Bearer"
    if request.path.startswith("/api/"):
        answer.headers["X-Shopify-Retry-Invalid-Session-Request"] = "1"
    return answer
