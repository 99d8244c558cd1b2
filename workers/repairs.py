"""Why a run had to repair what a webhook should have told: known when old and new lie side by side, in the turn."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from adapters import mirror_customers, mirror_products, runs
from adapters.mirror_customers import HeldCustomer, Membership, StoredCustomer
from adapters.mirror_products import CoreWrite, HeldProduct
from adapters.runs import Repair
from adapters.shops import Shop
from adapters.vault import Vault
from domain.deliveries import Verdict
from domain.eligibility import Eligibility, Rule, judge
from domain.issues import Translation
from domain.records import Customer, Metafield, Product, ProductMetafields
from domain.settlement import Step
from domain.versions import Version
from workers.gathering import Candidate


@dataclass(frozen=True, slots=True)
class ProductPlan:
    """What is to be written of one product, and what that makes of its deliveries."""

    id: int
    step: Step
    best: Candidate[Translation[Product]] | None
    core: CoreWrite | None
    metafields: tuple[ProductMetafields, datetime] | None
    verdicts: dict[int, Verdict]


@dataclass(frozen=True, slots=True)
class Judged:
    """A customer as read. `customer` is None for those who do not belong: nothing of theirs is carried further."""

    eligibility: Eligibility
    customer: Translation[Customer] | None = None


@dataclass(frozen=True, slots=True)
class CustomerPlan:
    """What is to be written of one customer, and what that makes of their deliveries."""

    id: int
    step: Step
    best: Candidate[Judged]
    member: Membership | None
    verdicts: dict[int, Verdict]


def run_of(best: Candidate[Any] | None) -> int | None:
    """The run whose finding won, if it was one."""
    return next((delivery.run for delivery in best.by if delivery.run is not None), None) if best else None


def note_products(db: Connection, shop: str, plans: Iterable[ProductPlan], held: Mapping[int, HeldProduct]) -> None:
    """Gaps of products: what differed, and be it `updatedAt` alone. Editing a variant's metafield fires nothing."""
    by_run = [(plan, run) for plan in plans if (run := run_of(plan.best)) is not None]
    if not by_run:
        return
    known = mirror_products.metafields(db, shop, [plan.id for plan, _ in by_run])
    repairs = []
    for plan, run in by_run:
        before = held.get(plan.id)
        version = before.core.version if before else None
        acts = plan.step in (Step.WRITE, Step.REMOVE)
        silent = not acts and _metafields_moved(plan, known.get(plan.id))
        if acts or silent or _renews(plan.step, plan.best, version):
            topic = None if silent else _product_topic(plan.step, before)
            repairs.append(_repair(plan.id, run, plan.best, version, topic))
    runs.record_gaps(db, shop, "products", repairs)


def _product_topic(step: Step, before: HeldProduct | None) -> str:
    """What Shopify should have sent."""
    if step is Step.REMOVE:
        return "products/delete"
    return "products/create" if before is None or before.core.removed else "products/update"


def _metafields_moved(plan: ProductPlan, known: ProductMetafields | None) -> bool:
    """Of variants: a product's own come with a webhook. What was unknown until now is no miss of anybody's."""
    if plan.metafields is None or known is None:
        return False
    before, now = known.by_variant, plan.metafields[0].by_variant
    return any(set(before[variant]) != set(now[variant]) for variant in before.keys() & now.keys())


def _renews(step: Step, best: Candidate[Any] | None, known: Version | None) -> bool:
    """Nothing that we keep has changed but Shopify's time, and of that a webhook should have told."""
    return step is Step.RENEW and best is not None and known is not None and best.version.at > known.at


def note_customers(
    db: Connection, vault: Vault, shop: Shop, plans: Sequence[CustomerPlan], held: Mapping[int, HeldCustomer]
) -> None:
    """Gaps of customers. Their metafields may change without any webhook; everything else has one.

    What the shop's changed rule explains is no gap: nothing happened in Shopify.
    """
    by_run = [(p, run) for p in plans if (run := run_of(p.best)) is not None and _acts(p, held.get(p.id))]
    if not by_run:
        return
    before = mirror_customers.load(db, vault, shop.domain, [plan.id for plan, _ in by_run])
    repairs = [
        _repair(plan.id, run, plan.best, old.version if old else None, _customer_topic(plan, old))
        for plan, run in by_run
        for old in [before.get(plan.id)]
        if not _rule_explains(plan, old, shop.rule)
    ]
    runs.record_gaps(db, shop.domain, "customers", repairs)


def _rule_explains(plan: CustomerPlan, old: StoredCustomer | None, rule: Rule) -> bool:
    """Whether a member who leaves would have to leave as we knew them, too; of who comes in no tags were ever kept."""
    if old is None or plan.best.record is None or not rule.is_newer_than(old.version.seen):
        return False
    if old.customer is None:
        return plan.member is not None
    as_known = judge(old.customer.tags, {field.key for field in old.customer.metafields}, rule)
    return plan.member is None and as_known.belongs is False


def _acts(plan: CustomerPlan, held: HeldCustomer | None) -> bool:
    """Whether the mirror's members change: somebody who stays outside is no gap."""
    if held is None or held.state != "member":
        return plan.step is Step.WRITE
    return plan.step in (Step.WRITE, Step.REMOVE) or _renews(plan.step, plan.best, held.held.version)


def _customer_topic(plan: CustomerPlan, old: StoredCustomer | None) -> str | None:
    """What Shopify should have sent; None when there is nothing that it sends."""
    if _only_metafields(plan, old):
        return None
    if plan.best.record is None:
        return "customers/delete"
    if plan.member is None:
        return "customer.tags_removed"
    if old is None:
        return "customers/create"
    return "customers/update" if old.customer is not None else "customer.tags_added"


def _only_metafields(plan: CustomerPlan, old: StoredCustomer | None) -> bool:
    if old is None or plan.best.record is None:
        return False
    if plan.member is None:
        return old.rule == "metafield"
    if old.customer is None:
        return plan.member.rule == "metafield"
    new = plan.member.customer
    if told(old.customer.metafields) == told(new.metafields):
        return False
    same_but = replace(old.customer, metafields=new.metafields, updated_at=new.updated_at, tags=new.tags)
    return same_but == new and sorted(old.customer.tags) == sorted(new.tags)


def told(metafields: Iterable[Metafield]) -> set[tuple[str, str]]:
    """Keys and values; of the login secret only that it is there, for no more of it is kept."""
    return {(field.key, "" if field.key == "authentication" else field.value) for field in metafields}


def _repair(record_id: int, run: int, best: Candidate[Any] | None, known: Version | None, topic: str | None) -> Repair:
    """`changed_at` only where Shopify's clock moved: an edit that left `updatedAt` alone has no time anybody knows."""
    told = best is not None and best.record is not None and (known is None or best.version.at > known.at)
    changed_at = best.version.at if best and told else None
    return Repair(record_id, run, changed_at, known.seen if known else None, topic)
