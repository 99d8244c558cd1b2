"""The door that Shopify knocks at. Verify, store, answer; nothing else: no session, no token, no call to Shopify."""

import hashlib
import re
import time
from datetime import UTC, datetime, timedelta

import structlog
from flask import Blueprint, Request, Response, current_app, request

from adapters.figures import ACKNOWLEDGED, INGRESS, SECRETS
from adapters.frontdesk import NotStored
from adapters.inbox import Arrival
from adapters.rejections import Rejection
from app.headers import Family, family_of
from app.office import Office, office
from app.signature import verified_by
from domain.deliveries import Identity
from domain.text import is_storable, storable
from domain.topics import SHOPIFYS, Unreadable
from schemas import webhooks as bodies

log = structlog.get_logger()
blueprint = Blueprint("webhooks", __name__)

WAIT_SECONDS = 1.7  # for Postgres; Shopify hears within 2 s in any case
RETRY_AFTER = "10"
SHOP = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]*\.myshopify\.com", re.ASCII)
LONGEST_HEADER = 255


class Refused(Exception):
    """Answer with this status and sentence; nothing is stored. `body`: what of it was read."""

    def __init__(self, status: int, sentence: str, body: bytes | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.body = body


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
        _note(desk, request, family, refused)
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
        raise Refused(401, "The signature does not fit this body and this app's secret.", body)
    desk.figures.count(SECRETS, str(secret))
    desk.signatures.note(secret)
    topic, shop, webhook_id = _named(incoming, family, body)
    route = SHOPIFYS.get(topic)
    if route is None:
        log.info("unknown_topic", shop=shop, topic=topic, webhook_id=webhook_id)
        return None
    now = datetime.now(UTC)
    triggered_at = bodies.moment(incoming.headers.get(family.triggered_at)) or now
    identity, dead_because = _identity(topic, body, now)
    return Arrival(
        shop=shop,
        webhook_id=webhook_id,
        topic=topic,
        feed=route.feed,
        resource_id=identity.resource_id,
        # A clock that runs ahead must not win over everything to come.
        triggered_at=min(triggered_at, now + timedelta(minutes=5)),
        received_at=now,
        changed_at=identity.changed_at,
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


def _named(incoming: Request, family: Family, body: bytes) -> tuple[str, str, str]:
    """Topic, shop and webhook id: without any of them a delivery could not be told from another."""
    topic = _header(incoming, family.topic, body)
    shop = _header(incoming, family.shop, body).lower()
    if not SHOP.fullmatch(shop):
        raise Refused(400, f"The header {family.shop} is no myshopify.com domain.", body)
    return topic, shop, _header(incoming, family.webhook_id, body)


def _header(incoming: Request, name: str, body: bytes) -> str:
    value = incoming.headers.get(name, "").strip()
    if not value or len(value) > LONGEST_HEADER or not is_storable(value):
        raise Refused(400, f"The header {name} is missing or unusable.", body)
    return value


def _optional(incoming: Request, name: str) -> str | None:
    value = incoming.headers.get(name, "")
    return value[:LONGEST_HEADER] if value and is_storable(value) else None


def _identity(topic: str, body: bytes, now: datetime) -> tuple[Identity, str | None]:
    """What the body is about, and why it cannot be used, if it cannot."""
    try:
        return bodies.read_identity(topic, body, now), None
    except Unreadable as unreadable:
        return Identity(None, None), str(unreadable)


def _note(desk: Office, incoming: Request, family: Family, refused: Refused) -> None:
    """For an engineer who must find out why: what it claimed to be, and which bytes it was about, by their digest."""
    if not desk.rejections.has_room():
        return
    body = refused.body
    desk.rejections.note(
        Rejection(
            at=datetime.now(UTC),
            status=refused.status,
            cause=str(refused),
            shop=_claimed(incoming, family.shop),
            topic=_claimed(incoming, family.topic),
            webhook_id=_claimed(incoming, family.webhook_id),
            length=(incoming.content_length or 0) if body is None else len(body),
            sha256=None if body is None else hashlib.sha256(body).hexdigest(),
        )
    )


def _claimed(incoming: Request, name: str) -> str:
    return storable(incoming.headers.get(name, "")[:LONGEST_HEADER])


def _label(topic: str) -> str:
    """A metric's label is never the sender's to choose."""
    return topic if topic in SHOPIFYS else "other"


def _answer(status: int, sentence: str) -> Response:
    return current_app.response_class(f"{sentence}\n", status, mimetype="text/plain")
