"""The JSON API under /api/v1. Every route knows one shop: the one in the caller's session token."""

import operator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import redis
from flask import Blueprint, Response, current_app, g, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import BadRequest, NotFound

from adapters import issue_log, runs, shops
from adapters.shops import Shop
from app import feeds, lookup
from app.office import office
from app.problems import problem
from app.session_tokens import caller_of
from domain.text import storable

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")
PAGE = 100


@blueprint.before_request
def authorise() -> Response | None:
    """401 before anything else; 403 for a shop that never installed."""
    caller = caller_of(request.headers.get("Authorization"), office().settings)
    with office().db.connect() as db:
        shop = shops.find(db, office().vault, caller.shop)
    if shop is None:
        return problem(403, "Not installed", f"{caller.shop} has not installed this app.")
    g.shop, g.user = shop, caller.user
    return None


@blueprint.errorhandler(OperationalError)
@blueprint.errorhandler(InterfaceError)
@blueprint.errorhandler(PoolTimeout)
def away(_error: Exception) -> Response:
    answer = problem(503, "Unavailable", "The database does not answer right now. Nothing is lost; try again shortly.")
    answer.headers["Retry-After"] = "5"
    return answer


@blueprint.get("/products")
def products() -> Response:
    return _look_up("products")


@blueprint.get("/customers")
def customers() -> Response:
    return _look_up("customers")


def _look_up(feed: str) -> Response:
    typed = _asked("q")
    with office().db.connect() as db:
        return as_json(lookup.look_up(db, office().vault, _shop().domain, feed, typed, _shop().rule.tag))


@blueprint.get("/explain")
def explain() -> Response:
    typed = _asked("q")
    with office().db.connect() as db:
        return as_json(lookup.explain(db, office().vault, _shop().domain, typed, _shop().rule.tag))


@blueprint.get("/feeds")
def list_feeds() -> Response:
    with office().db.connect() as db:
        return as_json({"feeds": [feeds.feed(db, _shop(), office().settings, name) for name in feeds.FEEDS]})


@blueprint.get("/feeds/<name>")
def show_feed(name: str) -> Response:
    with office().db.connect() as db:
        return as_json(feeds.feed(db, _shop(), office().settings, _feed(name)))


@blueprint.post("/feeds/<name>/runs")
def refresh(name: str) -> Response:
    """Start a complete run now. One that is going already is named, not doubled."""
    desk = office()
    with desk.db.begin() as db:
        run, is_new = runs.start(db, _shop().domain, _feed(name), "refresh", complete=True, who=g.user)
        row = runs.find(db, run.id)
    assert row is not None  # a run is never deleted
    if not is_new:
        return problem(409, "Already running", f"Run {run.id} of this feed is going already.", run=feeds.run(row))
    with suppress(redis.RedisError):  # the clock wakes a worker otherwise
        desk.bell.wake("bulk")
    return as_json(feeds.run(row), 202)


@blueprint.get("/runs/<int:run_id>")
def show_run(run_id: int) -> Response:
    """Another shop's run is as unknown as one that never was."""
    with office().db.connect() as db:
        row = runs.find(db, run_id) if run_id < 2**63 else None
    if row is None or row["shop"] != _shop().domain:
        raise NotFound(f"There is no run {run_id}.")
    return as_json(feeds.run(row))


@blueprint.get("/gaps")
def show_gaps() -> Response:
    """The last day's."""
    with office().db.connect() as db:
        return as_json(feeds.gaps(db, _shop().domain, datetime.now(UTC) - timedelta(days=1)))


def _feed(name: str) -> str:
    if name not in feeds.FEEDS:
        raise NotFound(f"There is no feed called {name[:40]!r}. There are: products, customers.")
    return name


@blueprint.get("/issues")
def issues() -> Response:
    """Open issues of a feed. `after` is the `next` of the page before."""
    feed = _feed(_asked("feed"))
    after = _cursor(request.args.get("after"))
    with office().db.connect() as db:
        code = storable(request.args["code"]) if "code" in request.args else None
        found = issue_log.listed(db, _shop().domain, feed, code=code, after=after, most=PAGE + 1)
    page = found[:PAGE]
    last = [page[-1]["resource_id"], page[-1]["code"], page[-1]["path"]] if len(found) > PAGE else None
    return as_json({"feed": feed, "issues": page, "next": orjson.dumps(last).decode() if last else None})


def _cursor(text: str | None) -> tuple[int, str, str]:
    if text is None:
        return (-1, "", "")
    try:
        record, code, path = orjson.loads(text)
        return operator.index(record), storable(str(code)), storable(str(path))
    except (ValueError, TypeError):
        raise BadRequest("`after` is not what an earlier answer called `next`.") from None


def _asked(name: str) -> str:
    value = request.args.get(name)
    if value is None:
        raise BadRequest(f"The parameter {name} is missing.")
    return storable(value)


def _shop() -> Shop:
    shop: Shop = g.shop
    return shop


def as_json(value: Any, status: int = 200) -> Response:
    """Ids stay integers of any size, times end in Z."""
    return current_app.response_class(dump(value), status, mimetype="application/json")


def dump(value: Any, *, indent: bool = False) -> bytes:
    option = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    return orjson.dumps(value, option=option)
