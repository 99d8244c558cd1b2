"""GraphQL's nodes, as the Admin API answers them, to the same values as the webhooks' bodies.

Connections may come as `nodes`, `edges` or plain lists (a bulk operation's lines, put together).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from domain.eligibility import Probe
from domain.issues import Issue, Translation
from domain.metafield_values import kind
from domain.records import Address, Customer, Metafield, Product, ProductMetafields
from domain.text import storable
from schemas.fields import Id, Lenient, Moment, Money, Tags, Text, WholeNumber, Word, YesNo, as_id, issues_of, load
from schemas.metafields import goes_on, members, metafields_from
from schemas.products import MOST_VARIANTS, checked_time, product_from, variants_from

MOST_ADDRESSES = 1_000  # SparkLayer's own limit is 500

# Shopify's names and the record's; a path names a field as the merchant sees it
NAMES = {
    "productType": "product_type",
    "updatedAt": "updated_at",
    "inventoryQuantity": "inventory_quantity",
    "firstName": "first_name",
    "lastName": "last_name",
    "taxExempt": "tax_exempt",
    "address1": "line1",
    "address2": "line2",
    "province": "region_name",
    "provinceCode": "region_code",
    "zip": "postal_code",
    "countryCodeV2": "country_code",
}


class ProductNode(Lenient):
    id = Id(allow_none=True)
    title = Text(allow_none=True)
    handle = Text(allow_none=True)
    status = Word(allow_none=True)
    vendor = Text(allow_none=True)
    product_type = Text(allow_none=True, data_key="productType")
    tags = Tags(allow_none=True)
    updated_at = Moment(allow_none=True, data_key="updatedAt")


class VariantNode(Lenient):
    id = Id(allow_none=True)
    sku = Text(allow_none=True)
    barcode = Text(allow_none=True)
    title = Text(allow_none=True)
    price = Money(allow_none=True)
    position = WholeNumber(allow_none=True)
    inventory_quantity = WholeNumber(allow_none=True, data_key="inventoryQuantity")
    option1 = Text(allow_none=True)
    option2 = Text(allow_none=True)
    option3 = Text(allow_none=True)
    name1 = Text(allow_none=True)
    name2 = Text(allow_none=True)
    name3 = Text(allow_none=True)


class CustomerNode(Lenient):
    id = Id(allow_none=True)
    email = Text(allow_none=True)
    phone = Text(allow_none=True)
    first_name = Text(allow_none=True, data_key="firstName")
    last_name = Text(allow_none=True, data_key="lastName")
    state = Word(allow_none=True)
    tax_exempt = YesNo(allow_none=True, data_key="taxExempt")
    tags = Tags(allow_none=True)
    updated_at = Moment(allow_none=True, data_key="updatedAt")


class AddressNode(Lenient):
    id = Id(allow_none=True)
    first_name = Text(allow_none=True, data_key="firstName")
    last_name = Text(allow_none=True, data_key="lastName")
    company = Text(allow_none=True)
    line1 = Text(allow_none=True, data_key="address1")
    line2 = Text(allow_none=True, data_key="address2")
    city = Text(allow_none=True)
    region_name = Text(allow_none=True, data_key="province")
    region_code = Text(allow_none=True, data_key="provinceCode")
    postal_code = Text(allow_none=True, data_key="zip")
    country_code = Text(allow_none=True, data_key="countryCodeV2")
    phone = Text(allow_none=True)


_PRODUCT = ProductNode()
_VARIANTS = VariantNode(many=True)
_CUSTOMER = CustomerNode()
_ADDRESSES = AddressNode(many=True)


def read_product_node(node: Any, read_at: datetime) -> Translation[Product]:
    """The facet `core`. Never raises; without a usable id there is no record."""
    if not isinstance(node, dict):
        return Translation(None, (Issue("PRODUCT_ID_MISSING", "id"),))
    connection = node.get("variants")
    listed = members(connection)
    raw = [_flat_variant(variant) for variant in listed[:MOST_VARIANTS]] if listed is not None else None
    variants = variants_from(_VARIANTS, raw, _options, NAMES)
    complete = listed is not None and not goes_on(connection) and _counted(node) <= len(listed) <= MOST_VARIANTS
    return product_from(load(_PRODUCT, node), variants, read_at, NAMES, complete=complete)


def read_variant_metafields(product_id: int, nodes: Iterable[Any], on_product: Any = None) -> ProductMetafields:
    """The facet `metafields` from ProductVariant nodes; those that carry no metafields at all stay unknown.

    `on_product` is the Product's own connection, if it was asked for.
    """
    by_variant = {}
    for node in nodes:
        variant_id = as_id(node.get("id")) if isinstance(node, dict) else None
        if variant_id is not None:
            found = metafields_from(members(node.get("metafields")), need_namespace=False)
            if found is not None:
                by_variant[variant_id] = found
    return ProductMetafields(product_id, by_variant, metafields_from(members(on_product), need_namespace=False) or ())


def read_product_node_metafields(node: Any) -> ProductMetafields | None:
    """The facet `metafields` from a Product whose variants carry theirs; None when not all of them do."""
    product_id = as_id(node.get("id")) if isinstance(node, dict) else None
    variants = members(node.get("variants")) if product_id is not None else None
    if product_id is None or variants is None or goes_on(node.get("variants")):
        return None
    read = read_variant_metafields(product_id, variants, node.get("metafields"))
    return read if len(read.by_variant) == len(variants) else None


def node_id(node: Any) -> int | None:
    """The number in a node's gid, or None."""
    return as_id(node.get("id")) if isinstance(node, dict) else None


def node_time(node: Any) -> datetime | None:
    """A node's `updatedAt`, or None when it has no believable one."""
    read, _ = load(_CUSTOMER, {"updatedAt": node.get("updatedAt") if isinstance(node, dict) else None})
    moment: datetime | None = read.get("updated_at")
    return moment


def read_customer_metafields(node: Any) -> tuple[Metafield, ...]:
    """The sparklayer metafields of a Customer node."""
    return _metafields(node)


def read_customer_probe(node: Any) -> Probe | None:
    """Who belongs is judged by this alone; tags or keys that were not answered stay unknown."""
    customer_id = as_id(node.get("id")) if isinstance(node, dict) else None
    if customer_id is None:
        return None
    read, _ = load(_CUSTOMER, {key: node.get(key) for key in ("tags", "updatedAt")})
    connection = node.get("metafields")
    listed = members(connection)
    keys = [entry.get("key") for entry in listed if isinstance(entry, dict)] if listed is not None else None
    return Probe(
        id=customer_id,
        tags=read.get("tags"),
        keys=None if keys is None else frozenset(storable(key) for key in keys if isinstance(key, str)),
        keys_complete=not goes_on(connection),
        updated_at=read.get("updated_at"),
    )


def read_customer_node(node: Any, read_at: datetime) -> Translation[Customer]:
    """A customer who belongs, with addresses and metafields. Never raises; no issue quotes a value."""
    if not isinstance(node, dict):
        return Translation(None, (Issue("CUSTOMER_ID_MISSING", "id"),))
    flat = dict(node)
    flat["email"] = _inside(node, "defaultEmailAddress", "emailAddress", "email")
    flat["phone"] = _inside(node, "defaultPhoneNumber", "phoneNumber", "phone")
    read, messages = load(_CUSTOMER, flat)
    if read.get("id") is None:
        return Translation(None, (Issue("CUSTOMER_ID_MISSING", "id"),))
    updated_at, about_time = checked_time(read.get("updated_at"), messages, read_at, NAMES)
    addresses, about_addresses = _addresses(node)
    issues = (*issues_of(messages, "", NAMES, quoting=False), *about_time, *about_addresses)
    return Translation(_customer(read, updated_at, addresses, _metafields(node)), issues)


def _customer(
    read: dict[str, Any],
    updated_at: datetime | None,
    addresses: tuple[Address, ...],
    metafields: tuple[Metafield, ...],
) -> Customer:
    return Customer(
        id=read["id"],
        email=read.get("email"),
        first_name=read.get("first_name"),
        last_name=read.get("last_name"),
        phone=read.get("phone"),
        state=read.get("state"),
        tax_exempt=read.get("tax_exempt"),
        tags=read.get("tags") or (),
        updated_at=updated_at,
        addresses=addresses,
        metafields=metafields,
    )


def _metafields(node: dict[str, Any]) -> tuple[Metafield, ...]:
    return metafields_from(members(node.get("metafields")), need_namespace=False) or ()


def _addresses(node: dict[str, Any]) -> tuple[tuple[Address, ...], tuple[Issue, ...]]:
    found = node.get("addressesV2", node.get("addresses"))
    listed = members(found)
    if listed is None:
        if found is None:
            return (), ()
        facts: dict[str, str | int] = {"expected": "a list", "found": kind(found)}
        return (), (Issue("FIELD_WRONG_TYPE", "addresses", None, facts),)
    read, messages = load(_ADDRESSES, [entry for entry in listed[:MOST_ADDRESSES] if isinstance(entry, dict)])
    default = node.get("defaultAddress")
    default_id = as_id(default.get("id")) if isinstance(default, dict) else None
    addresses: list[Address] = []
    issues: list[Issue] = []
    for index, fields in enumerate(read):
        address = _address(fields, default_id)
        addresses.append(address)
        where = f"addresses[{index if address.id is None else address.id}]."
        issues.extend(issues_of(messages.get(index, {}), where, NAMES, quoting=False))
    return tuple(addresses), tuple(issues)


def _address(fields: dict[str, Any], default_id: int | None) -> Address:
    get = fields.get
    return Address(
        id=get("id"),
        first_name=get("first_name"),
        last_name=get("last_name"),
        company=get("company"),
        line1=get("line1"),
        line2=get("line2"),
        city=get("city"),
        region_name=get("region_name"),
        region_code=get("region_code"),
        postal_code=get("postal_code"),
        country_code=get("country_code"),
        phone=get("phone"),
        is_default=default_id is not None and get("id") == default_id,
    )


def _flat_variant(variant: Any) -> Any:
    """With its options' values under names of their own, so that they are read like any other text."""
    if not isinstance(variant, dict):
        return variant
    chosen = variant.get("selectedOptions")
    options = [option for option in chosen if isinstance(option, dict)] if isinstance(chosen, list) else []
    flat = {key: value for key, value in variant.items() if key != "metafields"}
    for index, option in enumerate(options[:3], start=1):
        flat[f"option{index}"] = option.get("value")
        flat[f"name{index}"] = option.get("name")
    return flat


def _options(fields: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    found = [(fields.get(f"name{index}"), fields.get(f"option{index}")) for index in (1, 2, 3)]
    return tuple([(name, value) for name, value in found if name is not None and value is not None])


def _counted(node: dict[str, Any]) -> int:
    count = node.get("variantsCount")
    counted = count.get("count") if isinstance(count, dict) else None
    return counted if type(counted) is int else 0


def _inside(node: dict[str, Any], holder: str, key: str, older: str) -> Any:
    """`older` is the field that Shopify has deprecated in favour of this one."""
    found = node.get(holder)
    return found.get(key) if isinstance(found, dict) else node.get(older)
