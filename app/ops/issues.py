"""Failures in groups: what is broken, how much of it there is, and who looks after it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, redirect, request, url_for
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response as AnyResponse

from adapters import failures, inbox, overview
from adapters.inbox import Filter
from app.office import office
from app.ops import filters
from app.ops.acts import reason_if_any, who
from app.ops.entrance import console
from app.ops.frame import page
from domain.topics import ROUTES

blueprint = console("ops_issues", __name__)
PAGE = 50
SAMPLE = 20
SNOOZES = {"1": "an hour", "8": "8 hours", "24": "a day", "168": "a week"}
STATES = ("acknowledged", "resolved", "ignored", "snoozed", "open")


@blueprint.get("/issues")
def listed() -> Response:
    asked = filters.asked()
    state = request.args.get("state", "open")
    state = state if state in failures.STATES else "all"
    with office().db.connect() as db:
        found = failures.listed(
            db,
            state=None if state == "all" else state,
            shop=asked.chosen.shop,
            topic=asked.chosen.topic,
            most=PAGE + 1,
            after=asked.chosen.fingerprint,
        )
        counts = failures.counts(db)
        ingress = overview.ingress(db)
    words: dict[str, Any] = {name: value for name, value in asked.words.items() if name in ("shop", "topic")}
    shown = found[:PAGE]
    further = shown[-1]["fingerprint"] if len(found) > PAGE else None
    return page(
        "issues.html",
        title="Issues",
        tab="issues",
        groups=shown,
        state=state,
        counts=counts,
        asked=asked,
        words=words,
        topics=sorted(ROUTES),
        ingress=ingress,
        further=url_for("ops_issues.listed", state=state, **words, fingerprint=further) if further else None,
    )


@blueprint.get("/issues/<fingerprint>")
def show(fingerprint: str) -> Response:
    with office().db.connect() as db:
        group = failures.find(db, fingerprint)
        if group is None:
            raise NotFound("There is no such issue.")
        sample = inbox.select(db, Filter(fingerprint=fingerprint), SAMPLE)
    return page("issue.html", title=f"Issue {fingerprint}", tab="issues", group=group, sample=sample, snoozes=SNOOZES)


@blueprint.post("/issues/<fingerprint>")
def change(fingerprint: str) -> AnyResponse:
    """Acknowledge, resolve, ignore, snooze or reopen: audited where it is written."""
    state = request.form.get("state", "")
    hours = request.form.get("hours", "")
    if state not in STATES or (state == "snoozed" and hours not in SNOOZES):
        raise BadRequest("This form is not complete. Open the page again.")
    until = datetime.now(UTC) + timedelta(hours=int(hours)) if state == "snoozed" else None
    with office().db.begin() as db:
        if not failures.change(db, fingerprint, state, who(), until=until, note=reason_if_any()):
            raise NotFound("There is no such issue.")
    return redirect(url_for("ops_issues.show", fingerprint=fingerprint, said=state), 303)
