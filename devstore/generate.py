"""A seeded catalogue as merchants really have them: mostly right, with the mistakes that a data sync has to name."""

import random
from datetime import datetime, timedelta
from typing import Any

from devstore.records import Customer, MailingAddress, Metafield, Product, ProductVariant
from devstore.shop import Shop

KNOWN_PRODUCT = 7_356_521_840_875
KNOWN_CUSTOMER = 5_917_633_347_819

_ADJECTIVES = ("Steel", "Oak", "Linen", "Brass", "Recycled", "Matte", "Classic", "Folding", "Enamel", "Cast iron")
_NOUNS = ("bracket", "mug", "apron", "hinge", "notebook", "lamp", "kettle", "tray", "stool", "hook", "jar", "clamp")
_SIZES = ("Small", "Medium", "Large", "40 mm", "60 mm", "Red", "Blue", "Natural", "Box of 12", '1/2" & <wide>')
_VENDORS = ("Northwind", "Acme & Sons", "Hearth", "Fold")
_FIRST = ("Ada", "Bob", "Chloé", "Dmitri", "Eve", "Farah", "Göran", "Hana", "Ines", "Jun")
_LAST = ("Biller", "Okafor", "Larsson", "O'Connor", "Tanaka", "Weiß", "Novak", "Silva")
_COMPANIES = ("Corner Shop Ltd", "Hotel Aurora", "Blue Café", "Trade Depot", "Larder & Co")
_CITIES = (
    ("Ottawa", "Ontario", "ON", "K2P 2L8", "Canada", "CA"),
    ("Leeds", None, None, "LS1 4DY", "United Kingdom", "GB"),
)
_STATUSES = ("ACTIVE",) * 8 + ("DRAFT", "ARCHIVED")

_GOOD = (
    ("pack_size", "number_integer", "6"),
    ("pack_size", "number_integer", "12"),
    ("min_order_quantity", "number_integer", "2"),
    ("max_order_quantity", "number_integer", "48"),
    ("display", "boolean", "true"),
    ("sell", "boolean", "false"),
    ("rrp", "number_decimal", "24.99"),
    ("restock_date", "date", "2026-12-24"),
    ("settings", "json", '[{"customer_group":"base","pack_size":6,"min_order_quantity":6,"display":true}]'),
)
_WRONG = (
    ("pack_size", "single_line_text_field", "six"),
    ("pack_size", "number_integer", "0"),
    ("settings", "json_string", '[{"customer_group":"base","pack_size":6,}]'),
    ("settings", "json_string", "[{“customer_group”:“base”}]"),  # smart quotes are the mistake itself
    ("settings", "json", '{"customer_group":"base","pack_size":6}'),
    ("shelf", "single_line_text_field", "A4"),
)
_TAGS = (("b2b",), ("b2b",), ("b2b", "b2b-trade"), ("B2B ",), ("B2B",))
_NEAR_MISSES = (("b2b-vip",), ("not-b2b",), ("b2b-only", "newsletter"))


def stock(
    shop: Shop, seed: int, *, products: int, customers: int, variants: int, b2b: float
) -> tuple[list[Product], list[Customer]]:
    """`products` and `customers` count the known one of each that every shop has; none are made when a count is 0."""
    rng = random.Random(f"{seed}:{shop.domain}:stock")
    now = shop.now().replace(microsecond=0)
    made_products = [_known_product(now, shop)] if products else []
    made_products += [_product(shop, rng, n, variants, now) for n in range(1, products)]
    made_customers = [_known_customer(now, shop)] if customers else []
    made_customers += [_customer(shop, rng, n, b2b, now) for n in range(1, customers)]
    return made_products, made_customers


def invented_product(rng: random.Random, n: int, variants: int) -> dict[str, Any]:
    """What `Shop.create_product` takes."""
    return {
        "title": f"{rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)} {n}",
        "vendor": rng.choice(_VENDORS),
        "tags": rng.choice(((), ("b2b-only",), ("b2c-only",), ("sale", "kitchen"))),
        "variants": [
            {"sku": f"NEW-{n}-{place}", "barcode": _barcode(rng), "title": _title(place)}
            | {"metafields": variant_metafields(rng)}
            for place in range(1, variants + 1)
        ],
    }


def invented_customer(rng: random.Random, n: int) -> dict[str, Any]:
    """What `Shop.create_customer` takes. About half belong."""
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    return {
        "first_name": first,
        "last_name": last,
        "email": f"buyer{n}@shop{n % 97}.example",
        "tags": rng.choice(_TAGS + _NEAR_MISSES + ((),)),
        "addresses": [{"first_name": first, "last_name": last, "address1": f"{n % 200} High Street", "city": "Leeds"}],
    }


def variant_metafields(rng: random.Random, *, sure: bool = False) -> list[dict[str, str]]:
    """Sparklayer's, on about a third of variants; of those one in twelve is wrong."""
    if not sure and rng.random() > 0.35:
        return []
    rows = _WRONG if rng.random() < 0.08 else _GOOD
    chosen = {row[0]: row for row in rng.sample(rows, k=rng.choice((1, 1, 2)))}
    return [{"key": key, "type": kind, "value": value} for key, kind, value in chosen.values()]


def _product(shop: Shop, rng: random.Random, n: int, variants: int, now: datetime) -> Product:
    number = shop.next_number()
    at = now - timedelta(seconds=rng.randrange(3_600, 300 * 86_400))
    title = f"{rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)} {n}"
    status = rng.choice(_STATUSES)
    return Product(
        number=number,
        title=title,
        handle=title.lower().replace(" ", "-"),
        status=status,
        vendor=rng.choice(_VENDORS),
        product_type=rng.choice(("", "Hardware", "Kitchen")),
        tags=rng.choice(((), (), ("sale",), ("b2b-only",), ("hardware", "sale"))),
        description_html=f"<p>{title} &amp; parts</p>",
        created_at=at,
        updated_at=at,
        published_at=at if status == "ACTIVE" else None,
        variants=tuple(
            _variant(shop, rng, number, n, place, at) for place in range(1, rng.randint(1, 2 * variants - 1) + 1)
        ),
        metafields=_metafields(shop, [_one(_GOOD[0])], "PRODUCT", at) if rng.random() < 0.01 else (),
    )


def _variant(shop: Shop, rng: random.Random, product: int, n: int, position: int, at: datetime) -> ProductVariant:
    fate = rng.random()
    sku: str | None = f"SKU-{n:05d}-{position}"
    if fate < 0.01:
        sku = rng.choice((None, ""))
    elif fate < 0.02:
        sku = f"SKU-{max(1, n - 1):05d}-1"  # somebody copied the product next to it
    return ProductVariant(
        number=shop.next_number(),
        product_number=product,
        sku=sku,
        barcode=_barcode(rng),
        price=f"{rng.randrange(100, 50_000) / 100:.2f}",
        compare_at_price=None,
        title=_title(position),
        position=position,
        inventory_quantity=rng.randrange(200),
        option_name="Size",
        created_at=at,
        updated_at=at,
        metafields=_metafields(shop, variant_metafields(rng), "PRODUCTVARIANT", at),
    )


def _customer(shop: Shop, rng: random.Random, n: int, b2b: float, now: datetime) -> Customer:
    """Of those who belong one in eight carries the metafield and no tag; some others nearly belong."""
    at = now - timedelta(seconds=rng.randrange(3_600, 300 * 86_400))
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    tags, given = _belonging(rng) if rng.random() < b2b else (_stranger(rng), [])
    return Customer(
        number=shop.next_number(),
        first_name=first,
        last_name=last,
        email=f"{last.lower().replace(chr(39), '')}{n}@shop{n % 97}.example" if rng.random() > 0.02 else None,
        phone=f"+4470{n:08d}" if rng.random() < 0.4 else None,
        state=rng.choice(("ENABLED", "ENABLED", "DISABLED", "INVITED")),
        tags=tags,
        note=None,
        tax_exempt=rng.random() < 0.1,
        verified_email=True,
        created_at=at,
        updated_at=at,
        addresses=tuple(_address(shop, rng, first, last) for _ in range(rng.choice((0, 1, 1, 2)))),
        metafields=_metafields(shop, given, "CUSTOMER", at),
    )


def _belonging(rng: random.Random) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    group = {"key": "group", "type": "single_line_text_field", "value": rng.choice(("trade", "gold"))}
    login = {"key": "authentication", "type": "single_line_text_field", "value": f"pretend-{rng.randrange(10**9)}"}
    discount = {"key": "discount_percentage", "type": "number_integer", "value": rng.choice(("10", "20", "150"))}
    if rng.random() < 0.125:
        return (), [group, login]
    return rng.choice(_TAGS), rng.choice(([], [group], [login, discount]))


def _stranger(rng: random.Random) -> tuple[str, ...]:
    return rng.choice(_NEAR_MISSES) if rng.random() < 0.05 else rng.choice(((), ("newsletter",), ("vip",)))


def _address(shop: Shop, rng: random.Random, first: str, last: str) -> MailingAddress:
    city, province, code, postcode, country, country_code = rng.choice(_CITIES)
    return MailingAddress(
        number=shop.next_number(),
        first_name=first,
        last_name=last,
        company=rng.choice((None, *_COMPANIES)),
        address1="" if rng.random() < 0.04 else f"{rng.randrange(1, 200)} High Street",
        address2=None,
        city=city,
        province=province,
        province_code=code,
        zip=postcode,
        country=country,
        country_code_v2=country_code,
        phone=None,
    )


def _metafields(shop: Shop, given: list[dict[str, str]], owner: str, at: datetime) -> tuple[Metafield, ...]:
    return tuple(
        Metafield(shop.next_number(), "sparklayer", m["key"], m["type"], m["value"], owner, at, at) for m in given
    )


def _one(row: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("key", "type", "value"), row, strict=True))


def _title(position: int) -> str:
    return _SIZES[position - 1] if position <= len(_SIZES) else f"Size {position}"


def _barcode(rng: random.Random) -> str | None:
    return f"50{rng.randrange(10**11):011d}" if rng.random() > 0.05 else None


def _known_product(now: datetime, shop: Shop) -> Product:
    at = now - timedelta(days=2)
    variants = tuple(
        ProductVariant(
            number=KNOWN_PRODUCT + place,
            product_number=KNOWN_PRODUCT,
            sku=f"ABC-{place}",
            barcode=f"500000000000{place}",
            price=f"{place}9.99",
            compare_at_price=None,
            title=_SIZES[place - 1],
            position=place,
            inventory_quantity=10 * place,
            option_name="Size",
            created_at=at,
            updated_at=at,
            metafields=_metafields(shop, [_one(_GOOD[0])], "PRODUCTVARIANT", at) if place == 1 else (),
        )
        for place in (1, 2, 3)
    )
    return Product(
        number=KNOWN_PRODUCT,
        title="Steel bracket",
        handle="steel-bracket",
        status="ACTIVE",
        vendor="Northwind",
        product_type="Hardware",
        tags=("hardware",),
        description_html="<p>Cold-rolled steel bracket</p>",
        created_at=at,
        updated_at=at,
        published_at=at,
        variants=variants,
    )


def _known_customer(now: datetime, shop: Shop) -> Customer:
    at = now - timedelta(days=2)
    address = MailingAddress(
        number=shop.next_number(),
        first_name="Bob",
        last_name="Biller",
        company="Corner Shop Ltd",
        address1="151 O'Connor Street",
        address2=None,
        city="Ottawa",
        province="Ontario",
        province_code="ON",
        zip="K2P 2L8",
        country="Canada",
        country_code_v2="CA",
        phone=None,
    )
    return Customer(
        number=KNOWN_CUSTOMER,
        first_name="Bob",
        last_name="Biller",
        email="bob@biller.example",
        phone="+16135550135",
        state="ENABLED",
        tags=("b2b", "b2b-trade"),
        note=None,
        tax_exempt=False,
        verified_email=True,
        created_at=at,
        updated_at=at,
        addresses=(address,),
        metafields=_metafields(
            shop, [{"key": "group", "type": "single_line_text_field", "value": "trade"}], "CUSTOMER", at
        ),
    )
