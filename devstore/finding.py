"""How rows are found: by gid in the truth, by search in the index that lags, in Shopify's orders."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from graphql import GraphQLError

from devstore import search
from devstore.pages import Connection, page
from devstore.records import number_of
from devstore.tenant import Tenant

COUNT_REACH = 25_000


def by_number(record: Any) -> tuple[int]:
    return (record.number,)


def by_creation(record: Any) -> tuple[datetime, int]:
    return (record.created_at, record.number)


PRODUCT_ORDERS: dict[str, Callable[[Any], Any]] = {
    "CREATED_AT": by_creation,
    "UPDATED_AT": lambda p: (p.updated_at, p.number),
    "TITLE": lambda p: (p.title, p.number),
    "VENDOR": lambda p: (p.vendor, p.number),
    "PRODUCT_TYPE": lambda p: (p.product_type, p.number),
}
CUSTOMER_ORDERS: dict[str, Callable[[Any], Any]] = {
    "CREATED_AT": by_creation,
    "UPDATED_AT": lambda c: (c.updated_at, c.number),
    "NAME": lambda c: (c.last_name or "", c.first_name or "", c.number),
}


def tenant_of(info: Any) -> Tenant:
    tenant: Tenant = info.context.tenant
    return tenant


def look_up(tenant: Tenant, gid: str) -> Any:
    """The truth by gid; None for what is gone, an error for what is no gid."""
    try:
        kind, number = gid.removeprefix("gid://shopify/").split("/")[0], number_of(gid)
    except ValueError as problem:
        raise GraphQLError(
            f"Invalid global id '{gid}'", extensions={"code": "argumentLiteralsIncompatible"}
        ) from problem
    shop = tenant.shop
    with shop.lock, tenant.lock:
        if kind == "ProductVariant":
            home = shop.products.truth.get(shop.homes.get(number, 0))
            return next((v for v in home.variants if v.number == number), None) if home else None
        tables: dict[str, dict[int, Any]] = {
            "Product": shop.products.truth,
            "Customer": shop.customers.truth,
            "BulkOperation": tenant.bulk,
            "WebhookSubscription": tenant.subscriptions,
        }
        return tables.get(kind, {}).get(number)


def searched(
    info: Any, kind: str, fields: search.Fields, orders: dict[str, Callable[[Any], Any]], arguments: dict[str, Any]
) -> Connection:
    rows = _found(info, kind, fields, arguments, orders.get(arguments["sortKey"], by_number))
    return page(rows, orders.get(arguments["sortKey"], by_number), arguments, descending=arguments["reverse"])


def _found(
    info: Any, kind: str, fields: search.Fields, arguments: dict[str, Any], order: Callable[[Any], Any]
) -> list[Any]:
    shop, query, reverse = tenant_of(info).shop, arguments.get("query"), arguments.get("reverse", False)
    matches = predicate(query, fields)
    with shop.lock:
        table: Any = shop.products if kind == "products" else shop.customers
        name = (kind, query, arguments.get("sortKey"), reverse, id(fields))
        found: list[Any] = table.search(shop.conduct.index_lag, name, matches, order, reverse=reverse)
        return found


def counted(info: Any, kind: str, fields: search.Fields, arguments: dict[str, Any]) -> dict[str, Any]:
    """Exact up to the limit; the documents contradict each other on `null`, so the 25,001 of the limits page holds."""
    found = len(_found(info, kind, fields, arguments, by_number))
    limit = arguments.get("limit")
    reach = COUNT_REACH + 1 if limit is None else min(limit, COUNT_REACH + 1)
    if found > reach:
        return {"count": reach, "precision": "AT_LEAST"}
    return {"count": found, "precision": "EXACT" if found <= COUNT_REACH else "AT_LEAST"}


def listed(
    records: Iterable[Any], fields: search.Fields, arguments: dict[str, Any], order: Callable[[Any], Any]
) -> Connection:
    matches = predicate(arguments.get("query"), fields) or (lambda _record: True)
    rows = sorted(filter(matches, records), key=order, reverse=arguments["reverse"])
    return page(rows, order, arguments, descending=arguments["reverse"])


def predicate(query: str | None, fields: search.Fields) -> search.Predicate | None:
    try:
        return search.predicate(query, fields)
    except search.SearchError as problem:
        message = f"Internal error. Looks like something went wrong on our end. ({problem})"
        raise GraphQLError(message, extensions={"code": "INTERNAL_SERVER_ERROR"}) from problem
