"""The whole state of a shop, exact and at once: what a mirror is compared with."""

from datetime import datetime
from typing import Any

from devstore.records import Customer, MailingAddress, Metafield, Product, ProductVariant
from devstore.tenant import Tenant


def truth(tenant: Tenant) -> dict[str, Any]:
    shop = tenant.shop
    with shop.lock:
        products, customers = list(shop.products.truth.values()), list(shop.customers.truth.values())
        deleted = {"products": list(shop.products.deleted), "customers": list(shop.customers.deleted)}
    return {
        "domain": shop.domain,
        "products": [_product(product) for product in products],
        "customers": [_customer(customer) for customer in customers],
        "deleted": deleted,
    }


def _product(product: Product) -> dict[str, Any]:
    return {
        "id": product.number,
        "gid": product.gid,
        "title": product.title,
        "handle": product.handle,
        "status": product.status.lower(),
        "vendor": product.vendor,
        "product_type": product.product_type,
        "tags": list(product.tags),
        "created_at": _time(product.created_at),
        "updated_at": _time(product.updated_at),
        "variants": [_variant(variant) for variant in product.variants],
        "metafields": [_metafield(metafield) for metafield in product.metafields],
    }


def _variant(variant: ProductVariant) -> dict[str, Any]:
    return {
        "id": variant.number,
        "sku": variant.sku,
        "barcode": variant.barcode,
        "title": variant.title,
        "price": variant.price,
        "position": variant.position,
        "inventory_quantity": variant.inventory_quantity,
        "updated_at": _time(variant.updated_at),
        "metafields": [_metafield(metafield) for metafield in variant.metafields],
    }


def _customer(customer: Customer) -> dict[str, Any]:
    return {
        "id": customer.number,
        "gid": customer.gid,
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "email": customer.email,
        "phone": customer.phone,
        "state": customer.state.lower(),
        "tags": list(customer.tags),
        "note": customer.note,
        "tax_exempt": customer.tax_exempt,
        "created_at": _time(customer.created_at),
        "updated_at": _time(customer.updated_at),
        "addresses": [_address(address) for address in customer.addresses],
        "metafields": [_metafield(metafield) for metafield in customer.metafields],
    }


def _address(address: MailingAddress) -> dict[str, Any]:
    names = ("first_name", "last_name", "company", "address1", "address2", "city", "province", "province_code", "zip")
    fields = {name: getattr(address, name) for name in (*names, "country", "phone")}
    return {"id": address.number, **fields, "country_code": address.country_code_v2}


def _metafield(metafield: Metafield) -> dict[str, str]:
    return {
        "namespace": metafield.namespace,
        "key": metafield.key,
        "type": metafield.type,
        "value": metafield.value,
    }


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
