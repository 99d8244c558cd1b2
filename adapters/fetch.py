"""Reads many ids from Shopify in as few queries as its points allow, and pages on until each node is whole.

What comes back are Shopify's own nodes, untranslated, by numeric id; None for what is gone. A query costs the sum of
what it could return: an object one point, a connection its `first` times what it holds.
https://shopify.dev/docs/api/usage/limits#graphql-admin-api-rate-limits
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from adapters import documents
from adapters.admin import PATIENCE, AdminClient
from domain.failures import QueryTooExpensive, ShopUnreachable, Throttled

MOST_IDS = 250  # https://shopify.dev/docs/api/usage/limits#array-input-limits
MOST_ROWS = 250
COUNTS_END = 25_001  # Shopify's way of saying "more than 25,000"
HALF_READ_PATIENCE = 5.0  # seconds a query, for what fills a bucket many times over
PAGE_PATIENCE = 30.0  # seconds; a node that is half read would have to start all over

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """A connection within each node: how many of it are wanted at first, at least and at most, at `points` a row."""

    wanted: int
    least: int = 1
    most: int = MOST_ROWS
    points: int = 1


@dataclass(frozen=True, slots=True)
class Rest:
    """How to read on where a node's `connection` goes on: the page document, at `points` a row."""

    connection: str
    document: str
    points: int = 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """A batch document of nodes of one `kind`. `base` is a node's points without its rows, rounded up: one object more
    for each `pageInfo`, which Shopify may or may not count.
    """

    kind: str
    document: str
    base: int
    rows: Mapping[str, Rows]
    rests: tuple[Rest, ...] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """What one query asks for."""

    ids: int
    sizes: dict[str, int]
    cost: int


CUSTOMERS = Recipe(
    "Customer",
    documents.CUSTOMERS,
    base=6,
    rows={"metafields": Rows(20, most=20), "addresses": Rows(5, most=50)},
    rests=(
        Rest("addressesV2", documents.CUSTOMER_ADDRESSES),
        Rest("metafields", documents.CUSTOMER_METAFIELDS),
    ),
)
PRODUCTS = Recipe(
    "Product",
    documents.PRODUCTS,
    base=2,
    rows={"variants": Rows(20, points=2)},
    rests=(Rest("variants", documents.PRODUCT_VARIANTS, points=2),),
)
VARIANTS_METAFIELDS = Recipe(
    "ProductVariant",
    documents.VARIANTS_METAFIELDS,
    base=3,
    rows={"metafields": Rows(20, most=20)},
    rests=(Rest("metafields", documents.VARIANT_METAFIELDS),),
)
PRODUCTS_METAFIELDS = Recipe(
    "Product",
    documents.PRODUCTS_METAFIELDS,
    base=2,
    rows={"metafields": Rows(10, most=20)},
    rests=(Rest("metafields", documents.PRODUCT_METAFIELDS),),
)


def memberships(
    client: AdminClient, shop: str, token: str, ids: Collection[int], ignored_keys: int = 0
) -> dict[int, Node | None]:
    """What eligibility is judged by: `{id, updatedAt, tags, metafields {nodes {key}}}` by customer id.

    At most `1 + ignored_keys` metafields of the namespace are listed: one more than the keys that do not count.
    """
    enough = min(1 + ignored_keys, MOST_ROWS)
    rows = {"metafields": Rows(enough, least=enough, most=enough)}
    return _fetch(client, shop, token, ids, Recipe("Customer", documents.MEMBERSHIPS, base=1, rows=rows))


def customers(client: AdminClient, shop: str, token: str, ids: Collection[int]) -> dict[int, Node | None]:
    """Full customers, with all their addresses and all metafields of the namespace."""
    return _fetch(client, shop, token, ids, CUSTOMERS)


def products(client: AdminClient, shop: str, token: str, ids: Collection[int]) -> dict[int, Node | None]:
    """The core of products with all their variants, up to 2,048 each.

    `updatedAt` is as old as the first page: should the product change while its variants are read, its next version
    is newer and wins.
    """
    return _fetch(client, shop, token, ids, PRODUCTS)


def variant_metafields(
    client: AdminClient, shop: str, token: str, ids: Collection[int], patience: float = PATIENCE
) -> dict[int, Node | None]:
    """`{id, product {id}, metafields {nodes {key type value}}}` by variant id."""
    return _fetch(client, shop, token, ids, VARIANTS_METAFIELDS, patience)


def product_metafields(client: AdminClient, shop: str, token: str, ids: Collection[int]) -> dict[int, Node | None]:
    """`{id, metafields {nodes {key type value}}}` by product id: those that stand, wrongly, on the product itself."""
    return _fetch(client, shop, token, ids, PRODUCTS_METAFIELDS)


def products_count(client: AdminClient, shop: str, token: str) -> int | None:
    """How many products the shop has; None when Shopify stopped counting."""
    count = client.query(shop, token, documents.PRODUCTS_COUNT, {}, cost=2)["productsCount"]
    exact = isinstance(count, dict) and count.get("precision") == "EXACT" and count.get("count") != COUNTS_END
    return count["count"] if exact else None


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """What a shop says of itself and of our access. `versions` are the API versions that Shopify supports."""

    name: str
    domain: str
    timezone: str
    scopes: frozenset[str]
    versions: frozenset[str]


def customers_count(client: AdminClient, shop: str, token: str) -> int | None:
    """How many customers the shop has, whether they belong or not; None when Shopify stopped counting."""
    count = client.query(shop, token, documents.CUSTOMERS_COUNT, {}, cost=2)["customersCount"]
    exact = isinstance(count, dict) and count.get("precision") == "EXACT" and count.get("count") != COUNTS_END
    return count["count"] if exact else None


def existing(client: AdminClient, shop: str, token: str, kind: str, ids: Collection[int]) -> set[int]:
    """Which of these `Product`s or `Customer`s Shopify still has."""
    recipe = Recipe(kind, documents.EXISTING, base=1, rows={})
    return {i for i, node in _fetch(client, shop, token, ids, recipe).items() if node is not None}


def shop_facts(client: AdminClient, shop: str, token: str) -> ShopFacts:
    found = client.query(shop, token, documents.SHOP_FACTS, {}, cost=10)
    try:
        told = found["shop"]
        return ShopFacts(
            name=told["name"],
            domain=told["myshopifyDomain"],
            timezone=told["ianaTimezone"],
            scopes=frozenset(scope["handle"] for scope in found["currentAppInstallation"]["accessScopes"]),
            versions=frozenset(version["handle"] for version in found["publicApiVersions"] if version["supported"]),
        )
    except (KeyError, TypeError):
        raise _misread(shop) from None


def plan(recipe: Recipe, ceiling: int, waiting: int) -> Load:
    """As many of the `waiting` ids as the ceiling pays for, then as many rows of each as the rest pays for.

    Never less than one id, with as few rows as make sense: the smallest query there is may still cost too much.
    """
    wanted = sum(rows.wanted * rows.points for rows in recipe.rows.values())
    ids = max(1, min(waiting, MOST_IDS, ceiling // (recipe.base + wanted)))
    share = max(0, ceiling // ids - recipe.base)
    sizes = {name: max(rows.least, min(rows.most, rows.wanted * share // wanted)) for name, rows in recipe.rows.items()}
    rows_cost = sum(size * recipe.rows[name].points for name, size in sizes.items())
    return Load(ids, sizes, ids * (recipe.base + rows_cost))


def _fetch(
    client: AdminClient, shop: str, token: str, ids: Collection[int], recipe: Recipe, patience: float = PATIENCE
) -> dict[int, Node | None]:
    """A `Throttled` after the first query carries what was found until then."""
    found: dict[int, Node | None] = {}
    waiting = list(dict.fromkeys(ids))
    ceiling = client.ceiling(shop)
    while waiting:
        load = plan(recipe, ceiling, len(waiting))
        asked = waiting[: load.ids]
        try:
            nodes = _batch(client, shop, token, recipe, asked, load, patience)
            whole = [_whole(client, shop, token, recipe, node) for node in nodes]
        except QueryTooExpensive:
            ceiling = _smaller(recipe, load, load.cost // 2)
            if not ceiling:
                raise
        except Throttled as throttled:
            ceiling = _smaller(recipe, load, client.ceiling(shop))
            if not ceiling:
                raise Throttled(str(throttled), throttled.retry_after or 0.0, found) from None
        else:
            found.update(zip(asked, whole, strict=True))
            waiting = waiting[load.ids :]
    return found


def _smaller(recipe: Recipe, load: Load, ceiling: int) -> int:
    """The ceiling to go on with when it makes a smaller query than the one that was refused, else 0."""
    return ceiling if plan(recipe, ceiling, load.ids).cost < load.cost else 0


def _batch(
    client: AdminClient, shop: str, token: str, recipe: Recipe, asked: list[int], load: Load, patience: float
) -> list[Node | None]:
    """The nodes in the order asked for. An answer that is not about these ids must never be read as "gone"."""
    gids = [f"gid://shopify/{recipe.kind}/{number}" for number in asked]
    nodes = client.query(shop, token, recipe.document, {"ids": gids, **load.sizes}, load.cost, patience).get("nodes")
    if not isinstance(nodes, list) or len(nodes) != len(gids):
        raise _misread(shop)
    for gid, node in zip(gids, nodes, strict=True):
        if node is not None and not (isinstance(node, dict) and node.get("id") == gid):
            raise _misread(shop)
    return nodes


def _whole(client: AdminClient, shop: str, token: str, recipe: Recipe, node: Node | None) -> Node | None:
    """The node with every connection read to its end, or None when it went away meanwhile.

    A connection that is null was kept from the app (protected customer data): unknown, which is not empty.
    """
    for rest in recipe.rests:
        if node is not None and node.get(rest.connection) is not None:
            rows = _read_on(client, shop, token, rest, node)
            node = None if rows is None else {**node, rest.connection: {"nodes": rows}}
    return node


def _read_on(client: AdminClient, shop: str, token: str, rest: Rest, node: Node) -> list[Node] | None:
    """All rows of a connection; None when the node went away between two pages."""
    page = node[rest.connection]
    rows = list(_rows(shop, page))
    after = _cursor(shop, page)
    while after is not None:
        first = max(1, min(MOST_ROWS, (client.ceiling(shop) - 2) // rest.points))
        variables = {"id": node["id"], "first": first, "after": after}
        cost = first * rest.points + 2
        owner = client.query(shop, token, rest.document, variables, cost, PAGE_PATIENCE).get("owner")
        if owner is None:
            return None
        page = owner.get("page")
        rows += _rows(shop, page)
        before, after = after, _cursor(shop, page)
        if after == before:
            raise _misread(shop)  # the same page for ever
    return rows


def _rows(shop: str, page: Any) -> list[Node]:
    rows = page.get("nodes") if isinstance(page, dict) else None
    if not isinstance(rows, list):
        raise _misread(shop)
    return rows


def _cursor(shop: str, page: Any) -> str | None:
    """Where the next page starts, None after the last one."""
    info = page.get("pageInfo")
    if not isinstance(info, dict) or (info.get("hasNextPage") and not info.get("endCursor")):
        raise _misread(shop)
    return info["endCursor"] if info.get("hasNextPage") else None


def _misread(shop: str) -> ShopUnreachable:
    return ShopUnreachable(f"{shop} sent an answer that does not fit the question. It is asked again later.")
