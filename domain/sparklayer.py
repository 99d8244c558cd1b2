"""Records as people and programs see them: ours, and beside it the same "as SparkLayer sees it".

SparkLayer's names are those of its Core API and of its published Shopify mapping; what is not known is None.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from domain.eligibility import Eligibility, group_slugs, same_tag
from domain.metafields import Reading, raw_values, read_customer_metafields
from domain.product_checks import variant_reading
from domain.quantity_rules import LOWEST
from domain.records import Address, Customer, Product, ProductMetafields, Variant

# `unlisted` is newer than the published mapping: such a product is active, only not listed
STATUS = {"active": "live", "unlisted": "live", "archived": "suspended", "draft": "pending", "deleted": "discontinued"}
BASE = "base"  # the group of everybody who is in no other
_SINGLES = (*LOWEST, "display", "sell")


def product_record(product: Product, metafields: ProductMetafields | None) -> dict[str, Any]:
    """The `record` of `GET /api/v1/products`."""
    return {
        "id": product.id,
        "gid": f"gid://shopify/Product/{product.id}",
        "title": product.title,
        "handle": product.handle,
        "status": product.status,
        "vendor": product.vendor,
        "tags": list(product.tags),
        "updated_at": iso(product.updated_at),
        "variants": [_variant_record(variant, metafields) for variant in product.variants],
        "sparklayer": product_as_sparklayer(product, metafields),
    }


def customer_record(customer: Customer, eligibility: Eligibility, tag: str = "b2b") -> dict[str, Any]:
    """The `record` of `GET /api/v1/customers`. `tag` is the shop's word for `b2b`."""
    return {
        "id": customer.id,
        "gid": f"gid://shopify/Customer/{customer.id}",
        "email": customer.email,
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "phone": customer.phone,
        "company_name": company_name(customer),
        "tags": list(customer.tags),
        "state": customer.state,
        "addresses": [_address_record(address) for address in customer.addresses],
        "updated_at": iso(customer.updated_at),
        "metafields": raw_values(customer.metafields),
        "eligibility": {"rule": eligibility.rule, "matched": eligibility.matched},
        "sparklayer": customer_as_sparklayer(customer, eligibility, tag),
    }


def product_as_sparklayer(product: Product, metafields: ProductMetafields | None) -> dict[str, Any]:
    status = STATUS.get(product.status)
    return {
        "id": f"pp_{product.id}",
        "external_id": str(product.id),
        "slug": product.handle,
        "title": product.title,
        "status": status,
        "variants": [
            _variant_as_sparklayer(product, variant, status, variant_reading(variant, metafields))
            for variant in product.variants
        ],
    }


def customer_as_sparklayer(customer: Customer, eligibility: Eligibility, tag: str = "b2b") -> dict[str, Any]:
    """`group_from` says which rule gave the group: the metafield, which beats the tags, a tag, or neither."""
    values = read_customer_metafields(customer.metafields).values
    group, group_from, matched = _group(customer, values, tag)
    default = next((address for address in customer.addresses if address.is_default), None)
    default_id = None if default is None or default.id is None else str(default.id)
    return {
        "id": f"cu_{customer.id}",
        "external_id": str(customer.id),
        "imported_by": eligibility.rule,
        "title": values.get("title"),
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "email": customer.email,
        "company_name": company_name(customer),
        "accounting_id": values.get("accounting_id"),
        "group": group,
        "group_from": group_from,
        "group_matched": matched,
        "price_lists": values.get("price_lists"),
        "discount_percentage": values.get("discount_percentage"),
        "payment_on_account": values.get("payment_on_account"),
        "tax_exempt": customer.tax_exempt,
        "authentication": values.get("authentication"),
        "default_billing_address_id": values.get("billing_address_id") or default_id,
        "default_shipping_address_id": values.get("shipping_address_id") or default_id,
        "available_shipping_addresses": values.get("available_shipping_addresses_ids"),
        "addresses": [_address_as_sparklayer(address, values, default_id) for address in customer.addresses],
    }


def company_name(customer: Customer) -> str | None:
    """The metafield's word, else that of the default address, else the first that any address names."""
    named = read_customer_metafields(field for field in customer.metafields if field.key == "company_name")
    if named.values.get("company_name"):
        return str(named.values["company_name"])
    addresses = sorted(customer.addresses, key=lambda address: not address.is_default)
    return next((address.company for address in addresses if address.company and address.company.strip()), None)


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with a Z."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _variant_record(variant: Variant, metafields: ProductMetafields | None) -> dict[str, Any]:
    known = None if metafields is None else metafields.by_variant.get(variant.id)
    return {
        "id": variant.id,
        "sku": variant.sku,
        "barcode": variant.barcode,
        "title": variant.title,
        "price": variant.price,
        "position": variant.position,
        "inventory_quantity": variant.inventory_quantity,
        "metafields": None if known is None else raw_values(known),
    }


def _variant_as_sparklayer(
    product: Product, variant: Variant, status: str | None, reading: Reading | None
) -> dict[str, Any]:
    values: Mapping[str, Any] = {} if reading is None else reading.values
    return {
        "id": f"pv_{variant.id}",
        "external_id": str(variant.id),
        "sku": variant.sku,
        "identifier": {"shopify_product_id": str(product.id)},
        "title": variant.title,
        "status": status,
        "position": variant.position,
        "default": variant.position == 1,
        "options": [{"group": name, "value": value} for name, value in variant.options],
        "metafields_known": reading is not None,
        **{key: values.get(key) for key in _SINGLES},
        "settings": None if reading is None else _settings_in_force(values),
        "min_stock_level": values.get("min_stock_level"),
        "restock_date": _iso_day(values.get("restock_date")),
        "stock_location_data": values.get("stock_location_data"),
        "rrp": values.get("rrp"),
    }


def _settings_in_force(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`settings` supersedes the single metafields; these alone speak for everybody."""
    if values.get("settings"):
        return list(values["settings"])
    singles = {key: values[key] for key in _SINGLES if values.get(key) is not None}
    return [{"customer_group": BASE, **singles}] if singles else []


def _iso_day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _group(customer: Customer, values: Mapping[str, Any], tag: str) -> tuple[str, str, str | None]:
    if values.get("group"):
        return values["group"], "metafield", "group"
    if any(same_tag(own, tag) for own in customer.tags):
        for own in customer.tags:
            slugs = group_slugs((own,), tag)
            if slugs:
                return slugs[0], "tag", own
    return BASE, "default", None


def _address_record(address: Address) -> dict[str, Any]:
    return {
        "id": address.id,
        "first_name": address.first_name,
        "last_name": address.last_name,
        "company": address.company,
        "line1": address.line1,
        "line2": address.line2,
        "city": address.city,
        "region_name": address.region_name,
        "region_code": address.region_code,
        "postal_code": address.postal_code,
        "country_code": address.country_code,
        "phone": address.phone,
        "is_default": address.is_default,
    }


def _address_as_sparklayer(address: Address, values: Mapping[str, Any], default_id: str | None) -> dict[str, Any]:
    own_id = None if address.id is None else str(address.id)
    return {
        "external_id": own_id,
        "first_name": address.first_name,
        "last_name": address.last_name,
        "company": address.company,
        "address_line1": address.line1,
        "address_line2": address.line2,
        "city": address.city,
        "region_name": address.region_name,
        "region_code": address.region_code,
        "postal_code": address.postal_code,
        "country_code": address.country_code,
        "phone": address.phone,
        "is_default_shipping": own_id is not None and own_id == (values.get("shipping_address_id") or default_id),
        "is_default_billing": own_id is not None and own_id == (values.get("billing_address_id") or default_id),
    }
