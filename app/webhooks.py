"""The door that Shopify knocks at. Verify, store, answer; nothing else: no session, no token, no call to Shopify."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from flask import Blueprint, Request, Response, current_app, request

from adapters.figures import ACKNOWLEDGED, INGRESS, SECRETS
from adapters.frontdesk import NotStored
from adapters.inbox import Arrival
from app.headers import Family, family_of
from app.office import Office, office
from app.signature import verified_by
from domain.deliveries import believable
from domain.text import is_storable
from domain.topics import SHOPIFYS, Route, Unreadable
from schemas import webhooks as bodies

log = structlog.get_logger()
blueprint = Blueprint("webhooks", __name__)

WAIT_SECONDS = 1.7  # for Postgres; Shopify hears within 2 s in any case
RETRY_AFTER = "10"
SHOP = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]*\.myshopify\.com", re.ASCII)
LONGEST_HEADER = 255


class Refused(Exception):
    """Answer with this status and sentence; nothing is stored."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@blueprint.post("/webhooks")
def receive() -> Response:
    started = time.monotonic()
    desk = office()
    desk.frontdesk.open()
    family = family_of(request.headers)
    topic = request.headers.get(family.topic, "")
    try:
        arrival = read_request(desk, request, family)
        is_new = arrival is None or desk.frontdesk.accept(arrival, WAIT_SECONDS)
    except Refused as refused:
        desk.figures.count(INGRESS, _label(topic), str(refused.status))
        return _answer(refused.status, str(refused))
    except NotStored:
        desk.figures.count(INGRESS, _label(topic), "503")
        answer = _answer(503, "The inbox cannot be written to right now. Send this again.")
        answer.headers["Retry-After"] = RETRY_AFTER
        return answer
    desk.figures.count(INGRESS, _label(topic), "200" if arrival else "200 unknown topic")
    desk.figures.time(ACKNOWLEDGED, time.monotonic() - started)
    return _answer(200, "stored" if is_new else "stored before")


def read_request(desk: Office, incoming: Request, family: Family) -> Arrival | None:
    """Size, then signature, then everything else. None: genuine, of a topic we have no use for."""
    body = _body(incoming, desk.settings.max_body_bytes)
    secret = verified_by(body, incoming.headers.get(family.hmac), desk.settings.webhook_secrets)
    if secret is None:
        raise Refused(401, "The signature does not fit this body and this app's secret.")
    desk.figures.count(SECRETS, str(secret))
    topic = _header(incoming, family.topic)
    shop = _header(incoming, family.shop).lower()
    if not SHOP.fullmatch(shop):
        raise Refused(400, f"The header {family.shop} is no myshopify.com domain.")
    webhook_id = _header(incoming, family.webhook_id)
    route = SHOPIFYS.get(topic)
    if route is None:
        log.info("unknown_topic", shop=shop, topic=topic, webhook_id=webhook_id)
        return None
    now = datetime.now(UTC)
    triggered_at = _moment(incoming.headers.get(family.triggered_at)) or now
    content, resource_id, dead_because = _read(route, body)
    return Arrival(
        shop=shop,
        webhook_id=webhook_id,
        topic=topic,
        feed=route.feed,
        resource_id=resource_id,
        # A clock that runs ahead must not win over everything to come.
        triggered_at=min(triggered_at, now + timedelta(minutes=5)),
        received_at=now,
        changed_at=believable(_moment(content.get("updated_at")), now),
        event_id=_optional(incoming, family.event_id),
        api_version=_optional(incoming, family.api_version),
        secret=secret,
        body=body if route.keeps_body else None,
        dead_because=dead_because,
    )


def _body(incoming: Request, most: int) -> bytes:
    """The raw bytes. `form` and `json` are never touched: reading them would use the body up or change it."""
    if incoming.content_length is not None and incoming.content_length > most:
        raise Refused(413, f"The body is larger than {most} bytes.")
    body = incoming.stream.read(most + 1)
    if len(body) > most:
        raise Refused(413, f"The body is larger than {most} bytes.")
    return body


def _header(incoming: Request, name: str) -> str:
    value = incoming.headers.get(name, "").strip()
    if not value or len(value) > LONGEST_HEADER or not is_storable(value):
        raise Refused(400, f"The header {name} is missing or unusable.")
    return value


def _optional(incoming: Request, name: str) -> str | None:
    value = incoming.headers.get(name, "")
    return value[:LONGEST_HEADER] if value and is_storable(value) else None


def _read(route: Route, body: bytes) -> tuple[Mapping[str, Any], int | None, str | None]:
    """The body's content, the id in it, and why it cannot be used, if it cannot."""
    if route.read_id is None:
        return {}, None, None
    try:
        content = bodies.read_body(body)
        return content, route.read_id(content), None
    except Unreadable as unreadable:
        return {}, None, str(unreadable)


# Seconds may carry any number of digits: Shopify sends six or nine of them, Python reads six.
_FRACTION = re.compile(r"(\.\d{6})\d+")


def _moment(text: object) -> datetime | None:
    """An ISO 8601 time with a zone, in UTC; None for anything else."""
    if not isinstance(text, str) or len(text) > 40:
        return None
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _label(topic: str) -> str:
    """A metric's label is never the sender's to choose."""
    return topic if topic in SHOPIFYS else "other"


def _answer(status: int, sentence: str) -> Response:
    return current_app.response_class(f"{sentence}\n", status, mimetype="text/plain")
