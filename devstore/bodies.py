r"""Webhook bodies as the bytes Shopify sends: compact, `/` as `\/`, `<`, `>`, `&` as `\u003c`, `\u003e`, `\u0026`."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from devstore.records import Customer, Happening, MailingAddress, Metafield, Product, ProductVariant

FULL_VARIANTS = 100
SHOP_ZONE = timezone(timedelta(hours=-5))
_ESCAPES = str.maketrans(
    {"/": "\\/", "<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def body(happening: Happening, metafield_namespaces: tuple[str, ...] = (), include: tuple[str, ...] = ()) -> bytes:
    """`metafield_namespaces` and `include` (top-level fields) are what a shop-specific subscription asked for."""
    fields = _fields(happening)
    if metafield_namespaces and happening.record is not None and not happening.topic.startswith("customer."):
        chosen = (m for m in happening.record.metafields if m.namespace in metafield_namespaces)
        fields["metafields"] = [_metafield(m, happening.record) for m in chosen]
    if include:
        fields = {name: value for name, value in fields.items() if name in include}
    return encode(fields)


def encode(fields: Any) -> bytes:
    # Outside its strings JSON has none of these characters, so the whole text may be translated at once.
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES).encode()


def local(at: datetime | None) -> str | None:
    """The shop's own offset, to the second: `2026-11-20T09:15:02-05:00`."""
    return at.astimezone(SHOP_ZONE).isoformat(timespec="seconds") if at else None


def utc_millis(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def utc_nanos(at: datetime) -> str:
    """`X-Shopify-Triggered-At`: UTC with nine digits, one of the two spellings seen."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond * 1000:09d}Z"


def _fields(happening: Happening) -> dict[str, Any]:
    number = int(happening.gid.rsplit("/", 1)[-1])
    if happening.topic == "products/delete":
        return {"id": number}
    if happening.topic == "customers/delete":
        return {"id": number, "tax_exemptions": [], "admin_graphql_api_id": happening.gid}
    if happening.topic.startswith("customer.tags_"):
        return {"customerId": happening.gid, "tags": list(happening.tags), "occurredAt": utc_millis(happening.at)}
    if isinstance(happening.record, Product):
        return _product(happening.record)
    if isinstance(happening.record, Customer):
        return _customer(happening.record)
    return dict(happening.extra)


def _product(product: Product) -> dict[str, Any]:
    newest_first = sorted(product.variants, key=lambda v: (v.updated_at, v.number), reverse=True)
    return {
        "admin_graphql_api_id": product.gid,
        "body_html": product.description_html,
        "created_at": local(product.created_at),
        "handle": product.handle,
        "id": product.number,
        "product_type": product.product_type,
        "published_at": local(product.published_at),
        "template_suffix": "",
        "title": product.title,
        "updated_at": local(product.updated_at),
        "vendor": product.vendor,
        "status": product.status.lower(),
        "published_scope": "global",
        "tags": ", ".join(product.tags),
        "variants": [_variant(v) for v in product.variants[:FULL_VARIANTS]],
        "options": [_option(product)],
        "images": [],
        "image": None,
        "media": [],
        "variant_gids": [{"admin_graphql_api_id": v.gid, "updated_at": utc_millis(v.updated_at)} for v in newest_first],
        "has_variants_that_requires_components": False,
        "category": None,
    }


def _variant(variant: ProductVariant) -> dict[str, Any]:
    return {
        "admin_graphql_api_id": variant.gid,
        "barcode": variant.barcode,
        "compare_at_price": variant.compare_at_price,
        "created_at": local(variant.created_at),
        "id": variant.number,
        "inventory_policy": "deny",
        "position": variant.position,
        "price": variant.price,
        "product_id": variant.product_number,
        "sku": variant.sku,
        "taxable": True,
        "title": variant.title,
        "updated_at": local(variant.updated_at),
        "option1": variant.title,
        "option2": None,
        "option3": None,
        "image_id": None,
        "inventory_item_id": variant.number + 7,
        "inventory_quantity": variant.inventory_quantity,
        "old_inventory_quantity": variant.inventory_quantity,
    }


def _option(product: Product) -> dict[str, Any]:
    return {
        "name": product.variants[0].option_name,
        "id": product.number + 3,
        "product_id": product.number,
        "position": 1,
        "values": list(dict.fromkeys(v.title for v in product.variants)),
    }


def _customer(customer: Customer) -> dict[str, Any]:
    """No tags, no consent, no counters: they left the payload with API 2025-01."""
    fields: dict[str, Any] = {
        "id": customer.number,
        "created_at": local(customer.created_at),
        "updated_at": local(customer.updated_at),
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "state": customer.state.lower(),
        "note": customer.note,
        "verified_email": customer.verified_email,
        "multipass_identifier": None,
        "tax_exempt": customer.tax_exempt,
        "email": customer.email,
        "phone": customer.phone,
        "currency": "USD",
        "addresses": [_address(a, customer) for a in customer.addresses],
        "tax_exemptions": [],
        "admin_graphql_api_id": customer.gid,
    }
    if customer.default_address is not None:
        fields["default_address"] = _address(customer.default_address, customer)
    return fields


def _address(address: MailingAddress, customer: Customer) -> dict[str, Any]:
    return {
        "id": address.number,
        "customer_id": customer.number,
        "first_name": address.first_name,
        "last_name": address.last_name,
        "company": address.company,
        "address1": address.address1,
        "address2": address.address2,
        "city": address.city,
        "province": address.province,
        "country": address.country,
        "zip": address.zip,
        "phone": address.phone,
        "name": address.name,
        "province_code": address.province_code,
        "country_code": address.country_code_v2,
        "country_name": address.country,
        "default": address is customer.default_address,
    }


def _metafield(metafield: Metafield, owner: Product | Customer) -> dict[str, Any]:
    return {
        "id": metafield.number,
        "namespace": metafield.namespace,
        "key": metafield.key,
        "value": metafield.value,
        "type": metafield.type,
        "description": None,
        "owner_id": owner.number,
        "owner_resource": type(owner).__name__.lower(),
        "created_at": local(metafield.created_at),
        "updated_at": local(metafield.updated_at),
        "admin_graphql_api_id": metafield.gid,
    }
