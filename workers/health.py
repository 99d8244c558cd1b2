"""Checks of the shops' health, one shop at a time: access, scopes, API version, subscriptions, silence, the breaker.

They run in the bulk worker, as a job that the clock enqueues: a shop that hangs until its time-out must not hold up
the clock, which wakes all others, nor live mail.

1. Claim a shop whose check is due, in the database: two workers never check the same one.
2. Ask Shopify, with time-outs and outside any transaction: who are you, and which subscriptions do you have.
3. Write what was found: the feed-level issues of both feeds together, the breaker, and when to look again.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from adapters import (
    access,
    fetch,
    health,
    inbox,
    issue_log,
    mirror_customers,
    mirror_products,
    runs,
    shops,
    subscriptions,
    telemetry,
)
from adapters.bell import LANES
from adapters.breakage import sqlstate, where_it_broke
from adapters.health import Check
from adapters.shops import Shop
from domain.failures import Permanent, Throttled, TokenDead, Transient
from domain.health import Access, Breaker, FeedHealth, Flaw, Probe, Runs, findings, judge
from domain.subscriptions import SCOPES, Finding, Kind, Ours, Plan, compare, desired
from domain.topics import ROUTES
from workers.gathering import is_the_worlds_fault
from workers.workshop import Workshop, workshop

log = structlog.get_logger()

LANE = "bulk"
CHECK_JOB = "workers.health.serve"
JOB_SECONDS = 180
QUEUED = "health:queued"  # in Redis: a job is queued already; forgotten after a minute
QUEUED_SECONDS = 60
SPELL_SECONDS = 5.0  # then the job makes room for mail and runs
PROBE_AGAIN = timedelta(minutes=10)  # a dead token


def count_what_was_heard(workshop: Workshop) -> None:
    """Duty: webhooks by hour, so that silence can be told from quiet."""
    with workshop.db.begin() as db:
        health.count_heard(db)


def forget_what_was_heard(workshop: Workshop) -> None:
    with workshop.db.begin() as db:
        health.forget_heard(db)


def wake_for_due_checks(workshop: Workshop) -> None:
    """Duty: one job, if a check is due and none is queued."""
    with workshop.db.connect() as db:
        due = health.is_due(db)
    redis = workshop.bell.redis
    if due and redis.set(QUEUED, 1, nx=True, ex=QUEUED_SECONDS):
        queue = Queue(LANE, connection=redis, serializer=JSONSerializer)
        queue.enqueue_call(CHECK_JOB, timeout=JOB_SECONDS, result_ttl=0, failure_ttl=86_400)


def serve() -> None:
    """RQ job: due checks, for a short spell."""
    shop = workshop("bulk")
    shop.bell.redis.delete(QUEUED)
    until = time.monotonic() + SPELL_SECONDS
    try:
        while time.monotonic() < until and check_next(shop):
            pass
    except SQLAlchemyError as error:
        log.warning("checks_broken_off", error=type(error).__name__, sqlstate=sqlstate(error))
    # Whoever rang while this job was the one in the queue took it for a turn's.
    if shop.bell.has_due_mail(LANE):
        shop.bell.wake(LANE)


def check_next(workshop: Workshop) -> bool:
    """Check the shop that has been due longest; False if none is. What goes wrong with one shop stays with it."""
    with workshop.db.begin() as db:
        check = health.claim(db, workshop.settings.reconcile_seconds)
        shop = shops.find(db, workshop.vault, check.shop) if check else None
    if check is None or shop is None:
        return False
    with structlog.contextvars.bound_contextvars(shop=shop.domain):
        try:
            check_shop(workshop, shop, check)
        except Exception as error:
            if is_the_worlds_fault(error):
                raise
            log.error("check_failed", reason=where_it_broke(error))  # noqa: TRY400 — its text may quote
            telemetry.report(f"A check of a shop's health {where_it_broke(error)}", shop=shop.domain)
    return True


@dataclass(frozen=True, slots=True)
class Learnt:
    """What Shopify said, over what it had said before; None where it has never said anything."""

    probe: Probe
    scopes: frozenset[str] | None
    versions: frozenset[str] | None
    flaws: tuple[Flaw, ...]
    renewed_for: str | None  # subscriptions were created anew for this API version; once is enough
    time_zone: str | None = None  # said just now

    @classmethod
    def before(cls, known: Mapping[str, Any]) -> "Learnt":
        scopes, versions = known.get("scopes"), known.get("versions")
        return cls(
            Probe.UNREACHABLE,
            frozenset(scopes) if scopes is not None else None,
            frozenset(versions) if versions is not None else None,
            tuple(Flaw(*flaw) for flaw in known.get("flaws", ())),
            known.get("renewed_for"),
        )

    def as_json(self) -> dict[str, Any]:
        flaws = [[flaw.code, flaw.path, flaw.topic, flaw.problem, flaw.feed] for flaw in self.flaws]
        known = {"scopes": self.scopes, "versions": self.versions}
        listed = {name: sorted(words) if words is not None else None for name, words in known.items()}
        return {**listed, "flaws": flaws, "renewed_for": self.renewed_for}


def check_shop(workshop: Workshop, shop: Shop, check: Check) -> None:
    before = Learnt.before(check.known)
    if not shop.is_active and not _may_probe(workshop, shop):
        learnt = replace(before, probe=Probe.TOKEN_DEAD)
    else:
        shop, learnt = _ask(workshop, shop, before)
    _write(workshop, shop, check, learnt)


def _may_probe(workshop: Workshop, shop: Shop) -> bool:
    """A dead token is tried again rarely: it may have been a mistake."""
    with workshop.db.begin() as db:
        return shops.may_probe(db, shop.domain)


def _ask(workshop: Workshop, shop: Shop, before: Learnt) -> tuple[Shop, Learnt]:
    """The shop as it was asked, and what it said.

    Tokens are renewed on the way, so that the access to a shop which has no mail for months does not run out either.
    """
    try:
        shop = access.with_fresh_token(workshop.db, workshop.vault, workshop.tokens, shop, datetime.now(UTC))
        return shop, _learn(workshop, shop, before)
    except (Transient, Permanent) as trouble:
        return shop, replace(before, probe=_probe(trouble))


def _learn(workshop: Workshop, shop: Shop, before: Learnt) -> Learnt:
    """What could not be asked stays as it was known: a time-out must not look like a cure."""
    token = shop.token or ""
    facts = fetch.shop_facts(workshop.admin, shop.domain, token)
    answered = replace(
        before, probe=Probe.ANSWERED, scopes=facts.scopes, versions=facts.versions, time_zone=facts.timezone
    )
    try:
        flaws, renewed_for = _tend_subscriptions(workshop, shop.domain, token, facts.scopes, before.renewed_for)
    except TokenDead as trouble:
        return replace(answered, probe=_probe(trouble))
    except (Transient, Permanent) as trouble:
        log.warning("subscriptions_not_tended", reason=str(trouble))
        return answered
    return replace(answered, flaws=flaws, renewed_for=renewed_for)


def _probe(trouble: Transient | Permanent) -> Probe:
    log.info("check_unanswered", reason=str(trouble))
    if isinstance(trouble, TokenDead):
        return Probe.TOKEN_DEAD
    return Probe.THROTTLED if isinstance(trouble, Throttled) else Probe.UNREACHABLE


def _tend_subscriptions(
    workshop: Workshop, shop: str, token: str, scopes: frozenset[str], renewed_for: str | None
) -> tuple[tuple[Flaw, ...], str | None]:
    """Compare; in shop-specific mode also mend, and look again: what counts is what Shopify has then."""
    settings, now = workshop.settings, datetime.now(UTC)
    ours = Ours(f"{settings.app_url}/webhooks", settings.shopify_api_version, settings.webhook_subscriptions)
    renew = renewed_for != ours.version

    def differences() -> Plan:
        actual = subscriptions.listed(workshop.admin, shop, token)
        return compare(desired(ours, scopes), actual, ours, now, renew_version=renew)

    plan = differences()
    if ours.mode == "shop" and plan.changes_something:
        refused = subscriptions.mend(workshop.admin, shop, token, plan)
        done = {"removed": len(plan.remove), "created": len(plan.create), "updated": len(plan.update)}
        log.info("subscriptions_mended", **done, refused=[refusal.topic for refusal in refused])
        plan = differences()
    return tuple(_flaw(finding) for finding in plan.findings), ours.version if ours.mode == "shop" else None


_CODES = {
    Kind.MISSING: "WEBHOOK_SUBSCRIPTION_MISSING",
    Kind.STRAY: "WEBHOOK_SUBSCRIPTION_STRAY",
    Kind.FLAWED: "WEBHOOK_SUBSCRIPTION_FLAWED",
}


def _flaw(finding: Finding) -> Flaw:
    """The path tells two findings about one topic apart."""
    number = finding.subscription.rsplit("/", 1)[-1] if finding.subscription else "new"
    path = f"webhooks[{finding.topic}].{number}"
    route = ROUTES.get(finding.topic)
    return Flaw(_CODES[finding.kind], path, finding.topic, finding.problem, route.feed if route else None)


def _write(workshop: Workshop, shop: Shop, check: Check, learnt: Learnt) -> None:
    """All of a shop's feed-level findings at once: nobody else writes any, so nothing of somebody else's is closed."""
    settings, now = workshop.settings, datetime.now(UTC)
    every = timedelta(seconds=settings.reconcile_seconds)
    with workshop.db.begin() as db:
        if not health.hold_shop(db, shop.domain):
            return  # redacted meanwhile: nothing of it may come back
        if learnt.time_zone is not None and learnt.scopes is not None:
            shops.note_facts(db, shop.domain, learnt.scopes, learnt.time_zone)
        found, recovered = _settle(workshop, db, shop, learnt)
        breaker, verdict = judge(check.breaker, health.failures(db, shop.domain), learnt.probe, now, every)
        _move_runs(db, shop.domain, breaker, verdict, settings.reconcile_seconds)
        for feed in _feeds(db, shop.domain):
            issue_log.replace_of_records(db, shop.domain, feed.feed, {0: findings(found, feed, now)})
        dead = found.probe is Probe.TOKEN_DEAD
        again = breaker.open_until or now + (min(every, PROBE_AGAIN) if dead else every)
        health.done(db, check, breaker, learnt.as_json(), next_check_at=again)
    if verdict is not Runs.UNTOUCHED:
        log.warning("breaker_moved", runs=verdict.value, until=str(breaker.open_until))
    if recovered:
        log.info("shop_recovered")
        for lane in LANES:
            workshop.bell.ring(lane, {shop.domain: time.time()})


def _settle(workshop: Workshop, db: Connection, shop: Shop, learnt: Learnt) -> tuple[Access, bool]:
    """Whether the shop has lost its token or found it again, and what that makes of the answer."""
    recovered = learnt.probe is Probe.ANSWERED and shop.state == "needs_auth"
    if recovered:
        shops.recovered(db, shop.domain)
        inbox.hurry(db, shop.domain)
        runs.open_feeds(db, shop.domain)
    elif learnt.probe is Probe.TOKEN_DEAD and shop.is_active:
        shops.needs_auth(db, workshop.vault, shop)
    found = shops.find(db, workshop.vault, shop.domain)
    if found is None or not found.is_active:
        probe = Probe.TOKEN_DEAD
    elif learnt.probe is Probe.TOKEN_DEAD:
        probe = Probe.UNREACHABLE  # the token that died was replaced meanwhile
    else:
        probe = learnt.probe
    version = workshop.settings.shopify_api_version
    return Access(probe, version, learnt.scopes, learnt.versions, learnt.flaws), recovered


def _move_runs(db: Connection, shop: str, breaker: Breaker, verdict: Runs, every: float) -> None:
    if verdict is Runs.HELD_BACK and breaker.open_until:
        health.hold_back(db, shop, breaker.open_until, every)
    elif verdict is Runs.RELEASED:
        health.release(db, shop)


def _feeds(db: Connection, shop: str) -> Sequence[FeedHealth]:
    because = health.failing_because(db, shop)
    counts = {"products": mirror_products.count(db, shop), "customers": mirror_customers.count(db, shop)}
    heard = {feed: health.heard(db, shop, feed) for feed in runs.FEEDS}
    return [
        FeedHealth(
            feed,
            SCOPES[feed],
            because.get(feed),
            counts[feed],
            heard[feed],
            health.missed(db, shop, feed, heard[feed]),
        )
        for feed in runs.FEEDS
    ]
