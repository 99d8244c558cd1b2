"""A product and a customer in full, as the lookups answer them, and beside each the same as SparkLayer sees it."""

from marshmallow import fields

from schemas.api_fields import (
    Answer,
    anything,
    by_name,
    day,
    identity,
    many,
    moment,
    number,
    one,
    text,
    texts,
    word,
    yes_no,
)

METAFIELDS = "Of the namespace sparklayer, by key, each value as Shopify sends it; `authentication` is masked."


class ProductOption(Answer):
    group = text()
    value = text()


class ProductIdentifier(Answer):
    shopify_product_id = text()


class SparklayerVariant(Answer):
    """Limits are null when they are not set, cannot be read, or are not known yet."""

    id = text(example="pv_73565218408751")
    external_id = text(example="73565218408751")
    sku = text(null=True)
    identifier = one(ProductIdentifier)
    title = text(null=True)
    status = text(null=True)
    position = number(null=True)
    default = yes_no("Whether it is the product's first.")
    options = many(ProductOption)
    metafields_known = yes_no("False until Shopify was asked for the metafields.")
    pack_size = number(null=True)
    min_order_quantity = number(null=True)
    max_order_quantity = number(null=True)
    min_order_parent_quantity = number(null=True)
    max_order_parent_quantity = number(null=True)
    reserve_stock_quantity = number(null=True)
    display = yes_no(null=True)
    sell = yes_no(null=True)
    settings = fields.List(
        fields.Dict(keys=fields.String()),
        required=True,
        allow_none=True,
        metadata={"description": "What is in force, one entry a customer group; null while metafields are not known."},
    )
    min_stock_level = number(null=True)
    restock_date = day(null=True)
    stock_location_data = anything("As the metafield has it.")
    rrp = anything("An amount, or amounts with their currencies, as the metafield has it.")


class SparklayerProduct(Answer):
    id = text(example="pp_7356521840875")
    external_id = text(example="7356521840875")
    slug = text(null=True)
    title = text(null=True)
    status = text("live, pending, suspended or discontinued.", null=True)
    variants = many(SparklayerVariant)


class VariantRecord(Answer):
    id = identity(example=73565218408751)
    sku = text("Exactly as in Shopify, spaces included.", null=True, example="ABC-1")
    barcode = text(null=True)
    title = text(null=True)
    price = text("A decimal number as text.", null=True, example="9.90")
    position = number(null=True)
    inventory_quantity = number(null=True)
    metafields = by_name(fields.String(), f"{METAFIELDS} Null while not known, {{}} when there are none.", null=True)


class ProductRecord(Answer):
    id = identity()
    gid = text(example="gid://shopify/Product/7356521840875")
    title = text(null=True)
    handle = text(null=True)
    status = text("Shopify's word in lower case: active, draft, archived, unlisted, or one it may add.")
    vendor = text(null=True)
    tags = texts("Exactly as in Shopify.")
    updated_at = moment("By Shopify's clock.", null=True)
    variants = many(VariantRecord)
    sparklayer = one(SparklayerProduct, "The same as SparkLayer names it.")


class AddressRecord(Answer):
    id = identity(null=True)
    first_name = text(null=True)
    last_name = text(null=True)
    company = text(null=True)
    line1 = text(null=True)
    line2 = text(null=True)
    city = text(null=True)
    region_name = text(null=True)
    region_code = text(null=True)
    postal_code = text(null=True)
    country_code = text("ISO 3166, two letters.", null=True)
    phone = text(null=True)
    is_default = yes_no()


class SparklayerAddress(Answer):
    external_id = text(null=True)
    first_name = text(null=True)
    last_name = text(null=True)
    company = text(null=True)
    address_line1 = text(null=True)
    address_line2 = text(null=True)
    city = text(null=True)
    region_name = text(null=True)
    region_code = text(null=True)
    postal_code = text(null=True)
    country_code = text(null=True)
    phone = text(null=True)
    is_default_shipping = yes_no()
    is_default_billing = yes_no()


class SparklayerCustomer(Answer):
    id = text(example="cu_5917633347819")
    external_id = text(example="5917633347819")
    imported_by = word("tag", "metafield")
    title = text(null=True)
    first_name = text(null=True)
    last_name = text(null=True)
    email = text(null=True)
    company_name = text(null=True)
    accounting_id = text(null=True)
    group = text(example="base")
    group_from = word("metafield", "tag", "default", about="Which rule gave the group; the metafield beats the tags.")
    group_matched = text("The tag, or the metafield's key.", null=True)
    price_lists = texts(null=True)
    discount_percentage = number(null=True)
    payment_on_account = anything("An object, or one for each currency, as the metafield has it.")
    tax_exempt = yes_no(null=True)
    authentication = text("Always masked.", null=True)
    default_billing_address_id = text(null=True)
    default_shipping_address_id = text(null=True)
    available_shipping_addresses = texts(null=True)
    addresses = many(SparklayerAddress)


class Eligibility(Answer):
    rule = word("tag", "metafield")
    matched = text("The tag or the metafield's key that let the customer in.", null=True, example="b2b")


class CustomerRecord(Answer):
    id = identity(example=5917633347819)
    gid = text(example="gid://shopify/Customer/5917633347819")
    email = text(null=True)
    first_name = text(null=True)
    last_name = text(null=True)
    phone = text(null=True)
    company_name = text(null=True)
    tags = texts("Exactly as in Shopify.")
    state = text("Shopify's word in lower case, such as enabled.", null=True)
    addresses = many(AddressRecord)
    updated_at = moment("By Shopify's clock.", null=True)
    metafields = by_name(fields.String(), METAFIELDS)
    eligibility = one(Eligibility)
    sparklayer = one(SparklayerCustomer, "The same as SparkLayer names it.")
