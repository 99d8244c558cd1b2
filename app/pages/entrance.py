"""Who is looking at a page, and whether they may.

Shopify's admin opens a page with a session token in its address (`id_token`); App Bridge puts a fresh one on each
fetch. Where neither is there, a cookie of ours speaks for the last one that was; where that is missing too (browsers
may refuse cookies in a frame), the page is bounced off App Bridge for a fresh token, and outside of the admin off
Shopify's login.
https://shopify.dev/docs/apps/build/authentication-authorization/session-tokens
"""

from dataclasses import dataclass

from flask import Blueprint, Response, g, redirect, request, url_for
from itsdangerous import BadSignature
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from adapters import shops
from adapters.shops import Shop
from app.installing import installed
from app.office import keep_to, office
from app.other_sites import SAFE, refuse_other_sites
from app.pages import base
from app.session_tokens import Caller, NotAuthorised, caller_of, is_from_shopify
from app.signing import signer
from domain.failures import IdTokenRefused, Permanent, Transient

COOKIE_SECONDS = 8 * 3600  # a working day


@dataclass(frozen=True, slots=True)
class Visitor:
    """`id_token` is there when this very request brought one; a cookie is not as good."""

    caller: Caller
    id_token: str | None


def merchant_blueprint(name: str, module: str) -> Blueprint:
    """Pages that one shop's people see: whoever reaches a view was admitted, as `g.shop` and `g.user`."""
    blueprint = Blueprint(name, module)
    blueprint.before_request(admit)
    blueprint.after_request(remember)
    blueprint.url_defaults(carry)
    blueprint.register_error_handler(NotAuthorised, turn_away)
    blueprint.register_error_handler(HTTPException, base.error_page)
    for away in (OperationalError, InterfaceError, PoolTimeout):
        blueprint.register_error_handler(away, base.database_away)
    return blueprint


def carry(_endpoint: str, values: dict[str, object]) -> None:
    """What tells whose page it is goes along with every link: one browser may have two shops open."""
    if "shop" in g:
        values.setdefault("shop", g.shop.domain)
        for name in ("host", "embedded"):
            if name in request.args:
                values.setdefault(name, request.args[name])


def admit() -> AnyResponse | None:
    """The visitor and their shop, or an answer that gets them there. Raises NotAuthorised."""
    visitor = _visitor()
    domain = visitor.caller.shop
    with office().of_shop(domain).db.begin() as db:
        shop = shops.find(db, office().vault, domain)
    if visitor.id_token and (shop is None or not shop.is_active):
        shop = _connect(domain, visitor.id_token)
    if shop is None or (shop.state == "uninstalled" and visitor.id_token is None):
        raise NotAuthorised("This shop has not installed the app.")
    g.shop, g.user = shop, visitor.caller.user
    g.visitor = visitor
    keep_to(domain)
    return None


def _visitor() -> Visitor:
    settings = office().settings
    header = request.headers.get("Authorization")
    if header is not None:
        return Visitor(caller_of(header, settings), header.removeprefix("Bearer "))
    id_token = request.args.get("id_token")
    if id_token and request.method in SAFE:
        return Visitor(caller_of(f"Bearer {id_token}", settings), id_token)
    caller = _remembered()
    refuse_other_sites()
    return Visitor(caller, None)


def _connect(domain: str, id_token: str) -> Shop:
    """Shopify tells nobody of a managed install: the shop appears with its first page, which brings what it takes."""
    try:
        grant = office().tokens.exchange(domain, id_token)
    except IdTokenRefused as refused:
        raise NotAuthorised(str(refused)) from None
    except (Transient, Permanent) as trouble:
        base.stop(503, "Shopify did not let the app in", f"{trouble} Reload this page to try again.")
    return installed(office(), domain, grant)


# The cookie: one a shop, so that two tabs of two shops never see each other's.


def _cookie_name(domain: str) -> str:
    return f"data_sync_{domain.removesuffix('.myshopify.com')}"


def _remembered() -> Caller:
    """Whom the cookie of the asked shop names; without `shop`, the only shop there is one of."""
    asked = base.asked_shop()
    names = [_cookie_name(asked)] if asked else [name for name in request.cookies if name.startswith("data_sync_")]
    if len(names) == 1 and names[0] in request.cookies:
        try:
            domain, user = signer("merchant page").loads(request.cookies[names[0]], max_age=COOKIE_SECONDS)
        except (BadSignature, ValueError, TypeError):
            pass
        else:
            if asked in (None, domain):
                return Caller(domain, user)
    raise NotAuthorised("Open Data Sync in your Shopify admin.")


def remember(response: Response) -> Response:
    """Each proof is good for a working day, so that following a link needs no fresh token."""
    if "visitor" in g and g.visitor.id_token is not None and "Authorization" not in request.headers:
        set_cookie(response, g.visitor.caller)
    return response


def set_cookie(response: AnyResponse, caller: Caller) -> None:
    secure = office().settings.app_url.startswith("https")
    response.set_cookie(
        _cookie_name(caller.shop),
        signer("merchant page").dumps([caller.shop, caller.user]),
        max_age=COOKIE_SECONDS,
        httponly=True,
        secure=secure,
        # In the admin we are in another site's frame: the cookie is kept apart for it, which all browsers allow.
        samesite="None" if secure else "Lax",
        partitioned=secure,
    )


def turn_away(error: NotAuthorised) -> AnyResponse:
    """In the admin: fetch a fresh token and come back. From Shopify, but outside: log in. Otherwise say where to go.

    Whoever comes back from there with a token that is no better is told so: bounced once more they would go in circles.
    """
    settings = office().settings
    if "Authorization" in request.headers:
        answer = base.trouble(401, "Not signed in", str(error))
        answer.headers["X-Shopify-Retry-Invalid-Session-Request"] = "1"
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    if request.args.get("embedded") == "1":
        if "bounced" not in request.args:
            return base.plain_page("bounce.html", 401, title="Signing in")
        text = "Shopify said who you are, but the app could not verify it."
        return base.trouble(401, "Not signed in", f"{text} Reload this page, or tell whoever runs the app.")
    shop = base.asked_shop()
    if shop and request.method == "GET" and is_from_shopify(request.args, settings):
        return redirect(url_for("auth.start", shop=shop))
    return base.plain_page("sign_in.html", 401, title="Sign in", text=str(error), asked=shop)
