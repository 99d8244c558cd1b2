"""Who may ask the API, how often, and what every answer carries."""

from typing import Any

from flask import Blueprint, Response, g, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import NotFound

from adapters import runs, shops
from adapters.rate_limit import BURST, PER_SECOND, Allowance
from adapters.shops import Shop
from app.office import keep_to, office
from app.problems import problem
from app.session_tokens import caller_of

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")
OPEN = ("api.describe",)  # the document that says how to be let in


@blueprint.before_app_request
def authorise_addresses_that_do_not_exist() -> None:
    """401 before anything else: whoever has no token is not told which addresses there are."""
    if request.routing_exception is not None and request.path.startswith("/api/v1/"):
        caller_of(request.headers.get("Authorization"), office().settings)


@blueprint.before_request
def authorise() -> Response | None:
    """401 before anything else; 403 for a shop that never installed; 429 for one that asks without a pause."""
    if request.endpoint in OPEN:
        return None
    caller = caller_of(request.headers.get("Authorization"), office().settings)
    desk = keep_to(caller.shop)
    with desk.db.begin() as db:
        shop = shops.find(db, desk.vault, caller.shop)
    if shop is None:
        return problem(403, "Not installed", f"{caller.shop} has not installed this app.")
    g.shop, g.user = shop, caller.user
    g.allowance = desk.rate_limit.take(shop.domain)
    return None if g.allowance.is_granted else _too_many()


def _too_many() -> Response:
    answer = problem(429, "Too many requests", f"More than {PER_SECOND} a second, for a while. Wait a second.")
    answer.headers["Retry-After"] = "1"
    return answer


@blueprint.after_request
def finish(answer: Response) -> Response:
    """What was answered may be asked for again with its ETag: the same bytes cost a 304. Errors are never kept."""
    allowance: Allowance | None = g.get("allowance")
    if allowance is not None:  # https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
        answer.headers["RateLimit-Policy"] = f'"shop";q={BURST};w={BURST // PER_SECOND}'
        answer.headers["RateLimit"] = f'"shop";r={allowance.left};t={allowance.seconds_to_full}'
    answer.vary.add("Authorization")
    if request.method not in ("GET", "HEAD") or answer.status_code != 200:
        answer.headers["Cache-Control"] = "no-store"
        return answer
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.add_etag()
    answer.make_conditional(request)
    return answer


@blueprint.errorhandler(OperationalError)
@blueprint.errorhandler(InterfaceError)
@blueprint.errorhandler(PoolTimeout)
def away(_error: Exception) -> Response:
    answer = problem(503, "Unavailable", "The database does not answer right now. Nothing is lost; try again shortly.")
    answer.headers["Retry-After"] = "5"
    return answer


def the_shop() -> Shop:
    """The caller's: no address and no parameter ever names another."""
    shop: Shop = g.shop
    return shop


def feed_called(name: Any) -> str:
    if name not in runs.FEEDS:
        raise NotFound(f"There is no feed called {str(name)[:40]!r}. There are: {', '.join(runs.FEEDS)}.")
    return str(name)
