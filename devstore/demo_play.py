"""The play: a shop's day in small changes, each named by what it is about, so that it can be told and checked."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from devstore.client import Devstore, DevstoreError
from devstore.demo_compare import CORE, METAFIELDS, Resource, Silence
from devstore.generate import KNOWN_CUSTOMER, KNOWN_PRODUCT, variant_metafields

Body = dict[str, Any]
REREAD = 12  # changes of a shop after which the actors look at it again


@dataclass(frozen=True, slots=True)
class Change:
    """What was done, in words, and the webhooks it made (none for what Shopify says nothing about)."""

    at: float
    shop: str
    words: str
    fired: tuple[Body, ...]


@dataclass(frozen=True, slots=True)
class Intention:
    """One change of the devstore, before it is done. `silent` is the facet that it changes without a webhook."""

    kind: str
    wishes: Body
    words: str
    resource: tuple[str, int] | None = None
    silent: str | None = None


class Play:
    """Changes the shops at random. `silences` are the edits so far that no webhook told, `made` counts all."""

    def __init__(self, store: Devstore, shops: tuple[str, ...], seed: int = 1) -> None:
        self.shops = shops
        self.made = 0
        self.silences: list[Silence] = []
        self._store = store
        self._rng = random.Random(seed)
        self._scenes = {shop: Scene(self._rng) for shop in shops}

    def greet(self) -> Iterator[Change]:
        """Something of each shop's product and customer that everybody looks up first."""
        for shop in self.shops:
            yield self._do(shop, Intention("order", {"id": KNOWN_PRODUCT + 1}, "sold one “Steel bracket” (ABC-1)"))
            yield self._do(
                shop, Intention("edit_customer", {"id": KNOWN_CUSTOMER, "note": "VIP"}, "noted on Bob Biller")
            )

    def act(self) -> Change:
        """One change of one shop."""
        shop = self._rng.choice(list(self._scenes))
        scene = self._scenes[shop]
        if scene.is_old():
            scene.look(self._store.truth(shop))
        while True:
            try:
                return self._do(shop, scene.intend())
            except DevstoreError:  # it was about something that has changed since we looked
                scene.look(self._store.truth(shop))

    def _do(self, shop: str, intention: Intention) -> Change:
        fired = self._store.change(shop, intention.kind, **intention.wishes)
        self.made += 1
        if intention.silent and intention.resource and not fired:
            self.silences.append(Silence(Resource(shop, *intention.resource), intention.silent, time.time()))
        return Change(time.time(), shop, intention.words, tuple(fired))


class Scene:
    """What an actor knows of one shop, and decides to do there."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._products: list[Body] = []
        self._customers: list[Body] = []
        self._age = REREAD

    def is_old(self) -> bool:
        self._age += 1
        return self._age > REREAD

    def look(self, truth: Body) -> None:
        self._age = 0
        self._products, self._customers = truth["products"], truth["customers"]

    def intend(self) -> Intention:
        enough = [kind for kind in _KINDS if self._allows(kind)]
        weights = [_KINDS[kind] for kind in enough]
        return self._rng.choices(enough, weights)[0](self)

    def _allows(self, kind: Callable[["Scene"], Intention]) -> bool:
        """A shop is never emptied."""
        if kind in (Scene.new_product, Scene.new_customer):
            return True
        return len(self._customers if kind in _ABOUT_CUSTOMERS else self._products) > 3

    def sale(self) -> Intention:
        product, variant = self._variant()
        words = f"sold one “{product['title']}” ({variant['title']})"
        return Intention("order", {"id": variant["id"]}, words)

    def price(self) -> Intention:
        product, variant = self._variant()
        price = f"{self._rng.randrange(100, 99_999) / 100:.2f}"
        return Intention(
            "edit_variant", {"id": variant["id"], "price": price}, f"“{product['title']}” now costs {price}"
        )

    def title(self) -> Intention:
        product = self._rng.choice(self._products)
        title = f"{product['title'].split(' · ')[0]} · {self._rng.randrange(1_000)}"
        return Intention("edit_product", {"id": product["id"], "title": title}, f"renamed to “{title}”")

    def status(self) -> Intention:
        product = self._rng.choice(self._products)
        status = self._rng.choice([s for s in ("active", "draft", "archived") if s != product["status"]])
        return Intention("edit_product", {"id": product["id"], "status": status}, f"“{product['title']}” is {status}")

    def new_product(self) -> Intention:
        return Intention("create_product", {"variant_count": self._rng.randint(1, 4)}, "a new product")

    def delete_product(self) -> Intention:
        product = self._products.pop(self._rng.randrange(len(self._products)))
        return Intention("delete_product", {"id": product["id"]}, f"deleted “{product['title']}”")

    def new_variant(self) -> Intention:
        product = self._rng.choice(self._products)
        sku = f"ADD-{self._rng.randrange(10**6)}"
        variants = [{"sku": sku, "title": sku.title(), "metafields": variant_metafields(self._rng, sure=True)}]
        words = f"“{product['title']}” also as {sku}"
        return Intention("add_variants", {"id": product["id"], "variants": variants}, words)

    def remove_variant(self) -> Intention:
        product = max(self._products, key=lambda p: len(p["variants"]))
        variant = self._rng.choice(product["variants"])
        words = f"“{product['title']}” no longer as {variant['title']}"
        return Intention("remove_variant", {"id": variant["id"]}, words)

    def variant_metafield(self) -> Intention:
        product, variant = self._variant()
        key, size = self._rng.choice(("pack_size", "min_order_quantity")), str(self._rng.randrange(2, 500))
        wishes = {"id": variant["id"], "key": key, "value": size, "type": "number_integer"}
        words = f"{key} {size} for “{product['title']}”"
        return Intention("edit_variant_metafield", wishes, words, ("products", product["id"]), METAFIELDS)

    def edit_customer(self) -> Intention:
        customer = self._rng.choice(self._customers)
        name = self._rng.choice(("Ada", "Bo", "Cleo", "Dov", "Eve"))
        wishes = {"id": customer["id"], "first_name": name, "note": f"note {self._rng.randrange(99)}"}
        return Intention("edit_customer", wishes, f"{_name(customer)} is now called {name}")

    def tag_customer(self) -> Intention:
        customer = self._rng.choice(self._customers)
        tag = self._rng.choice(("b2b", "b2b", "B2B ", "b2b-vip", "newsletter"))
        return Intention("tag_customer", {"id": customer["id"], "tags": [tag]}, f"tagged {_name(customer)} “{tag}”")

    def untag_customer(self) -> Intention:
        tagged = [customer for customer in self._customers if customer["tags"]]
        if not tagged:
            return self.tag_customer()
        customer = self._rng.choice(tagged)
        tag = self._rng.choice(customer["tags"])
        words = f"took the tag “{tag}” from {_name(customer)}"
        return Intention("untag_customer", {"id": customer["id"], "tags": [tag]}, words)

    def customer_metafield(self) -> Intention:
        customer = self._rng.choice(self._customers)
        group = self._rng.choice(("trade", "gold", "silver", None))
        words = f"{_name(customer)} is in the group {group}" if group else f"{_name(customer)} is in no group"
        wishes = {"id": customer["id"], "key": "group", "value": group}
        return Intention("edit_customer_metafield", wishes, words, ("customers", customer["id"]), CORE)

    def new_customer(self) -> Intention:
        return Intention("create_customer", {}, "a new customer")

    def delete_customer(self) -> Intention:
        customer = self._customers.pop(self._rng.randrange(len(self._customers)))
        return Intention("delete_customer", {"id": customer["id"]}, f"deleted {_name(customer)}")

    def _variant(self) -> tuple[Body, Body]:
        product = self._rng.choice(self._products)
        return product, self._rng.choice(product["variants"])


def _name(customer: Body) -> str:
    return " ".join(part for part in (customer["first_name"], customer["last_name"]) if part) or str(customer["id"])


_KINDS: dict[Callable[[Scene], Intention], int] = {
    Scene.sale: 26,
    Scene.price: 14,
    Scene.title: 8,
    Scene.status: 3,
    Scene.new_product: 5,
    Scene.delete_product: 3,
    Scene.new_variant: 3,
    Scene.remove_variant: 2,
    Scene.variant_metafield: 9,
    Scene.edit_customer: 9,
    Scene.tag_customer: 6,
    Scene.untag_customer: 4,
    Scene.customer_metafield: 3,
    Scene.new_customer: 4,
    Scene.delete_customer: 1,
}
_ABOUT_CUSTOMERS = frozenset(
    (Scene.edit_customer, Scene.tag_customer, Scene.untag_customer, Scene.customer_metafield, Scene.delete_customer)
)
