"""Is it green, and if not, why? Both feeds at a glance, each feed in full, its runs, and Refresh."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from flask import Response, g, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from adapters import activity, issue_log, runs
from app import feeds
from app.office import office
from app.pages.activity import within
from app.pages.base import page
from app.pages.entrance import merchant_blueprint
from domain.activity import percentile, together

blueprint = merchant_blueprint("feeds", __name__)
TITLES = {"products": "Product sync", "customers": "Customer sync"}
RUNS_A_PAGE = 25
MOST_REPAIRED = 200


@blueprint.get("/")
def home() -> Response:
    with office().db.begin() as db:
        both = [_feed(db, name) for name in feeds.FEEDS]
        sentence = _missed(db)
    return page("home.html", title="Data sync", feeds=both, titles=TITLES, sentence=sentence)


@blueprint.get("/<feed:feed>")
def overview(feed: str) -> Response:
    with office().db.begin() as db:
        return page(
            "feed.html",
            title=TITLES[feed],
            feed=feed,
            state=_feed(db, feed),
            groups=issue_log.groups(db, g.shop.domain, feed)[:5],
            sentence=_missed(db, feed),
            recent=runs.listed(db, g.shop.domain, feed, most=5),
            told=_told(),
            fresh=_fresh(db, feed),
        )


def _feed(db: Connection, name: str) -> feeds.Answer:
    return feeds.feed(db, g.shop, office().settings, name)


def _missed(db: Connection, feed: str | None = None) -> str:
    sentence: str = feeds.missed(db, g.shop.domain, datetime.now(UTC) - timedelta(days=1), feed)["sentence"]
    return sentence


def _told() -> dict[str, Any] | None:
    """What Refresh said, after its redirect."""
    for word in ("started", "going"):
        run = request.args.get(word, "")
        if run.isdecimal() and len(run) < 19:
            return {"word": word, "run": int(run)}
    return None


def _fresh(db: Connection, name: str) -> str | None:
    """How long 95 % of a day's changes took to get here; None when there were none."""
    since = datetime.now(UTC) - timedelta(hours=23)
    taken = percentile(together(activity.of_feed(db, g.shop.domain, name, since, "hour"), since).freshness, 0.95)
    return within(taken) if taken else None


@blueprint.post("/<feed:feed>/refresh")
def refresh(feed: str) -> AnyResponse:
    """A complete run now. Pressed twice, or by two people: one run, and the second is told of it."""
    with office().db.begin() as db:
        run, is_new = runs.start(db, g.shop.domain, feed, "refresh", complete=True, who=g.user)
    if is_new:
        with suppress(redis.RedisError):  # the clock wakes a worker otherwise
            office().bell.wake("bulk")
    told: dict[str, Any] = {"started" if is_new else "going": run.id}
    return redirect(url_for("feeds.overview", feed=feed, **told), 303)


@blueprint.get("/<feed:feed>/runs", endpoint="runs")
def list_runs(feed: str) -> Response:
    before = request.args.get("before", "")
    with office().db.begin() as db:
        older_than = int(before) if before.isdecimal() and len(before) < 19 else None
        found = runs.listed(db, g.shop.domain, feed, before=older_than, most=RUNS_A_PAGE + 1)
    shown = found[:RUNS_A_PAGE]
    older = url_for("feeds.runs", feed=feed, before=shown[-1]["id"]) if len(found) > RUNS_A_PAGE else None
    return page("runs.html", title=f"{TITLES[feed].removesuffix(' sync')} runs", feed=feed, runs=shown, older=older)


@blueprint.get("/<feed:feed>/runs/<int:run_id>")
def show_run(feed: str, run_id: int) -> Response:
    with office().db.begin() as db:
        row = runs.find(db, run_id) if run_id < 2**63 else None
        if row is None or row["shop"] != g.shop.domain or row["feed"] != feed:
            raise NotFound(f"There is no run {run_id} of this feed.")
        repaired = runs.gaps(db, g.shop.domain, row["started_at"], MOST_REPAIRED + 1, run=run_id)
        waiting = runs.count_waiting(db, run_id)
    shown = feeds.run(row)
    more = len(repaired) > MOST_REPAIRED
    told: dict[str, Any] = {"repaired": repaired[:MOST_REPAIRED], "more": more, "waiting": waiting}
    return page("run.html", title=f"Run {run_id}", feed=feed, run=shown, **told)
