"""Connections: cursor paging as Shopify does it, with its limits of 250 a page and 25,000 rows in all."""

import base64
import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cmp_to_key
from typing import Any

from graphql import GraphQLError

PAGE = 250
REACH = 25_000


@dataclass(frozen=True)
class Connection:
    """What `nodes`, `edges` and `pageInfo` are read from."""

    nodes: Sequence[Any]
    edges: Sequence[dict[str, Any]]
    page_info: dict[str, Any]


def page(
    rows: Sequence[Any], key: Callable[[Any], tuple[Any, ...]], arguments: dict[str, Any], *, descending: bool = False
) -> Connection:
    """`rows` are sorted by `key`, whose last part tells them apart. Cursors hold the key: moving rows shift no page."""
    size = _size(arguments)
    backwards = arguments.get("first") is None
    start, stop = _between(rows, key, arguments, descending=descending)
    reach = min(stop, REACH)
    first, last = (max(start, stop - size), stop) if backwards else (start, min(start + size, reach))
    nodes = rows[first:last]
    edges = [{"node": node, "cursor": _cursor(key(node))} for node in nodes]
    return Connection(
        nodes=nodes,
        edges=edges,
        page_info={
            "hasNextPage": last < (stop if backwards else reach),
            "hasPreviousPage": first > 0,
            "startCursor": edges[0]["cursor"] if edges else None,
            "endCursor": edges[-1]["cursor"] if edges else None,
        },
    )


def _size(arguments: dict[str, Any]) -> int:
    size = arguments.get("first") if arguments.get("first") is not None else arguments.get("last")
    if size is None:
        raise GraphQLError("you must provide one of first or last", extensions={"code": "BAD_REQUEST"})
    if not 0 <= size <= PAGE:
        raise GraphQLError(f"first/last must be between 0 and {PAGE}", extensions={"code": "BAD_REQUEST"})
    return int(size)


def _between(
    rows: Sequence[Any], key: Callable[[Any], tuple[Any, ...]], arguments: dict[str, Any], *, descending: bool
) -> tuple[int, int]:
    order = cmp_to_key(_downwards if descending else _upwards)
    start, stop = 0, len(rows)
    if arguments.get("after"):
        start = bisect_right(rows, order(_key(arguments["after"])), key=lambda row: order(key(row)))
    if arguments.get("before"):
        stop = bisect_right(rows, order(_key(arguments["before"])), key=lambda row: order(key(row))) - 1
    return start, max(start, stop)


def _upwards(a: tuple[Any, ...], b: tuple[Any, ...]) -> int:
    return (a > b) - (a < b)


def _downwards(a: tuple[Any, ...], b: tuple[Any, ...]) -> int:
    return (a < b) - (a > b)


def _cursor(key: tuple[Any, ...]) -> str:
    plain = [{"at": part.isoformat()} if isinstance(part, datetime) else part for part in key]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode()


def _key(cursor: str) -> tuple[Any, ...]:
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return tuple(datetime.fromisoformat(part["at"]) if isinstance(part, dict) else part for part in parts)
    except (ValueError, TypeError, KeyError) as problem:
        raise GraphQLError(f"Invalid cursor for current pagination sort: {cursor}") from problem
