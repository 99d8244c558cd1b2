"""What a merchant sets: who is imported, how often the feeds are compared, whom to tell when one is not green."""

from contextlib import suppress
from typing import Any

import redis
from flask import Response, g, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from adapters import notices, outgoing, runs, shop_settings
from adapters.shop_settings import ShopSettings
from app.api.shop_settings import bounds_of
from app.office import office
from app.pages.base import page, span
from app.pages.entrance import merchant_blueprint
from domain.notices import told_by_a_test
from schemas.shop_settings import DAY, read

blueprint = merchant_blueprint("settings", __name__)
FIELDS = (
    "tag",
    "ignored_keys",
    "reconcile_seconds",
    "complete_run_seconds",
    "notify_after_minutes",
    "notify_mail",
    "notify_url",
)
OFFERED = (60, 300, 600, 900, 1_800, 3_600, 2 * 3_600, 6 * 3_600, 12 * 3_600, DAY)


@blueprint.get("/settings")
def show() -> Response:
    with office().db.begin() as db:
        stored = shop_settings.read(db, office().vault, g.shop.domain)
        return _page(db, stored, _typed(stored), {})


@blueprint.post("/settings")
def save() -> AnyResponse:
    """All of the form or nothing of it. What was wrong comes back as it was typed, with a sentence beside it."""
    desk = office()
    typed = {name: request.form.get(name, "") for name in FIELDS}
    values, errors = read(typed, bounds_of(desk.settings))
    if errors:
        with desk.db.begin() as db:
            stored = shop_settings.read(db, desk.vault, g.shop.domain)
            return _page(db, stored, typed, errors, status=422)
    with desk.db.begin() as db:
        judges_anew = shop_settings.change(db, desk.vault, g.shop.domain, ShopSettings(**values), g.user)
    if judges_anew:
        with suppress(redis.RedisError):  # the clock wakes a worker otherwise
            desk.bell.wake("bulk")
    return redirect(url_for("settings.show", saved="rule" if judges_anew else "settings"), 303)


@blueprint.post("/settings/test")
def send_test() -> AnyResponse:
    """Written here, sent by a worker; the list of notices says what became of it."""
    with office().db.begin() as db:
        stored = shop_settings.read(db, office().vault, g.shop.domain)
        channels = [name for name, set_ in (("mail", stored.notify_mail), ("url", stored.notify_url)) if set_]
        made = notices.write_test(db, g.shop.domain, channels, told_by_a_test())
    word = "test" if made else "wait" if channels else "nobody"
    return redirect(url_for("settings.show", saved=word, _anchor="notices"), 303)


def _typed(stored: ShopSettings) -> dict[str, str]:
    """As the form has them."""
    values: dict[str, Any] = {name: getattr(stored, name) for name in FIELDS}
    values["ignored_keys"] = ", ".join(sorted(stored.ignored_keys))
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _page(
    db: Connection, stored: ShopSettings, typed: dict[str, str], errors: dict[str, str], *, status: int = 200
) -> Response:
    settings, shop = office().settings, g.shop.domain
    return page(
        "settings.html",
        title="Settings",
        status=status,
        stored=stored,
        typed=typed,
        errors=errors,
        saved=request.args.get("saved"),
        going=runs.going(db, shop, "customers"),
        grounds=_grounds(db, shop),
        intervals={
            "reconcile_seconds": _offers(typed["reconcile_seconds"], settings.reconcile_seconds),
            "complete_run_seconds": _offers(typed["complete_run_seconds"], settings.complete_run_seconds),
        },
        mail_is_set_up=settings.smtp_url is not None,
        secret=outgoing.secret(settings.secret_key, shop),
        signature=outgoing.SIGNATURE,
        latest=notices.latest(db, shop),
    )


def _grounds(db: Connection, shop: str) -> dict[str, Any]:
    """How many of today's members are here by the tag, and how many by which key."""
    found = shop_settings.grounds(db, shop)
    by_tag = sum(members for rule, _, members in found if rule == "tag")
    by_key = [(key, members) for rule, key, members in found if rule == "metafield"]
    return {"by_tag": by_tag, "by_key": by_key, "members": by_tag + sum(members for _, members in by_key)}


def _offers(typed: str, usual: int) -> list[tuple[str, str]]:
    """(value, words), the usual one first. An interval that was set elsewhere stays to be chosen."""
    seconds = {*OFFERED, *([int(typed)] if typed.isdecimal() and len(typed) < 7 else [])}
    return [("", f"As usual: every {_every(usual)}"), *((str(n), f"Every {_every(n)}") for n in sorted(seconds))]


def _every(seconds: int) -> str:
    words = {60: "minute", 3_600: "hour", DAY: "day"}
    return words.get(seconds) or span(seconds)
