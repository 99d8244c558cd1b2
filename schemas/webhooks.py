"""The bodies of products/create and products/update, as Shopify's webhooks send them.

A customer's body is never read: since API 2025-01 it says neither tags nor metafields.
https://shopify.dev/docs/api/webhooks/latest
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NoReturn

import orjson

from domain.deliveries import Identity, believable
from domain.issues import Issue, Translation
from domain.metafield_values import kind
from domain.records import Product, ProductMetafields
from domain.text import storable
from domain.topics import ROUTES, Unreadable
from schemas.fields import Id, Lenient, Moment, Money, Tags, Text, WholeNumber, Word, as_id, load
from schemas.metafields import metafields_from
from schemas.products import MOST_VARIANTS, product_from, variants_from

MOST_IN_A_BODY = 100  # variants; the rest is only named, in `variant_gids`
SAME_NAMES: dict[str, str] = {}


class ProductBody(Lenient):
    """`body_html` and the images are not kept."""

    id = Id(allow_none=True)
    title = Text(allow_none=True)
    handle = Text(allow_none=True)
    status = Word(allow_none=True)
    vendor = Text(allow_none=True)
    product_type = Text(allow_none=True)
    tags = Tags(allow_none=True)
    updated_at = Moment(allow_none=True)


class VariantBody(Lenient):
    id = Id(allow_none=True)
    sku = Text(allow_none=True)
    barcode = Text(allow_none=True)
    title = Text(allow_none=True)
    price = Money(allow_none=True)
    position = WholeNumber(allow_none=True)
    inventory_quantity = WholeNumber(allow_none=True)
    option1 = Text(allow_none=True)
    option2 = Text(allow_none=True)
    option3 = Text(allow_none=True)


_PRODUCT = ProductBody()
_VARIANTS = VariantBody(many=True)


def read_body(raw: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises Unreadable with a sentence that holds nothing of the body."""
    if not raw.strip():
        raise Unreadable("The body is empty.")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = _read_slowly(raw)
    if not isinstance(body, dict):
        raise Unreadable(f"The body is {kind(body)} where a JSON object was expected.")
    return body


def read_identity(topic: str, raw: bytes, received_at: datetime) -> Identity:
    """What the front door needs of a body. Raises Unreadable with a sentence that holds nothing of the body."""
    read_id = ROUTES[topic].read_id
    if read_id is None:
        return Identity(None, None)
    content = read_body(raw)
    return Identity(read_id(content), believable(moment(content.get("updated_at")), received_at))


# Seconds may carry any number of digits: Shopify sends six or nine of them, Python reads six.
_FRACTION = re.compile(r"(\.\d{6})\d+")


def moment(text: object) -> datetime | None:
    """An ISO 8601 time with a zone, in UTC; None for anything else."""
    if not isinstance(text, str) or len(text) > 40:
        return None
    try:
        found = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def read_product(body: Any, received_at: datetime) -> Translation[Product]:
    """The facet `core` of a product. Never raises; without a usable id there is no record."""
    if not isinstance(body, dict):
        return Translation(None, (Issue("PRODUCT_ID_MISSING", "id"),))
    listed = body.get("variants")
    names = _option_names(body.get("options"))

    def options(fields: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        values = (fields.get("option1"), fields.get("option2"), fields.get("option3"))
        return tuple([(name, value) for name, value in zip(names, values, strict=True) if value is not None])

    variants = variants_from(_VARIANTS, listed, options, SAME_NAMES)
    if not isinstance(listed, list) and listed is not None:
        facts: dict[str, str | int] = {"expected": "a list", "found": kind(listed)}
        variants = (), (Issue("FIELD_WRONG_TYPE", "variants", None, facts),)
    complete = _is_complete(listed, body.get("variant_gids"), (variant.id for variant in variants[0]))
    return product_from(load(_PRODUCT, body), variants, received_at, SAME_NAMES, complete=complete)


def read_body_metafields(body: Any) -> ProductMetafields | None:
    """The facet `metafields`, when the body carries it for every variant; None says nothing about them.

    Bodies carry them only where the subscription asks for the namespace; a list on the product alone is not enough to
    know what stands on its variants.
    """
    if not isinstance(body, dict):
        return None
    product_id, listed = as_id(body.get("id")), body.get("variants")
    if product_id is None or not isinstance(listed, list) or not listed:
        return None
    by_variant = {}
    for variant in listed[:MOST_VARIANTS]:
        found = metafields_from(variant.get("metafields"), need_namespace=True) if isinstance(variant, dict) else None
        variant_id = as_id(variant.get("id")) if isinstance(variant, dict) else None
        if found is None or variant_id is None:
            return None
        by_variant[variant_id] = found
    if not _is_complete(listed, body.get("variant_gids"), by_variant):
        return None
    return ProductMetafields(product_id, by_variant, metafields_from(body.get("metafields"), need_namespace=True) or ())


def _read_slowly(raw: bytes) -> Any:
    """Orjson refuses lone surrogates, a byte order mark and deep nesting; the first two are repaired later."""
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse)
    except UnicodeDecodeError:
        raise Unreadable("The body is not UTF-8 text.") from None
    except RecursionError:
        raise Unreadable("The body is nested too deeply.") from None
    except ValueError:
        raise Unreadable("The body is not JSON.") from None


def _refuse(_word: str) -> NoReturn:
    raise ValueError


def _option_names(options: Any) -> tuple[str, str, str]:
    found = options if isinstance(options, list) else []
    names = [option.get("name") if isinstance(option, dict) else None for option in found[:3]]
    names += [None] * (3 - len(names))
    first, second, third = (
        storable(name) if isinstance(name, str) else f"Option {index}" for index, name in enumerate(names, start=1)
    )
    return first, second, third


def _is_complete(listed: Any, gids: Any, ids: Iterable[int]) -> bool:
    """Every variant that the body names is in it. Without names, a full list may have been cut."""
    if not isinstance(listed, list) or len(listed) > MOST_VARIANTS:
        return False
    if not isinstance(gids, list):
        return len(listed) < MOST_IN_A_BODY
    named = {as_id(gid.get("admin_graphql_api_id"), "ProductVariant") for gid in gids if isinstance(gid, dict)}
    return named - {None} <= set(ids)
