"""The pages of Shopify's that a merchant comes from: the admin with the app in a frame, and the login of OAuth.

Both let the app in at once, where Shopify asks the merchant first: with managed install, opening the app installs it.
"""

from html import escape
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from devstore.tenant import Tenant
from devstore.tokens import host_of, id_token, signed_query
from devstore.world import World

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{shop} · Pretend Shopify admin</title>
<style>
  body {{ margin: 0; height: 100vh; display: flex; flex-direction: column; font-family: system-ui, sans-serif; }}
  header {{ padding: 12px 16px; background: #1a1a1a; color: #fff; font-size: 14px; }}
  iframe {{ flex: 1; width: 100%; border: 0; }}
</style>
</head>
<body>
<header>Pretend Shopify admin · {shop}</header>
<iframe title="Data Sync" src="{address}"></iframe>
</body>
</html>
"""


def blueprint(world: World) -> Blueprint:
    admin = Blueprint("admin", __name__)

    @admin.get("/<shop>/admin/apps/data-sync")
    def open_app(shop: str) -> AnyResponse:
        """The app as a merchant opens it; with `plain=1` without the admin around it."""
        tenant = _tenant(world, shop)
        tenant.shop.installed = True
        address = _app_address(world, shop)
        if request.args.get("plain") == "1":
            return redirect(address)
        page = PAGE.format(shop=escape(shop), address=escape(address))
        return Response(page, headers={"Cache-Control": "no-store"}, content_type="text/html; charset=utf-8")

    @admin.get("/<shop>/admin/oauth/authorize")
    def authorize(shop: str) -> AnyResponse:
        """The merchant lets the app in, and is sent back to it with a code."""
        tenant, back = _tenant(world, shop), request.args.get("redirect_uri", "")
        if request.args.get("client_id") != world.app.api_key:
            abort(400, "The client_id is not an app's.")
        if not back or (world.app.url and not back.startswith(_origin(world) + "/")):
            abort(400, "The redirect_uri is not whitelisted.")
        tenant.shop.installed = True
        told = {"code": tenant.tokens.offer_code(), "state": request.args.get("state", "")}
        return redirect(f"{back}?{urlencode(_signed(world, shop, **told))}")

    return admin


def _app_address(world: World, shop: str) -> str:
    """Without `embedded=1`: that would load Shopify's App Bridge, which belongs in the real admin and would leave the
    page.
    """
    token = id_token(shop, world.app.api_key, world.app.secret, world.now())
    return f"{_origin(world)}/?{urlencode(_signed(world, shop, id_token=token))}"


def _signed(world: World, shop: str, **values: str) -> dict[str, str]:
    at = str(int(world.now().timestamp()))
    return signed_query(world.app.secret, shop=shop, host=host_of(shop), timestamp=at, **values)


def _origin(world: World) -> str:
    if world.app.url is None:
        abort(404, "Nobody has said where the app is.")
    return world.app.url.rstrip("/")


def _tenant(world: World, shop: str) -> Tenant:
    tenant = world.tenants.get(shop)
    if tenant is None:
        abort(404, "There is no such shop.")
    return tenant
