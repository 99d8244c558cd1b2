"""Does Shopify tell us of everything, and which of our secrets does it sign with?

The page shows what the last check of each shop's health learnt: it asks Shopify nothing itself.
"""

from datetime import UTC, datetime
from typing import Any

import redis
from flask import Response, redirect, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from adapters import audit, health, overview
from adapters.signatures import SecretUse, secrets_in_use
from app.office import office
from app.ops.acts import who
from app.ops.delivery import wake_bulk
from app.ops.entrance import console
from app.ops.frame import page
from domain.subscriptions import SCOPES
from domain.text import storable

blueprint = console("ops_subscriptions", __name__)
PAGE = 50


@blueprint.get("/subscriptions")
def show() -> Response:
    after = storable(request.args.get("after", ""))[:200]
    with office().db.connect() as db:
        found = overview.shops(db, after=after, most=PAGE + 1)
    shown = [_told(shop) for shop in found[:PAGE] if shop["state"] != "uninstalled"]
    further = url_for("ops_subscriptions.show", after=found[PAGE - 1]["domain"]) if len(found) > PAGE else None
    settings = office().settings
    return page(
        "subscriptions.html",
        title="Subscriptions and secrets",
        tab="subscriptions",
        secrets=_secrets(),
        version=settings.shopify_api_version,
        mode=settings.webhook_subscriptions,
        address=f"{settings.app_url}/webhooks",
        rows=shown,
        further=further,
    )


def _told(shop: dict[str, Any]) -> dict[str, Any]:
    known = shop["known"] or {}
    scopes = shop["scopes"]
    missing = sorted(set(SCOPES.values()) - set(scopes)) if scopes is not None else None
    return shop | {"flaws": known.get("flaws") or [], "missing": missing}


def _secrets() -> list[SecretUse] | None:
    """None: Redis, which counts them, does not answer."""
    try:
        return secrets_in_use(office().redis, office().settings.webhook_secrets, datetime.now(UTC))
    except redis.RedisError:
        return None


@blueprint.post("/subscriptions/<domain>/check")
def check(domain: str) -> AnyResponse:
    """Ask Shopify soon; what it says stands here a moment later."""
    with office().db.begin() as db:
        if not health.hold_shop(db, domain):
            raise NotFound("This shop is not known.")
        health.check_soon(db, domain)
        audit.note(db, who(), "check asked for", target=domain)
    wake_bulk()
    return redirect(url_for("ops_subscriptions.show", said="asked"), 303)
