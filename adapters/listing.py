"""Lists what a shop has: page by page with a cursor, or as a bulk operation's file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import orjson

from adapters import documents
from adapters.admin import AdminClient
from domain.failures import ShopUnreachable, Transient

PAGE = 100
LEAST_PAGE = 1
METAFIELDS = 20


@dataclass(frozen=True, slots=True)
class Page:
    """Nodes in the order of the listing, and where the next page starts; None after the last one."""

    nodes: list[dict[str, Any]]
    after: str | None


def page(
    client: AdminClient,
    shop: str,
    token: str,
    feed: str,
    after: str | None,
    since: datetime | None = None,
    most: int = PAGE,
) -> Page:
    """A page of at most `most` rows of a feed: all of it by id, or what changed `since`, oldest change first.

    `since` is quoted and in UTC, without an upper bound: an unquoted time is rounded down to midnight, and a bound of
    "now" would then hide today. https://shopify.dev/docs/api/usage/search-syntax
    """
    document, cost_of_row = _LISTINGS[feed]
    query = f"updated_at:>='{since:%Y-%m-%dT%H:%M:%SZ}'" if since else None
    first = max(LEAST_PAGE, min(most, (client.ceiling(shop) - 2) // cost_of_row))
    variables = {"first": first, "after": after, "query": query, "sortKey": "UPDATED_AT" if since else "ID"}
    found = client.query(shop, token, document, variables, first * cost_of_row + 2).get(feed)
    return _read(shop, found)


def _read(shop: str, connection: Any) -> Page:
    try:
        info = connection["pageInfo"]
        return Page(list(connection["nodes"]), info["endCursor"] if info["hasNextPage"] else None)
    except (KeyError, TypeError):
        raise ShopUnreachable(f"{shop} sent a list that cannot be read. It is asked again later.") from None


_LISTINGS = {
    "products": (documents.PRODUCT_LIST, 1),
    "customers": (documents.CUSTOMER_LIST, METAFIELDS + 2),
}


def deleted_products(
    client: AdminClient, shop: str, token: str, since: datetime, after: str | None
) -> tuple[list[str], str | None]:
    """Gids that Shopify's events call deleted since then, and where the next page starts.

    A hint, nothing more: which word events use for a deletion is not documented everywhere, so all that sounds like one
    is taken, and whoever is named is asked about before anything is removed.
    """
    query = f"action:destroy AND subject_type:PRODUCT AND created_at:>='{since:%Y-%m-%dT%H:%M:%SZ}'"
    first = max(LEAST_PAGE, min(PAGE, client.ceiling(shop) - 2))
    variables = {"first": first, "after": after, "query": query}
    found = _read(shop, client.query(shop, token, documents.DELETED_PRODUCTS, variables, first + 2).get("events"))
    gids = [str(event.get("subjectId")) for event in found.nodes if event.get("subjectType") == "PRODUCT"]
    return gids, found.after


@dataclass(frozen=True, slots=True)
class Bulk:
    """A bulk operation as Shopify tells it. Counts come as strings; `url` is None when nothing was found."""

    id: str
    status: str
    error: str | None
    objects: int
    roots: int
    url: str | None


class BulkBusy(Transient):
    """As many bulk operations as Shopify allows are running already."""

    counts = False


def start_bulk(client: AdminClient, shop: str, token: str, feed: str) -> str:
    """Ask for the whole feed as a file; the operation's id."""
    answer = client.query(shop, token, documents.BULK_RUN, {"query": documents.BULK_QUERIES[feed]}, 10)
    asked = answer.get("bulkOperationRunQuery") or {}
    for error in asked.get("userErrors") or ():
        if error.get("code") in ("LIMIT_REACHED", "OPERATION_IN_PROGRESS"):
            raise BulkBusy(f"{shop} runs as many bulk operations as it may. It is asked again later.", 15.0)
        raise ShopUnreachable(f"{shop} did not start a bulk operation ({error.get('code')}).")
    try:
        return str(asked["bulkOperation"]["id"])
    except (KeyError, TypeError):
        raise ShopUnreachable(f"{shop} did not say which bulk operation it started.") from None


def bulk(client: AdminClient, shop: str, token: str, operation: str) -> Bulk:
    """How far it is."""
    found = client.query(shop, token, documents.BULK_STATE, {"id": operation}, 2).get("bulkOperation")
    if not isinstance(found, dict):
        return Bulk(operation, "EXPIRED", None, 0, 0, None)
    try:
        objects, roots = int(found["objectCount"]), int(found["rootObjectCount"])
        return Bulk(operation, str(found["status"]), found.get("errorCode"), objects, roots, found.get("url"))
    except (KeyError, TypeError, ValueError):
        raise ShopUnreachable(f"{shop} sent a bulk operation that cannot be read.") from None


def cancel_bulk(client: AdminClient, shop: str, token: str, operation: str) -> None:
    """Give an operation up; it ends as CANCELED a little later, and its place is free again."""
    client.query(shop, token, documents.BULK_CANCEL, {"id": operation}, 10)


def bulk_lines(shop: str, url: str) -> Iterator[dict[str, Any]]:
    """The file, line by line: its size does not matter. No token goes along; the address itself is signed."""
    limits = httpx.Timeout(30.0, connect=5.0)
    try:
        with httpx.stream("GET", url, timeout=limits, follow_redirects=False) as answer:
            if answer.status_code != httpx.codes.OK:
                raise ShopUnreachable(f"The bulk file of {shop} answers {answer.status_code}.")
            for line in _lines(answer.iter_bytes()):
                if line:
                    yield orjson.loads(line)
    except httpx.HTTPError as error:
        raise ShopUnreachable(f"The bulk file of {shop} broke off ({type(error).__name__}).") from None
    except orjson.JSONDecodeError:
        raise ShopUnreachable(f"The bulk file of {shop} ends in the middle of a line.") from None


def _lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    """By line feeds alone: the library's own lines end at U+2028 and the like as well, which may stand in a title."""
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        yield from whole
    yield rest
