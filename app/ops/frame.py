"""How a page of the console is made: its frame, its words for times, and what browsers may do with it."""

from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, make_response, render_template, request
from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from app import problems
from app.pages.base import NOTHING, exact, span

POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


def register(app: Flask) -> None:
    app.jinja_env.filters["ago"] = ago
    app.jinja_env.filters["ahead"] = ahead


def page(template: str, *, title: str, status: int = 200, **values: Any) -> Response:
    """A page of whoever is at the console."""
    person = g.get("person")
    html = render_template(f"ops/{template}", title=title, person=person, now=datetime.now(UTC), **values)
    response = make_response(html, status)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Vary"] = "Cookie, Authorization"
    return response


def error_page(error: HTTPException) -> Any:
    """For people; scripts get their problem document."""
    if error.response is not None:
        return error.response
    if not request.accept_mimetypes.accept_html:
        return problems.of_http(error)
    answer = page("error.html", title=error.name, status=error.code or 500, text=error.description or error.name)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            answer.headers[name] = value
    return answer


def database_away(_error: Exception) -> Response:
    text = "Postgres does not answer right now. What Shopify sends is refused with 503 meanwhile, and sent again by it."
    answer = page("error.html", title="The database does not answer", status=503, text=text)
    answer.headers["Retry-After"] = "5"
    return answer


# Words


def ago(moment: datetime | None) -> Markup:
    """How long ago, short; the exact time on hover and for machines. The browser adds the reader's own."""
    if moment is None:
        return Markup('<span class="muted">never</span>')
    seconds = (datetime.now(UTC) - moment).total_seconds()
    words = "now" if abs(seconds) < 1 else f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"
    utc = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(utc, exact(moment), words)


def ahead(moment: datetime | None) -> Markup | str:
    """When something is due; a time that has passed is due now."""
    if moment is None:
        return NOTHING
    return "due now" if moment <= datetime.now(UTC) else ago(moment)
