"""A turn's customers: their webhooks say nothing that counts, so Shopify is asked; cheaply first, then in full."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from adapters import database, email_clashes, fetch, inbox, issue_log, mirror_customers, shops
from adapters.budget import QUERY_CAP
from adapters.mirror_customers import Absence, HeldCustomer, Membership
from adapters.shops import Shop
from adapters.vault import Kind, Vault
from domain.customer_checks import check_customer
from domain.deliveries import Fold, Outcome, Verdict, Waiting
from domain.eligibility import Eligibility, judge
from domain.failures import Permanent, ShopUnreachable, Throttled, Transient
from domain.issues import Issue
from domain.settlement import ABSENT, Step, settle
from domain.topics import Act
from domain.versions import Version
from schemas import nodes
from workers import repairs
from workers.gathering import Candidate, Gathered, newest, token_of, verdicts_of
from workers.repairs import CustomerPlan, Judged
from workers.workshop import Workshop

FEED = "customers"
GONE = "deleted in Shopify"
RULE_CHANGED = "This shop's settings for who is imported have changed."
POINTS_EACH = 35  # of the probe and the full record of one customer, rounded up


@dataclass(frozen=True, slots=True)
class CustomerFinding:
    fold: Fold
    candidates: tuple[Candidate[Judged], ...]


Found = Gathered[CustomerFinding]


def gather(workshop: Workshop, shop: Shop, folds: Sequence[Fold]) -> Found:
    """Candidates for each customer. Those whom nobody can be asked about now are held up, their deletes are not."""
    found = Found()
    at = workshop.clock.now()
    judged = _ask(workshop, shop, [fold for fold in folds if fold.asked], found, at)
    for fold in folds:
        candidates: list[Candidate[Judged]] = []
        if fold.told and fold.told.act is Act.DELETE:
            candidates.append(Candidate(fold.told.version, None, "webhook", (fold.told,)))
        asked = tuple(d for d in fold.asked if d.id not in found.held_up and d.id not in found.dead)
        if asked and fold.resource_id in judged:
            candidates.append(_candidate(judged[fold.resource_id], at, asked))
        if candidates:
            left = Fold(fold.feed, fold.resource_id, fold.told, fold.older, asked, ())
            found.findings.append(CustomerFinding(left, tuple(candidates)))
    return found


def _candidate(read: tuple[datetime | None, Judged] | None, at: datetime, by: tuple[Waiting, ...]) -> Candidate[Judged]:
    """`read` None: Shopify does not know this customer (any more)."""
    source = "run" if any(delivery.source == "run" for delivery in by) else "fetch"
    if read is None:
        return Candidate(Version.moment(at), None, source, by)
    updated_at, judged = read
    return Candidate(Version(updated_at or at, at), judged, source, by)


Answers = dict[int, tuple[datetime | None, Judged] | None]


def _ask(workshop: Workshop, shop: Shop, folds: Sequence[Fold], found: Found, at: datetime) -> Answers:
    """Some at a time, so that a small budget is not spent on probing the same ones again at every turn."""
    answers: Answers = {}
    size = _together(workshop.admin.ceiling(shop.domain))
    for start in range(0, len(folds), size):
        by_id = {fold.resource_id: fold for fold in folds[start : start + size]}
        answers |= _ask_some(workshop, shop, by_id, found, at)
        why = next((why for _, why in found.held_up.values() if isinstance(why, Throttled)), None)
        if why is not None:
            found.hold_up((delivery for fold in folds[start + size :] for delivery in fold.asked), why)
            break
    return answers


def _together(ceiling: int) -> int:
    """As many as one query can probe; where a query may cost less than usual, as many as can be read in full, too."""
    return fetch.MOST_IDS if ceiling >= QUERY_CAP else max(1, ceiling // POINTS_EACH)


def _ask_some(workshop: Workshop, shop: Shop, by_id: Mapping[int, Fold], found: Found, at: datetime) -> Answers:
    """The cheap probe for all, then the full record of those that belong."""
    probed = _held_up_or(_probe, workshop, shop, list(by_id), by_id, found)
    answers: Answers = {}
    members = []
    for i, node in probed.items():
        probe = nodes.read_customer_probe(node) if node else None
        verdict = judge(probe.tags, probe.keys, shop.rule) if probe else None
        if probe is None or verdict is None:
            answers[i] = None
        elif verdict.belongs is None:
            # Unknown is not no: Shopify answered without tags or metafields, which a scope may be the reason for.
            found.hold_up(by_id[i].asked, ShopUnreachable(f"{shop.domain}: {verdict.sentence}"))
        elif verdict.belongs:
            members.append(i)
        else:
            answers[i] = (probe.updated_at, Judged(verdict))
    for i, node in _held_up_or(_full, workshop, shop, members, by_id, found).items():
        answers[i] = _member(shop, node, at) if node else None
    return answers


def _probe(workshop: Workshop, shop: Shop, ids: Sequence[int]) -> dict[int, fetch.Node | None]:
    return fetch.memberships(workshop.admin, shop.domain, token_of(workshop, shop), ids, len(shop.rule.ignored_keys))


def _full(workshop: Workshop, shop: Shop, ids: Sequence[int]) -> dict[int, fetch.Node | None]:
    return fetch.customers(workshop.admin, shop.domain, token_of(workshop, shop), ids)


Ask = Callable[[Workshop, Shop, Sequence[int]], dict[int, fetch.Node | None]]


def _held_up_or(
    ask: Ask, workshop: Workshop, shop: Shop, ids: Sequence[int], by_id: Mapping[int, Fold], found: Found
) -> dict[int, fetch.Node | None]:
    """What was answered. The deliveries of all others wait, or are dead if Shopify will never answer this."""
    if not ids:
        return {}
    try:
        answered = ask(workshop, shop, ids)
        found.answered = True
    except Throttled as throttled:
        answered = dict(throttled.found)
        found.hold_up((d for i in ids if i not in answered for d in by_id[i].asked), throttled)
    except Transient as trouble:
        answered = {}
        found.hold_up((d for i in ids for d in by_id[i].asked), trouble)
    except Permanent as refused:
        answered = {}
        found.bury((d for i in ids for d in by_id[i].asked), str(refused))
    return answered


def _member(shop: Shop, node: fetch.Node, at: datetime) -> tuple[datetime | None, Judged]:
    """Judged again on the full record: the customer may have lost the tag since the probe."""
    read = nodes.read_customer_node(node, at)
    if read.record is None:
        return None, Judged(
            Eligibility(belongs=False, sentence="Shopify's answer about this customer has no usable id.")
        )
    customer = read.record
    eligibility = judge(customer.tags, {field.key for field in customer.metafields}, shop.rule)
    return customer.updated_at, Judged(eligibility, read if eligibility.belongs else None)


# Writing: one transaction a batch. Nothing below asks anybody but the database.


def write(db: Connection, vault: Vault, shop: Shop, findings: Sequence[CustomerFinding]) -> dict[int, Verdict]:
    """Write what wins of each finding and close its deliveries. The verdicts that were given come back."""
    database.sole_writer(db, shop.domain, FEED)
    if shops.rule(db, shop.domain) != shop.rule:
        # The merchant changed who belongs while Shopify was asked. A change waits for this lock, so what is judged by
        # the rule as it reads now stays right until this is committed; these deliveries wait for their next turn.
        return {}
    locked = inbox.lock(db, (delivery.id for finding in findings for delivery in finding.fold.deliveries))
    mine = [finding for finding in findings if all(d.id in locked for d in finding.fold.deliveries)]
    held = mirror_customers.hold(db, shop.domain, (finding.fold.resource_id for finding in mine))
    plans = [_plan(vault, shop, finding, held.get(finding.fold.resource_id)) for finding in mine]
    repairs.note_customers(db, vault, shop, plans, held)
    _write_plans(db, vault, shop, plans, held)
    verdicts: dict[int, Verdict] = {}
    for plan in plans:
        verdicts |= plan.verdicts
    inbox.close(db, verdicts)
    return verdicts


def _plan(vault: Vault, shop: Shop, finding: CustomerFinding, held: HeldCustomer | None) -> CustomerPlan:
    best = newest(finding.candidates)
    assert best is not None  # a finding without candidates is never made
    i = finding.fold.resource_id
    if held and held.redacted:
        refused = Verdict(Outcome.FILTERED, "this customer's data was redacted; nothing is imported again")
        return CustomerPlan(i, Step.NOTHING, best, None, {d.id: refused for d in finding.fold.deliveries})
    member = _membership(best)
    content = mirror_customers.fingerprint(vault, shop.domain, member.customer) if member else None
    step = settle(held.held if held else ABSENT, best.version, content)
    return CustomerPlan(i, step, best, member, verdicts_of(finding.fold, best, _verdict(shop, step, best, held)))


def _membership(best: Candidate[Judged]) -> Membership | None:
    if best.record is None or best.record.customer is None or best.record.customer.record is None:
        return None
    eligibility = best.record.eligibility
    customer = best.record.customer.record
    return Membership(customer, best.version, best.source, eligibility.rule or "", eligibility.matched or "")


def _verdict(shop: Shop, step: Step, best: Candidate[Judged], held: HeldCustomer | None) -> Verdict:
    """Who was a member and no longer belongs is `deleted` from the mirror; who never was is `filtered`."""
    if step is Step.NOTHING:
        return Verdict(Outcome.SUPERSEDED, "the mirror already holds a newer state")
    if best.record is None:
        return Verdict(Outcome.DELETED if step is Step.REMOVE else Outcome.UNCHANGED, GONE)
    if not best.record.eligibility.belongs:
        left = held is not None and held.state == "member"
        return Verdict(Outcome.DELETED if left else Outcome.FILTERED, _why_not(shop, best.record, held))
    return Verdict(Outcome.UNCHANGED if step is Step.RENEW else Outcome.APPLIED)


def _why_not(shop: Shop, judged: Judged, held: HeldCustomer | None) -> str:
    sentence = judged.eligibility.sentence or ""
    if held is not None and held.state == "member" and shop.rule.is_newer_than(held.held.version.seen):
        return f"{RULE_CHANGED} {sentence}"
    return sentence


def _write_plans(
    db: Connection, vault: Vault, shop: Shop, plans: Sequence[CustomerPlan], held: Mapping[int, HeldCustomer]
) -> None:
    acting = [plan for plan in plans if plan.step is not Step.NOTHING]
    written = [plan for plan in acting if plan.member and _is_written(shop, plan, held.get(plan.id))]
    anew = {plan.id for plan in written}
    members = [plan.member for plan in written if plan.member]
    renewed = {p.id: (p.best.version, p.best.source) for p in acting if p.member and p.id not in anew}
    absences = [_absence(shop, plan, held.get(plan.id)) for plan in acting if plan.member is None]
    before = {h.email_index for plan in acting if (h := held.get(plan.id)) and h.email_index}
    mirror_customers.write(db, vault, shop.domain, members)
    mirror_customers.renew(db, shop.domain, renewed)
    mirror_customers.leave(db, shop.domain, absences)
    found: dict[int, Iterable[Issue]] = {absence.id: () for absence in absences}
    for plan in written:
        if plan.member and plan.best.record and plan.best.record.customer:
            notes = plan.best.record.customer.issues
            found[plan.id] = (*notes, *check_customer(plan.member.customer, shop.rule))
    issue_log.replace_of_records(db, shop.domain, FEED, found)
    emails = {vault.index(shop.domain, Kind.EMAIL, member.customer.email or "") for member in members}
    email_clashes.renew(db, shop.domain, before | {index for index in emails if index})


def _is_written(shop: Shop, plan: CustomerPlan, held: HeldCustomer | None) -> bool:
    """Under a new rule also who is the same as before: the grounds of belonging and the issues may differ."""
    return plan.step is Step.WRITE or (held is not None and shop.rule.is_newer_than(held.held.version.seen))


def _absence(shop: Shop, plan: CustomerPlan, held: HeldCustomer | None) -> Absence:
    judged = plan.best.record
    was_here = held is not None and held.was_here
    reason = _why_not(shop, judged, held) if judged else GONE
    return Absence(plan.id, plan.best.version, "removed" if was_here or judged is None else "not_eligible", reason)
