"""Product webhooks as Shopify sends them, signed for real, written down as HTTP requests before a clock starts.

A body has five variants, three images and the fields of API 2026-10, some 5 kB; no SKU, barcode or id occurs twice.
"""

import base64
import hashlib
import hmac
import struct
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from devstore.bodies import encode, local, utc_millis, utc_nanos

VARIANTS = 5
LENGTH = struct.Struct("<I")  # before each request in a file
CHANGED_AT = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)  # a storm lasts some minutes from then
_SIZES = ("Small", "Medium", "Large", "Extra large", "Box of 12")
_KINDS = ("Steel bracket", "Oak shelf", "Linen apron", "Brass hinge", "Enamel mug", "Cast iron hook", "Folding stool")
_WORDS = (
    "Made to be used every day. Cold-rolled, powder-coated and packed in recycled card. Sold to trade customers by the "
    "box, to everybody else one by one. Wipe clean with a damp cloth. Delivered within three working days."
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST to /webhooks."""

    body: bytes
    headers: dict[str, str]

    def request(self) -> bytes:
        """The bytes on the wire."""
        fields = {"Host": "127.0.0.1", "Content-Length": str(len(self.body)), **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"POST /webhooks HTTP/1.1\r\n{head}\r\n".encode() + self.body


def write_requests(path: Path, secret: str, shops: list[str], count: int) -> None:
    """`count` deliveries of distinct products, one shop after the other in turn."""
    _write(path, (delivery(secret, shops[number % len(shops)], number) for number in range(count)))


def write_storm(path: Path, secret: str, shop: str, count: int, products: int) -> None:
    """`count` deliveries of one shop about few products, each newer than the one before about the same product."""
    _write(path, (delivery(secret, shop, n % products, n // products) for n in range(count)))


def _write(path: Path, deliveries: Iterable[Delivery]) -> None:
    with path.open("wb") as file:
        for one in deliveries:
            request = one.request()
            file.write(LENGTH.pack(len(request)) + request)


def read_requests(path: Path, count: int) -> list[bytes]:
    with path.open("rb") as file:
        return list(_requests(file.read(), count))


def _requests(content: bytes, count: int) -> Iterator[bytes]:
    at = 0
    for _ in range(count):
        (length,) = LENGTH.unpack_from(content, at)
        at += LENGTH.size + length
        yield content[at - length : at]


def delivery(secret: str, shop: str, number: int, revision: int = 0) -> Delivery:
    body = encode(product(number, revision))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Shopify-Captain-Hook",
        "X-Shopify-Topic": "products/update",
        "X-Shopify-Hmac-Sha256": base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode(),
        "X-Shopify-Shop-Domain": shop,
        "X-Shopify-API-Version": "2026-10",
        "X-Shopify-Webhook-Id": str(uuid.uuid4()),
        "X-Shopify-Event-Id": str(uuid.uuid4()),
        "X-Shopify-Triggered-At": utc_nanos(changed_at(revision)),
    }
    return Delivery(body, headers)


def changed_at(revision: int) -> datetime:
    """A second between one and the next; Shopify's `updated_at` knows no smaller ones."""
    return CHANGED_AT + timedelta(seconds=revision)


def product_id(number: int) -> int:
    return 8_000_000_000_000 + number * 1_000


def sku(number: int, variant: int) -> str:
    return f"BN-{number:06d}-{variant}"


def barcode(number: int, variant: int) -> str:
    return f"40{number * 10 + variant:011d}"


def title(number: int) -> str:
    return f"{_KINDS[number % len(_KINDS)]} {number:06d}"


def product(number: int, revision: int = 0) -> dict[str, Any]:
    """The fields of a body. Each revision is newer than the one before and has other prices."""
    own = product_id(number)
    variants = range(1, VARIANTS + 1)
    images = [_image(own, n) for n in range(1, 4)]
    return {
        "admin_graphql_api_id": f"gid://shopify/Product/{own}",
        "body_html": f"<p>{_WORDS}</p>",
        "created_at": local(CHANGED_AT - timedelta(days=90)),
        "handle": title(number).lower().replace(" ", "-"),
        "id": own,
        "product_type": "Hardware",
        "published_at": local(CHANGED_AT - timedelta(days=89)),
        "template_suffix": "",
        "title": title(number),
        "updated_at": local(changed_at(revision)),
        "vendor": "Northwind",
        "status": "active",
        "published_scope": "global",
        "tags": "b2b, hardware, trade, 2026",
        "variants": [_variant(number, n, revision) for n in variants],
        "options": [{"name": "Size", "id": own + 3, "product_id": own, "position": 1, "values": list(_SIZES)}],
        "images": images,
        "image": images[0],
        "media": [],
        "variant_gids": [
            {
                "admin_graphql_api_id": f"gid://shopify/ProductVariant/{own + n}",
                "updated_at": utc_millis(changed_at(revision)),
            }
            for n in variants
        ],
        "has_variants_that_requires_components": False,
        "category": None,
    }


def _variant(number: int, n: int, revision: int) -> dict[str, Any]:
    own = product_id(number)
    return {
        "admin_graphql_api_id": f"gid://shopify/ProductVariant/{own + n}",
        "barcode": barcode(number, n),
        "compare_at_price": None,
        "created_at": local(CHANGED_AT - timedelta(days=90)),
        "id": own + n,
        "inventory_policy": "deny",
        "position": n,
        "price": f"{9 + n + number % 90}.{(50 + revision) % 100:02d}",
        "product_id": own,
        "sku": sku(number, n),
        "taxable": True,
        "title": _SIZES[n - 1],
        "updated_at": local(changed_at(revision)),
        "option1": _SIZES[n - 1],
        "option2": None,
        "option3": None,
        "image_id": None,
        "inventory_item_id": own + n + 500,
        "inventory_quantity": number % 40,
        "old_inventory_quantity": number % 40,
    }


def _image(product: int, n: int) -> dict[str, Any]:
    return {
        "id": product + 100 + n,
        "product_id": product,
        "position": n,
        "created_at": local(CHANGED_AT - timedelta(days=90)),
        "updated_at": local(CHANGED_AT - timedelta(days=90)),
        "alt": None,
        "width": 1000,
        "height": 1000,
        "src": f"https://cdn.shopify.com/s/files/1/0000/0000/0000/files/{product}-{n}.jpg?v=1763648014",
        "variant_ids": [],
        "admin_graphql_api_id": f"gid://shopify/ProductImage/{product + 100 + n}",
    }
