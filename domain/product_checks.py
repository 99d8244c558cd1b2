"""What is wrong with one product and its variants. Clashes with other products are in `domain/clashes.py`."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from domain.issues import Issue
from domain.metafields import VARIANT_KEYS, Reading, read_product_metafields, read_variant_metafields
from domain.quantity_rules import PARENT_LIMITS, contradictions
from domain.records import Product, ProductMetafields, Variant
from domain.text import shown

# spaces that nobody sees: doubled, at an end, or of a kind that looks like another
# Not U+200D: it joins the parts of one emoji.
_ODD_SPACE = re.compile("^\\s|\\s$|\\s\\s|[^\\S ]|[\u200b\u200c\u200e\u200f\u2060\ufeff\u00ad]")


def check_product(product: Product, metafields: ProductMetafields | None, today: date) -> tuple[Issue, ...]:
    """`metafields` is None while they are not known; nothing is then said about them. `today` is the shop's day."""
    issues = [*_product_issues(product)]
    for variant in product.variants:
        if variant.sku is None or not variant.sku.strip():
            issues.append(Issue("SKU_MISSING", f"variants[{variant.id}].sku"))
        elif _ODD_SPACE.search(variant.sku):
            issues.append(Issue("SKU_WHITESPACE", f"variants[{variant.id}].sku", shown(variant.sku)))
    if metafields is not None:
        issues.extend(_metafield_issues(product.variants, metafields, today))
    return tuple(issues)


def variant_reading(variant: Variant, metafields: ProductMetafields | None) -> Reading | None:
    """None when the metafields of this variant are not known."""
    if metafields is None or variant.id not in metafields.by_variant:
        return None
    return read_variant_metafields(metafields.by_variant[variant.id], f"variants[{variant.id}].metafields")


def _product_issues(product: Product) -> Iterator[Issue]:
    if product.title is None or not product.title.strip():
        yield Issue("PRODUCT_TITLE_MISSING", "title")
    if product.handle is None or not product.handle.strip():
        yield Issue("PRODUCT_HANDLE_MISSING", "handle")
    if product.status == "unknown":
        yield Issue("STATUS_MISSING", "status")
    if product.tags and {"b2b-only", "b2c-only"} <= {tag.strip().casefold() for tag in product.tags}:
        yield Issue("CATALOG_TAG_CONFLICT", "tags", "b2b-only, b2c-only")


def _metafield_issues(variants: tuple[Variant, ...], metafields: ProductMetafields, today: date) -> Iterator[Issue]:
    yield from read_product_metafields(metafields.on_product).issues
    in_force: list[Mapping[str, Any]] = []
    for variant in variants:
        reading = variant_reading(variant, metafields)
        if reading is None:
            continue
        yield from reading.issues
        path = f"variants[{variant.id}].metafields"
        if reading.values.get("settings"):
            yield from _overridden(reading.values, path)
        else:
            in_force.append(reading.values)
            yield from contradictions(reading.values, path)
        restock = reading.values.get("restock_date")
        if restock is not None and restock < today:
            yield Issue("RESTOCK_DATE_PAST", f"{path}.restock_date", restock.isoformat())
    yield from _disagreements(in_force)


def _overridden(values: Mapping[str, Any], path: str) -> Iterator[Issue]:
    """`settings` supersedes the single metafields of the same names, whatever they say."""
    singles = ("pack_size", "min_order_quantity", "max_order_quantity", *PARENT_LIMITS, "reserve_stock_quantity")
    ignored = [key for key in (*singles, "display", "sell") if key in values]
    if ignored:
        yield Issue("SETTINGS_OVERRIDES_FIELDS", f"{path}.settings", None, {"ignored": ", ".join(ignored)})


def _disagreements(readings: list[Mapping[str, Any]]) -> Iterator[Issue]:
    for key in PARENT_LIMITS:
        if len({values.get(key) for values in readings}) > 1:
            yield Issue("PARENT_QTY_INCONSISTENT", f"variants[*].metafields.{key}", None, {"key": key})


assert set(PARENT_LIMITS) <= set(VARIANT_KEYS)
