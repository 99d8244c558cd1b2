"""Every delivery, newest first, by whatever one wants to know; and what can be done with many of them."""

from datetime import UTC, datetime
from typing import Any

from flask import Response, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as AnyResponse

from adapters import audit, inbox, mirror_products, overview
from app.filter_words import SOURCES
from app.office import office
from app.ops import filters
from app.ops.acts import confirmed_count, reason_given, who
from app.ops.entrance import console
from app.ops.filters import Asked, hidden, in_words
from app.ops.frame import page
from domain import retention
from domain.topics import ROUTES

blueprint = console("ops_deliveries", __name__)
PAGE = 50
MOST_COUNTED = 100_001


@blueprint.get("/deliveries")
def listed() -> Response:
    asked = filters.asked()
    before = filters.cursor("before")
    with office().db.connect() as db:
        found = [] if asked.problems else inbox.select(db, asked.chosen, PAGE + 1, before=before)
        count = 0 if asked.problems else inbox.count(db, asked.chosen, MOST_COUNTED)
        empty = None if found else _empty(db, asked, before)
        shown = found[:PAGE]
        titles = mirror_products.titles(db, [(row["shop"], row["resource_id"]) for row in shown if row["resource_id"]])
        last_at = overview.ingress(db).last_at if empty == "well" else None
    older = url_for("ops_deliveries.listed", **asked.address, before=shown[-1]["id"]) if len(found) > PAGE else None
    return page(
        "deliveries.html",
        title="Deliveries",
        tab="deliveries",
        asked=asked,
        rows=shown,
        count=count,
        most_counted=MOST_COUNTED,
        older=older,
        newest=shown[0]["id"] if shown and before is None else None,
        bound=inbox.SEARCH_BOUND if inbox.is_bounded(asked.chosen) and not asked.is_empty else None,
        empty=empty,
        topics=sorted(ROUTES),
        titles={(shop, "products", number): title for (shop, number), title in titles.items()},
        last_at=last_at,
        kept=retention.DELIVERIES,
        sources=SOURCES,
    )


@blueprint.get("/deliveries/newer")
def newer() -> Response:
    """How many have come since the list was made. The list itself stays: nothing moves under a pointer."""
    asked = filters.asked()
    seen = filters.cursor("seen") or 0
    chosen = filters.narrowed(asked.chosen, id_from=seen + 1)
    with office().db.connect() as db:
        count = 0 if asked.problems else inbox.count(db, chosen, MOST_COUNTED)
    return page("newer.html", title="Newer deliveries", asked=asked, seen=seen, count=count)


def _empty(db: Connection, asked: Asked, before: int | None) -> str:
    """Which of the reasons for an empty list it is."""
    if asked.problems:
        return "unreadable"
    if before is not None:
        return "end"
    if overview.first_delivery_at(db) is None:
        return "never"
    kept_since = retention.DELIVERIES.before(datetime.now(UTC))
    ends = asked.chosen.until or asked.chosen.closed_until
    if ends is not None and kept_since is not None and ends < kept_since and asked.chosen.outcome != "dead":
        return "expired"
    return "well" if asked.chosen.outcome == "dead" else "nothing"


@blueprint.get("/deliveries/dismiss")
def ask_dismissal() -> Response:
    """Dead ones only: what was decided otherwise needs no word of anybody."""
    asked = _understood()
    with office().db.connect() as db:
        chosen = inbox.frozen(db, filters.narrowed(asked.chosen, outcome="dead"))
        count = inbox.count_dead(db, chosen)
        sample = inbox.select(db, chosen, 5)
    return page(
        "dismiss.html",
        title="Dismiss dead deliveries",
        tab="deliveries",
        count=count,
        sample=sample,
        hidden=hidden(chosen),
        words=in_words(asked.chosen),
        back=url_for("ops_deliveries.listed", **asked.address),
    )


@blueprint.post("/deliveries/dismiss")
def dismiss() -> AnyResponse:
    asked = _understood(request.form)
    why, _ = reason_given(), confirmed_count()
    chosen = filters.narrowed(asked.chosen, outcome="dead")
    with office().db.begin() as db:
        count = inbox.dismiss(db, chosen, why)
        audit.note(db, who(), "deliveries dismissed", why=why, chosen=chosen, count=count)
    return redirect(url_for("ops_deliveries.listed", outcome="dead", said="dismissed", n=count), 303)


def _understood(words: Any = None) -> Asked:
    """A filter that acts must be whole, and must choose: without one it would mean everything."""
    asked = filters.asked(words)
    if asked.problems:
        raise BadRequest(" ".join(asked.problems))
    if asked.is_empty:
        raise BadRequest("Choose deliveries first: by a filter, or one by one.")
    return asked
