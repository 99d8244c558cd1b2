"""Turns: the job behind the bell. It serves shop after shop until no mail is due, lingers a moment, and ends."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from adapters import inbox, shops, telemetry
from adapters.breakage import sqlstate, where_it_broke
from adapters.figures import FRESHNESS, OUTCOMES, TURN_SIZES, TURNS
from adapters.shops import Shop
from domain.deliveries import (
    Fold,
    Outcome,
    Verdict,
    Waiting,
    count_outcomes,
    fold,
    has_waited_enough,
    next_pause,
    rest_after,
)
from domain.failures import TokenDead, Transient
from domain.topics import COMPLIANCE, Act
from workers import customer_turn, product_turn, product_writing, replays, runs, shop_turn, storms
from workers.gathering import Gathered, is_away, is_the_worlds_fault
from workers.workshop import Workshop, workshop

log = structlog.get_logger()

MOST = 500  # deliveries a turn
MOST_IN_BULK = 100  # where live mail is to find a gap: up to 500 put off at once took 57 ms beside it
MOST_BYTES = 32 * 1024 * 1024  # of bodies a turn takes into memory
JOB_SECONDS = 60.0  # then a job makes room for RQ's own housekeeping, and rings for what is left
GATHER_SECONDS = 1.0  # what asks Shopify in the bulk lane waits for company: a query serves forty variants
LINGER_SECONDS = 0.25
LOOK_SECONDS = 0.02
STUMBLE_SECONDS = 2.0
BUG_SECONDS = 30.0
SHOP_ACTS = frozenset({Act.UNINSTALL, Act.SHOP, Act.BULK}) | COMPLIANCE

stopping = threading.Event()  # set by SIGTERM: the turn at hand is finished, no other is taken


def serve(lane: str) -> None:
    """RQ job: turns in this lane, longest waiting shop first, until nothing is due; and steps of runs beside them."""
    shop = workshop(lane)
    until = time.monotonic() + JOB_SECONDS
    idle_since = time.monotonic()
    while not stopping.is_set() and time.monotonic() < until:
        turn = shop.bell.take(lane, shop.holder)
        if turn is not None:
            rest = serve_shop(shop, lane, turn.shop)
            shop.bell.give_back(lane, turn, rest)
        # A turn, then a step: a long backlog does not keep runs waiting, nor a large run the mail.
        stepped = lane == "bulk" and (runs.step(shop) | replays.step(shop))
        if turn is not None or stepped:
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since > LINGER_SECONDS:
            break
        else:
            time.sleep(LOOK_SECONDS)
    shop.figures.hand_over()  # what runs have asked Shopify, too
    if shop.bell.has_due_mail(lane):
        shop.bell.wake(lane)


def serve_shop(workshop: Workshop, lane: str, domain: str) -> float:
    """One turn, whatever happens in it: the shop is put back for when its next delivery is due.

    For how many seconds it is to be left alone, whoever rings, comes back.
    """
    due = {lane: time.time() + STUMBLE_SECONDS}
    rest = 0.0
    try:
        with structlog.contextvars.bound_contextvars(shop=domain, lane=lane):
            decided = take_turn(workshop, lane, domain)
        rest = rest_after(decided) if lane == "live" else 0.0
        with workshop.looks.connect() as db:
            waiting = inbox.next_due(db, domain)
        due = _next_turns(workshop, lane, domain, waiting, decided)
    except (DBAPIError, PoolTimeout) as error:
        # The database is away or overloaded. Everything of this turn was rolled back and still waits.
        log.warning("turn_broken_off", shop=domain, lane=lane, error=type(error).__name__, sqlstate=sqlstate(error))
        if is_away(error):
            stopping.wait(STUMBLE_SECONDS)
    except Exception as error:  # noqa: BLE001 — a bug must not leave the shop leased, nor spin
        due = {lane: time.time() + BUG_SECONDS}
        log.error("turn_failed", shop=domain, lane=lane, reason=where_it_broke(error))  # noqa: TRY400 — its text may quote
        telemetry.report(f"A turn {where_it_broke(error)}", shop=domain, lane=lane)
    for name, at in due.items():
        # To the end of the line: by the age of its mail, a shop with a long backlog would be next until it has none.
        workshop.bell.ring(name, {domain: max(at, time.time())})
    return rest


def _next_turns(
    workshop: Workshop, lane: str, domain: str, waiting: Mapping[str, float], decided: Mapping[int, Verdict]
) -> dict[str, float]:
    """By lane, when a turn of this shop is worth it again. What a live turn has to ask of Shopify waits in `bulk`."""
    now = time.time()
    turns = dict(waiting) if lane == "live" else {name: at for name, at in waiting.items() if name == lane}
    if "bulk" in turns and (lane == "live" or len(decided) < MOST_IN_BULK // 2):
        turns["bulk"] = max(turns["bulk"], now + _until_asked(workshop, domain))
    if waiting.get(lane, now) < now and not decided:
        # Due, and nothing could be decided: whoever else holds these rows needs time more than we need a look.
        turns[lane] = max(turns[lane], now + STUMBLE_SECONDS)
    return turns


def _until_asked(workshop: Workshop, domain: str) -> float:
    """Seconds until mail that asks Shopify is worth a turn: many in one query, and none while the shop is silent.

    Each second's new products would otherwise have a turn that could only postpone them. What asks nothing rings for
    itself, at once.
    """
    return max(GATHER_SECONDS, workshop.admin.seconds_silent(domain))


def take_turn(workshop: Workshop, lane: str, domain: str) -> dict[int, Verdict]:
    """Take what is due of a shop, find out what it amounts to, write it, close it. The verdicts come back."""
    started = time.monotonic()
    with workshop.looks.connect() as db:
        now = workshop.clock.read(db)
        shop = shops.find(db, workshop.vault, domain)
        waiting = inbox.peek(db, lane, domain, MOST if lane == "live" else MOST_IN_BULK)
    overtaken: dict[int, Verdict] = {}
    if lane == "live" and shop is not None and shop.is_active and storms.is_one(waiting, MOST):
        waiting, overtaken = storms.calm(workshop, lane, domain, MOST)
    verdicts = _decide_about_shop(workshop, domain, [d for d in waiting if d.act in SHOP_ACTS])
    about_records = [d for d in waiting if d.act not in SHOP_ACTS]
    if any(v.outcome is Outcome.APPLIED for v in verdicts.values()):
        with workshop.looks.connect() as db:
            shop = shops.find(db, workshop.vault, domain)
    if shop is None or shop.state == "uninstalled":
        verdicts |= _filter_out(workshop, shop, about_records)
    else:
        verdicts |= _serve_records(workshop, _may_ask(workshop, shop), within_memory(fold(about_records)), now)
    _note(workshop, lane, time.monotonic() - started, waiting, verdicts)
    if waiting:
        log.info("turn_taken", deliveries=len(waiting), **count_outcomes(verdicts))
    return overtaken | verdicts


def _note(
    workshop: Workshop, lane: str, seconds: float, waiting: Sequence[Waiting], verdicts: Mapping[int, Verdict]
) -> None:
    now = workshop.clock.now()
    workshop.figures.time(TURNS, seconds, lane)
    workshop.figures.time(TURN_SIZES, len(waiting), lane)
    for delivery in waiting:
        if (verdict := verdicts.get(delivery.id)) is not None:
            feed = delivery.feed or "shop"
            workshop.figures.count(OUTCOMES, feed, verdict.outcome.value)
            # A replay is late by its nature, and that is no lag.
            if verdict.outcome is Outcome.APPLIED and delivery.source == "webhook" and delivery.replay is None:
                workshop.figures.time(FRESHNESS, (now - delivery.triggered_at).total_seconds(), feed)
    workshop.figures.hand_over()


def _decide_about_shop(workshop: Workshop, domain: str, deliveries: Sequence[Waiting]) -> dict[int, Verdict]:
    """One by one; a notice that fails is dead alone, or no turn of this shop would ever get past it."""
    verdicts: dict[int, Verdict] = {}
    for delivery in deliveries:
        try:
            with workshop.db.begin() as db:
                if inbox.lock(db, [delivery.id]):
                    verdicts[delivery.id] = shop_turn.decide(db, domain, delivery)
                    inbox.close(db, {delivery.id: verdicts[delivery.id]})
        except Exception as error:
            if is_the_worlds_fault(error):
                raise
            verdicts |= _close_dead(workshop, [delivery], error)
        log.info("shop_notice", delivery=delivery.id, topic=delivery.topic, reason=verdicts.get(delivery.id))
    return verdicts


def _filter_out(workshop: Workshop, shop: Shop | None, deliveries: Sequence[Waiting]) -> dict[int, Verdict]:
    """A late retry after an uninstall, or a shop that never installed: kept, answered, and not applied.

    Of a shop that nobody knows no body is kept: it may have been erased.
    """
    reason = "the shop has uninstalled the app" if shop else "the shop is not known: it has not installed the app"
    verdicts = {d.id: Verdict(Outcome.FILTERED, reason) for d in deliveries}
    with workshop.db.begin() as db:
        inbox.close(db, {i: verdicts[i] for i in inbox.lock(db, verdicts)})
        if shop is None:
            inbox.forget_bodies(db, verdicts)
    return verdicts


def _may_ask(workshop: Workshop, shop: Shop) -> Shop:
    """A shop whose token died is asked about rarely: without a token, whatever must be fetched waits."""
    if shop.state == "active":
        return shop
    with workshop.db.begin() as db:
        probing = shops.may_probe(db, shop.domain)
    token = shop.token if probing else None
    return replace(shop, token=token)


def within_memory(folds: Sequence[Fold], most: int = MOST_BYTES) -> list[Fold]:
    """As many as fit with the bodies that must be read; at least one. The rest wait for the next turn."""
    taken: list[Fold] = []
    total = 0
    for one in folds:
        total += one.told.body_bytes if one.told else 0
        if taken and total > most:
            break
        taken.append(one)
    return taken


def _serve_records(workshop: Workshop, shop: Shop, folds: Sequence[Fold], now: datetime) -> dict[int, Verdict]:
    products = [one for one in folds if one.feed == product_turn.FEED]
    customers = [one for one in folds if one.feed == customer_turn.FEED]

    def serve_products(part: Sequence[Fold]) -> dict[int, Verdict]:
        found = product_turn.gather(workshop, shop, part)
        return _settle_undecidable(workshop, shop, found, now) | _write(
            workshop, found.findings, lambda db, few: product_writing.write(db, shop, few, now)
        )

    def serve_customers(part: Sequence[Fold]) -> dict[int, Verdict]:
        found = customer_turn.gather(workshop, shop, part)
        return _settle_undecidable(workshop, shop, found, now) | _write(
            workshop, found.findings, lambda db, few: customer_turn.write(db, workshop.vault, shop, few)
        )

    bury = partial(_bury, workshop)
    return in_halves(products, serve_products, bury) | in_halves(customers, serve_customers, bury)


F = TypeVar("F", product_turn.ProductFinding, customer_turn.CustomerFinding)
T = TypeVar("T")


def _settle_undecidable(workshop: Workshop, shop: Shop, found: Gathered[F], now: datetime) -> dict[int, Verdict]:
    """Close the dead, postpone the held up, and park the shop if its token is the reason."""
    verdicts = dict(found.dead)
    if not found.dead and not found.held_up and shop.state == "active":
        return verdicts  # as nearly always
    pauses: dict[tuple[str, bool, str], dict[int, float]] = {}
    chance = random.random()  # noqa: S311 — one for all: what was held up together comes back as one turn
    for delivery, why in found.held_up.values():
        if has_waited_enough(delivery, now):
            verdicts[delivery.id] = _given_up(why)
        else:
            pause = why.retry_after if why.retry_after is not None else next_pause(delivery.attempts, chance)
            pauses.setdefault((str(why), why.counts, type(why).__name__), {})[delivery.id] = pause
    with workshop.db.begin() as db:
        inbox.close(db, {i: verdicts[i] for i in inbox.lock(db, verdicts)})
        for (reason, counts, error), seconds in pauses.items():
            inbox.postpone(db, seconds, reason, counts=counts, error=error)
        if any(isinstance(why, TokenDead) for _, why in found.held_up.values()) and shop.token:
            shops.needs_auth(db, workshop.vault, shop)
        elif shop.state == "needs_auth" and found.answered:
            shops.recovered(db, shop.domain)
    for i, verdict in verdicts.items():
        log.warning("delivery_given_up", delivery=i, outcome=verdict.outcome.value, reason=verdict.reason)
    return verdicts


def _given_up(why: Transient) -> Verdict:
    if isinstance(why, TokenDead):
        return Verdict(Outcome.FILTERED, f"two days without a token: {why}")
    return Verdict(Outcome.DEAD, f"given up after two days: {why}")


def _write(
    workshop: Workshop, findings: Sequence[F], write: Callable[[Connection, Sequence[F]], dict[int, Verdict]]
) -> dict[int, Verdict]:
    """One transaction for all of them, or for as many as can be written together."""

    def together(part: Sequence[F]) -> dict[int, Verdict]:
        with workshop.db.begin() as db:
            return write(db, part)

    return in_halves(findings, together, lambda finding, error: _bury(workshop, finding.fold, error))


def in_halves(
    parts: Sequence[T],
    do: Callable[[Sequence[T]], dict[int, Verdict]],
    bury: Callable[[T, Exception], dict[int, Verdict]],
) -> dict[int, Verdict]:
    """Do all at once. If one part makes that fail, it is found by halving, and only that one is buried."""
    if not parts:
        return {}
    try:
        return do(parts)
    except Exception as error:
        if is_the_worlds_fault(error):
            raise
        if len(parts) == 1:
            return bury(parts[0], error)
    middle = len(parts) // 2
    return in_halves(parts[:middle], do, bury) | in_halves(parts[middle:], do, bury)


def _bury(workshop: Workshop, one: Fold, error: Exception) -> dict[int, Verdict]:
    """Its newest delivery is dead. What it had overtaken waits on: one of those may well be sound."""
    return _close_dead(workshop, [one.told] if one.told else [*one.asked, *one.metafields], error)


def _close_dead(workshop: Workshop, culprits: Sequence[Waiting], error: Exception) -> dict[int, Verdict]:
    reason = where_it_broke(error)
    verdicts = {delivery.id: Verdict(Outcome.DEAD, reason) for delivery in culprits}
    for delivery in culprits:
        about = {"delivery": delivery.id, "topic": delivery.topic, "resource": delivery.resource_id}
        log.error("delivery_dead", **about, reason=reason)
        telemetry.report(f"A delivery {reason}", **about)
    with workshop.db.begin() as db:
        inbox.close(db, {i: verdicts[i] for i in inbox.lock(db, verdicts)})
    return verdicts
