"""The Admin API itself: schema.graphql executed by graphql-core over one tenant.

Node lookups by id see the truth at once; whatever is searched or counted sees the index, which lags.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    execute_sync,
    is_introspection_type,
)

from devstore import mutations, search
from devstore.finding import (
    CUSTOMER_ORDERS,
    PRODUCT_ORDERS,
    by_creation,
    by_number,
    counted,
    listed,
    look_up,
    predicate,
    searched,
    tenant_of,
)
from devstore.metafields import chosen, compare_digest
from devstore.pages import Connection, page
from devstore.records import Customer, Metafield, Product, ProductVariant
from devstore.schema import SCHEMA
from devstore.tenant import BulkOperation, Tenant, WebhookSubscription

VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")
CANDIDATE = "2027-01"
Resolver = Callable[..., Any]


@dataclass(frozen=True)
class Asking:
    """Who asks: the tenant, the version in the address, the origin that file addresses begin with, how to run bulk."""

    tenant: Tenant
    version: str
    origin: str
    api_key: str
    run_bulk: Callable[[Tenant, BulkOperation], None]


def execute(
    document: DocumentNode, variables: dict[str, Any] | None, operation: str | None, asking: Asking
) -> ExecutionResult:
    result = execute_sync(
        SCHEMA, document, context_value=asking, variable_values=variables or {}, operation_name=operation
    )
    assert isinstance(result, ExecutionResult)
    return result


# -- roots


def _products(_root: Any, info: Any, **arguments: Any) -> Connection:
    return searched(info, "products", search.PRODUCT_FIELDS, PRODUCT_ORDERS, arguments)


def _customers(_root: Any, info: Any, **arguments: Any) -> Connection:
    return searched(info, "customers", search.CUSTOMER_FIELDS, CUSTOMER_ORDERS, arguments)


def _product_variants(_root: Any, info: Any, **arguments: Any) -> Connection:
    tenant = tenant_of(info)
    with tenant.shop.lock:
        every = [v for p in tenant.shop.products.truth.values() for v in p.variants]
    matches = predicate(arguments.get("query"), search.VARIANT_FIELDS) or (lambda _record: True)
    rows = sorted(filter(matches, every), key=by_number, reverse=arguments["reverse"])
    return page(rows, by_number, arguments, descending=arguments["reverse"])


def _products_count(_root: Any, info: Any, **arguments: Any) -> dict[str, Any]:
    return counted(info, "products", search.PRODUCT_FIELDS, arguments)


def _customers_count(_root: Any, info: Any, **arguments: Any) -> dict[str, Any]:
    return counted(info, "customers", search.CUSTOMER_COUNT_FIELDS, arguments)


def _node(_root: Any, info: Any, id: str) -> Any:  # noqa: A002  # the argument's name in the schema
    return look_up(tenant_of(info), id)


def _nodes(_root: Any, info: Any, ids: list[str]) -> list[Any]:
    if len(ids) > 250:
        message = f"The input array size of {len(ids)} is greater than the maximum allowed of 250."
        raise GraphQLError(message, extensions={"code": "MAX_INPUT_SIZE_EXCEEDED"})
    return [look_up(tenant_of(info), gid) for gid in ids]


def _one_of(kind: type) -> Resolver:
    def resolve(_root: Any, info: Any, id: str) -> Any:  # noqa: A002  # the argument's name in the schema
        found = look_up(tenant_of(info), id)
        return found if isinstance(found, kind) else None

    return resolve


def _product_by(_root: Any, info: Any, identifier: dict[str, str]) -> Any:
    """The truth, not the index: nothing lags here."""
    shop = tenant_of(info).shop
    if "id" in identifier:
        return _one_of(Product)(_root, info, identifier["id"])
    with shop.lock:
        return next((p for p in shop.products.truth.values() if p.handle == identifier["handle"]), None)


def _customer_by(_root: Any, info: Any, identifier: dict[str, str]) -> Any:
    shop = tenant_of(info).shop
    if "id" in identifier:
        return _one_of(Customer)(_root, info, identifier["id"])
    email, phone = identifier.get("emailAddress", "").casefold(), identifier.get("phoneNumber")
    with shop.lock:
        rows = list(shop.customers.truth.values())
    by_email = (c for c in rows if email and (c.email or "").casefold() == email)
    by_phone = (c for c in rows if phone and c.phone == phone)
    return next(by_email, None) or next(by_phone, None)


def _events(_root: Any, info: Any, **arguments: Any) -> Connection:
    tenant = tenant_of(info)
    with tenant.shop.lock:
        return listed(tenant.shop.events, search.EVENT_FIELDS, arguments, by_creation)


def _bulk_operations(_root: Any, info: Any, **arguments: Any) -> Connection:
    tenant = tenant_of(info)
    with tenant.lock:
        return listed(tenant.bulk.values(), search.BULK_FIELDS, arguments, by_creation)


def _webhook_subscriptions(_root: Any, info: Any, **arguments: Any) -> Connection:
    topics, uri, tenant = arguments.get("topics"), arguments.get("uri"), tenant_of(info)
    with tenant.lock:
        rows = [s for s in tenant.subscriptions.values() if uri in (None, s.uri)]
    wanted = [s for s in rows if topics is None or s.topic in topics]
    return listed(wanted, {}, arguments | {"query": None}, by_creation)


def _shop(_root: Any, info: Any) -> dict[str, Any]:
    shop = tenant_of(info).shop
    return {
        "id": f"gid://shopify/Shop/{shop.number}",
        "name": shop.domain.split(".")[0].title(),
        "email": f"owner@{shop.domain.split('.')[0]}.example",
        "myshopifyDomain": shop.domain,
        "url": f"https://{shop.domain}",
        "plan": {"publicDisplayName": "Basic", "shopifyPlus": False, "partnerDevelopment": True},
        "ianaTimezone": "America/New_York",
        "timezoneOffset": "-0500",
        "currencyCode": "USD",
        "createdAt": datetime(2024, 1, 1, tzinfo=UTC),
    }


def _installation(_root: Any, info: Any) -> dict[str, Any]:
    asking: Asking = info.context
    return {
        "id": f"gid://shopify/AppInstallation/{asking.tenant.shop.number + 5}",
        "accessScopes": [{"handle": s, "description": s.replace("_", " ")} for s in asking.tenant.tokens.scopes],
        "app": {
            "id": "gid://shopify/App/4713",
            "title": "Data Sync",
            "apiKey": asking.api_key,
            "handle": "data-sync",
            "webhookApiVersion": asking.version,
        },
    }


def _versions(_root: Any, _info: Any) -> list[dict[str, Any]]:
    return [_version(handle) for handle in (*VERSIONS, CANDIDATE, "unstable")]


# -- fields that are more than an attribute


def _variants(product: Product, _info: Any, **arguments: Any) -> Connection:
    rows = product.variants[::-1] if arguments["reverse"] else product.variants
    return page(rows, lambda v: (v.position,), arguments, descending=arguments["reverse"])


def _metafields(owner: Any, _info: Any, **arguments: Any) -> Connection:
    rows = chosen(owner, arguments.get("namespace"), arguments.get("keys"))
    rows.sort(key=by_number, reverse=arguments["reverse"])
    return page(rows, by_number, arguments, descending=arguments["reverse"])


def _metafield(owner: Any, _info: Any, key: str, namespace: str | None = None) -> Metafield | None:
    if namespace is None and "." in key:
        namespace, key = key.split(".", 1)
    return next((m for m in owner.metafields if (m.namespace, m.key) == (namespace, key)), None)


def _addresses(customer: Customer, _info: Any, **arguments: Any) -> Connection:
    rows = customer.addresses[::-1] if arguments["reverse"] else customer.addresses
    places = {address.number: place for place, address in enumerate(rows)}
    return page(rows, lambda a: (places[a.number],), arguments)


def _options(product: Product, _info: Any, **_arguments: Any) -> list[dict[str, Any]]:
    values = list(dict.fromkeys(v.title for v in product.variants))
    gid = f"gid://shopify/ProductOption/{product.number + 3}"
    return [{"id": gid, "name": product.variants[0].option_name, "position": 1, "values": values}]


def _parent(variant: ProductVariant, info: Any) -> Product | None:
    shop = tenant_of(info).shop
    with shop.lock:
        return shop.products.truth.get(variant.product_number)


def _email(customer: Customer, _info: Any) -> dict[str, Any] | None:
    if customer.email is None:
        return None
    return {"emailAddress": customer.email, "marketingState": "NOT_SUBSCRIBED", "validFormat": "@" in customer.email}


def _subscription_metafields(subscription: WebhookSubscription, _info: Any) -> list[dict[str, str]]:
    return [{"namespace": namespace, "key": key} for namespace, key in subscription.metafields]


def _bulk_url(*, partial: bool) -> Resolver:
    def resolve(operation: BulkOperation, info: Any) -> str | None:
        """Null when nothing was found: Shopify writes no empty file."""
        if operation.path is None or operation.partial is not partial or not operation.object_count:
            return None
        asking: Asking = info.context
        return f"{asking.origin}/{asking.tenant.shop.domain}/bulk/{operation.number}.jsonl"

    return resolve


def _version(handle: str) -> dict[str, Any]:
    return {"handle": handle, "displayName": handle, "supported": handle in VERSIONS}


# -- wiring

RESOLVERS: dict[str, dict[str, Resolver]] = {
    "QueryRoot": {
        "products": _products,
        "product": _one_of(Product),
        "productByIdentifier": _product_by,
        "customers": _customers,
        "customer": _one_of(Customer),
        "customerByIdentifier": _customer_by,
        "productVariants": _product_variants,
        "productVariant": _one_of(ProductVariant),
        "productsCount": _products_count,
        "customersCount": _customers_count,
        "node": _node,
        "nodes": _nodes,
        "events": _events,
        "shop": _shop,
        "currentAppInstallation": _installation,
        "publicApiVersions": _versions,
        "webhookSubscription": _one_of(WebhookSubscription),
        "webhookSubscriptions": _webhook_subscriptions,
        "bulkOperation": _one_of(BulkOperation),
        "bulkOperations": _bulk_operations,
    },
    "Mutation": {
        "webhookSubscriptionCreate": mutations.create_subscription,
        "webhookSubscriptionUpdate": mutations.update_subscription,
        "webhookSubscriptionDelete": mutations.delete_subscription,
        "bulkOperationRunQuery": mutations.run_bulk_query,
        "bulkOperationCancel": mutations.cancel_bulk,
    },
    "Product": {
        "variants": _variants,
        "metafields": _metafields,
        "metafield": _metafield,
        "options": _options,
        "variantsCount": lambda p, _info: {"count": len(p.variants), "precision": "EXACT"},
        "totalInventory": lambda p, _info: sum(v.inventory_quantity for v in p.variants),
        "hasOnlyDefaultVariant": lambda p, _info: len(p.variants) == 1 and p.variants[0].title == "Default Title",
    },
    "ProductVariant": {
        "metafields": _metafields,
        "metafield": _metafield,
        "product": _parent,
        "displayName": lambda v, _info: v.title,
        "selectedOptions": lambda v, _info: [{"name": v.option_name, "value": v.title}],
    },
    "Customer": {
        "metafields": _metafields,
        "metafield": _metafield,
        "addressesV2": _addresses,
        "defaultEmailAddress": _email,
        "defaultPhoneNumber": lambda c, _info: {"phoneNumber": c.phone} if c.phone else None,
    },
    "MailingAddress": {"countryCodeV2": lambda a, _info: a.country_code_v2},
    "Metafield": {"compareDigest": lambda m, _info: compare_digest(m)},
    "BasicEvent": {
        "message": lambda e, _info: f"Deleted {e.subject_type.lower()}",
        "attributeToApp": lambda _e, _info: False,
        "attributeToUser": lambda _e, _info: True,
        "criticalAlert": lambda _e, _info: False,
        "hasAdditionalContent": lambda _e, _info: False,
        "appTitle": lambda _e, _info: None,
        "secondaryMessage": lambda _e, _info: None,
    },
    "WebhookSubscription": {
        "metafields": _subscription_metafields,
        "apiVersion": lambda s, _info: _version(s.api_version),
    },
    "BulkOperation": {"url": _bulk_url(partial=False), "partialDataUrl": _bulk_url(partial=True)},
}
_RECORDS = {"Product", "ProductVariant", "Customer", "MailingAddress", "Metafield", "BasicEvent"}
_RECORDS |= {"WebhookSubscription", "BulkOperation"}


def _wire(schema: GraphQLSchema) -> None:
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind):
            for name, field in kind.fields.items():
                _wire_field(kind.name, name, field)
        if isinstance(kind, GraphQLInterfaceType):
            kind.resolve_type = lambda value, _info, _kind: type(value).__name__
    _scalar(schema, "DateTime").coerce_output_value = lambda at: f"{at:%Y-%m-%dT%H:%M:%SZ}"
    _scalar(schema, "UnsignedInt64").coerce_output_value = str


def _scalar(schema: GraphQLSchema, name: str) -> GraphQLScalarType:
    scalar = schema.type_map[name]
    assert isinstance(scalar, GraphQLScalarType)
    return scalar


def _wire_field(kind: str, name: str, field: GraphQLField) -> None:
    own = RESOLVERS.get(kind, {}).get(name)
    if own is not None:
        field.resolve = own
    elif kind in _RECORDS:
        attribute = {"id": "gid", "legacyResourceId": "number"}.get(name) or _snake(name)
        field.resolve = _reader(attribute)
    elif kind.endswith("Connection"):
        field.resolve = _reader(_snake(name))


def _reader(attribute: str) -> Resolver:
    get = attrgetter(attribute)
    return lambda record, _info, **_arguments: get(record)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


_wire(SCHEMA)
