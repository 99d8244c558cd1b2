"""`flask …`: the same words as the API and the screens. With --json, stdout holds one JSON document and nothing else.

Exit status: 0 fine · 1 findings · 2 usage · 3 unreachable.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

import click
from flask import Flask
from flask.cli import AppGroup
from werkzeug.security import generate_password_hash

from adapters import database, inbox, shops
from adapters.inbox import Filter
from app import lookup
from app.api import dump
from app.cli_runs import feeds_group, gaps, runs_group
from app.cli_subscriptions import subscriptions_group
from app.command import AS_JSON, FINDINGS, cell, full_domain, known_shop, reaching, show, table
from app.installing import installed, ring_for
from app.office import office
from app.webhooks import SHOP
from domain.topics import ROUTES

P = ParamSpec("P")
R = TypeVar("R")
shops_group = AppGroup("shops", help="The shops that are served.")
deliveries_group = AppGroup("deliveries", help="What was received and what became of it.")
ops_group = AppGroup("ops", help="The on-call console.")


def register(app: Flask) -> None:
    groups = (shops_group, feeds_group, runs_group, deliveries_group, subscriptions_group, ops_group)
    for command in (migrate, look_up, explain, gaps, *groups):
        app.cli.add_command(command)


@click.command("migrate")
@AS_JSON
@reaching
def migrate(as_json: bool) -> None:
    """Bring the database's schema to the newest revision."""
    database.migrate(office().settings.database_url)
    show({"current": True}, as_json, lambda: click.echo("The schema is current."))


@shops_group.command("add")
@click.argument("domain")
@click.option("--token", required=True, help="A custom app's lasting Admin API token.")
@AS_JSON
@reaching
def add_shop(domain: str, token: str, as_json: bool) -> None:
    """Install DOMAIN, or give it a new token: both feeds are imported, and waiting mail is due at once."""
    domain = domain.lower()
    if not SHOP.fullmatch(domain):
        raise click.UsageError("DOMAIN is the shop's myshopify.com domain, for example acme.myshopify.com.")
    installed(office(), domain, token)
    answer = {"domain": domain, "state": "active"}
    show(answer, as_json, lambda: click.echo(f"{domain} is active."))


def _ring_for(domain: str) -> None:
    """The sweep would do it a few seconds later."""
    if not ring_for(office(), domain):
        click.echo("Redis does not answer; the waiting mail is found by the next sweep.", err=True)


@shops_group.command("list")
@AS_JSON
@reaching
def list_shops(as_json: bool) -> None:
    """Every shop and its state."""
    with office().db.connect() as db:
        found = shops.listed(db)
    columns = ["domain", "state", "installed_at"]
    rows = [[shop[name] for name in columns] for shop in found]
    show({"shops": found}, as_json, lambda: table(columns, rows, "No shop yet: flask shops add DOMAIN --token TOKEN"))


@click.command("lookup")
@click.argument("shop")
@click.argument("query")
@click.option("--feed", type=click.Choice(lookup.FEEDS), help="Look in one feed only.")
@AS_JSON
@reaching
def look_up(shop: str, query: str, feed: str | None, as_json: bool) -> None:
    """What does SparkLayer know about QUERY (a SKU, an id, an address, a name …)?"""
    found = known_shop(shop)
    answers = {}
    with office().db.connect() as db:
        for one in (feed,) if feed else lookup.FEEDS:
            answers[one] = lookup.look_up(db, office().vault, found.domain, one, query, found.rule.tag)
    best = _best(answers)
    show(best, as_json, lambda: _print_lookup(best))
    sys.exit(0 if best["results"] else FINDINGS)


def _best(answers: dict[str, Any]) -> Any:
    """One answer, in the shape of the API's: the feed that found something, else the one that knows why not."""
    known = ("waiting", "removed", "not_eligible", "never_seen", "malformed")
    return min(
        answers.values(),
        key=lambda a: (not a["results"], known.index(a["absent"]["state"]) if a["absent"] else 0),
    )


def _print_lookup(answer: Any) -> None:
    if not answer["results"]:
        click.echo(answer["absent"]["sentence"])
    for result in answer["results"]:
        click.echo(f"{result['admin_url']}  (matched by {result['match']}, as of {cell(result['as_of'])})")
        click.echo(dump(result["record"], indent=True).decode())
        for issue in result["issues"]:
            click.echo(f"  {issue['severity']}: {issue['sentence']} {issue['fix']}  [{issue['code']} {issue['path']}]")


@click.command("explain")
@click.argument("shop")
@click.argument("query")
@AS_JSON
@reaching
def explain(shop: str, query: str, as_json: bool) -> None:
    """Why is QUERY here, or why not? A sentence for each step."""
    found = known_shop(shop)
    with office().db.connect() as db:
        answer = lookup.explain(db, office().vault, found.domain, query, found.rule.tag)
    show(answer, as_json, lambda: _print_explanation(answer))
    sys.exit(0 if any(feed["results"] for feed in answer["feeds"]) else FINDINGS)


def _print_explanation(answer: Any) -> None:
    for feed in answer["feeds"]:
        click.echo(feed["sentence"])
        for step in feed["steps"]:
            click.echo(f"  {step['sentence']}")


def filters(command: Callable[P, R]) -> Callable[P, R]:
    """The same words on every command and screen."""
    # Whatever a screen or an answer shows can be pasted back.
    times = click.DateTime(
        [
            *("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"),
            *("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"),
        ]
    )
    for option in (
        click.option("--shop", help="The shop's domain."),
        click.option("--topic", type=click.Choice(sorted(ROUTES)), help="For example products/update."),
        click.option(
            "--outcome",
            type=click.Choice(["applied", "unchanged", "superseded", "filtered", "deleted", "dead", "waiting"]),
        ),
        click.option("--error", help="Words of the reason."),
        click.option("--since", type=times, help="Received at or after (UTC)."),
        click.option("--until", type=times, help="Received before (UTC)."),
        click.option("--resource", type=int, help="The product's or customer's id."),
        click.option("--id", "delivery", type=int, help="One delivery."),
    ):
        command = option(command)
    return command


def _filter(words: dict[str, Any]) -> Filter:
    def utc(moment: datetime | None) -> datetime | None:
        return moment.replace(tzinfo=UTC) if moment else None

    domain = full_domain(words["shop"]) if words["shop"] else None
    return Filter(
        shop=domain,
        topic=words["topic"],
        outcome=words["outcome"],
        error=words["error"],
        since=utc(words["since"]),
        until=utc(words["until"]),
        resource=words["resource"],
        id=words["delivery"],
    )


COLUMNS = ["id", "received_at", "shop", "topic", "resource_id", "state", "outcome", "attempts", "copies", "reason"]


@deliveries_group.command("list")
@filters
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@AS_JSON
@reaching
def list_deliveries(limit: int, as_json: bool, **words: Any) -> None:
    """Deliveries, newest first."""
    with office().db.connect() as db:
        found = inbox.select(db, _filter(words), limit)
    rows = [[row[name] for name in COLUMNS] for row in found]
    show({"deliveries": found}, as_json, lambda: table(COLUMNS, rows, "No delivery matches."))


@deliveries_group.command("show")
@click.argument("delivery", type=int)
@AS_JSON
@reaching
def show_delivery(delivery: int, as_json: bool) -> None:
    """One delivery."""
    with office().db.connect() as db:
        found = inbox.select(db, Filter(id=delivery))
    if not found:
        click.echo(f"There is no delivery {delivery}.", err=True)
        sys.exit(FINDINGS)
    lines = "\n".join(f"{name:14} {cell(value)}" for name, value in found[0].items())
    show(found[0], as_json, lambda: click.echo(lines))


@deliveries_group.command("replay")
@filters
@click.option("--yes", is_flag=True, help="Do it. Without this only the forecast is shown.")
@AS_JSON
@reaching
def replay(yes: bool, as_json: bool, **words: Any) -> None:
    """Open closed deliveries again, in the lane that never delays live mail."""
    chosen = _filter(words)
    desk = office()
    with desk.db.begin() as db:
        matching = inbox.forecast(db, chosen)
        domains = {row["shop"] for row in inbox.select(db, chosen, 10_000)} if yes else set()
        reopened = inbox.reopen(db, chosen) if yes else 0
    for domain in domains:
        _ring_for(domain)
    answer = {"matching": matching, "reopened": reopened}
    what = ", ".join(f"{count} {outcome}" for outcome, count in matching.items()) or "nothing"
    said = f"{reopened} reopened ({what})." if yes else f"Would reopen {what}. Add --yes to do it."
    show(answer, as_json, lambda: click.echo(said))


@deliveries_group.command("dismiss")
@filters
@click.option("--reason", required=True, help="Why these need not be applied.")
@click.option("--yes", is_flag=True, help="Do it. Without this only the count is shown.")
@AS_JSON
@reaching
def dismiss(reason: str, yes: bool, as_json: bool, **words: Any) -> None:
    """Close dead deliveries without applying them."""
    chosen = _filter(words)
    with office().db.begin() as db:
        dead = inbox.count_dead(db, chosen)
        dismissed = inbox.dismiss(db, chosen, reason) if yes else 0
    said = f"{dismissed} dismissed." if yes else f"Would dismiss {dead}. Add --yes to do it."
    show({"matching": {"dead": dead}, "dismissed": dismissed}, as_json, lambda: click.echo(said))


@ops_group.command("hash-password")
@click.password_option(help="Asked for when not given.")
@AS_JSON
def hash_password(password: str, as_json: bool) -> None:
    """A hash for OPS_USERS."""
    hashed = generate_password_hash(password)
    show({"hash": hashed}, as_json, lambda: click.echo(hashed))
