"""Every shop: may we in, and is it green."""

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, request, url_for
from sqlalchemy import Connection

from adapters import overview
from app.office import office
from app.ops.entrance import console
from app.ops.frame import page
from domain.feed_state import state_of
from domain.text import storable

blueprint = console("ops_shops", __name__)
PAGE = 50
STATES = ("active", "needs_auth", "uninstalled")


@blueprint.get("/shops")
def listed() -> Response:
    words = storable(request.args.get("q", "")).strip().lower()[:200]
    state = request.args.get("state", "")
    after = storable(request.args.get("after", ""))[:200]
    with office().db.connect() as db:
        found = overview.shops(
            db, words=words or None, state=state if state in STATES else None, after=after, most=PAGE + 1
        )
        shown = [shop | {"feeds": []} for shop in found[:PAGE]]
        _judge(db, shown)
    asked: dict[str, Any] = {name: word for name, word in (("q", words), ("state", state)) if word}
    further = url_for("ops_shops.listed", **asked, after=shown[-1]["domain"]) if len(found) > PAGE else None
    return page("shops.html", title="Shops", tab="shops", rows=shown, asked=asked, states=STATES, further=further)


def _judge(db: Connection, shown: list[dict[str, Any]]) -> None:
    every = timedelta(seconds=office().settings.reconcile_seconds)
    now = datetime.now(UTC)
    by_domain = {shop["domain"]: shop for shop in shown}
    for feed in overview.feeds(db, every, list(by_domain)):
        told = {"feed": feed.facts.feed, "state": state_of(feed.facts, now), "next_run_at": feed.next_run_at}
        by_domain[feed.shop]["feeds"].append(told | {"last_import_at": feed.facts.last_import_at})
