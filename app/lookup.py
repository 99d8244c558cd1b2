"""What does SparkLayer know about this? One answer for the API, the command line and the pages."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection

from adapters import inbox, issue_log, lookup, mirror_customers, mirror_products
from adapters.mirror_customers import StoredCustomer
from adapters.mirror_products import StoredProduct
from adapters.vault import Vault
from domain.eligibility import Eligibility
from domain.query import Candidate, Query, read_customer_query, read_product_query
from domain.sparklayer import customer_record, product_record

Answer = dict[str, Any]
FEEDS = ("products", "customers")


def look_up(db: Connection, vault: Vault, shop: str, feed: str, typed: str, tag: str = "b2b") -> Answer:
    """The contract's answer to `GET /products?q=` and `GET /customers?q=`; exact matches before fuzzy ones."""
    query = read_product_query(typed) if feed == "products" else read_customer_query(typed)
    matches = _matches(db, vault, shop, feed, query)
    if feed == "products":
        results = _product_results(db, shop, matches)
    else:
        results = _customer_results(db, vault, shop, matches, tag)
    absent = None if results else _absent(db, vault, shop, feed, query)
    return {"query": typed, "read_as": _read_as(query, matches), "results": results, "absent": absent}


def _matches(db: Connection, vault: Vault, shop: str, feed: str, query: Query) -> dict[int, str]:
    """By record id, how it matched first. A prefix is tried only when nothing matched exactly."""
    found: dict[int, str] = {}
    for candidate in query.candidates:
        if candidate.field in ("title", "name") and found:
            continue
        if feed == "products":
            rows = lookup.products_by(db, shop, candidate.field, candidate.value)
        else:
            rows = lookup.customers_by(db, vault, shop, candidate.field, candidate.value)
        for record_id, match in rows:
            found.setdefault(record_id, match)
    return found


_READ_AS = {
    "variant_sku": "sku",
    "product_id": "id",
    "variant_id": "id",
    "customer_id": "id",
    "company_name": "name",
}


def _read_as(query: Query, matches: Mapping[int, str]) -> str:
    """What the words turned out to be. A link or GID stays one; plain words are what they matched as."""
    if query.read_as in ("gid", "admin_url", "malformed", "internal_id") or not matches:
        return query.read_as
    first = next(iter(matches.values()))
    return _READ_AS.get(first, first)


def _product_results(db: Connection, shop: str, matches: Mapping[int, str]) -> list[Answer]:
    products = mirror_products.load(db, shop, list(matches))
    issues = issue_log.open_of(db, shop, "products", list(products))
    results = []
    for i, match in matches.items():
        product = products.get(i)
        if product is not None and product.core is not None and product.removed_at is None:
            record = product_record(product.core, product.metafields)
            results.append(_result(shop, "products", product, match, record, issues[i]))
    return results


def _customer_results(db: Connection, vault: Vault, shop: str, matches: Mapping[int, str], tag: str) -> list[Answer]:
    customers = mirror_customers.load(db, vault, shop, list(matches))
    issues = issue_log.open_of(db, shop, "customers", list(customers))
    results = []
    for i, match in matches.items():
        customer = customers.get(i)
        if customer is not None and customer.customer is not None:
            eligibility = Eligibility(belongs=True, rule=_rule(customer), matched=customer.matched)
            record = customer_record(customer.customer, eligibility, tag)
            results.append(_result(shop, "customers", customer, match, record, issues[i]))
    return results


def _rule(customer: StoredCustomer) -> Literal["tag", "metafield"]:
    return "metafield" if customer.rule == "metafield" else "tag"


def _result(
    shop: str,
    feed: str,
    found: StoredProduct | StoredCustomer,
    match: str,
    record: Answer,
    issues: Sequence[Answer],
) -> Answer:
    return {
        "id": found.id,
        "match": match,
        "record": record,
        "as_of": found.as_of,
        "source": found.source,
        "issues": list(issues),
        "admin_url": admin_url(shop, feed, found.id),
    }


def admin_url(shop: str, feed: str, record_id: int) -> str:
    """Where the merchant edits the record."""
    return f"https://admin.shopify.com/store/{shop.removesuffix('.myshopify.com')}/{feed}/{record_id}"


# Nothing live matches: say why, in grades. "Removed" beats "waiting" beats "never seen".


def _absent(db: Connection, vault: Vault, shop: str, feed: str, query: Query) -> Answer:
    if query.read_as == "malformed":
        return _absence("malformed", query.sentence or "This cannot be read as anything that could be found.", None)
    ids = [c.value for c in query.candidates if _is_record_id(feed, c) and isinstance(c.value, int)]
    for record_id in ids:
        reason = _why_absent(db, vault, shop, feed, record_id)
        if reason:
            return reason
    if feed == "products":
        for candidate in query.candidates:
            for record_id in lookup.removed_products_by(db, shop, candidate.field, candidate.value):
                gone = _held_absence(db, vault, shop, feed, record_id)
                if gone:
                    return gone
    kind = "product" if feed == "products" else "customer"
    return _absence("never_seen", f"No {kind} with this {_called(query)} has ever reached SparkLayer.", None)


def _is_record_id(feed: str, candidate: Candidate) -> bool:
    return candidate.field == ("product_id" if feed == "products" else "customer_id")


def _called(query: Query) -> str:
    return {"sku": "SKU", "gid": "id", "admin_url": "address", "internal_id": "id"}.get(query.read_as, query.read_as)


def _why_absent(db: Connection, vault: Vault, shop: str, feed: str, record_id: int) -> Answer | None:
    held = _held_absence(db, vault, shop, feed, record_id)
    if held:
        return held
    history = inbox.history(db, shop, feed, record_id, most=1)
    if history and history[0]["state"] == "waiting":
        since = history[0]["received_at"]
        why = f" ({history[0]['reason']})" if history[0]["reason"] else ""
        return _absence("waiting", f"A change was received and waits to be applied{why}.", since)
    if history and history[0]["outcome"] == "dead":
        since = history[0]["received_at"]
        return _absence("waiting", f"A change was received but could not be applied: {history[0]['reason']}.", since)
    return None


def _held_absence(db: Connection, vault: Vault, shop: str, feed: str, record_id: int) -> Answer | None:
    if feed == "products":
        product = mirror_products.load(db, shop, [record_id]).get(record_id)
        if product is None or product.removed_at is None:
            return None
        return _absence("removed", f"The product was here and is gone: {product.removed_reason}.", product.removed_at)
    customer = mirror_customers.load(db, vault, shop, [record_id]).get(record_id)
    if customer is None or customer.state == "member":
        return None
    if customer.state == "removed":
        return _absence("removed", f"The customer is no longer here: {customer.reason}", customer.since)
    return _absence("not_eligible", customer.reason or "The customer does not belong to the B2B feed.", customer.since)


def _absence(state: str, sentence: str, since: datetime | None) -> Answer:
    return {"state": state, "sentence": sentence, "since": since}


def explain(db: Connection, vault: Vault, shop: str, typed: str, tag: str = "b2b") -> Answer:
    """Why is it here, or why not? A sentence for each step, from the newest delivery back, for both feeds."""
    feeds = []
    for feed in FEEDS:
        answer = look_up(db, vault, shop, feed, typed, tag)
        ids = [result["id"] for result in answer["results"]] or _asked_ids(feed, typed)
        steps = [step for i in ids for step in _steps(db, shop, feed, i)]
        if answer["results"] or steps or answer["absent"]["state"] not in ("never_seen", "malformed"):
            feeds.append({"feed": feed, "sentence": _in_short(feed, answer), "steps": steps, **answer})
    if not feeds:
        feeds = [{"feed": "products", "sentence": answer["absent"]["sentence"], "steps": [], **answer}]
    return {"query": typed, "feeds": feeds}


def _asked_ids(feed: str, typed: str) -> list[int]:
    query = read_product_query(typed) if feed == "products" else read_customer_query(typed)
    return [c.value for c in query.candidates if _is_record_id(feed, c) and isinstance(c.value, int)]


def _in_short(feed: str, answer: Answer) -> str:
    if not answer["results"]:
        return str(answer["absent"]["sentence"])
    kind = "product" if feed == "products" else "customer"
    count = len(answer["results"])
    first = answer["results"][0]
    many = f"{count} {kind}s match; " if count > 1 else ""
    return f"{many}{kind} {first['id']} is in SparkLayer as of {first['as_of']:%Y-%m-%d %H:%M:%S} UTC."


def _steps(db: Connection, shop: str, feed: str, record_id: int) -> list[Answer]:
    return [
        {"at": d["received_at"], "delivery": d["id"], "topic": d["topic"], "sentence": _step(d)}
        for d in inbox.history(db, shop, feed, record_id)
    ]


def _step(delivery: Mapping[str, Any]) -> str:
    again = f", {delivery['copies']} times" if delivery["copies"] > 1 else ""
    why = f": {delivery['reason']}" if delivery["reason"] else ""
    became = delivery["outcome"] or "still waiting"
    return f"{delivery['topic']} received {delivery['received_at']:%Y-%m-%d %H:%M:%S} UTC{again}, {became}{why}"
