"""Domain values as they lie in the database: JSON written once, read back into the same values."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any

import orjson

from domain.issues import Issue
from domain.records import Address, Customer, Metafield, Product, ProductMetafields, Variant


def dump_product(product: Product) -> bytes:
    """The facet `core` as JSON; dataclasses are written field by field."""
    return orjson.dumps(product)


def content_hash(product: Product) -> str:
    """Tells changed content from content that only came another way. Not a secret, not a signature.

    A webhook and GraphQL may order tags differently, and one may say "" where the other says null; an order that moves
    nothing but `updated_at` changes nothing either.
    """
    variants = [
        (v.id, v.sku or None, v.barcode or None, v.title, v.price, v.position, v.inventory_quantity, v.options)
        for v in product.variants
    ]
    described = (product.title, product.handle, product.status, product.vendor or None, product.product_type or None)
    content = orjson.dumps((described, sorted(product.tags), variants, product.updated_at is None))
    return blake2b(content, digest_size=16).hexdigest()


def load_product(stored: Mapping[str, Any]) -> Product:
    variants = tuple(_variant(variant) for variant in stored["variants"])
    fields = {**stored, "variants": variants, "tags": tuple(stored["tags"])}
    return Product(**{**fields, "updated_at": _moment(stored["updated_at"])})


def _variant(stored: Mapping[str, Any]) -> Variant:
    return Variant(**{**stored, "options": tuple((name, value) for name, value in stored["options"])})


def dump_metafields(metafields: ProductMetafields) -> bytes:
    variants = {str(variant): _rows(fields) for variant, fields in metafields.by_variant.items()}
    return orjson.dumps({"variants": variants, "product": _rows(metafields.on_product)})


def load_metafields(product_id: int, stored: Mapping[str, Any] | None) -> ProductMetafields | None:
    """None stays None: not yet known."""
    if stored is None:
        return None
    by_variant = {int(variant): _metafields(rows) for variant, rows in stored["variants"].items()}
    return ProductMetafields(product_id, by_variant, _metafields(stored["product"]))


def _rows(metafields: Iterable[Metafield]) -> list[list[str | None]]:
    return [[field.key, field.value, field.type] for field in metafields]


def _metafields(rows: Iterable[list[Any]]) -> tuple[Metafield, ...]:
    return tuple(Metafield(*row) for row in rows)


def dump_customer(customer: Customer) -> bytes:
    """A customer as it is sealed. `authentication` is SparkLayer's login secret: only its presence is kept."""
    kept = tuple(
        Metafield(field.key, "…", field.type) if field.key == "authentication" else field
        for field in customer.metafields
    )
    fields = {name: getattr(customer, name) for name in Customer.__dataclass_fields__}
    return orjson.dumps({**fields, "metafields": _rows(kept)})


def load_customer(dumped: bytes) -> Customer:
    stored = orjson.loads(dumped)
    addresses = tuple(Address(**address) for address in stored["addresses"])
    fields = {**stored, "addresses": addresses, "tags": tuple(stored["tags"])}
    return Customer(
        **{**fields, "metafields": _metafields(stored["metafields"]), "updated_at": _moment(stored["updated_at"])}
    )


def dump_notes(issues: Iterable[Issue]) -> bytes:
    """What was wrong with the source itself: kept with the facet, for it cannot be found again in the record."""
    return orjson.dumps([[issue.code, issue.path, issue.snippet, issue.facts] for issue in issues])


def load_notes(stored: Iterable[list[Any]]) -> tuple[Issue, ...]:
    return tuple(Issue(*row) for row in stored)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
