"""One pretend shop: its records and all that can be done to them. Each change returns what Shopify would tell an app.

The surprising answers are the point, and each is a fact of the platform: a variant's metafield fires nothing and moves
no `updatedAt`; a tag fires `customer.tags_added`, not `customers/update`; an order fires `products/update`.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from dataclasses import fields as fields_of
from datetime import datetime
from typing import Any

from devstore.records import (
    BasicEvent,
    Customer,
    Happening,
    MailingAddress,
    Metafield,
    MetafieldWish,
    Product,
    ProductVariant,
)
from devstore.table import Table

MAX_VARIANTS = 2_048
Happenings = tuple[Happening, ...]


@dataclass
class Conduct:
    """How this shop behaves where Shopify's documents are silent, or where a test wants the worse case."""

    index_lag: float = 0.5
    """Seconds by which searches and counts trail the truth."""
    tags_fire_update: bool = False
    tags_move_updated_at: bool = False
    customer_metafields_fire_update: bool = False
    variant_metafields_fire_update: bool = False
    customer_deletes_leave_events: bool = False
    app_subscriptions: bool = True
    """Whether the app's own `shopify.app.toml` subscribes to everything. Without, only created subscriptions fire."""
    bulk_seconds: float = 0.2
    bulk_outcome: str = "completed"
    """`completed`, `failed`, `partial` (failed, with half a file), `stuck` (until cancelled), `silent` (no webhook)."""


class Shop:
    """`lock` guards everything below; a reader that got a record out may keep it, records never change."""

    def __init__(self, domain: str, number: int, now: Callable[[], datetime]) -> None:
        self.domain = domain
        self.number = number
        self.now = now
        self.lock = threading.RLock()
        self.conduct = Conduct()
        self.installed = True
        self.products: Table[Product] = Table(now)
        self.customers: Table[Customer] = Table(now)
        self.homes: dict[int, int] = {}
        self.events: list[BasicEvent] = []
        self._last_number = 90_000_000_000 + number * 1_000_000_000_000

    def next_number(self) -> int:
        with self.lock:
            self._last_number += 1
            return self._last_number

    def stock(self, products: list[Product], customers: list[Customer]) -> None:
        """Fill the shop without anything being told."""
        with self.lock:
            self.products.stock(products)
            self.customers.stock(customers)
            self.homes.update((v.number, p.number) for p in products for v in p.variants)

    # -- products

    def create_product(self, *, title: str, variants: list[dict[str, Any]], **fields: Any) -> Happenings:
        """`variants` hold any of sku, barcode, price, title, inventory_quantity, metafields ([{key, value, type?}])."""
        if not 1 <= len(variants) <= MAX_VARIANTS:
            raise ValueError(f"A product has 1 to {MAX_VARIANTS} variants.")
        with self.lock:
            number, at = fields.pop("id", None) or self.next_number(), self._second()
            handle = fields.pop("handle", None) or "-".join(title.lower().split()) + f"-{number % 10_000}"
            product = Product(
                number=number,
                title=title,
                handle=handle,
                status=fields.pop("status", "ACTIVE").upper(),
                vendor=fields.pop("vendor", "Northwind"),
                product_type=fields.pop("product_type", ""),
                tags=tuple(fields.pop("tags", ())),
                description_html=fields.pop("description_html", ""),
                created_at=at,
                updated_at=at,
                published_at=at,
                variants=tuple(self._new_variant(number, n, v, at) for n, v in enumerate(variants, 1)),
                metafields=self._new_metafields(fields.pop("metafields", ()), "PRODUCT", at),
            )
            _none_left(fields)
            return self._put_product(product, "products/create")

    def edit_product(self, number: int, **fields: Any) -> Happenings:
        """Any of title, handle, status, vendor, product_type, tags, description_html."""
        with self.lock:
            if "tags" in fields:
                fields["tags"] = tuple(fields["tags"])
            if "status" in fields:
                fields["status"] = fields["status"].upper()
            product = replace(self.products.truth[number], **fields, updated_at=self._second())
            return self._put_product(product, "products/update")

    def edit_variant(self, variant_number: int, **fields: Any) -> Happenings:
        """Any of sku, barcode, price, title, position, inventory_quantity."""
        with self.lock:
            product, at = self._home(variant_number), self._second()
            variants = tuple(
                replace(v, **fields, updated_at=at) if v.number == variant_number else v for v in product.variants
            )
            return self._put_product(replace(product, variants=variants, updated_at=at), "products/update")

    def add_variants(self, number: int, variants: list[dict[str, Any]]) -> Happenings:
        with self.lock:
            product, at = self.products.truth[number], self._second()
            start = len(product.variants) + 1
            added = tuple(self._new_variant(number, n, v, at) for n, v in enumerate(variants, start))
            if start + len(added) - 1 > MAX_VARIANTS:
                raise ValueError(f"A product has at most {MAX_VARIANTS} variants.")
            whole = replace(product, variants=product.variants + added, updated_at=at)
            return self._put_product(whole, "products/update")

    def remove_variant(self, variant_number: int) -> Happenings:
        with self.lock:
            product = self._home(variant_number)
            rest = tuple(v for v in product.variants if v.number != variant_number)
            if not rest:
                raise ValueError("A product keeps at least one variant.")
            del self.homes[variant_number]
            rest = tuple(replace(v, position=n) for n, v in enumerate(rest, 1))
            return self._put_product(replace(product, variants=rest, updated_at=self._second()), "products/update")

    def order(self, variant_number: int, quantity: int = 1) -> Happenings:
        """A sale moves the stock, and Shopify calls that an update of the product."""
        with self.lock:
            variant = next(v for v in self._home(variant_number).variants if v.number == variant_number)
            return self.edit_variant(variant_number, inventory_quantity=variant.inventory_quantity - quantity)

    def edit_variant_metafield(self, number: int, wish: MetafieldWish) -> Happenings:
        """Fires nothing and moves no time, unless `conduct` says otherwise."""
        with self.lock:
            product, at = self._home(number), self._second()
            loud = self.conduct.variant_metafields_fire_update
            variants = tuple(
                replace(v, metafields=self._with_metafield(v.metafields, "PRODUCTVARIANT", wish))
                if v.number == number
                else v
                for v in product.variants
            )
            if variants == product.variants:
                return ()
            changed = replace(product, variants=variants, updated_at=at if loud else product.updated_at)
            fired = self._put_product(changed, "products/update")
            return fired if loud else ()

    def edit_product_metafield(self, number: int, wish: MetafieldWish) -> Happenings:
        """Rewriting the same value triggers nothing (Shopify's changelog, 2025-02-18)."""
        with self.lock:
            product = self.products.truth[number]
            metafields = self._with_metafield(product.metafields, "PRODUCT", wish)
            if metafields == product.metafields:
                return ()
            changed = replace(product, metafields=metafields, updated_at=self._second())
            return self._put_product(changed, "products/update")

    def delete_product(self, number: int) -> Happenings:
        with self.lock:
            product = self.products.remove(number)
            for variant in product.variants:
                self.homes.pop(variant.number, None)
            self._remember_deletion(product.gid, "PRODUCT")
            return (Happening("products/delete", product.gid, self.now()),)

    # -- customers

    def create_customer(self, **fields: Any) -> Happenings:
        """Fields of `Customer`, all optional, and `id`; addresses and metafields as objects."""
        with self.lock:
            number, at = fields.pop("id", None) or self.next_number(), self._second()
            customer = Customer(
                number=number,
                first_name=fields.pop("first_name", None),
                last_name=fields.pop("last_name", None),
                email=fields.pop("email", None),
                phone=fields.pop("phone", None),
                state=fields.pop("state", "ENABLED").upper(),
                tags=tuple(fields.pop("tags", ())),
                note=fields.pop("note", None),
                tax_exempt=fields.pop("tax_exempt", False),
                verified_email=fields.pop("verified_email", True),
                created_at=at,
                updated_at=at,
                addresses=tuple(self._new_address(a) for a in fields.pop("addresses", ())),
                metafields=self._new_metafields(fields.pop("metafields", ()), "CUSTOMER", at),
            )
            _none_left(fields)
            self.customers.put(customer)
            created = (Happening("customers/create", customer.gid, self.now(), customer),)
            return created + (self._tags(customer, "customer.tags_added", customer.tags) if customer.tags else ())

    def edit_customer(self, number: int, **fields: Any) -> Happenings:
        """Any field of `Customer` but tags and metafields, which have changes of their own."""
        with self.lock:
            before = self.customers.truth[number]
            if "addresses" in fields:
                fields["addresses"] = tuple(self._new_address(a) for a in fields["addresses"])
            if "state" in fields:
                fields["state"] = fields["state"].upper()
            customer = replace(before, **fields, updated_at=self._second())
            self.customers.put(customer)
            topics = ["customers/update"]
            if customer.state != before.state and customer.state in {"ENABLED", "DISABLED"}:
                topics.append(f"customers/{customer.state.removesuffix('D').lower()}")
            return tuple(Happening(topic, customer.gid, self.now(), customer) for topic in topics)

    def tag_customer(self, number: int, *tags: str) -> Happenings:
        with self.lock:
            before = self.customers.truth[number]
            added = tuple(tag for tag in tags if tag not in before.tags)
            return self._retag(before, before.tags + added, "customer.tags_added", added)

    def untag_customer(self, number: int, *tags: str) -> Happenings:
        with self.lock:
            before = self.customers.truth[number]
            removed = tuple(tag for tag in before.tags if tag in tags)
            rest = tuple(tag for tag in before.tags if tag not in tags)
            return self._retag(before, rest, "customer.tags_removed", removed)

    def edit_customer_metafield(self, number: int, wish: MetafieldWish) -> Happenings:
        """No document says that this fires anything, so only `conduct` makes it."""
        with self.lock:
            before = self.customers.truth[number]
            metafields = self._with_metafield(before.metafields, "CUSTOMER", wish)
            if metafields == before.metafields:
                return ()
            loud = self.conduct.customer_metafields_fire_update
            updated_at = self._second() if loud else before.updated_at
            customer = replace(before, metafields=metafields, updated_at=updated_at)
            self.customers.put(customer)
            return (Happening("customers/update", customer.gid, self.now(), customer),) if loud else ()

    def delete_customer(self, number: int) -> Happenings:
        with self.lock:
            customer = self.customers.remove(number)
            if self.conduct.customer_deletes_leave_events:
                self._remember_deletion(customer.gid, "CUSTOMER")
            return (Happening("customers/delete", customer.gid, self.now()),)

    def merge_customers(self, gone: int, kept: int) -> Happenings:
        """One of two is left, with the tags of both. Of the other a single webhook tells, and it is no delete."""
        with self.lock:
            before, kept_before = self.customers.remove(gone), self.customers.truth[kept]
            tags = tuple(dict.fromkeys((*kept_before.tags, *before.tags)))
            customer = replace(kept_before, tags=tags, updated_at=self._second())
            self.customers.put(customer)
            merged: dict[str, object] = {
                "admin_graphql_api_customer_kept_id": customer.gid,
                "admin_graphql_api_customer_deleted_id": before.gid,
                "admin_graphql_api_job_id": None,
                "status": "completed",
                "errors": [],
            }
            return (
                Happening("customers/merge", before.gid, self.now(), extra=tuple(merged.items())),
                Happening("customers/update", customer.gid, self.now(), customer),
            )

    # -- how it is done

    def _second(self) -> datetime:
        return self.now().replace(microsecond=0)

    def _home(self, variant_number: int) -> Product:
        return self.products.truth[self.homes[variant_number]]

    def _put_product(self, product: Product, topic: str) -> Happenings:
        self.products.put(product)
        self.homes.update((v.number, product.number) for v in product.variants)
        return (Happening(topic, product.gid, self.now(), product),)

    def _new_variant(self, product: int, position: int, given: dict[str, Any], at: datetime) -> ProductVariant:
        fields = dict(given)
        variant = ProductVariant(
            number=fields.pop("id", None) or self.next_number(),
            product_number=product,
            sku=fields.pop("sku", None),
            barcode=fields.pop("barcode", None),
            price=fields.pop("price", "10.00"),
            compare_at_price=None,
            title=fields.pop("title", f"Variant {position}"),
            position=position,
            inventory_quantity=fields.pop("inventory_quantity", 10),
            option_name="Size",
            created_at=at,
            updated_at=at,
            metafields=self._new_metafields(fields.pop("metafields", ()), "PRODUCTVARIANT", at),
        )
        _none_left(fields)
        return variant

    def _new_address(self, given: dict[str, Any]) -> MailingAddress:
        names = [field.name for field in fields_of(MailingAddress) if field.name != "number"]
        _none_left({name: value for name, value in given.items() if name not in {*names, "id"}})
        number = given.get("id") or self.next_number()
        return MailingAddress(number=number, **{name: given.get(name) for name in names})

    def _new_metafields(self, given: Any, owner: str, at: datetime) -> tuple[Metafield, ...]:
        return tuple(
            Metafield(
                number=self.next_number(),
                namespace=fields.get("namespace", "sparklayer"),
                key=fields["key"],
                type=fields.get("type", "single_line_text_field"),
                value=fields["value"],
                owner_type=owner,
                created_at=at,
                updated_at=at,
            )
            for fields in given
        )

    def _with_metafield(self, have: tuple[Metafield, ...], owner: str, wish: MetafieldWish) -> tuple[Metafield, ...]:
        old = next((m for m in have if (m.namespace, m.key) == (wish.namespace, wish.key)), None)
        if wish.value is None:
            return tuple(m for m in have if m is not old)
        if old is None:
            given = {"namespace": wish.namespace, "key": wish.key, "value": wish.value}
            given |= {"type": wish.type} if wish.type else {}
            return have + self._new_metafields([given], owner, self._second())
        if old.value == wish.value and wish.type in (None, old.type):
            return have
        new = replace(old, value=wish.value, type=wish.type or old.type, updated_at=self._second())
        return tuple(new if m is old else m for m in have)

    def _retag(self, before: Customer, tags: tuple[str, ...], topic: str, touched: tuple[str, ...]) -> Happenings:
        if not touched:
            return ()
        updated_at = self._second() if self.conduct.tags_move_updated_at else before.updated_at
        customer = replace(before, tags=tags, updated_at=updated_at)
        self.customers.put(customer)
        told = self._tags(customer, topic, touched)
        if self.conduct.tags_fire_update:
            told += (Happening("customers/update", customer.gid, self.now(), customer),)
        return told

    def _tags(self, customer: Customer, topic: str, tags: tuple[str, ...]) -> Happenings:
        return (Happening(topic, customer.gid, self.now(), customer, tags),)

    def _remember_deletion(self, gid: str, subject_type: str) -> None:
        self.events.append(BasicEvent(self.next_number(), "destroy", gid, subject_type, self._second()))


def _none_left(fields: dict[str, Any]) -> None:
    if fields:
        raise ValueError(f"Unknown: {', '.join(sorted(fields))}.")
