"""`flask subscriptions`: does Shopify tell us of everything, once, and whole?"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click
from flask.cli import AppGroup

from adapters import access, audit, fetch, subscriptions
from adapters.shops import Shop
from app.command import AS_JSON, FINDINGS, UNREACHABLE, known_shop, operator, reaching, show, table
from app.office import office
from domain.failures import Permanent, TokenDead, Transient
from domain.subscriptions import Finding, Ours, Plan, Subscription, Wish, compare, desired

P = ParamSpec("P")
R = TypeVar("R")
subscriptions_group = AppGroup("subscriptions", help="A shop's webhook subscriptions.")
COLUMNS = ["topic", "kind", "sentence"]


def asking_shopify(command: Callable[P, R]) -> Callable[P, R]:
    """A shop that does not answer is one sentence and exit status 3."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (Transient, Permanent) as trouble:
            click.echo(str(trouble), err=True)
            sys.exit(UNREACHABLE)

    return wrapped


@subscriptions_group.command("diff")
@click.argument("shop")
@AS_JSON
@reaching
@asking_shopify
def diff(shop: str, as_json: bool) -> None:
    """What SHOP's subscriptions lack, and what is wrong with them. Exit status 1 when anything is."""
    found = known_shop(shop)
    ours = _ours()
    plan = _plan(found, ours)
    answer = {"shop": found.domain, "mode": ours.mode, **_as_json(plan)}
    show(answer, as_json, lambda: _print(plan.findings))
    sys.exit(FINDINGS if plan.findings or plan.changes_something else 0)


@subscriptions_group.command("fix")
@click.argument("shop")
@AS_JSON
@reaching
@asking_shopify
def fix(shop: str, as_json: bool) -> None:
    """Do what diff shows. Exit status 1 when something is still different."""
    found = known_shop(shop)
    ours = _ours()
    plan = _plan(found, ours)
    refused = subscriptions.mend(office().admin, found.domain, _token(found), plan)
    if plan.changes_something:
        count = len(plan.remove) + len(plan.create) + len(plan.update)
        with office().db.begin() as db:
            audit.note(db, operator(None), "subscriptions fixed", count=count, target=found.domain)
    left = _plan(found, ours) if plan.changes_something else plan
    answer = {
        "shop": found.domain,
        "mode": ours.mode,
        "removed": [one.topic for one in plan.remove],
        "created": [wish.topic for wish in plan.create],
        "updated": [one.topic for one, _ in plan.update],
        "refused": [{"topic": refusal.topic, "sentence": refusal.sentence} for refusal in refused],
        "findings": [_finding(finding) for finding in left.findings],
    }
    show(answer, as_json, lambda: _print_done(answer, left.findings))
    sys.exit(FINDINGS if left.findings or left.changes_something else 0)


def _ours() -> Ours:
    settings = office().settings
    return Ours(f"{settings.app_url}/webhooks", settings.shopify_api_version, settings.webhook_subscriptions)


def _plan(shop: Shop, ours: Ours) -> Plan:
    client, token = office().admin, _token(shop)
    scopes = fetch.shop_facts(client, shop.domain, token).scopes if ours.mode == "shop" else None
    actual = subscriptions.listed(client, shop.domain, token)
    return compare(desired(ours, scopes), actual, ours, datetime.now(UTC))


def _token(shop: Shop) -> str:
    desk = office()
    fresh = access.with_fresh_token(desk.db, desk.vault, desk.tokens, shop, datetime.now(UTC))
    if fresh.token is None:
        raise TokenDead(f"{shop.domain} has no token. Open the app in the Shopify admin, or add the shop again.")
    return fresh.token


def _as_json(plan: Plan) -> dict[str, Any]:
    return {
        "create": [_wish(wish) for wish in plan.create],
        "remove": [_subscription(one) for one in plan.remove],
        "update": [{"from": _subscription(one), "to": _wish(wish)} for one, wish in plan.update],
        "findings": [_finding(finding) for finding in plan.findings],
    }


def _wish(wish: Wish) -> dict[str, Any]:
    return {"topic": wish.topic, "address": wish.address, "metafield_namespaces": wish.metafield_namespaces}


def _subscription(one: Subscription) -> dict[str, Any]:
    return {
        "id": one.id,
        "topic": one.topic,
        "address": one.address,
        "api_version": one.version,
        "include_fields": one.include_fields,
        "filter": one.filter,
        "metafield_namespaces": one.metafield_namespaces,
        "format": one.format,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "topic": finding.topic,
        "kind": finding.kind.value,
        "subscription": finding.subscription,
        "sentence": finding.cause,
        "fix": finding.fix,
    }


def _print(findings: tuple[Finding, ...]) -> None:
    rows = [[finding.topic, finding.kind.value, f"{finding.cause} {finding.fix}"] for finding in findings]
    table(COLUMNS, rows, "Nothing differs.")


def _print_done(answer: dict[str, Any], left: tuple[Finding, ...]) -> None:
    counts = ", ".join(f"{len(answer[name])} {name}" for name in ("removed", "created", "updated"))
    click.echo(f"{counts}.")
    for refusal in answer["refused"]:
        click.echo(f"Shopify refused {refusal['topic']}: {refusal['sentence']}")
    if left:
        _print(left)
