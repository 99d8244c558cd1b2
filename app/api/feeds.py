"""How the feeds are doing, the runs that keep them true, and what these found."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from flask import Response, g
from werkzeug.exceptions import NotFound

from adapters import activity, runs
from app import feeds
from app.api.answers import as_json
from app.api.described import Asked, described
from app.api.entrance import blueprint, feed_called, the_shop
from app.office import office
from app.problems import problem
from domain.activity import Step, Within, percentile, together
from schemas import api, api_questions

PAGE = 100
PAGE_OF_GAPS = 1_000
RUN = "<int(min=1, max=9223372036854775807):run_id>"
MOST_HOURLY = 2  # days


@blueprint.get("/feeds")
@described(answers=api.Feeds)
def list_feeds() -> Response:
    """Say how both feeds are doing."""
    with office().db.begin() as db:
        return as_json({"feeds": [feeds.feed(db, the_shop(), office().settings, name) for name in feeds.FEEDS]})


@blueprint.get("/feeds/<feed>")
@described(answers=api.Feed)
def show_feed(feed: str) -> Response:
    """Say how a feed is doing."""
    with office().db.begin() as db:
        return as_json(feeds.feed(db, the_shop(), office().settings, feed_called(feed)))


@blueprint.post("/feeds/<feed>/runs")
@described(answers=api.Run, status=202, fails=(409,))
def refresh(feed: str) -> Response:
    """Start a complete run now.

    One that is going already is named in a 409, not doubled.
    """
    desk = office()
    with desk.db.begin() as db:
        run, is_new = runs.start(db, the_shop().domain, feed_called(feed), "refresh", complete=True, who=g.user)
        row = runs.find(db, run.id)
    assert row is not None  # it was there a moment ago, in this transaction
    if not is_new:
        return problem(409, "Already running", f"Run {run.id} of this feed is going already.", run=feeds.run(row))
    with suppress(redis.RedisError):  # the clock wakes a worker otherwise
        desk.bell.wake("bulk")
    return as_json(feeds.run(row), 202)


@blueprint.get("/runs")
@described(asks=api_questions.RunsQuestion, answers=api.Runs, fails=(404,))
def list_runs(asked: Asked) -> Response:
    """List runs, newest first."""
    feed = feed_called(asked["feed"]) if "feed" in asked else None
    with office().db.begin() as db:
        found = runs.listed(db, the_shop().domain, feed, before=asked.get("after"), most=PAGE + 1)
    page = found[:PAGE]
    return as_json({"runs": [feeds.run(row) for row in page], "next": page[-1]["id"] if len(found) > PAGE else None})


@blueprint.get(f"/runs/{RUN}")
@described(answers=api.Run)
def show_run(run_id: int) -> Response:
    """Show a run.

    Another shop's is as unknown as one that never was.
    """
    with office().db.begin() as db:
        row = runs.find(db, run_id)
    if row is None or row["shop"] != the_shop().domain:
        raise NotFound(f"There is no run {run_id}.")
    return as_json(feeds.run(row))


@blueprint.get("/gaps")
@described(asks=api_questions.GapsQuestion, answers=api.Gaps)
def show_gaps(asked: Asked) -> Response:
    """List what the webhooks missed, why, and when it was repaired."""
    since = asked.get("since") or datetime.now(UTC) - timedelta(days=1)
    with office().db.begin() as db:
        return as_json(feeds.gaps(db, the_shop().domain, since, before=asked.get("after"), most=PAGE_OF_GAPS))


@blueprint.get("/activity")
@described(asks=api_questions.ActivityQuestion, answers=api.Activity, fails=(404,))
def show_activity(asked: Asked) -> Response:
    """Count what happened to a feed, and how fresh the mirror was.

    By the hour for up to two days, by the day (in UTC) for more.
    """
    feed, days = feed_called(asked["feed"]), asked["days"]
    step: Step = "hour" if days <= MOST_HOURLY else "day"
    since = datetime.now(UTC) - timedelta(days=days)
    with office().db.begin() as db:
        periods = activity.of_feed(db, the_shop().domain, feed, since, step)
    freshness = together(periods, since).freshness
    return as_json(
        {
            "feed": feed,
            "step": step,
            "periods": [{name: getattr(period, name) for name in api.COUNTED} for period in periods],
            "freshness": {f"p{percent}": _span(percentile(freshness, percent / 100)) for percent in (50, 95, 99)},
        }
    )


def _span(span: Within | None) -> dict[str, Any] | None:
    return None if span is None else {"at_least": span.low, "less_than": span.high}
