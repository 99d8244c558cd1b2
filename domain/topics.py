"""The routing table: what each topic is about, where its id stands, and what may be kept of its body.

Topics are matched by exact string, in Shopify's spelling, dot forms included. The list and its traps:
https://shopify.dev/docs/api/webhooks/latest
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from domain.failures import Permanent


class Act(StrEnum):
    """What a delivery asks of the turn that serves it."""

    CORE = "core"  # the body is the product; apply it
    DELETE = "delete"  # the resource is gone
    FETCH = "fetch"  # a signal: ask Shopify for the whole resource
    METAFIELDS = "metafields"  # ask Shopify for the sparklayer metafields of a product's variants
    UNINSTALL = "uninstall"
    SHOP = "shop"  # settings or scopes of the shop changed
    BULK = "bulk"  # a bulk operation ended
    REDACT_CUSTOMER = "redact_customer"
    REDACT_SHOP = "redact_shop"
    REPORT_CUSTOMER = "report_customer"  # customers/data_request


class Unreadable(Permanent):
    """A genuine body that this topic cannot have. The message is a plain sentence without the body's content."""


@dataclass(frozen=True, slots=True)
class Route:
    """`read_id` finds the resource's id in the parsed body, or raises Unreadable. `None`: the topic has no resource.

    `keeps_body` is False for everything that may hold personal data: customers' bodies are never stored (their tags
    and metafields are not in them anyway), nor are the shop owner's details or the compliance topics' addresses.
    """

    act: Act
    feed: str | None
    read_id: Callable[[Mapping[str, Any]], int] | None
    keeps_body: bool = False


MAX_ID = 2**63 - 1


def resource_id(value: object, kind: str) -> int:
    """An id as Shopify may write it: 123, "123" or gid://shopify/Kind/123 (query strings allowed)."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Unreadable(
            f"the {kind.lower()} id is missing" if value is None else f"the {kind.lower()} id is no number"
        )
    if isinstance(value, str):
        match = re.fullmatch(rf"(?:gid://shopify/{kind}/)?(\d{{1,19}})(?:\?.*)?", value, re.ASCII | re.DOTALL)
        if not match:
            raise Unreadable(f"the {kind.lower()} id is no number")
        value = int(match[1])
    if not 0 < value <= MAX_ID:
        raise Unreadable(f"the {kind.lower()} id is out of range")
    return value


def _at(kind: str, *path: str) -> Callable[[Mapping[str, Any]], int]:
    def read(body: Mapping[str, Any]) -> int:
        value: Any = body
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return resource_id(value, kind)

    return read


_PRODUCT = _at("Product", "id")
_CUSTOMER = _at("Customer", "id")
_TAGGED = _at("Customer", "customerId")
_CONCERNED = _at("Customer", "customer", "id")
_MERGED_AWAY = _at("Customer", "admin_graphql_api_customer_deleted_id")
_BULK = _at("BulkOperation", "admin_graphql_api_id")

ROUTES: Mapping[str, Route] = {
    "products/create": Route(Act.CORE, "products", _PRODUCT, keeps_body=True),
    "products/update": Route(Act.CORE, "products", _PRODUCT, keeps_body=True),
    "products/delete": Route(Act.DELETE, "products", _PRODUCT, keeps_body=True),
    "customers/create": Route(Act.FETCH, "customers", _CUSTOMER),
    "customers/update": Route(Act.FETCH, "customers", _CUSTOMER),
    "customers/enable": Route(Act.FETCH, "customers", _CUSTOMER),
    "customers/disable": Route(Act.FETCH, "customers", _CUSTOMER),
    "customer.tags_added": Route(Act.FETCH, "customers", _TAGGED),
    "customer.tags_removed": Route(Act.FETCH, "customers", _TAGGED),
    "customers/delete": Route(Act.DELETE, "customers", _CUSTOMER),
    # A merge may have failed, so the customer merged away is asked about, not taken for gone.
    "customers/merge": Route(Act.FETCH, "customers", _MERGED_AWAY),
    "app/uninstalled": Route(Act.UNINSTALL, None, None),
    "app/scopes_update": Route(Act.SHOP, None, None),
    "shop/update": Route(Act.SHOP, None, None),
    "bulk_operations/finish": Route(Act.BULK, None, _BULK),
    "customers/data_request": Route(Act.REPORT_CUSTOMER, "customers", _CONCERNED),
    "customers/redact": Route(Act.REDACT_CUSTOMER, "customers", _CONCERNED),
    "shop/redact": Route(Act.REDACT_SHOP, None, None),
    # Ours: what a run, a replay or the mirror itself asks to be read from Shopify. No webhook carries these topics.
    "product/read": Route(Act.CORE, "products", None, keeps_body=True),
    "product/fetch": Route(Act.FETCH, "products", None),
    "product/metafields": Route(Act.METAFIELDS, "products", None),
    "customer/fetch": Route(Act.FETCH, "customers", None),
}

OURS = frozenset({"product/read", "product/fetch", "product/metafields", "customer/fetch"})
SHOPIFYS: Mapping[str, Route] = {topic: route for topic, route in ROUTES.items() if topic not in OURS}

COMPLIANCE = frozenset({Act.REDACT_CUSTOMER, Act.REDACT_SHOP, Act.REPORT_CUSTOMER})
