"""How a page is made: its frame, its words for times and numbers, and what browsers may do with it."""

import re
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Flask, Response, abort, current_app, g, make_response, render_template, request
from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from app import problems
from app.office import office

APP_BRIDGE = "https://cdn.shopify.com"
SHOP = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")
NOTHING = "\N{EN DASH}"


def register(app: Flask) -> None:
    for name, words in (("when", when), ("at", at), ("exact", exact), ("number", number), ("span", span)):
        app.jinja_env.filters[name] = words
    app.jinja_env.globals["carry"] = _carried_inputs
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def page(template: str, *, title: str, status: int = 200, feed: str | None = None, **values: Any) -> Response:
    """A page of the admitted shop. `feed` chooses the tab."""
    return _answer(template, status, _ancestors(g.shop.domain), title=title, feed=feed, shop=g.shop, **values)


def plain_page(template: str, status: int, *, title: str, **values: Any) -> Response:
    """A page before anybody is admitted. It holds nothing of a shop, so the admin that the address names may frame it:
    what went wrong must be readable there, too.
    """
    asked = asked_shop() if request.args.get("embedded") == "1" else None
    frames = _ancestors(asked) if asked else _own_frames()
    return _answer(template, status, frames, title=title, feed=None, shop=None, **values)


def trouble(status: int, title: str, text: str) -> Response:
    """What went wrong. Whoever was admitted keeps the ways on from here."""
    if "shop" in g:
        return page("error.html", title=title, status=status, feed=(request.view_args or {}).get("feed"), text=text)
    return plain_page("error.html", status, title=title, text=text)


def stop(status: int, title: str, text: str) -> NoReturn:
    """End the request with a page that says why."""
    abort(trouble(status, title, text))


def asked_shop() -> str | None:
    """The shop the address names: good for choosing among what is proven, never proof by itself."""
    shop = request.args.get("shop", "").strip().lower()
    return shop if SHOP.fullmatch(shop) else None


def _answer(template: str, status: int, frames: str, **values: Any) -> Response:
    embedded = request.args.get("embedded") == "1"
    settings = office().settings
    html = render_template(
        template, embedded=embedded, api_key=settings.shopify_api_key, now=datetime.now(UTC), **values
    )
    response = make_response(html, status)
    response.headers["Content-Security-Policy"] = _policy(frames or "'none'")
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Vary"] = "Cookie, Authorization"
    return response


def _policy(frames: str) -> str:
    """App Bridge is the only code that is not ours, and it talks to Shopify alone."""
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {APP_BRIDGE}",
            f"connect-src 'self' {APP_BRIDGE} https://*.shopify.com https://*.myshopify.com",
            "img-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            f"frame-ancestors {frames}",
        )
    )


def _ancestors(shop: str) -> str:
    """Only this shop's admin may frame its pages. It is the proven one: `?shop=` alone would let anybody choose."""
    return f"https://{shop} https://admin.shopify.com {_own_frames()}".strip()


def _own_frames() -> str:
    """Outside production a pretend Shopify has an admin of its own."""
    origin = urlsplit(office().settings.shopify_admin_origin.replace("{shop}", ""))
    return f"{origin.scheme}://{origin.netloc}" if origin.netloc else ""


def error_page(error: HTTPException) -> Any:
    """For people; machines get their problem document."""
    if error.response is not None:
        return error.response
    if request.path.startswith(("/api/", "/webhooks")) or not request.accept_mimetypes.accept_html:
        return problems.of_http(error)
    status = error.code or 500
    answer = trouble(status, error.name.capitalize(), error.description or error.name)
    for name, value in error.get_headers():
        if name == "Allow":
            answer.headers[name] = value
    return answer


def database_away(_error: Exception) -> Response:
    text = "The database does not answer right now. Nothing is lost; reload this page in a moment."
    answer = trouble(503, "Back in a moment", text)
    answer.headers["Retry-After"] = "5"
    return answer


# Words


def when(moment: datetime | None) -> Markup:
    """A time in the shop's zone, short; the exact one on hover and for machines."""
    if moment is None:
        return Markup('<span class="muted">never</span>')
    words = _short(moment)
    return _time(moment, words[:1].upper() + words[1:])


def at(moment: datetime) -> Markup:
    """The same within a sentence."""
    return _time(moment, _short(moment))


def _time(moment: datetime, words: str) -> Markup:
    utc = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(utc, exact(moment), words)


def _short(moment: datetime) -> str:
    local, today = moment.astimezone(shop_zone()), datetime.now(shop_zone()).date()
    days = (today - local.date()).days
    if days in (0, 1):
        return f"{'today' if days == 0 else 'yesterday'} at {local:%H:%M}"
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local.day} {local:%b}{year} at {local:%H:%M}"


def exact(moment: datetime) -> str:
    """To the second, in the shop's zone and in UTC."""
    local = moment.astimezone(shop_zone())
    utc = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return utc if local.utcoffset() == UTC.utcoffset(None) else f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()} ({utc})"


def shop_zone() -> ZoneInfo:
    """The shop's own; UTC where none is known, or Shopify names one that this machine does not have."""
    try:
        return ZoneInfo(g.shop.time_zone if "shop" in g else "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def span(seconds: float | None) -> str:
    """How long, as people say it."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _carried_inputs() -> Markup:
    """For a form that is sent as an address: what its links would carry."""
    values: dict[str, object] = {}
    for carry in current_app.url_default_functions.get(request.blueprint, ()):
        carry("", values)
    fields = (Markup('<input type="hidden" name="{}" value="{}">').format(*pair) for pair in values.items())
    return Markup().join(fields)
