"""A turn's products: read what the bodies say, and ask Shopify what they do not."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters import fetch, inbox, mirror_products
from adapters.breakage import where_it_broke
from adapters.shops import Shop
from domain.deliveries import Fold, Waiting
from domain.failures import Permanent, ShopUnreachable, Throttled, Transient
from domain.issues import Translation
from domain.records import Metafield, Product, ProductMetafields
from domain.topics import Act
from domain.versions import Version
from schemas import bodies, nodes
from workers.gathering import Candidate, Gathered, token_of
from workers.workshop import Workshop

FEED = "products"


@dataclass(frozen=True, slots=True)
class ProductFinding:
    """Everything found out about one product. `metafields` with the time they were read or triggered at."""

    fold: Fold
    candidates: tuple[Candidate[Translation[Product]], ...] = ()
    metafields: tuple[ProductMetafields, datetime] | None = None


Found = Gathered[ProductFinding]


def gather(workshop: Workshop, shop: Shop, folds: Sequence[Fold]) -> Found:
    """Candidates for each product. What cannot be read is dead, what cannot be asked now is held up."""
    found = Found()
    told = _read_bodies(workshop, folds, found)
    cut_off = {i for i, finding in told.items() if _is_cut_off(finding)}
    asked = [fold for fold in folds if fold.asked or fold.resource_id in cut_off]
    fetched = _fetch_products(workshop, shop, asked, cut_off, found)
    wanted = [fold for fold in folds if fold.metafields or fold.asked]
    metafields = _fetch_metafields(workshop, shop, wanted, fetched, found)
    for fold in folds:
        if any(delivery.id in found.held_up or delivery.id in found.dead for delivery in fold.deliveries):
            fold = _without(fold, found)  # noqa: PLW2901 — the same product with what is left of its mail
        if fold.deliveries:
            found.findings.append(_finding(fold, told, fetched, metafields, cut_off))
    return found


def _read_bodies(workshop: Workshop, folds: Iterable[Fold], found: Found) -> dict[int, ProductFinding]:
    """What the newest body of each product says by itself. Only these bodies leave the database."""
    telling = {fold.told.id: fold for fold in folds if fold.told and fold.told.act is Act.CORE}
    with workshop.looks.connect() as db:
        kept = inbox.bodies(db, list(telling))
    told = {}
    for delivery_id, fold in telling.items():
        assert fold.told is not None
        try:
            told[fold.resource_id] = _read_body(fold, fold.told, kept.get(delivery_id))
        except Permanent as refused:
            found.bury([fold.told], str(refused))
        except Exception as error:  # noqa: BLE001 — a bug of ours must cost this delivery alone; it stays, dead, with its place
            found.bury([fold.told], where_it_broke(error))
    return told


def _read_body(fold: Fold, delivery: Waiting, body: bytes | None) -> ProductFinding:
    product, carried = bodies.read_product(delivery.topic, body, delivery.received_at)
    source = "run" if delivery.source == "run" else "webhook"
    candidate = Candidate(delivery.version, product, source, (delivery,))
    return ProductFinding(fold, (candidate,), (carried, delivery.triggered_at) if carried else None)


def _is_cut_off(finding: ProductFinding) -> bool:
    return any(c.record and c.record.record and not c.record.record.variants_complete for c in finding.candidates)


@dataclass(frozen=True, slots=True)
class Read:
    """What Shopify answered at `at`; a product that is missing in `products` was not asked for."""

    at: datetime
    products: Mapping[int, Translation[Product] | None]


def _fetch_products(
    workshop: Workshop, shop: Shop, folds: Sequence[Fold], cut_off: Collection[int], found: Found
) -> Read:
    """Whole products by id. The time of the read is taken before it: what changes meanwhile is newer than the read."""
    at = workshop.clock.now()
    if not folds:
        return Read(at, {})
    ids = [fold.resource_id for fold in folds]
    got: dict[int, fetch.Node | None] = {}
    try:
        got = fetch.products(workshop.admin, shop.domain, token_of(workshop, shop), ids)
        found.answered = True
    except Throttled as throttled:
        got = dict(throttled.found)
        for fold in folds:
            if fold.resource_id not in got:
                found.hold_up(_needing_fetch(fold, cut_off), throttled)
    except Transient as trouble:
        for fold in folds:
            found.hold_up(_needing_fetch(fold, cut_off), trouble)
    except Permanent as refused:
        for fold in folds:
            found.bury(_needing_fetch(fold, cut_off), str(refused))
    return Read(at, {i: nodes.read_product_node(node, at) if node else None for i, node in got.items()})


def _needing_fetch(fold: Fold, cut_off: Collection[int]) -> tuple[Waiting, ...]:
    return (*fold.asked, *((fold.told,) if fold.told and fold.resource_id in cut_off else ()))


def _fetch_metafields(
    workshop: Workshop, shop: Shop, folds: Sequence[Fold], fetched: Read, found: Found
) -> dict[int, tuple[ProductMetafields, datetime]]:
    """The sparklayer metafields of all variants of these products, as known from the fetch or from the mirror."""
    if not folds:
        return {}
    variants: Mapping[int, Sequence[int]] = {}
    at = workshop.clock.now()
    got: Mapping[int, fetch.Node | None] = {}
    on_products: Mapping[int, fetch.Node | None] = {}
    why: Transient = ShopUnreachable(f"{shop.domain} did not answer in full.")
    try:
        asked = [fold.resource_id for fold in folds]
        on_products = fetch.product_metafields(workshop.admin, shop.domain, token_of(workshop, shop), asked)
        found.answered = True
        # Only now: of a shop that does not answer, thousands would be looked up for nothing.
        variants = _variants_to_ask(workshop, shop, folds, fetched)
        got, why = _ask_about_variants(workshop, shop, variants, why)
    except Transient as trouble:
        why = trouble
    except Permanent as refused:
        for fold in folds:
            found.bury(fold.metafields, str(refused))
    read = {}
    for fold in folds:
        of_product = variants.get(fold.resource_id, [])
        if fold.resource_id in on_products and all(_is_told(got, variant) for variant in of_product):
            on_product = on_products[fold.resource_id]
            read[fold.resource_id] = (_metafields(fold.resource_id, of_product, got, on_product), at)
        else:
            found.hold_up((d for d in (*fold.metafields, *fold.asked) if d.id not in found.dead), why)
    return read


def _variants_to_ask(workshop: Workshop, shop: Shop, folds: Sequence[Fold], fetched: Read) -> dict[int, list[int]]:
    """A fetched product names its variants; the mirror names those of the others."""
    with workshop.looks.connect() as db:
        variants = mirror_products.variant_ids(db, shop.domain, [fold.resource_id for fold in folds])
    for product_id, read in fetched.products.items():
        if read and read.record:
            variants[product_id] = [variant.id for variant in read.record.variants]
    return variants


def _ask_about_variants(
    workshop: Workshop, shop: Shop, variants: Mapping[int, Sequence[int]], why: Transient
) -> tuple[Mapping[int, fetch.Node | None], Transient]:
    """What was found out until the budget ran out, and why there is no more, if so.

    At least one product whole: one with a thousand variants would otherwise start all over with each turn, for ever.
    """
    ids = [variant for of_product in variants.values() for variant in of_product]
    try:
        return fetch.variant_metafields(workshop.admin, shop.domain, token_of(workshop, shop), ids), why
    except Throttled as throttled:
        got, why = dict(throttled.found), throttled
        first = next((of_product for of_product in variants.values() if of_product), ())
        rest = [variant for variant in first if variant not in got]
        if not got or not rest:
            return got, why
    try:
        more = fetch.variant_metafields(
            workshop.admin, shop.domain, token_of(workshop, shop), rest, fetch.HALF_READ_PATIENCE
        )
        return got | more, why
    except Throttled as again:
        return got | dict(again.found), again


def _is_told(got: Mapping[int, fetch.Node | None], variant: int) -> bool:
    """A variant that is gone is told; one whose metafields are kept from us is not, and none is not the same."""
    if variant not in got:
        return False
    node = got[variant]
    return node is None or node.get("metafields") is not None


def _metafields(
    product_id: int, variants: Iterable[int], got: Mapping[int, fetch.Node | None], on_product: fetch.Node | None
) -> ProductMetafields:
    """Of all these variants; those that Shopify no longer has have none, or they would be asked about for ever."""
    answered = [node for variant in variants if (node := got.get(variant))]
    wrongly = on_product["metafields"] if on_product else None
    read = nodes.read_variant_metafields(product_id, answered, wrongly)
    gone: dict[int, tuple[Metafield, ...]] = {variant: () for variant in variants if got.get(variant) is None}
    return ProductMetafields(product_id, gone | read.by_variant, read.on_product)


def _without(fold: Fold, found: Found) -> Fold:
    """A fold whose undecidable deliveries stay behind. Nothing may be superseded by a delivery that was not applied."""

    def left(deliveries: Iterable[Waiting]) -> tuple[Waiting, ...]:
        return tuple(d for d in deliveries if d.id not in found.held_up and d.id not in found.dead)

    if fold.told and not left([fold.told]):
        return Fold(fold.feed, fold.resource_id, None, (), left(fold.asked), left(fold.metafields))
    return Fold(fold.feed, fold.resource_id, fold.told, fold.older, left(fold.asked), left(fold.metafields))


def _finding(
    fold: Fold,
    told: Mapping[int, ProductFinding],
    fetched: Read,
    metafields: Mapping[int, tuple[ProductMetafields, datetime]],
    cut_off: Collection[int],
) -> ProductFinding:
    said = told.get(fold.resource_id) if fold.told else None
    candidates = list(said.candidates) if said and fold.resource_id not in cut_off else []
    if fold.told and fold.told.act is Act.DELETE:
        candidates.append(Candidate(fold.told.version, None, "webhook", (fold.told,)))
    if fold.resource_id in fetched.products and (fold.asked or fold.resource_id in cut_off):
        candidates.append(_from_fetch(fold, fetched, cut_off))
    carried = said.metafields if said else None
    return ProductFinding(fold, tuple(candidates), metafields.get(fold.resource_id, carried))


def _from_fetch(fold: Fold, fetched: Read, cut_off: Collection[int]) -> Candidate[Translation[Product]]:
    read = fetched.products[fold.resource_id]
    by = fold.asked
    if fold.resource_id in cut_off and fold.told:
        by = (*by, fold.told)
    source = "run" if any(delivery.source == "run" for delivery in by) else "fetch"
    if read is None or read.record is None:
        return Candidate(Version.moment(fetched.at), None, source, by)
    return Candidate(Version(read.record.updated_at or fetched.at, fetched.at), read, source, by)
