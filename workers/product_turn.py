"""A turn's products: read what the bodies say, ask Shopify what they do not, and write what wins."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from adapters import database, fetch, inbox, issue_log, mirror_products, stored
from adapters.inbox import Arrival
from adapters.mirror_products import CoreWrite, HeldProduct, Renewal, StoredProduct
from adapters.shops import Shop
from domain.clashes import sku_clashes
from domain.deliveries import Fold, Outcome, Verdict, Waiting
from domain.failures import Permanent, ShopUnreachable, Throttled, TokenDead, Transient
from domain.issues import Issue, Translation
from domain.product_checks import check_product
from domain.records import Metafield, Product, ProductMetafields
from domain.settlement import ABSENT, Step, settle
from domain.topics import Act
from domain.versions import Version
from schemas import nodes, webhooks
from workers import repairs
from workers.gathering import Candidate, Gathered, newest, verdicts_of, where_it_broke
from workers.repairs import ProductPlan
from workers.workshop import Workshop

FEED = "products"
BULK_METAFIELDS = "product/metafields"


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
    with workshop.db.connect() as db:
        bodies = inbox.bodies(db, list(telling))
    told = {}
    for delivery_id, fold in telling.items():
        assert fold.told is not None
        try:
            told[fold.resource_id] = _read_body(fold, fold.told, bodies.get(delivery_id))
        except Permanent as refused:
            found.bury([fold.told], str(refused))
        except Exception as error:  # noqa: BLE001 — a bug of ours must cost this delivery alone; it stays, dead, with its place
            found.bury([fold.told], where_it_broke(error))
    return told


def _read_body(fold: Fold, delivery: Waiting, body: bytes | None) -> ProductFinding:
    if body is None:
        raise Permanent("its body is no longer kept; replay it as a refresh from Shopify")
    content = webhooks.read_body(body)
    if delivery.topic == "product/read":
        product = nodes.read_product_node(content, delivery.received_at)
        carried = nodes.read_product_node_metafields(content)
    else:
        product = webhooks.read_product(content, delivery.received_at)
        carried = webhooks.read_body_metafields(content)
    if product.record is None:
        raise Permanent("; ".join(issue.code for issue in product.issues) or "the body is not a product")
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
    at = datetime.now(UTC)
    if not folds:
        return Read(at, {})
    ids = [fold.resource_id for fold in folds]
    got: dict[int, fetch.Node | None] = {}
    try:
        got = fetch.products(workshop.admin, shop.domain, token_of(shop), ids)
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


def token_of(shop: Shop) -> str:
    """The shop's token, or the reason why nobody can be asked."""
    if shop.token is None:
        raise TokenDead(f"{shop.domain} has no token. Open the app in the Shopify admin, or run `flask shops add`.")
    return shop.token


def _fetch_metafields(
    workshop: Workshop, shop: Shop, folds: Sequence[Fold], fetched: Read, found: Found
) -> dict[int, tuple[ProductMetafields, datetime]]:
    """The sparklayer metafields of all variants of these products, as known from the fetch or from the mirror."""
    if not folds:
        return {}
    variants = _variants_to_ask(workshop, shop, folds, fetched)
    at = datetime.now(UTC)
    got: Mapping[int, fetch.Node | None] = {}
    on_products: Mapping[int, fetch.Node | None] = {}
    why: Transient = ShopUnreachable(f"{shop.domain} did not answer in full.")
    try:
        asked = [fold.resource_id for fold in folds]
        on_products = fetch.product_metafields(workshop.admin, shop.domain, token_of(shop), asked)
        found.answered = True
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
    with workshop.db.connect() as db:
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
        return fetch.variant_metafields(workshop.admin, shop.domain, token_of(shop), ids), why
    except Throttled as throttled:
        got, why = dict(throttled.found), throttled
        first = next((of_product for of_product in variants.values() if of_product), ())
        rest = [variant for variant in first if variant not in got]
        if not got or not rest:
            return got, why
    try:
        more = fetch.variant_metafields(workshop.admin, shop.domain, token_of(shop), rest, fetch.HALF_READ_PATIENCE)
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


# Writing: one transaction a batch. Nothing below asks anybody but the database.


def write(db: Connection, shop: Shop, findings: Sequence[ProductFinding], now: datetime) -> dict[int, Verdict]:
    """Write what wins of each finding and close its deliveries. The verdicts that were given come back."""
    database.sole_writer(db, shop.domain, FEED)
    locked = inbox.lock(db, (delivery.id for finding in findings for delivery in finding.fold.deliveries))
    mine = [finding for finding in findings if all(d.id in locked for d in finding.fold.deliveries)]
    held = mirror_products.hold(db, shop.domain, (finding.fold.resource_id for finding in mine))
    plans = [_plan(finding, held.get(finding.fold.resource_id)) for finding in mine]
    repairs.note_products(db, shop.domain, plans, held)
    verdicts: dict[int, Verdict] = {}
    for plan in plans:
        verdicts |= plan.verdicts
    # Before the writing, which may find out that there is more to ask: an ask that was just answered does not count.
    inbox.close(db, verdicts)
    _write_plans(db, shop.domain, plans, held, now.date())
    return verdicts


_VERDICTS = {
    Step.WRITE: Verdict(Outcome.APPLIED),
    Step.REMOVE: Verdict(Outcome.DELETED),
    Step.RENEW: Verdict(Outcome.UNCHANGED),
    Step.NOTHING: Verdict(Outcome.SUPERSEDED, "the mirror already holds a newer state"),
}


def _plan(finding: ProductFinding, held: HeldProduct | None) -> ProductPlan:
    best = newest(finding.candidates)
    core = _core_write(best) if best else None
    step = Step.NOTHING
    if best:
        step = settle(held.core if held else ABSENT, best.version, core.hash if core else None)
    metafields = finding.metafields if _is_alive(step, held) and _is_fresh(finding, held) else None
    verdicts = verdicts_of(finding.fold, best, _VERDICTS[step] if best else None)
    if finding.fold.metafields:
        verdicts |= {delivery.id: _metafields_verdict(metafields) for delivery in finding.fold.metafields}
    return ProductPlan(finding.fold.resource_id, step, best, core, metafields, verdicts)


def _core_write(best: Candidate[Translation[Product]]) -> CoreWrite | None:
    if best.record is None or best.record.record is None:
        return None
    dumped = stored.dump_product(best.record.record)
    digest = stored.content_hash(best.record.record)
    return CoreWrite(best.record.record, best.version, best.source, best.record.issues, dumped, digest)


def _is_alive(step: Step, held: HeldProduct | None) -> bool:
    if step is Step.WRITE:
        return True
    return step is not Step.REMOVE and held is not None and not held.core.removed


def _is_fresh(finding: ProductFinding, held: HeldProduct | None) -> bool:
    if finding.metafields is None:
        return False
    return held is None or held.metafields_seen is None or held.metafields_seen <= finding.metafields[1]


def _metafields_verdict(metafields: tuple[ProductMetafields, datetime] | None) -> Verdict:
    if metafields is None:
        return Verdict(Outcome.SUPERSEDED, "the product is gone, or its metafields were read later than this")
    return Verdict(Outcome.APPLIED)


def _write_plans(
    db: Connection, shop: str, plans: Sequence[ProductPlan], held: Mapping[int, HeldProduct], today: date
) -> None:
    """The database settles the races: whoever was newer meanwhile keeps the row, and nothing else is written of it."""
    writes = [plan.core for plan in plans if plan.step is Step.WRITE and plan.core]
    removed = {p.id: (p.best.version, "deleted in Shopify") for p in plans if p.step is Step.REMOVE and p.best}
    renewed = [_renewal(plan.id, plan.best) for plan in plans if plan.step is Step.RENEW and plan.best]
    written = mirror_products.write_cores(db, shop, writes)
    mirror_products.remove(db, shop, removed)
    mirror_products.renew(db, shop, renewed)
    facets = [plan.metafields for plan in plans if plan.metafields]
    read_again = mirror_products.write_metafields(db, shop, facets)
    known = [i for i in (*written, *removed) if i in held]
    folds = mirror_products.skus(db, shop, known)
    mirror_products.forget_variants(db, shop, [i for i in removed if i in held])
    products = [write.product for write in writes if write.product.id in written]
    folds |= mirror_products.write_variants(db, shop, products, known=[i for i in known if i in written])
    _renew_issues(db, shop, written | read_again, set(removed), today, _fresh(plans, written, held))
    _renew_clashes(db, shop, folds)


def _renewal(product_id: int, best: Candidate[Translation[Product]]) -> Renewal:
    product = best.record.record if best.record else None
    return Renewal(product_id, best.version, best.source, product.updated_at if product else None)


def _fresh(
    plans: Sequence[ProductPlan], written: set[int], held: Mapping[int, HeldProduct]
) -> dict[int, StoredProduct]:
    """Products that were unknown until now: what was just written of them need not be read back."""
    return {
        plan.id: StoredProduct(
            id=plan.id,
            core=plan.core.product,
            notes=plan.core.notes,
            metafields=plan.metafields[0] if plan.metafields else None,
            as_of=plan.core.version.seen,
            source=plan.core.source,
            removed_at=None,
            removed_reason=None,
        )
        for plan in plans
        if plan.core and plan.id in written and plan.id not in held
    }


def _renew_issues(
    db: Connection, shop: str, changed: set[int], removed: set[int], today: date, fresh: Mapping[int, StoredProduct]
) -> None:
    """Check the changed products whole (a metafield is wrong or right beside its core) and ask for what is unknown."""
    products = dict(fresh) | mirror_products.load(db, shop, changed - set(fresh))
    found: dict[int, Iterable[Issue]] = dict.fromkeys(removed, ())
    unknown = []
    for i, product in products.items():
        if product.core is not None:
            found[i] = (*product.notes, *check_product(product.core, product.metafields, today))
            if _metafields_unknown(product.core, product.metafields):
                unknown.append(i)
    issue_log.replace_of_records(db, shop, FEED, found)
    _ask_for_metafields(db, shop, unknown)


def _metafields_unknown(product: Product, metafields: ProductMetafields | None) -> bool:
    return metafields is None or any(variant.id not in metafields.by_variant for variant in product.variants)


def _ask_for_metafields(db: Connection, shop: str, ids: Sequence[int]) -> None:
    """More mail for the same letterbox, in the lane that delays nobody; one waiting delivery a product is enough."""
    if not ids:
        return
    now = datetime.now(UTC)
    asked = inbox.already_asked(db, shop, BULK_METAFIELDS, ids)
    arrivals = [
        Arrival(
            shop=shop,
            webhook_id=f"metafields:{i}:{now:%Y%m%d%H%M%S%f}",
            topic=BULK_METAFIELDS,
            feed=FEED,
            resource_id=i,
            triggered_at=now,
            received_at=now,
            source="fetch",
            lane="bulk",
        )
        for i in ids
        if i not in asked
    ]
    inbox.store(db, arrivals)


def _renew_clashes(db: Connection, shop: str, folds: set[str]) -> None:
    """Whoever holds one of these SKUs now, or held it until now: flagged on every side, cleared on every side."""
    found = {}
    for fold, holders in mirror_products.holders(db, shop, folds).items():
        by_product: dict[int, list[Issue]] = {}
        for (product_id, _), issues in sku_clashes(holders).items():
            by_product.setdefault(product_id, []).extend(issues)
        found[f"sku:{fold}"] = by_product
    issue_log.replace_in_scopes(db, shop, FEED, found)
