"""Feeds, runs and gaps as the API, the command line and the pages show them."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from adapters import activity, inbox, issue_log, mirror_customers, mirror_products, runs
from adapters.shops import Shop
from domain.feed_state import FeedFacts, state_of
from settings import Settings

Answer = dict[str, Any]
FEEDS = runs.FEEDS


def feed(db: Connection, shop: Shop, settings: Settings, name: str) -> Answer:
    """The contract's answer to `GET /feeds/{feed}`."""
    row: Mapping[str, Any] = runs.feed(db, shop.domain, name) or {}
    issues = issue_log.count_open(db, shop.domain, name)
    mirror = mirror_products if name == "products" else mirror_customers
    synchronised = mirror.count(db, shop.domain)
    facts = FeedFacts(
        feed=name,
        shop_state=shop.state,
        synchronised=synchronised,
        checked=row.get("checked"),
        last_import_at=row.get("last_import_at"),
        last_complete_at=row.get("last_complete_at"),
        failing_because=row.get("failing_because"),
        errors=issues["error"],
        interval=timedelta(seconds=row.get("reconcile_seconds") or settings.reconcile_seconds),
        b2b_tag=shop.rule.tag,
    )
    state = state_of(facts, datetime.now(UTC))
    return {
        "feed": name,
        "state": state.state,
        "reason": state.reason,
        "sentence": state.sentence,
        "synchronised": synchronised,
        "expected": row.get("expected"),
        "last_import_at": row.get("last_import_at"),
        "last_complete_at": row.get("last_complete_at"),
        "last_attempt_at": row.get("last_attempt_at"),
        "open_issues": issues,
        "waiting": inbox.count_waiting(db, shop.domain, name),
        "running": _running(runs.going(db, shop.domain, name)),
        "next_run_at": row.get("next_run_at") if shop.state == "active" else None,
    }


def _running(row: Mapping[str, Any] | None) -> Answer | None:
    if row is None:
        return None
    return {
        "id": row["id"],
        "trigger": row["trigger"],
        "complete": row["complete"],
        "progress": progress(row),
        "eta_seconds": _eta(row),
        "seen": row["seen"],
        "expected": row["expected"],
    }


def progress(row: Mapping[str, Any]) -> float | None:
    """The share of the feed that was read, from 0 to 1; None while Shopify has not said how much there is."""
    if not row["expected"]:
        return None
    share: float = row["seen"] / row["expected"]
    return round(min(share, 1.0), 3)


def _eta(row: Mapping[str, Any]) -> int | None:
    """Seconds to go at the pace so far."""
    share = progress(row)
    if not share:
        return None
    passed = (datetime.now(UTC) - row["started_at"]).total_seconds()
    return int(passed * (1 - share) / share)


RUN = (
    *(
        "id",
        "shop",
        "feed",
        "trigger",
        "who",
        "complete",
        "state",
        "seen",
        "created",
        "changed",
        "unchanged",
        "removed",
    ),
    *("rejected", "expected", "started_at", "finished_at", "reason"),
)


def run(row: Mapping[str, Any]) -> Answer:
    """The contract's answer to `GET /runs/{id}`."""
    eta = _eta(row) if row["state"] == "running" else None
    return {name: row[name] for name in RUN} | {"progress": progress(row), "eta_seconds": eta}


MOST_GAPS = 10_000


def gaps(db: Connection, shop: str, since: datetime, *, before: int | None = None, most: int = MOST_GAPS) -> Answer:
    """What the webhooks missed, why, and how soon it was repaired; and all of it in numbers and in one sentence."""
    found = runs.gaps(db, shop, since, most + 1, before=before)
    told = [{name: gap[name] for name in GAP} for gap in found[:most]]
    return {"gaps": told, "next": found[most - 1]["number"] if len(found) > most else None, **missed(db, shop, since)}


GAP = ("feed", "id", "topic", "changed_at", "repaired_at", "run", "cause")


def missed(db: Connection, shop: str, since: datetime, feed: str | None = None) -> Answer:
    """The same in numbers and in one sentence, of one feed or of both."""
    causes: Counter[str] = Counter()
    days: dict[str, Counter[str]] = {}
    found = runs.gap_counts(db, shop, since, feed)
    for row in found:
        causes[row["cause"]] += row["n"]
        days.setdefault(row["day"], Counter())[row["topic"] or "no webhook exists"] += row["n"]
    slowest = max((row["slowest"] for row in found if row["slowest"] is not None), default=None)
    changes = activity.arrived(db, shop, since, feed)
    return {
        "counts": dict(causes.most_common()),
        "days": {day: dict(topics) for day, topics in days.items()},
        "sentence": _in_words(changes, causes, slowest, since, feed),
    }


def _in_words(
    changes: int, causes: Mapping[str, int], slowest: timedelta | None, since: datetime, feed: str | None
) -> str:
    missed = causes.get("never_delivered", 0)
    silent = causes.get("no_webhook", 0)
    hours = max(1, round((datetime.now(UTC) - since).total_seconds() / 3600))
    total = changes + missed + silent  # of all others a webhook came, sooner or later
    made = ("1 change" if total == 1 else f"{total:,} changes") + (f" to {feed}" if feed else "")
    sentence = f"In the last {hours} h Shopify made {made} that we know of; {_did_not_arrive(missed)}"
    if silent:
        sentence += f"; for {silent:,} of them Shopify sends none"
    return f"{sentence}; repaired after {_span(slowest)} at most." if slowest else f"{sentence}."


def _did_not_arrive(missed: int) -> str:
    return {0: "every webhook arrived", 1: "1 webhook did not arrive"}.get(
        missed, f"{missed:,} webhooks did not arrive"
    )


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
