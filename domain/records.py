"""What we mirror, as plain frozen values. Both translators (webhook bodies, GraphQL nodes) end here.

Absent is not empty: `None` for `metafields` means "not known", an empty tuple means "known to be none".
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Metafield:
    """One of the namespace `sparklayer`. `value` is text as Shopify sends it; `type` is Shopify's word, or None."""

    key: str
    value: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """`price` is Shopify's decimal string. `sku` is opaque: never trimmed, never folded."""

    id: int
    sku: str | None
    barcode: str | None
    title: str | None
    price: str | None
    position: int | None
    inventory_quantity: int | None
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Product:
    """The facet `core`. `variants_complete` is False when the source cut the list (a webhook body ends at 100)."""

    id: int
    title: str | None
    handle: str | None
    status: str
    vendor: str | None
    product_type: str | None
    tags: tuple[str, ...]
    updated_at: datetime | None
    variants: tuple[Variant, ...]
    variants_complete: bool = True


@dataclass(frozen=True, slots=True)
class ProductMetafields:
    """The facet `metafields`: by variant id, and those that stand (wrongly) on the product itself."""

    product_id: int
    by_variant: dict[int, tuple[Metafield, ...]]
    on_product: tuple[Metafield, ...] = ()


@dataclass(frozen=True, slots=True)
class Address:
    """An address as SparkLayer keeps it (`line1` is Shopify's `address1`); `country_code` is ISO 3166 alpha-2."""

    id: int | None
    first_name: str | None
    last_name: str | None
    company: str | None
    line1: str | None
    line2: str | None
    city: str | None
    region_name: str | None
    region_code: str | None
    postal_code: str | None
    country_code: str | None
    phone: str | None
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer who belongs. Names, email, phone and addresses are personal data: encrypted before they are stored."""

    id: int
    email: str | None
    first_name: str | None
    last_name: str | None
    phone: str | None
    state: str | None
    tax_exempt: bool | None
    tags: tuple[str, ...]
    updated_at: datetime | None
    addresses: tuple[Address, ...]
    metafields: tuple[Metafield, ...]
