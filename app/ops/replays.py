"""Replays: what one would do, starting one, and how those that were started are doing."""

import secrets
from datetime import UTC, datetime
from typing import Any

from flask import Response, redirect, request, url_for
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response as AnyResponse

from adapters import inbox, replays
from adapters.inbox import Filter
from adapters.reach import reach
from app.forecast import forecast
from app.office import office
from app.ops import filters
from app.ops.acts import TYPED_ABOVE, confirmed_count, reason_given, reason_if_any, who
from app.ops.delivery import wake_bulk
from app.ops.entrance import console
from app.ops.filters import hidden, in_words
from app.ops.frame import page
from domain.replays import fails_too_often
from domain.text import storable

blueprint = console("ops_replays", __name__)
PAGE = 50
LONGEST_NAME = 100


@blueprint.get("/replays")
def listed() -> Response:
    with office().db.connect() as db:
        found = replays.listed(db, PAGE + 1, before=filters.cursor("before"))
    shown = found[:PAGE]
    older = url_for("ops_replays.listed", before=shown[-1]["id"]) if len(found) > PAGE else None
    return page("replays.html", title="Replays", tab="replays", rows=shown, older=older)


@blueprint.get("/replays/new")
def new() -> Response:
    """What it would do, before anything is done. Nothing that arrives from now on is in it."""
    asked = filters.asked()
    if asked.problems:
        raise BadRequest(" ".join(asked.problems))
    if asked.is_empty:
        raise BadRequest("Choose deliveries first: by a filter, or one by one.")
    refreshed = request.args.get("mode") == "refreshed"
    with office().db.connect() as db:
        chosen = inbox.frozen(db, asked.chosen)
        told = forecast(db, office().vault, chosen, refreshed=refreshed)
        reached = reach(db, chosen)
    return page(
        "replay_new.html",
        title="New replay",
        tab="replays",
        told=told,
        reach=reached,
        included=sum(n for outcome, n in reached.outcomes.items() if outcome != "dead"),
        hopeless=fails_too_often(told.considered, told.still_fails),
        refreshed=refreshed,
        hidden=hidden(chosen),
        words=in_words(asked.chosen),
        name=_name(asked.chosen),
        key=secrets.token_urlsafe(16),
        typed_above=TYPED_ABOVE,
        back=url_for("ops_deliveries.listed", **asked.address),
    )


def _name(chosen: Filter) -> str:
    """A proposal; whoever starts it knows the incident's name."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    if chosen.fingerprint:
        return f"Issue {chosen.fingerprint}, {today}"
    return f"{(chosen.outcome or 'some').capitalize()} deliveries, {today}"


@blueprint.post("/replays")
def start() -> AnyResponse:
    """The same button pressed twice is one replay: its form carries the key."""
    asked = filters.asked(request.form)
    if asked.problems or asked.is_empty:
        raise BadRequest(" ".join(asked.problems) or "Choose deliveries first.")
    name = storable(request.form.get("name", "")).strip()[:LONGEST_NAME]
    key = request.form.get("key", "")[:64]
    if not name or not key:
        raise BadRequest("A replay needs a name: the incident's, say.")
    why, _ = reason_given(), confirmed_count()
    refreshed = request.form.get("mode") == "refreshed"
    with office().db.begin() as db:
        started, is_new = replays.start(db, name, who(), why, asked.chosen, refreshed=refreshed, key=key)
    wake_bulk()
    return redirect(url_for("ops_replays.show", number=started.id, said="started" if is_new else "going"), 303)


@blueprint.get("/replays/<int:number>")
def show(number: int) -> Response:
    with office().db.connect() as db:
        row = _found(db, number)
    chosen = Filter.read(row["filter"])
    return page(
        "replay.html",
        title=f"Replay {number}: {row['name']}",
        tab="replays",
        row=row,
        words=in_words(chosen),
        opened_dead=url_for("ops_deliveries.listed", replay=number, outcome="dead"),
    )


def _found(db: Any, number: int) -> dict[str, Any]:
    row = replays.find(db, number) if number < 2**63 else None
    if row is None:
        raise NotFound(f"There is no replay {number}.")
    return row


@blueprint.post("/replays/<int:number>/cancel")
def cancel(number: int) -> AnyResponse:
    with office().db.begin() as db:
        done = replays.cancel(db, number, who(), reason_if_any())
    return redirect(url_for("ops_replays.show", number=number, said="cancelled" if done else "not_running"), 303)


@blueprint.post("/replays/<int:number>/resume")
def resume(number: int) -> AnyResponse:
    with office().db.begin() as db:
        done = replays.resume(db, number, who(), reason_if_any())
    wake_bulk()
    return redirect(url_for("ops_replays.show", number=number, said="resumed" if done else "not_resumed"), 303)
