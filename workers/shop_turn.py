"""A turn's mail about the shop itself: uninstalled, redacted, asked for a person's data. In order, one at a time."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import orjson
from sqlalchemy import Connection, text

from adapters import database, email_clashes, health, inbox, mirror_customers, redaction, shops
from domain.deliveries import Outcome, Verdict, Waiting
from domain.topics import Act

# https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance: shop/redact comes so long after an uninstall
REDACTED_AFTER = timedelta(hours=48)


def decide(db: Connection, domain: str, delivery: Waiting) -> Verdict:
    """Do what the delivery asks, in the caller's transaction, and say what became of it."""
    return _DEEDS[delivery.act](db, domain, delivery)


def _uninstall(db: Connection, domain: str, delivery: Waiting) -> Verdict:
    if shops.uninstall(db, domain, delivery.triggered_at):
        return Verdict(Outcome.APPLIED, "the shop removed the app; its token is forgotten")
    health.check_soon(db, domain)  # should our clock be ahead of Shopify's, it is the token that knows
    return Verdict(Outcome.SUPERSEDED, "a late notice of an earlier installation, or an unknown shop")


def _changed(db: Connection, domain: str, delivery: Waiting) -> Verdict:
    """What waited for a scope need not wait for its pause to end.

    Which scopes there are is asked of Shopify, not read from the notice: an older one may come after a newer one.
    """
    inbox.hurry(db, domain)
    if delivery.topic == "app/scopes_update":
        health.check_soon(db, domain)
    return Verdict(Outcome.UNCHANGED, "noted; what was waiting for Shopify is tried again now")


def _noted(_db: Connection, _domain: str, _delivery: Waiting) -> Verdict:
    return Verdict(Outcome.UNCHANGED, "noted; nothing in the mirror depends on it")


def _redact_customer(db: Connection, domain: str, delivery: Waiting) -> Verdict:
    """Erase the person and leave a mark that keeps any later delivery from bringing them back."""
    database.sole_writer(db, domain, "customers")
    held = mirror_customers.hold(db, domain, [delivery.resource_id] if delivery.resource_id else []).values()
    shared = {customer.email_index for customer in held if customer.email_index}
    counts = {
        "customers": _count(
            db,
            """WITH before AS (SELECT 1 FROM customers WHERE shop = :shop AND id = :id AND state = 'member'),
                    mark AS (INSERT INTO customers (shop, id, state, reason, since, at, seen, redacted)
                             VALUES (:shop, :id, 'removed', 'redacted at the request of the shop', now(), now(), now(),
                                     true)
                             ON CONFLICT (shop, id) DO UPDATE
                             SET state = 'removed', reason = excluded.reason, since = now(), at = now(), seen = now(),
                                 record = NULL, record_hash = NULL, rule = NULL, matched = NULL, company_name = NULL,
                                 email_index = NULL, phone_index = NULL, word_indexes = NULL, source = NULL,
                                 redacted = true)
               SELECT count(*) FROM before""",
            domain,
            delivery,
        ),
        "issues": _count(
            db,
            # Those of others as well that name this customer; the clashes that still are get written anew below.
            r"""WITH gone AS (DELETE FROM issues WHERE shop = :shop AND feed = 'customers'
                              AND (resource_id = :id
                                   OR facts ->> 'others' ~ ('\ycustomer ' || CAST(:id AS text) || '\y'))
                              RETURNING 1)
                SELECT count(*) FROM gone""",
            domain,
            delivery,
        ),
    }
    email_clashes.renew(db, domain, shared)
    _receipt(db, domain, delivery, counts)
    return Verdict(Outcome.APPLIED, "the customer's data is erased; see the receipt")


def _redact_shop(db: Connection, domain: str, delivery: Waiting) -> Verdict:
    """Erase everything of the shop, unless it has been installed again since the uninstall that this speaks of.

    Its uninstall may never have been told of, nor its reinstall: what counts is when Shopify last granted access, which
    it does not do for an app that is not installed. Where access was lost again, that must have been after this.
    An operator's own order (`flask redact`) speaks of no uninstall, and is obeyed.
    """
    uninstalled_at = delivery.triggered_at - REDACTED_AFTER
    ordered_here = delivery.source == "operator"
    if not ordered_here and shops.is_proven_since(db, domain, uninstalled_at, needs_auth_at=delivery.triggered_at):
        return Verdict(Outcome.SUPERSEDED, "the shop has been installed again since the uninstall that this speaks of")
    for feed in ("products", "customers"):
        database.sole_writer(db, domain, feed)
    counts = {table: _erase(db, table, domain) for table in redaction.OF_SHOP if table != "deliveries"}
    statement = text("DELETE FROM deliveries WHERE shop = :shop AND id <> :id AND topic <> ALL(:kept)")
    kept = ["shop/redact", "customers/redact", "customers/data_request"]
    counts["deliveries"] = db.execute(statement, {"shop": domain, "id": delivery.id, "kept": kept}).rowcount
    counts["shops"] = db.execute(text("DELETE FROM shops WHERE domain = :shop"), {"shop": domain}).rowcount
    _receipt(db, domain, delivery, counts)
    return Verdict(Outcome.APPLIED, "everything of the shop is erased; see the receipt")


def _report_customer(db: Connection, domain: str, delivery: Waiting) -> Verdict:
    """The receipt says whether we hold anything of this person, so that the merchant can be answered."""
    held = _count(
        db, "SELECT count(*) FROM customers WHERE shop = :shop AND id = :id AND state = 'member'", domain, delivery
    )
    _receipt(db, domain, delivery, {"customers": held})
    return Verdict(Outcome.APPLIED, "noted for the merchant; see the receipt")


def _erase(db: Connection, table: str, domain: str) -> int:
    return db.execute(text(f"DELETE FROM {table} WHERE shop = :shop"), {"shop": domain}).rowcount  # noqa: S608 — own names


def _count(db: Connection, statement: str, domain: str, delivery: Waiting) -> int:
    return int(db.execute(text(statement), {"shop": domain, "id": delivery.resource_id}).scalar_one())


def _receipt(db: Connection, domain: str, delivery: Waiting, counts: Mapping[str, int]) -> None:
    """What was found and erased, by count. Domain, ids and times may survive; nothing personal does."""
    statement = text("""INSERT INTO receipts (shop, topic, resource_id, requested_at, counts)
                        VALUES (:shop, :topic, :id, :at, CAST(:counts AS jsonb))""")
    values = {"shop": domain, "topic": delivery.topic, "id": delivery.resource_id, "at": delivery.triggered_at}
    db.execute(statement, values | {"counts": orjson.dumps(counts).decode()})


_DEEDS: Mapping[Act, Callable[[Connection, str, Waiting], Verdict]] = {
    Act.UNINSTALL: _uninstall,
    Act.SHOP: _changed,
    Act.BULK: _noted,
    Act.REDACT_CUSTOMER: _redact_customer,
    Act.REDACT_SHOP: _redact_shop,
    Act.REPORT_CUSTOMER: _report_customer,
}
