"""Signing in outside of Shopify's admin: the authorization-code grant.

https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant
"""

import hmac
import secrets
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, redirect, request, url_for
from itsdangerous import BadSignature
from werkzeug.wrappers import Response as AnyResponse

from app.installing import installed
from app.office import office
from app.pages import base
from app.pages.entrance import set_cookie
from app.session_tokens import Caller, is_from_shopify
from app.signing import signer
from domain.failures import Permanent, Transient
from domain.subscriptions import SCOPES

blueprint = Blueprint("auth", __name__, url_prefix="/auth")
STATE_COOKIE = "data_sync_state"
STATE_SECONDS = 600


@blueprint.get("/start")
def start() -> AnyResponse:
    """To Shopify's login, which asks the merchant once and from then on only says yes."""
    shop = base.asked_shop()
    if shop is None:
        base.stop(400, "Which shop?", "Open Data Sync in your Shopify admin; it knows your shop.")
    settings = office().settings
    state = secrets.token_urlsafe(24)
    wanted = {
        "client_id": settings.shopify_api_key,
        "scope": ",".join((*SCOPES.values(), "read_customer_merge")),
        "redirect_uri": f"{settings.app_url}{url_for('auth.callback')}",
        "state": state,
    }
    origin = settings.shopify_admin_origin.replace("{shop}", shop)
    response = redirect(f"{origin}/admin/oauth/authorize?{urlencode(wanted)}")
    response.set_cookie(
        STATE_COOKIE,
        signer("sign-in state").dumps([shop, state]),
        max_age=STATE_SECONDS,
        httponly=True,
        secure=settings.app_url.startswith("https"),
        samesite="Lax",
        path=url_for("auth.callback"),
    )
    return response


@blueprint.get("/callback")
def callback() -> AnyResponse:
    """Shopify sends the merchant back with a code. Whoever brings one that they did not ask for is sent away."""
    shop = base.asked_shop()
    if shop is None or not is_from_shopify(request.args, office().settings):
        base.stop(400, "Not from Shopify", "This address was not made by Shopify. Open Data Sync in your admin again.")
    if not _asked_by_this_browser(shop, request.args.get("state", "")):
        base.stop(400, "Start again", "This sign-in was begun elsewhere or too long ago. Open Data Sync once more.")
    if "code" not in request.args:
        base.stop(400, "Not allowed", "Shopify sent no code: the access was not granted.")
    try:
        grant = office().tokens.redeem(shop, request.args["code"])
    except (Transient, Permanent) as trouble:
        base.stop(502, "Shopify did not let the app in", f"{trouble} Open Data Sync once more to try again.")
    installed(office(), shop, grant)
    response = redirect(url_for("feeds.home", shop=shop))
    response.delete_cookie(STATE_COOKIE, path=url_for("auth.callback"))
    set_cookie(response, Caller(shop, None))
    return response


def _asked_by_this_browser(shop: str, state: str) -> bool:
    try:
        asked: Any = signer("sign-in state").loads(request.cookies.get(STATE_COOKIE, ""), max_age=STATE_SECONDS)
        return asked[0] == shop and hmac.compare_digest(str(asked[1]).encode(), state.encode())
    except (BadSignature, ValueError, TypeError, IndexError):
        return False
