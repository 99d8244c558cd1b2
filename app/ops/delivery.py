"""One delivery: what was sent, what was tried, what became of it, and how it differs from what is there now."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import redis
from flask import Response, current_app, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from adapters import attempts, audit, failures, inbox, replays
from adapters.inbox import Filter
from app import against_mirror
from app.lookup import admin_url
from app.office import office
from app.ops.acts import reason_given, who
from app.ops.entrance import console
from app.ops.frame import page
from app.pretty import LONGEST, pretty
from domain import retention
from domain.topics import ROUTES

blueprint = console("ops_delivery", __name__)
MOST_HISTORY = 20
MOST_BIGINT = 2**63


@blueprint.get("/deliveries/<int:number>")
def show(number: int) -> Response:
    with office().db.connect() as db:
        row = _found(db, number)
        body = inbox.bodies(db, [number]).get(number)
        tried = attempts.of(db, number)
        history = _history(db, row)
        group = failures.find(db, row["fingerprint"]) if row["fingerprint"] else None
        difference = against_mirror.difference(db, row, body) if body else None
    text, cut = pretty(body) if body else ("", False)
    return page(
        "delivery.html",
        title=f"Delivery {number}",
        tab="deliveries",
        row=row,
        keeps_body=ROUTES[row["topic"]].keeps_body if row["topic"] in ROUTES else False,
        body=text,
        raw=body[:LONGEST].decode("utf-8", "replace") if body else "",
        body_bytes=len(body) if body else 0,
        cut=cut,
        steps=_steps(row, tried),
        tried=tried,
        history=history,
        group=group,
        difference=difference,
        admin=admin_url(row["shop"], row["feed"], row["resource_id"]) if row["feed"] and row["resource_id"] else None,
        key=secrets.token_urlsafe(12),
        can_reopen=row["state"] == "closed" and row["feed"] is not None and (row["resource_id"] is not None or body),
    )


def _found(db: Connection, number: int) -> dict[str, Any]:
    rows = inbox.select(db, Filter(id=number), 1, details=True) if number < MOST_BIGINT else []
    if not rows:
        kept = retention.DELIVERIES
        raise NotFound(f"There is no delivery {number}. They are kept for {kept.in_words} after {kept.since}.")
    return rows[0]


def _history(db: Connection, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    if row["feed"] is None or row["resource_id"] is None:
        return []
    return inbox.history(db, row["shop"], row["feed"], row["resource_id"], MOST_HISTORY)


def _steps(row: Mapping[str, Any], tried: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What happened when, oldest first, each with the seconds since the step before."""
    told: list[tuple[datetime, str]] = [
        (row["triggered_at"], "Shopify triggered it"),
        (row["received_at"], "Received and stored" + (f", {row['copies']} times" if row["copies"] > 1 else "")),
    ]
    told += [(one["at"], _tried(one)) for one in reversed(tried)]
    if row["closed_at"]:
        told.append((row["closed_at"], f"Closed: {row['outcome']}"))
    told.sort(key=lambda step: step[0])
    before = told[0][0]
    steps = []
    for at, sentence in told:
        steps.append({"at": at, "sentence": sentence, "after": (at - before).total_seconds()})
        before = at
    if row["state"] == "waiting":
        steps.append({"at": row["next_attempt_at"], "sentence": "Next attempt", "after": None})
    return steps


def _tried(one: Mapping[str, Any]) -> str:
    if one["outcome"]:
        return f"Stood closed as {one['outcome']} until it was opened again or dismissed"
    return f"Attempt {one['n']} failed: {one['sentence']}"


@blueprint.get("/deliveries/<int:number>/body")
def body(number: int) -> Response:
    """The bytes as Shopify sent them, as a file: never as a page of ours."""
    with office().db.connect() as db:
        _found(db, number)
        raw = inbox.bodies(db, [number]).get(number)
    if raw is None:
        raise NotFound("Its body is not kept.")
    response = current_app.response_class(raw, mimetype="application/octet-stream")
    response.headers["Content-Disposition"] = f'attachment; filename="delivery-{number}.json"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private, no-store"
    return response


@blueprint.post("/deliveries/<int:number>/replay")
def replay(number: int) -> AnyResponse:
    """A single one needs no forecast and no reason: what came of it stands on its own page a moment later."""
    refreshed = request.form.get("mode") == "refreshed"
    with office().db.begin() as db:
        _found(db, number)
        started, is_new = replays.start(
            db,
            f"Delivery {number}",
            who(),
            "Replayed from its page.",
            Filter(id=number),
            refreshed=refreshed,
            key=request.form.get("key", "")[:64] or f"delivery {number}",
        )
    wake_bulk()
    said = "replayed" if is_new else "replayed_before"
    return redirect(url_for("ops_delivery.show", number=number, said=said, by=started.id), 303)


@blueprint.post("/deliveries/<int:number>/dismiss")
def dismiss(number: int) -> AnyResponse:
    why = reason_given()
    with office().db.begin() as db:
        _found(db, number)
        count = inbox.dismiss(db, Filter(id=number), why)
        audit.note(db, who(), "delivery dismissed", why=why, count=count, target=str(number))
    return redirect(url_for("ops_delivery.show", number=number, said="dismissed", n=count), 303)


def wake_bulk() -> None:
    """The clock would do it within a second or two."""
    try:
        office().bell.wake("bulk")
    except redis.RedisError:
        return
