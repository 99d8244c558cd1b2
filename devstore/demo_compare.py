"""Whether the mirror holds what the store holds, field by field, and which differences lost mail explains.

The mirror is read through the product's own lookup, one answer a resource: what is compared is what a user would see.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Body = dict[str, Any]
FEEDS = ("products", "customers")
NAMESPACE = "sparklayer"
MASK = "…"
CORE, METAFIELDS, TOMBSTONE = "core", "metafields", "tombstone"

LOST = "its webhook was lost"
SILENT = "no webhook exists for what was edited"


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """A product or customer of a shop; `feed` is products or customers."""

    shop: str
    feed: str
    id: int

    @property
    def gid(self) -> str:
        return f"gid://shopify/{'Product' if self.feed == 'products' else 'Customer'}/{self.id}"

    def __str__(self) -> str:
        return f"{self.shop.partition('.')[0]}, {self.feed.removesuffix('s')} {self.id}"


Excuses = Mapping[tuple[Resource, str], str]


@dataclass(frozen=True, slots=True)
class Difference:
    """`facet` is core, metafields or tombstone: the part of the record that an excuse may cover."""

    resource: Resource
    facet: str
    where: str
    store: object
    mirror: object

    def __str__(self) -> str:
        return f"{self.resource}, {self.where}: {self.store!r} in the store, {self.mirror!r} in the mirror"


def differences(
    truth: Mapping[str, Body], mirror: Mapping[Resource, Body], excused: Excuses | None = None
) -> list[Difference]:
    """Everything that is not as it should be, apart from what is excused.

    `truth` is the devstore's, by shop; `mirror` the answer of `GET /api/v1/{feed}?q=gid`, by resource.
    """
    excused = excused or {}
    found = [
        difference
        for resource, wanted in expected(truth).items()
        for difference in _compare(resource, wanted, mirror[resource])
    ]
    return [difference for difference in found if (difference.resource, difference.facet) not in excused]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a resource should look: its fields by name and facet, or absent in one of these states."""

    core: Body | None = None
    metafields: Body = field(default_factory=dict)
    absent: tuple[str, ...] = ()


def expected(truth: Mapping[str, Body]) -> dict[Resource, Wanted]:
    """Every resource that the stores have or had, as the mirror should know it.

    A store whose merchant has set who is imported says so in `tag` and `ignored_keys`.
    """
    wanted: dict[Resource, Wanted] = {}
    for shop, store in truth.items():
        wanted |= {Resource(shop, "products", p["id"]): _product(p) for p in store["products"]}
        rule = store.get("tag", "b2b"), store.get("ignored_keys", ())
        wanted |= {Resource(shop, "customers", c["id"]): _customer(c, *rule) for c in store["customers"]}
        for feed in FEEDS:
            gone = {Resource(shop, feed, number): Wanted(absent=("removed",)) for number in store["deleted"][feed]}
            wanted |= gone
    return wanted


def _product(product: Body) -> Wanted:
    names = ("title", "handle", "status", "vendor", "tags", "updated_at")
    core = {name: product[name] for name in names} | {"variants": sorted(v["id"] for v in product["variants"])}
    for variant in product["variants"]:
        core |= {_of_variant(variant["id"], name): variant[name] for name in VARIANT_FIELDS}
    return Wanted(core, {_of_variant(v["id"], "metafields"): _raw(v["metafields"]) for v in product["variants"]})


VARIANT_FIELDS = ("sku", "barcode", "title", "price", "position", "inventory_quantity")


def _of_variant(number: int, name: str) -> str:
    return f"{name} of variant {number}"


def _customer(customer: Body, tag: str, ignored_keys: Collection[str]) -> Wanted:
    """A customer who was never imported and one who was removed are both rightly absent."""
    rule = _rule(customer, tag, ignored_keys)
    if rule is None:
        return Wanted(absent=("not_eligible", "removed", "never_seen"))
    names = ("email", "first_name", "last_name", "phone", "tags", "state", "updated_at")
    core = {name: customer[name] for name in names}
    return Wanted(core | {"eligibility": rule, "metafields": _raw(customer["metafields"])})


def _rule(customer: Body, tag: str, ignored_keys: Collection[str]) -> str | None:
    """The documented rule, written a second time on purpose: a mirror must not be judged by its own judgement."""
    if any(one.strip().casefold() == tag for one in customer["tags"]):
        return "tag"
    return "metafield" if _raw(customer["metafields"]).keys() - set(ignored_keys) else None


def _raw(metafields: Iterable[Body]) -> dict[str, str]:
    ours = [metafield for metafield in metafields if metafield["namespace"] == NAMESPACE]
    return {m["key"]: MASK if m["key"] == "authentication" else m["value"] for m in ours}


def _compare(resource: Resource, wanted: Wanted, answer: Body) -> Iterator[Difference]:
    state = "here" if answer["results"] else answer["absent"]["state"]
    if wanted.core is None:
        if state not in wanted.absent:
            facet = CORE if answer["results"] else TOMBSTONE
            yield Difference(resource, facet, "it", wanted.absent[0], state)
    elif not answer["results"]:
        yield Difference(resource, CORE, "it", "here", state)
    else:
        core, metafields = _seen(resource, answer["results"][0]["record"])
        yield from _compare_fields(resource, CORE, wanted.core, core)
        both = wanted.metafields.keys() & metafields.keys()  # a missing variant is told once
        yield from _compare_fields(resource, METAFIELDS, {k: wanted.metafields[k] for k in sorted(both)}, metafields)


def _seen(resource: Resource, record: Body) -> tuple[Body, Body]:
    """A record of the API in the shape of `Wanted`."""
    if resource.feed == "customers":
        return record | {"eligibility": record["eligibility"]["rule"]}, {}
    core, metafields = record | {"variants": sorted(v["id"] for v in record["variants"])}, {}
    for variant in record["variants"]:
        core |= {_of_variant(variant["id"], name): variant[name] for name in VARIANT_FIELDS}
        metafields[_of_variant(variant["id"], "metafields")] = variant["metafields"]
    return core, metafields


def _compare_fields(resource: Resource, facet: str, wanted: Body, seen: Body) -> Iterator[Difference]:
    missing = {_of_variant(n, name) for n in _absent_variants(wanted, seen) for name in VARIANT_FIELDS}
    for name, value in wanted.items():
        if name not in missing and seen.get(name) != value:
            yield Difference(resource, facet, name, value, seen.get(name))


def _absent_variants(wanted: Body, seen: Body) -> set[int]:
    return set(wanted.get("variants", ())) - set(seen.get("variants", ()))


# What a mirror that only hears webhooks cannot know since its first import. Finding it is the reconciliation's work.


@dataclass(frozen=True, slots=True)
class Silence:
    """An edit that fired nothing. `at` is seconds since 1970, taken after it was done."""

    resource: Resource
    facet: str
    at: float


def unhearable(
    truth: Mapping[str, Body], ledger: Collection[Body], silences: Iterable[Silence]
) -> dict[tuple[Resource, str], str]:
    """The parts of resources about which the last thing that mattered never reached the app, each with the reason."""
    mail = _mail_by_resource(ledger)
    quiet: dict[tuple[Resource, str], float] = {}
    for silence in silences:
        key = (silence.resource, silence.facet)
        quiet[key] = max(silence.at, quiet.get(key, 0.0))
    reasons: dict[tuple[Resource, str], str] = {}
    for resource in expected(truth):
        told = mail.get(resource, Mail())
        judge = _unheard_of_product if resource.feed == "products" else _unheard_of_customer
        reasons |= {(resource, facet): why for facet, why in judge(resource, told, quiet).items()}
    return reasons


def unknowable(
    truth: Mapping[str, Body], ledger: Collection[Body], imported: Collection[Resource]
) -> dict[tuple[Resource, str], str]:
    """What no reconciliation can find out either: that something was, which came and went without a word arriving, and
    that a customer has been deleted who never belonged.
    """
    mail = _mail_by_resource(ledger)
    return {
        (resource, TOMBSTONE): LOST
        for resource in expected(truth)
        if not (told := mail.get(resource, Mail())).told_gone
        and (resource.feed == "customers" or (resource not in imported and not told.delivered))
    }


@dataclass(slots=True)
class Mail:
    """The ledger's entries about one resource, by what became of them."""

    delivered: list[Body] = field(default_factory=list)
    lost: list[Body] = field(default_factory=list)

    @property
    def told_gone(self) -> bool:
        return any(entry["topic"].endswith("/delete") for entry in self.delivered)


def _mail_by_resource(ledger: Iterable[Body]) -> dict[Resource, Mail]:
    mail: dict[Resource, Mail] = {}
    for entry in ledger:
        kind, _, number = entry["resource"].removeprefix("gid://shopify/").partition("/")
        feed = {"Product": "products", "Customer": "customers"}.get(kind)
        if feed:
            told = mail.setdefault(Resource(entry["shop"], feed, int(number)), Mail())
            (told.delivered if entry["fate"] == "delivered" else told.lost).append(entry)
    return mail


def _unheard_of_product(resource: Resource, mail: Mail, quiet: Mapping[tuple[Resource, str], float]) -> dict[str, str]:
    """A body tells the whole core as it was when it was triggered, and nothing of a variant's metafields."""
    if mail.told_gone:
        return {}
    reasons = {METAFIELDS: SILENT} if (resource, METAFIELDS) in quiet else {}
    if max(map(_triggered, mail.lost), default=0.0) > max(map(_triggered, mail.delivered), default=0.0):
        reasons |= dict.fromkeys((CORE, TOMBSTONE), LOST)
    return reasons


def _unheard_of_customer(resource: Resource, mail: Mail, quiet: Mapping[tuple[Resource, str], float]) -> dict[str, str]:
    """Any word about a customer makes the app read all of them, as they are by then: the time of arrival counts."""
    if mail.told_gone:
        return {}
    read = max((entry["attempts"][0]["at"] for entry in mail.delivered), default=0.0)
    if max(map(_triggered, mail.lost), default=-1.0) >= read:
        return dict.fromkeys((CORE, TOMBSTONE), LOST)
    return {CORE: SILENT} if quiet.get((resource, CORE), -1.0) >= read else {}


def _triggered(entry: Body) -> float:
    return datetime.fromisoformat(entry["triggered_at"]).timestamp()


def in_words(excused: Excuses) -> list[str]:
    """How many resources were left out, in whole or in part, a line a reason."""
    lines = []
    for reason in (LOST, SILENT):
        resources = {resource for (resource, _), why in excused.items() if why == reason}
        if resources:
            products = sum(resource.feed == "products" for resource in resources)
            lines.append(f"{count(products, 'product')} and {count(len(resources) - products, 'customer')}: {reason}")
    return lines


def count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
