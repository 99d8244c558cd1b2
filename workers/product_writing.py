"""Writes a turn's products: one transaction a batch. Nothing here asks anybody but the database."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from adapters import database, inbox, issue_log, mirror_products, stored
from adapters.inbox import Arrival
from adapters.mirror_products import CoreWrite, HeldProduct, Renewal, StoredProduct
from adapters.shops import Shop
from domain.clashes import sku_clashes
from domain.deliveries import Outcome, Verdict
from domain.issues import Issue, Translation
from domain.product_checks import check_product
from domain.records import Product, ProductMetafields
from domain.settlement import ABSENT, VERDICTS, Step, settle
from workers import repairs
from workers.gathering import Candidate, newest, verdicts_of
from workers.product_turn import FEED, ProductFinding
from workers.repairs import ProductPlan

BULK_METAFIELDS = "product/metafields"


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


def _plan(finding: ProductFinding, held: HeldProduct | None) -> ProductPlan:
    best = newest(finding.candidates)
    core = _core_write(best) if best else None
    step = Step.NOTHING
    if best:
        step = settle(held.core if held else ABSENT, best.version, core.hash if core else None)
    metafields = finding.metafields if _is_alive(step, held) and _is_fresh(finding, held) else None
    verdicts = verdicts_of(finding.fold, best, VERDICTS[step] if best else None)
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
    left = mirror_products.forget_variants(db, shop, [i for i in (*written, *removed) if i in held])
    products = [write.product for write in writes if write.product.id in written]
    came = mirror_products.write_variants(db, shop, products)
    _renew_issues(db, shop, written | read_again, set(removed), today, _fresh(plans, written, held))
    _renew_clashes(db, shop, left, came)


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
    issue_log.replace_of_records(db, shop, FEED, found, fresh=fresh)
    _ask_for_metafields(db, shop, unknown, fresh)


def _metafields_unknown(product: Product, metafields: ProductMetafields | None) -> bool:
    return metafields is None or any(variant.id not in metafields.by_variant for variant in product.variants)


def _ask_for_metafields(db: Connection, shop: str, ids: Sequence[int], fresh: Collection[int]) -> None:
    """More mail for the same letterbox, in the lane that delays nobody; one waiting delivery a product is enough.

    About those in `fresh`, unknown until now, none waits.
    """
    asked = inbox.already_asked(db, shop, BULK_METAFIELDS, [i for i in ids if i not in fresh])
    now = datetime.now(UTC)
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
    if arrivals:
        inbox.store(db, arrivals)


def _renew_clashes(db: Connection, shop: str, left: set[str], came: set[str]) -> None:
    """Whoever shares one of these SKUs now, or did until now: flagged on every side, cleared on every side.

    A SKU that only came, and that nobody shares now, was nobody's before: nothing is to be cleared.
    """
    shared = mirror_products.shared(db, shop, left | came)
    found: dict[str, dict[int, list[Issue]]] = {f"sku:{fold}": {} for fold in left | set(shared)}
    for fold, holders in shared.items():
        by_product = found[f"sku:{fold}"]
        for (product_id, _), issues in sku_clashes(holders).items():
            by_product.setdefault(product_id, []).extend(issues)
    issue_log.replace_in_scopes(db, shop, FEED, found)
