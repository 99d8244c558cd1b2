"""The two families of headers: classic webhooks (`X-Shopify-*`) and Shopify's coming Events (`Shopify-*`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Family:
    """Where each fact stands. A new family is one more row in FAMILIES."""

    hmac: str
    topic: str
    shop: str
    webhook_id: str
    event_id: str
    triggered_at: str
    api_version: str


def _family(prefix: str) -> Family:
    return Family(
        hmac=f"{prefix}Hmac-Sha256",
        topic=f"{prefix}Topic",
        shop=f"{prefix}Shop-Domain",
        webhook_id=f"{prefix}Webhook-Id",
        event_id=f"{prefix}Event-Id",
        triggered_at=f"{prefix}Triggered-At",
        api_version=f"{prefix}API-Version",
    )


FAMILIES = (_family("X-Shopify-"), _family("Shopify-"))


def family_of(environ: Mapping[str, Any]) -> Family:
    """The family whose signature is there; the classic one when none is."""
    return next((family for family in FAMILIES if _key(family.hmac) in environ), FAMILIES[0])


def header(environ: Mapping[str, Any], name: str) -> str:
    """As it was sent, bytes beyond ASCII as Latin-1 letters; nothing when it is missing."""
    value: str = environ.get(_key(name), "")
    return value


@cache
def _key(name: str) -> str:
    """Where WSGI keeps it (PEP 3333)."""
    return "HTTP_" + name.upper().replace("-", "_")
