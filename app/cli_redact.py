"""`flask redact`: erase a person or a shop by hand, by the very path that Shopify's compliance topics take."""

import sys
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import click

from adapters import audit, redaction
from app.command import AS_JSON, UNREACHABLE, operator, reaching, show
from app.filter_words import full_domain
from app.installing import ring_for
from app.office import office
from app.webhooks import SHOP

PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.1


@click.command("redact")
@click.argument("shop")
@click.option("--customer", type=click.IntRange(1, 2**63 - 1), help="Erase this customer, for good.")
@click.option("--all", "everything", is_flag=True, help="Erase everything of the shop, its access included.")
@click.option("--reason", help="For the audit.")
@click.option("--yes", is_flag=True, help="Do it. Without this only what would be erased is counted.")
@AS_JSON
@reaching
def redact(shop: str, customer: int | None, everything: bool, reason: str | None, yes: bool, as_json: bool) -> None:
    """Erase what is held of a customer of SHOP, or of all of SHOP, and print the receipt. It cannot be undone."""
    domain = full_domain(shop)
    if (customer is None) is not everything or not SHOP.fullmatch(domain):
        raise click.UsageError("Say either --customer ID or --all, of a *.myshopify.com shop.")
    with office().db.connect() as db:
        held = redaction.held_of_customer(db, domain, customer) if customer else redaction.held_of_shop(db, domain)
    answer: dict[str, Any] = {"shop": domain, "customer": customer, "would_erase": held, "receipt": None}
    if not yes:
        show(answer, as_json, lambda: click.echo(f"Would erase {_in_words(held)}. Add --yes to do it."))
        return
    answer["receipt"] = _erase(domain, customer, sum(held.values()), reason)
    show(answer, as_json, lambda: _print(answer["receipt"]))


def _erase(domain: str, customer: int | None, count: int, reason: str | None) -> dict[str, Any]:
    """Order it and wait for a worker. What was ordered is done even if nobody waits any more."""
    desk, now = office(), datetime.now(UTC)
    act = "customer redacted" if customer else "shop redacted"
    target = f"{domain} customer {customer}" if customer else domain
    with desk.db.begin() as db:
        delivery = redaction.order(db, domain, customer, f"redact:{uuid.uuid4()}", now)
        audit.note(db, operator(None), act, why=reason, count=count, target=target)
    ring_for(desk, domain)
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        with desk.db.connect() as db:
            found = redaction.receipt(db, domain, customer, now)
            outcome, why = redaction.outcome(db, delivery)
        if found is not None:
            return found
        if outcome is not None:
            click.echo(f"It was not done: {why}", err=True)
            sys.exit(UNREACHABLE)
        time.sleep(LOOK_SECONDS)
    click.echo(f"Ordered as delivery {delivery}; it is done as soon as a worker of the lane live runs.", err=True)
    sys.exit(UNREACHABLE)


def _in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {table}" for table, count in counts.items())


def _print(receipt: dict[str, Any]) -> None:
    click.echo(f"Erased {_in_words(receipt['counts'])} (receipt {receipt['id']}).")
