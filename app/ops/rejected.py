"""Requests that were turned away at the door: nothing of them is stored, and why is all there is to see."""

import redis
from flask import Response, request

from adapters import rejections
from app.office import office
from app.ops.entrance import console
from app.ops.frame import page
from domain.text import storable

blueprint = console("ops_rejected", __name__)
SHOWN = 200


@blueprint.get("/rejected")
def listed() -> Response:
    words = storable(request.args.get("q", "")).strip()[:200]
    try:
        found = rejections.latest(office().redis, rejections.KEPT)
    except redis.RedisError:
        found = None
    shown = [one for one in found or [] if _matches(one, words)]
    return page(
        "rejected.html",
        title="Rejected requests",
        tab="deliveries",
        is_away=found is None,
        rows=shown[:SHOWN],
        count=len(shown),
        most=rejections.KEPT,
        q=words,
    )


def _matches(one: dict[str, object], words: str) -> bool:
    said = " ".join(str(one[name]) for name in ("status", "cause", "shop", "topic", "webhook_id"))
    return words.lower() in said.lower()
