"""`flask issues …`: failures in groups, with the words of the console's page of that name."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from flask.cli import AppGroup

from adapters import failures, inbox
from adapters.inbox import Filter
from app.command import AS_JSON, FINDINGS, cell, operator, reaching, show, table, tell, who_and_why
from app.filters import TIME, Typed
from app.office import office

issues_group = AppGroup("issues", help="What keeps deliveries from being applied, in groups.")

COLUMNS = [
    *("fingerprint", "state", "topic", "dead", "waiting", "shops", "events", "this_hour", "hour_before", "last_seen"),
    *("owner", "sentence"),
]
NONE = "No delivery has failed. What is wrong with single records: flask lookup, or the merchant's pages."


@issues_group.command("list")
@click.option("--state", type=click.Choice(failures.STATES), help="Only these; otherwise all.")
@click.option("--shop", type=Typed("shop", "SHOP"), help="Failing in this shop; counts are then its own.")
@click.option("--topic", type=Typed("topic", "TOPIC"), help="For example products/update.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=100, show_default=True)
@click.option("--after", help="An issue: those that come after it in the list.")
@AS_JSON
@reaching
def list_issues(
    state: str | None, shop: str | None, topic: str | None, limit: int, after: str | None, as_json: bool
) -> None:
    """Issues, the one that happened last first."""
    with office().db.connect() as db:
        found = failures.listed(db, state=state, shop=shop, topic=topic, most=limit, after=after)
        counts = failures.counts(db)
    rows = [[row[name] for name in COLUMNS] for row in found]
    nothing = "No issue matches." if any(counts.values()) else NONE
    show({"issues": found, "counts": counts}, as_json, lambda: table(COLUMNS, rows, nothing))


@issues_group.command("show")
@click.argument("fingerprint")
@AS_JSON
@reaching
def show_issue(fingerprint: str, as_json: bool) -> None:
    """One issue, what became of its deliveries, and the latest of them."""
    with office().db.connect() as db:
        found = failures.find(db, fingerprint)
        latest = inbox.select(db, Filter(fingerprint=fingerprint), 10)
    if found is None:
        _unknown(fingerprint)
    show({"issue": found, "latest": latest}, as_json, lambda: _print_issue(found, latest))


def _unknown(fingerprint: str) -> None:
    click.echo(f"There is no issue {fingerprint}. `flask issues list` shows which there are.", err=True)
    sys.exit(FINDINGS)


def _print_issue(found: Any, latest: list[dict[str, Any]]) -> None:
    for name, value in found.items():
        told = ", ".join(f"{n} {outcome}" for outcome, n in value.items()) if name == "outcomes" else cell(value)
        tell(f"{name:14} {told}")
    columns = ["id", "received_at", "shop", "resource_id", "state", "outcome", "attempts", "reason"]
    table(columns, [[row[name] for name in columns] for row in latest], "None of its deliveries is kept any more.")


@issues_group.command("ack")
@click.argument("fingerprint")
@who_and_why
@AS_JSON
@reaching
def acknowledge(fingerprint: str, who: str | None, reason: str | None, as_json: bool) -> None:
    """Somebody is working on it: it is theirs."""
    _change(fingerprint, "acknowledged", who, reason, as_json)


@issues_group.command("resolve")
@click.argument("fingerprint")
@who_and_why
@AS_JSON
@reaching
def resolve(fingerprint: str, who: str | None, reason: str | None, as_json: bool) -> None:
    """Its cause is gone. Should it happen again, it is open again."""
    _change(fingerprint, "resolved", who, reason, as_json)


@issues_group.command("ignore")
@click.argument("fingerprint")
@who_and_why
@AS_JSON
@reaching
def ignore(fingerprint: str, who: str | None, reason: str | None, as_json: bool) -> None:
    """It need not be fixed. No alert speaks of it any more, however often it happens."""
    _change(fingerprint, "ignored", who, reason, as_json)


@issues_group.command("snooze")
@click.argument("fingerprint")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), default=24.0, show_default=True)
@click.option("--until", type=TIME, help="A time (UTC) instead of hours.")
@who_and_why
@AS_JSON
@reaching
def snooze(
    fingerprint: str, hours: float, until: datetime | None, who: str | None, reason: str | None, as_json: bool
) -> None:
    """Not now: no alert speaks of it before then, when it is open again by itself."""
    now = datetime.now(UTC)
    end = until or now + timedelta(hours=min(hours, 24 * 365))
    if end <= now:
        raise click.UsageError("--until is in the past. For a while from now: --hours 2.")
    _change(fingerprint, "snoozed", who, reason, as_json, end)


@issues_group.command("reopen")
@click.argument("fingerprint")
@who_and_why
@AS_JSON
@reaching
def reopen(fingerprint: str, who: str | None, reason: str | None, as_json: bool) -> None:
    """It is open again, and nobody's."""
    _change(fingerprint, "open", who, reason, as_json)


def _change(
    fingerprint: str, state: str, who: str | None, reason: str | None, as_json: bool, until: datetime | None = None
) -> None:
    with office().db.begin() as db:
        failures.change(db, fingerprint, state, operator(who), until=until, note=reason)
        found = failures.find(db, fingerprint)
    if found is None:
        _unknown(fingerprint)
    show({"issue": found}, as_json, lambda: tell(_in_words(found)))


def _in_words(found: Any) -> str:
    until = f" until {cell(found['snoozed_until'])}" if found["state"] == "snoozed" else ""
    left = f" {found['dead']:,} of its deliveries are still dead: replay or dismiss them." if found["dead"] else ""
    alerts = " No alert speaks of it any more." if found["state"] == "ignored" else ""
    return f"{found['fingerprint']} is {found['state']}{until}.{alerts}{left}"
