"""What the merchant has set, and how to set it: the same values by the same rules as on the page."""

from contextlib import suppress
from dataclasses import asdict
from typing import Any

import redis
from flask import Response, g
from marshmallow import ValidationError

from adapters import database, shop_settings
from adapters.shop_settings import ShopSettings
from app.api.answers import as_json
from app.api.described import Asked, described
from app.api.entrance import blueprint, the_shop
from app.office import office
from schemas import api, api_questions
from schemas.shop_settings import Bounds, read
from settings import Settings


@blueprint.get("/settings")
@described(answers=api.Settings)
def show_settings() -> Response:
    """Show the shop's settings."""
    with office().db.begin() as db:
        return as_json(_told(shop_settings.read(db, office().vault, the_shop().domain)))


@blueprint.patch("/settings")
@described(takes=api_questions.SettingsChange, answers=api.Settings)
def change_settings(asked: Asked) -> Response:
    """Change some of the shop's settings.

    What is left out stays as it is. When this changes who is imported, all customers are read anew.
    """
    desk, shop = office(), the_shop().domain
    with desk.db.begin() as db:
        database.sole_writer(db, shop, "customers")  # two changes at once: the second starts from the first's
        before = asdict(shop_settings.read(db, desk.vault, shop))
        values, errors = read(_typed(before | asked), bounds_of(desk.settings))
        if errors:
            raise ValidationError({name: [sentence] for name, sentence in errors.items()})
        wishes = ShopSettings(**values)
        judges_anew = shop_settings.change(db, desk.vault, shop, wishes, g.user)
    if judges_anew:
        with suppress(redis.RedisError):  # the clock wakes a worker otherwise
            desk.bell.wake("bulk")
    return as_json(_told(wishes))


def bounds_of(settings: Settings) -> Bounds:
    return Bounds(
        least_seconds=min(60, settings.reconcile_seconds),
        reconcile_seconds=settings.reconcile_seconds,
        complete_run_seconds=settings.complete_run_seconds,
        plain_http=settings.app_env != "production",
        mail=settings.smtp_url is not None,
    )


def _told(wishes: ShopSettings) -> dict[str, Any]:
    return asdict(wishes) | {"ignored_keys": sorted(wishes.ignored_keys)}


def _typed(values: dict[str, Any]) -> dict[str, str]:
    """As a form has them."""
    values = values | {"ignored_keys": " ".join(values["ignored_keys"])}
    return {name: "" if value is None else str(value) for name, value in values.items()}
