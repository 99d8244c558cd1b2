"""The door that Shopify knocks at. Verify, store, answer; nothing else: no session, no token, no call to Shopify."""

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from wsgiref.types import WSGIEnvironment

import structlog
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_content_length, get_input_stream

from adapters.figures import ACKNOWLEDGED, INGRESS, SECRETS
from adapters.frontdesk import NotStored
from adapters.inbox import Arrival
from adapters.rejections import Rejection
from app.headers import Family, family_of, header
from app.office import Office
from app.signature import verified_by
from domain.deliveries import Identity
from domain.text import is_storable, storable
from domain.topics import SHOPIFYS, Unreadable
from schemas import webhooks as bodies

log = structlog.get_logger()

WAIT_SECONDS = 1.7  # for Postgres; Shopify hears within 2 s in any case
RETRY_AFTER = "10"
SHOP = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]*\.myshopify\.com", re.ASCII)
LONGEST_HEADER = 255


@dataclass(frozen=True, slots=True)
class Answer:
    """What Shopify hears. The sentence is for whoever reads it in the Dev Dashboard."""

    status: int
    sentence: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """Answer with this status and sentence; nothing is stored. `body`: what of it was read."""

    def __init__(self, status: int, sentence: str, body: bytes | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.body = body


def receive(desk: Office, environ: WSGIEnvironment) -> Answer:
    """Answer one request."""
    started = time.monotonic()
    desk.frontdesk.open()
    family = family_of(environ)
    topic = header(environ, family.topic)
    try:
        arrival = read_request(desk, environ, family)
        is_new = arrival is None or desk.frontdesk.accept(arrival, WAIT_SECONDS)
    except Refused as refused:
        desk.figures.count(INGRESS, _label(topic), str(refused.status))
        _note(desk, environ, family, refused)
        return Answer(refused.status, str(refused))
    except NotStored:
        desk.figures.count(INGRESS, _label(topic), "503")
        sentence = "The inbox cannot be written to right now. Send this again."
        return Answer(503, sentence, {"Retry-After": RETRY_AFTER})
    desk.figures.count(INGRESS, _label(topic), "200" if arrival else "200 unknown topic")
    desk.figures.time(ACKNOWLEDGED, time.monotonic() - started)
    return Answer(200, "stored" if is_new else "stored before")


def read_request(desk: Office, environ: WSGIEnvironment, family: Family) -> Arrival | None:
    """Size, then signature, then everything else. None: genuine, of a topic we have no use for."""
    body = _body(environ, desk.settings.max_body_bytes)
    secret = verified_by(body, header(environ, family.hmac), desk.settings.webhook_secrets)
    if secret is None:
        raise Refused(401, "The signature does not fit this body and this app's secret.", body)
    desk.figures.count(SECRETS, str(secret))
    desk.signatures.note(secret)
    topic, shop, webhook_id = _named(environ, family, body)
    route = SHOPIFYS.get(topic)
    if route is None:
        log.info("unknown_topic", shop=shop, topic=topic, webhook_id=webhook_id)
        return None
    now = datetime.now(UTC)
    triggered_at = bodies.moment(header(environ, family.triggered_at)) or now
    identity, dead_because = _identity(topic, body, now)
    return Arrival(
        shop=shop,
        webhook_id=webhook_id,
        topic=topic,
        feed=route.feed,
        resource_id=identity.resource_id,
        triggered_at=triggered_at,
        received_at=now,
        changed_at=identity.changed_at,
        event_id=_optional(environ, family.event_id),
        api_version=_optional(environ, family.api_version),
        secret=secret,
        body=body if route.keeps_body else None,
        dead_because=dead_because,
    )


def _body(environ: WSGIEnvironment, most: int) -> bytes:
    """The raw bytes, as many as were announced."""
    if (get_content_length(environ) or 0) > most:
        raise Refused(413, f"The body is larger than {most} bytes.")
    try:
        body: bytes = get_input_stream(environ).read(most + 1)
    except ClientDisconnected:
        raise Refused(400, "The body did not come.") from None
    if len(body) > most:
        raise Refused(413, f"The body is larger than {most} bytes.")
    return body


def _named(environ: WSGIEnvironment, family: Family, body: bytes) -> tuple[str, str, str]:
    """Topic, shop and webhook id: without any of them a delivery could not be told from another."""
    topic = _header(environ, family.topic, body)
    shop = _header(environ, family.shop, body).lower()
    if not SHOP.fullmatch(shop):
        raise Refused(400, f"The header {family.shop} is no myshopify.com domain.", body)
    return topic, shop, _header(environ, family.webhook_id, body)


def _header(environ: WSGIEnvironment, name: str, body: bytes) -> str:
    value = header(environ, name).strip()
    if not value or len(value) > LONGEST_HEADER or not is_storable(value):
        raise Refused(400, f"The header {name} is missing or unusable.", body)
    return value


def _optional(environ: WSGIEnvironment, name: str) -> str | None:
    value = header(environ, name)
    return value[:LONGEST_HEADER] if value and is_storable(value) else None


def _identity(topic: str, body: bytes, now: datetime) -> tuple[Identity, str | None]:
    """What the body is about, and why it cannot be used, if it cannot."""
    try:
        return bodies.read_identity(topic, body, now), None
    except Unreadable as unreadable:
        return Identity(None, None), str(unreadable)


def _note(desk: Office, environ: WSGIEnvironment, family: Family, refused: Refused) -> None:
    """For an engineer who must find out why: what it claimed to be, and which bytes it was about, by their digest."""
    if not desk.rejections.has_room():
        return
    body = refused.body
    desk.rejections.note(
        Rejection(
            at=datetime.now(UTC),
            status=refused.status,
            cause=str(refused),
            shop=_claimed(environ, family.shop),
            topic=_claimed(environ, family.topic),
            webhook_id=_claimed(environ, family.webhook_id),
            length=(get_content_length(environ) or 0) if body is None else len(body),
            sha256=None if body is None else hashlib.sha256(body).hexdigest(),
        )
    )


def _claimed(environ: WSGIEnvironment, name: str) -> str:
    return storable(header(environ, name)[:LONGEST_HEADER])


def _label(topic: str) -> str:
    """A metric's label is never the sender's to choose."""
    return topic if topic in SHOPIFYS else "other"
