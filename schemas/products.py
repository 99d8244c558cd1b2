"""What the two translators of products share: from fields that were read one by one to the domain's values."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from marshmallow import Schema

from domain.issues import Issue, Translation
from domain.records import Product, Variant
from schemas.fields import issues_of, load, too_far_ahead

MOST_VARIANTS = 2_048  # of one product: Shopify's limit
LAST = 2**63

Options = Callable[[dict[str, Any]], tuple[tuple[str, str], ...]]


def product_from(
    core: tuple[dict[str, Any], dict[Any, Any]],
    variants: tuple[tuple[Variant, ...], tuple[Issue, ...]],
    seen_at: datetime,
    names: Mapping[str, str],
    *,
    complete: bool,
) -> Translation[Product]:
    """`core` is what `load` made of the product's own fields."""
    read, messages = core
    product_id = read.get("id")
    if product_id is None:
        return Translation(None, (Issue("PRODUCT_ID_MISSING", "id"),))
    updated_at, about_time = checked_time(read.get("updated_at"), messages, seen_at, names)
    product = Product(
        product_id,
        read.get("title"),
        read.get("handle"),
        read.get("status") or "unknown",
        read.get("vendor"),
        read.get("product_type"),
        read.get("tags") or (),
        updated_at,
        variants[0],
        complete,
    )
    issues = issues_of(messages, "", names, quoting=True) if messages else ()
    return Translation(product, (*issues, *about_time, *variants[1]))


def variants_from(
    schema: Schema, found: Any, options: Options, names: Mapping[str, str]
) -> tuple[tuple[Variant, ...], tuple[Issue, ...]]:
    """In the order of their positions, whichever way they came. `found` is a list, or nothing that can be used."""
    if not isinstance(found, list):
        return (), ()
    read, messages = load(schema, found[:MOST_VARIANTS])
    issues: list[Issue] = []
    variants: dict[int, Variant] = {}
    for index, fields in enumerate(read):
        variant_id = fields.get("id")
        if messages and index in messages:
            issues.extend(_variant_issues(messages[index], index, variant_id, names))
        if variant_id is None:
            issues.append(Issue("VARIANT_ID_MISSING", f"variants[{index}]"))
        elif variant_id not in variants:
            variants[variant_id] = _variant(variant_id, fields, options)
    return tuple(sorted(variants.values(), key=_place)), tuple(issues)


def checked_time(
    moment: datetime | None, messages: Mapping[Any, Any], seen_at: datetime, names: Mapping[str, str]
) -> tuple[datetime | None, tuple[Issue, ...]]:
    if too_far_ahead(moment, seen_at):
        facts: dict[str, str | int] = {"problem": "it lies more than a day ahead"}
        return None, (Issue("UPDATED_AT_INVALID", "updated_at", None, facts),)
    said = any(names.get(field, field) == "updated_at" for field in messages)
    return moment, (() if moment or said else (Issue("UPDATED_AT_MISSING", "updated_at"),))


def _variant_issues(
    messages: Mapping[Any, Any], index: int, variant_id: int | None, names: Mapping[str, str]
) -> Iterator[Issue]:
    if variant_id is not None:
        yield from issues_of(messages, f"variants[{variant_id}].", names, quoting=True)
    else:
        rest = {field: flaws for field, flaws in messages.items() if field != "id"}
        yield from issues_of(rest, f"variants[{index}].", names, quoting=True)


def _variant(variant_id: int, fields: dict[str, Any], options: Options) -> Variant:
    get = fields.get
    return Variant(
        variant_id,
        get("sku"),
        get("barcode"),
        get("title"),
        get("price"),
        get("position"),
        get("inventory_quantity"),
        options(fields),
    )


def _place(variant: Variant) -> tuple[int, int]:
    return (LAST if variant.position is None else variant.position, variant.id)
