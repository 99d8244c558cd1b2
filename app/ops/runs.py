"""Runs of all shops, those that wait for somebody's word, and what webhooks missed."""

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from adapters import audit, overview, runs
from app import feeds
from app.office import office
from app.ops import filters
from app.ops.acts import reason_given, who
from app.ops.delivery import wake_bulk
from app.ops.entrance import console
from app.ops.frame import page

blueprint = console("ops_runs", __name__)
PAGE = 50
STATES = ("running", "finished", "failed", "held")
CAUSES = {
    "never_delivered": "Shopify never delivered the webhook",
    "late": "The webhook came after a run had found the change",
    "dead": "The webhook came and could not be applied",
    "wrongly_filtered": "The webhook came and was filtered, though the record belongs here",
    "no_webhook": "Shopify sends no webhook for such a change",
    "other_run": "Another run was reading at the same time",
}


@blueprint.get("/runs")
def listed() -> Response:
    shop, feed, state = filters.asked().chosen.shop, _word("feed", runs.FEEDS), _word("state", STATES)
    with office().db.connect() as db:
        found = runs.listed(db, shop, feed, state=state, before=filters.cursor("before"), most=PAGE + 1)
        held = overview.held_runs(db)
        gaps = overview.gap_counts(db, datetime.now(UTC) - timedelta(days=1))
    words = _address(shop=shop, feed=feed, state=state)
    older = url_for("ops_runs.listed", **words, before=found[PAGE - 1]["id"]) if len(found) > PAGE else None
    return page(
        "runs.html",
        title="Runs and gaps",
        tab="runs",
        rows=[feeds.run(row) for row in found[:PAGE]],
        held=held,
        gaps=gaps,
        causes=CAUSES,
        words=words,
        states=STATES,
        feeds=runs.FEEDS,
        older=older,
    )


@blueprint.get("/gaps")
def missed() -> Response:
    asked = filters.asked()
    shop, topic, cause = asked.chosen.shop, asked.chosen.topic, _word("cause", tuple(CAUSES))
    since = asked.chosen.since or datetime.now(UTC) - timedelta(days=1)
    with office().db.connect() as db:
        found = overview.gaps(
            db, since, shop=shop, cause=cause, topic=topic, before=filters.cursor("before"), most=PAGE + 1
        )
    words = _address(shop=shop, topic=topic, cause=cause, since=asked.words.get("since"))
    older = url_for("ops_runs.missed", **words, before=found[PAGE - 1]["number"]) if len(found) > PAGE else None
    return page(
        "gaps.html",
        title="Gaps",
        tab="runs",
        rows=found[:PAGE],
        since=since,
        words=words,
        causes=CAUSES,
        problems=asked.problems,
        older=older,
    )


def _word(name: str, known: tuple[str, ...]) -> str | None:
    word = request.args.get(name, "")
    return word if word in known else None


def _address(**words: str | None) -> dict[str, Any]:
    return {name: word for name, word in words.items() if word}


@blueprint.get("/runs/<int:number>")
def show(number: int) -> Response:
    with office().db.connect() as db:
        row = _found(db, number)
        repaired = runs.gaps(db, row["shop"], row["started_at"], PAGE, run=number)
        waiting = runs.count_waiting(db, number)
    return page(
        "run.html",
        title=f"Run {number}",
        tab="runs",
        run=feeds.run(row),
        repaired=repaired,
        waiting=waiting,
        causes=CAUSES,
    )


def _found(db: Connection, number: int) -> dict[str, Any]:
    row = runs.find(db, number) if number < 2**63 else None
    if row is None:
        raise NotFound(f"There is no run {number}.")
    return row


@blueprint.post("/runs/<int:number>/confirm")
def confirm(number: int) -> AnyResponse:
    """The held run goes on with what it found to be gone."""
    why = reason_given()
    with office().db.begin() as db:
        row = _found(db, number)
        confirmed = runs.confirm(db, number)
        if confirmed is not None:
            audit.note(db, who(), "run confirmed", why=why, target=f"run {number} of {row['shop']} {row['feed']}")
    wake_bulk()
    said = "confirmed" if confirmed is not None else "not_held"
    return redirect(url_for("ops_runs.show", number=number, said=said), 303)
