"""Customers beside the mirror. What a run reads of them is tags and metafields; the turn fetches those who belong."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from adapters import listing, mirror_customers
from adapters.mirror_customers import Absence, StoredCustomer
from domain.eligibility import Eligibility, Rule, judge
from domain.records import Metafield
from domain.versions import Version
from schemas import nodes
from workers.reading import Comparison, Work
from workers.repairs import told

Node = Mapping[str, Any]

GRAIN = timedelta(seconds=2)  # one of Shopify's `updatedAt`, one for clocks that disagree


def compare(work: Work, listed: Sequence[Node], at: datetime) -> Comparison:
    """By eligibility, `updatedAt`, tags and metafields: the last two may change without moving the time."""
    probes = {probe.id: (probe, node) for node in listed if (probe := nodes.read_customer_probe(node))}
    with work.workshop.db.connect() as db:
        held = mirror_customers.load(db, work.workshop.vault, work.shop.domain, list(probes))
    asked, doubtful, bystanders = [], [], []
    created = belonging = 0
    newest = None
    for i, (probe, node) in probes.items():
        newest = max(filter(None, (newest, probe.updated_at)), default=None)
        eligibility = judge(probe.tags, probe.keys, work.shop.rule)
        known = held.get(i)
        version = Version(probe.updated_at or at, at)
        belonging += eligibility.belongs is True
        if eligibility.belongs is False and (known is None or _stays_outside(known, work.shop.rule)):
            state = known.state if known else "not_eligible"
            bystanders.append(Absence(i, version, state, eligibility.sentence or ""))
        elif _differs(known, eligibility, probe.tags or (), nodes.read_customer_metafields(node), version):
            asked.append(i)
            created += known is None or known.state != "member"
        elif known is not None and _is_doubtful(known, work.shop.rule):
            doubtful.append(i)
    return Comparison(
        seen=tuple(probes),
        asked=[*asked, *doubtful],
        bystanders=bystanders,
        created=created,
        changed=len(asked) - created,
        belonging=belonging,
        newest=newest,
    )


def _stays_outside(known: StoredCustomer, rule: Rule) -> bool:
    """The reason was given under another rule, and is given anew."""
    return known.customer is None and rule.is_newer_than(known.version.seen)


def _is_doubtful(known: StoredCustomer, rule: Rule) -> bool:
    """A member read so soon after a change that another may have followed within the second; or judged under another
    rule, so that the grounds of belonging and the issues may read differently now.
    """
    if known.customer is None:
        return False
    return known.version.seen - known.version.at < GRAIN or rule.is_newer_than(known.version.seen)


def _differs(
    known: StoredCustomer | None,
    eligibility: Eligibility,
    tags: Sequence[str],
    metafields: Sequence[Metafield],
    version: Version,
) -> bool:
    """Unknown eligibility differs: the turn will find out."""
    if known is None or eligibility.belongs is None:
        return True
    if known.redacted or known.version > version:
        return False
    if known.customer is None:
        return eligibility.belongs
    same_time = known.version.at == version.at
    same_tags = sorted(known.customer.tags) == sorted(tags)
    same_metafields = _same_metafields(told(known.customer.metafields), told(metafields))
    return not (eligibility.belongs and same_time and same_tags and same_metafields)


def _same_metafields(known: set[tuple[str, str]], listed: set[tuple[str, str]]) -> bool:
    """A list that was cut off says nothing about what it does not name."""
    return listed <= known if len(listed) >= listing.METAFIELDS else listed == known
