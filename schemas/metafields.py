"""The metafields of the namespace `sparklayer`, wherever they stand: a body's list, or GraphQL's connection."""

import json
from typing import Any

from domain.eligibility import NAMESPACE
from domain.records import Metafield
from domain.text import storable


def metafields_from(found: Any, *, need_namespace: bool) -> tuple[Metafield, ...] | None:
    """None when `found` is no list. GraphQL was asked for one namespace; a body names it with each metafield."""
    if not isinstance(found, list):
        return None
    read: dict[str, Metafield] = {}
    for entry in found:
        metafield = _metafield(entry, need_namespace=need_namespace)
        if metafield is not None:
            read[metafield.key] = metafield
    return tuple(read[key] for key in sorted(read))


def members(connection: Any) -> list[Any] | None:
    """Of a GraphQL connection: `nodes`, `edges`, or a plain list; None when it was not asked for or makes no sense."""
    if isinstance(connection, list):
        return connection
    if not isinstance(connection, dict):
        return None
    nodes, edges = connection.get("nodes"), connection.get("edges")
    if isinstance(nodes, list):
        return nodes
    if isinstance(edges, list):
        return [edge.get("node") if isinstance(edge, dict) else None for edge in edges]
    return None


def goes_on(connection: Any) -> bool:
    page = connection.get("pageInfo") if isinstance(connection, dict) else None
    return isinstance(page, dict) and page.get("hasNextPage") is True


def _metafield(entry: Any, *, need_namespace: bool) -> Metafield | None:
    if not isinstance(entry, dict):
        return None
    if entry.get("namespace", None if need_namespace else NAMESPACE) != NAMESPACE:
        return None
    key, value, declared = entry.get("key"), _as_text(entry.get("value")), entry.get("type")
    if not isinstance(key, str) or not key or value is None:
        return None
    return Metafield(storable(key), storable(value), storable(declared) if isinstance(declared, str) else None)


def _as_text(value: Any) -> str | None:
    """Shopify sends text; a value that came as JSON itself is written as text again."""
    if value is None or isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError):  # nested too deeply, or an integer of thousands of digits
        return None
