"""`flask …`: the same words as the API and the screens. With --json, stdout holds one JSON document and nothing else.

Exit status: 0 fine · 1 findings · 2 usage · 3 unreachable.
"""

import sys
from collections.abc import Mapping
from typing import Any, ParamSpec, TypeVar

import click
from flask import Flask
from flask.cli import AppGroup
from sqlalchemy import Connection
from werkzeug.security import generate_password_hash

from adapters import attempts, audit, database, failures, inbox, shops
from adapters.inbox import Filter
from app import against_mirror, lookup
from app.api import dump
from app.cli_doctor import examine, secrets_group
from app.cli_issues import issues_group
from app.cli_keys import keys_group
from app.cli_redact import redact
from app.cli_replays import dismiss, replay, replays_group
from app.cli_retention import retention
from app.cli_runs import feeds_group, gaps, runs_group
from app.cli_subscriptions import subscriptions_group
from app.command import AS_JSON, FINDINGS, NUMBER, cell, known_shop, operator, reaching, show, table, tell
from app.filters import filters, read_filter
from app.installing import installed
from app.office import office
from app.pretty import pretty
from app.webhooks import SHOP

P = ParamSpec("P")
R = TypeVar("R")
shops_group = AppGroup("shops", help="The shops that are served.")
deliveries_group = AppGroup("deliveries", help="What was received and what became of it.")
ops_group = AppGroup("ops", help="The on-call console.")


def register(app: Flask) -> None:
    groups = (
        shops_group,
        feeds_group,
        runs_group,
        deliveries_group,
        issues_group,
        replays_group,
        subscriptions_group,
        secrets_group,
        keys_group,
        ops_group,
    )
    for command in (migrate, look_up, explain, gaps, examine, redact, retention, *groups):
        app.cli.add_command(command)
    deliveries_group.add_command(replay)
    deliveries_group.add_command(dismiss)


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
    with office().db.begin() as db:
        audit.note(db, operator(None), "shop given a token", target=domain)
    answer = {"domain": domain, "state": "active"}
    show(answer, as_json, lambda: click.echo(f"{domain} is active."))


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
    with office().db.begin() as db:
        for one in (feed,) if feed else lookup.FEEDS:
            answers[one] = lookup.look_up(db, office().vault, found.domain, one, query, found.rule.tag)
        _note_lookup(db, found.domain, answers)
    best = _best(answers)
    show(best, as_json, lambda: _print_lookup(best))
    sys.exit(0 if best["results"] else FINDINGS)


def _note_lookup(db: Connection, shop: str, answers: Mapping[str, Any]) -> None:
    """Who was shown a person stands in the audit, for nobody keeps a terminal's log. The words might name somebody."""
    people = answers.get("customers")
    if people is not None and people["results"]:
        target = f"{shop} customers by {people['read_as']}"
        audit.note(db, operator(None), "customers looked up", count=len(people["results"]), target=target)


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
    with office().db.begin() as db:
        answer = lookup.explain(db, office().vault, found.domain, query, found.rule.tag)
        _note_lookup(db, found.domain, {told["feed"]: told for told in answer["feeds"]})
    show(answer, as_json, lambda: _print_explanation(answer))
    sys.exit(0 if any(feed["results"] for feed in answer["feeds"]) else FINDINGS)


def _print_explanation(answer: Any) -> None:
    for feed in answer["feeds"]:
        click.echo(feed["sentence"])
        for step in feed["steps"]:
            click.echo(f"  {step['sentence']}")


COLUMNS = ["id", "received_at", "shop", "topic", "resource_id", "state", "outcome", "attempts", "copies", "reason"]


@deliveries_group.command("list")
@filters
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option("--before", type=NUMBER, help="Older than this delivery: the next page.")
@AS_JSON
@reaching
def list_deliveries(limit: int, before: int | None, as_json: bool, **words: Any) -> None:
    """Deliveries, newest first."""
    chosen = read_filter(words)
    with office().db.connect() as db:
        found = inbox.select(db, chosen, limit, before=before)
    rows = [[row[name] for name in COLUMNS] for row in found]
    nothing = "No delivery matches."
    nothing += f" {inbox.SEARCH_BOUND}" if inbox.is_bounded(chosen) else ""
    show({"deliveries": found}, as_json, lambda: table(COLUMNS, rows, nothing))


@deliveries_group.command("show")
@click.argument("delivery", type=NUMBER)
@click.option("--body", "with_body", is_flag=True, help="Its body as well, where one is kept.")
@AS_JSON
@reaching
def show_delivery(delivery: int, with_body: bool, as_json: bool) -> None:
    """One delivery: its whole story, attempts newest first, and how its body differs from the mirror."""
    with office().db.connect() as db:
        found = inbox.select(db, Filter(id=delivery), details=True)
        if not found:
            click.echo(f"There is no delivery {delivery}.", err=True)
            sys.exit(FINDINGS)
        beyond = inbox.count_beyond_replay(db, Filter(id=delivery))
        story = {
            **found[0],
            "issue": failures.find(db, found[0]["fingerprint"]) if found[0]["fingerprint"] else None,
            "replayable": not beyond,
            "tried": attempts.of(db, delivery),
        }
        body = inbox.bodies(db, [delivery])[delivery]
        story["difference"] = against_mirror.difference(db, story, bytes(body)) if body else None
        if with_body:
            story["body"] = pretty(bytes(body))[0] if body else None
    show(story, as_json, lambda: _print_delivery(story))


def _print_delivery(story: dict[str, Any]) -> None:
    for name in inbox.DETAILS:
        tell(f"{name:14} {cell(story[name])}")
    if story["issue"]:
        tell(f"{'issue':14} {story['issue']['state']}: {story['issue']['sentence']}")
    if not story["replayable"]:
        click.echo(inbox.NOTHING_TO_REPLAY)
    for one in story["tried"]:
        what = f"was {one['outcome']}" if one["outcome"] else f"attempt {one['n']} failed"
        where = f"  [{one['worker']}, code {one['version']}]" if one["worker"] else ""
        tell(f"  {cell(one['at'])}  {what}: {one['sentence']}{where}")
    if story["difference"]:
        tell(story["difference"]["sentence"])
        rows = [[change.path, change.before, change.after] for change in story["difference"]["changes"]]
        if rows:
            table(["field", "mirror", "this body"], rows, "")
    if "body" in story:
        for line in (story["body"] or "No body is kept of it.").splitlines():
            tell(line)


@ops_group.command("hash-password")
@click.password_option(help="Asked for when not given.")
@AS_JSON
def hash_password(password: str, as_json: bool) -> None:
    """A hash for OPS_USERS."""
    hashed = generate_password_hash(password)
    show({"hash": hashed}, as_json, lambda: click.echo(hashed))
