"""Asks Shopify now about what somebody typed, and keeps nothing: one query, whatever was typed.

Ids, handles, email addresses and telephone numbers are looked up exactly; SKUs, barcodes, titles and names go through
Shopify's search, which folds case and lags some seconds behind, so what it finds is compared again here.
https://shopify.dev/docs/api/usage/search-syntax
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adapters import documents
from adapters.admin import AdminClient
from domain.clashes import fold_sku
from domain.failures import ShopUnreachable
from domain.query import Query

MOST = 10  # rows of a search
MOST_PEOPLE = 3  # each with its metafields
PATIENCE = 2.0  # seconds; a person waits for the answer
# All parts are reserved, also those that are switched off: whether Shopify counts them is not documented.
POINTS_OF_PRODUCT = 3
POINTS_OF_CUSTOMER = 41


@dataclass(frozen=True, slots=True)
class ProductSeen:
    """A product as Shopify has it now. `sku`: how the SKU that was asked for is written there."""

    id: int
    title: str
    status: str
    updated_at: datetime
    sku: str | None = None


@dataclass(frozen=True, slots=True)
class CustomerSeen:
    """What eligibility is judged by, and nothing that names the person. `keys` are those of `sparklayer`.

    None means that Shopify did not say, which is not the same as none.
    """

    id: int
    updated_at: datetime
    tags: tuple[str, ...] | None
    keys: tuple[str, ...] | None
    namespaces: tuple[str, ...]


def products(client: AdminClient, shop: str, token: str, query: Query, also: Iterable[int] = ()) -> list[ProductSeen]:
    """What Shopify has by these words, and the products `also` by their ids."""
    ours = (f"gid://shopify/Product/{i}" for i in also)
    named = (*_gids(query, "product_id", "Product"), *_gids(query, "variant_id", "ProductVariant"))
    gids = list(dict.fromkeys((*named, *ours)))
    exact = [*_texts(query, "sku"), *_texts(query, "barcode")]
    handle, title = next(_texts(query, "handle"), ""), next(_texts(query, "title"), "")
    search = " OR ".join(f"{field}:{quoted(t)}" for field in ("sku", "barcode") for t in dict.fromkeys(exact))
    variables = {
        "ids": gids,
        "first": MOST,
        "search": search,
        "searches": bool(exact),
        "handle": handle,
        "hasHandle": bool(handle),
        "title": f"title:{quoted(title)}",
        "hasTitle": bool(title) and query.read_as == "title",
    }
    cost = POINTS_OF_PRODUCT * (len(gids) + 2 * MOST + 1)
    found = client.query(shop, token, documents.CHECK_PRODUCTS, variables, cost, PATIENCE)
    try:
        seen = list(_products(found, exact, title))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _misread(shop) from None
    return list({product.id: product for product in reversed(seen)}.values())[::-1]


def customers(client: AdminClient, shop: str, token: str, query: Query, also: Iterable[int] = ()) -> list[CustomerSeen]:
    """Whoever Shopify has by these words, whether they belong or not, and the customers `also` by their ids."""
    ours = (f"gid://shopify/Customer/{i}" for i in also)
    gids = list(dict.fromkeys((*_gids(query, "customer_id", "Customer"), *ours)))
    email, phone = next(_texts(query, "email"), ""), next(_texts(query, "phone"), "")
    words = next(_texts(query, "name"), "").split() if query.read_as == "name" else []
    variables = {
        "ids": gids,
        "email": email,
        "hasEmail": bool(email),
        "phone": phone,
        "hasPhone": bool(phone),
        "first": MOST_PEOPLE,
        "words": " AND ".join(map(quoted, words)),
        "hasWords": bool(words),
    }
    cost = POINTS_OF_CUSTOMER * (len(gids) + 2 + MOST_PEOPLE)
    found = client.query(shop, token, documents.CHECK_CUSTOMERS, variables, cost, PATIENCE)
    try:
        seen = [_customer(node) for node in _customer_nodes(found)]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _misread(shop) from None
    return list({customer.id: customer for customer in seen}.values())


def quoted(text: str) -> str:
    """A word of the search language that stands for exactly this text."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _gids(query: Query, field: str, kind: str) -> list[str]:
    return [f"gid://shopify/{kind}/{c.value}" for c in query.candidates if c.field == field]


def _texts(query: Query, field: str) -> Iterator[str]:
    return (str(candidate.value) for candidate in query.candidates if candidate.field == field)


def _products(found: dict[str, Any], exact: list[str], title: str) -> Iterator[ProductSeen]:
    for node in found["nodes"]:
        if node is not None:
            yield _product(node.get("product") or node)
    for variant in _rows(found, "productVariants"):
        sku = variant["sku"]
        if sku and fold_sku(sku) in {fold_sku(wanted) for wanted in exact}:
            yield _product(variant["product"], sku)
        elif variant["barcode"] in exact:
            yield _product(variant["product"])
    if found.get("productByIdentifier"):
        yield _product(found["productByIdentifier"])
    for node in _rows(found, "products"):
        if str(node["title"]).casefold().startswith(title.casefold()):
            yield _product(node)


def _product(node: dict[str, Any], sku: str | None = None) -> ProductSeen:
    moment = datetime.fromisoformat(node["updatedAt"])
    return ProductSeen(_number(node), str(node["title"]), str(node["status"]).lower(), moment, sku)


def _customer_nodes(found: dict[str, Any]) -> Iterable[dict[str, Any]]:
    one_by_one = [*found["nodes"], found.get("byEmail"), found.get("byPhone")]
    return [*(node for node in one_by_one if node is not None), *_rows(found, "customers")]


def _customer(node: dict[str, Any]) -> CustomerSeen:
    tags = tuple(str(tag) for tag in node["tags"]) if node.get("tags") is not None else None
    keys = tuple(str(field["key"]) for field in _rows(node, "ours")) if node.get("ours") is not None else None
    namespaces = sorted({str(field["namespace"]) for field in _rows(node, "all")})
    return CustomerSeen(_number(node), datetime.fromisoformat(node["updatedAt"]), tags, keys, tuple(namespaces))


def _rows(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Of a connection; none when it was not asked for, or kept from the app."""
    connection = found.get(name)
    return [] if connection is None else [row for row in connection["nodes"] if row is not None]


def _number(node: dict[str, Any]) -> int:
    return int(node["id"].rsplit("/", 1)[1])


def _misread(shop: str) -> ShopUnreachable:
    return ShopUnreachable(f"{shop} sent an answer that does not fit the question. Try again shortly.")
