"""The two families of headers: classic webhooks (`X-Shopify-*`) and Shopify's coming Events (`Shopify-*`)."""

from dataclasses import dataclass

from werkzeug.datastructures import Headers


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


def family_of(headers: Headers) -> Family:
    """The family whose signature is there; the classic one when none is."""
    return next((family for family in FAMILIES if family.hmac in headers), FAMILIES[0])
