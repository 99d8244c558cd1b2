"""Choosing among metafields, and their fingerprint."""

import hashlib
from collections.abc import Collection

from devstore.records import Customer, Metafield, Product, ProductVariant

Owner = Product | ProductVariant | Customer


def chosen(owner: Owner, namespace: str | None, keys: Collection[str] | None) -> list[Metafield]:
    """As created. `keys` may carry the namespace: `sparklayer.pack_size`."""
    rows = [m for m in owner.metafields if namespace in (None, m.namespace)]
    if keys is not None:
        rows = [m for m in rows if m.key in keys or f"{m.namespace}.{m.key}" in keys]
    return rows


def compare_digest(metafield: Metafield) -> str:
    return hashlib.sha256(f"{metafield.type}\n{metafield.value}".encode()).hexdigest()
