"""What Shopify tells an app about the shop itself: uninstalls, scopes, compliance topics, finished bulk operations."""

from typing import Any

from devstore.bodies import local, utc_millis
from devstore.records import Happening
from devstore.shop import Shop
from devstore.tenant import BulkOperation


def app_uninstalled(shop: Shop) -> Happening:
    """As in Shopify's sample, `domain` and `myshopify_domain` are null: only the header names the shop."""
    fields = {
        "id": shop.number,
        "name": shop.domain.split(".")[0].title(),
        "email": f"owner@{shop.domain.split('.')[0]}.example",
        "domain": None,
        "country": "US",
        "phone": None,
        "primary_locale": "en",
        "created_at": None,
        "updated_at": None,
        "country_code": "US",
        "currency": "USD",
        "timezone": "(GMT-05:00) Eastern Time (US & Canada)",
        "iana_timezone": None,
        "plan_name": "enterprise",
        "myshopify_domain": None,
    }
    return _notice(shop, "app/uninstalled", fields)


def app_scopes_update(shop: Shop, previous: list[str], current: list[str]) -> Happening:
    fields = {
        "id": shop.next_number(),
        "shop_id": f"gid://shopify/Shop/{shop.number}",
        "previous": previous,
        "current": current,
        "updated_at": utc_millis(shop.now()),
    }
    return _notice(shop, "app/scopes_update", fields)


def compliance(shop: Shop, topic: str, customer: int | None = None) -> Happening:
    """`topic` is customers/data_request, customers/redact or shop/redact."""
    fields: dict[str, Any] = {"shop_id": shop.number, "shop_domain": shop.domain}
    if topic != "shop/redact":
        known = shop.customers.truth.get(customer or 0)
        email, phone = (known.email, known.phone) if known else (None, None)
        fields["customer"] = {"id": customer, "email": email, "phone": phone}
        fields["orders_to_redact" if topic == "customers/redact" else "orders_requested"] = [299938, 280263]
    if topic == "customers/data_request":
        fields["data_request"] = {"id": 9999}
    return _notice(shop, topic, fields)


def bulk_finished(shop: Shop, operation: BulkOperation) -> Happening:
    """Lower case, no URL, no counts: the app has to ask."""
    fields = {
        "admin_graphql_api_id": operation.gid,
        "completed_at": local(operation.completed_at),
        "created_at": local(operation.created_at),
        "error_code": operation.error_code.lower() if operation.error_code else None,
        "status": operation.status.lower(),
        "type": operation.type.lower(),
    }
    return Happening("bulk_operations/finish", operation.gid, shop.now(), extra=tuple(fields.items()))


def _notice(shop: Shop, topic: str, fields: dict[str, Any]) -> Happening:
    return Happening(topic, f"gid://shopify/Shop/{shop.number}", shop.now(), extra=tuple(fields.items()))
