"""What does SparkLayer know about this? One answer for the API, the command line and the pages."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import structlog
from sqlalchemy import Connection

from adapters import access, inbox, issue_log, lookup, mirror_customers, mirror_products, shop_check
from adapters.mirror_customers import StoredCustomer
from adapters.mirror_products import StoredProduct
from adapters.shop_check import CustomerSeen, ProductSeen
from adapters.shops import Shop
from adapters.vault import Vault
from app.office import Office
from domain.eligibility import NAMESPACE, Eligibility, judge
from domain.failures import Permanent, Transient
from domain.query import Candidate, Query, read_customer_query, read_product_query
from domain.sparklayer import customer_record, product_record

Answer = dict[str, Any]
FEEDS = ("products", "customers")
log = structlog.get_logger()


def look_up(db: Connection, vault: Vault, shop: str, feed: str, typed: str, tag: str = "b2b") -> Answer:
    """The contract's answer to `GET /products?q=` and `GET /customers?q=`; exact matches before fuzzy ones."""
    query = read_query(feed, typed)
    matches = _matches(db, vault, shop, feed, query)
    if feed == "products":
        results = _product_results(db, shop, matches)
    else:
        results = _customer_results(db, vault, shop, matches, tag)
    absent = None if results else _absent(db, vault, shop, feed, query)
    return {"query": typed, "read_as": _read_as(query, matches), "results": results, "absent": absent}


def feeds_of(typed: str) -> tuple[str, ...]:
    """Which feeds these words may be about: an email address is nobody's SKU, a SKU is nobody's name."""
    product, customer = (read_query(feed, typed).read_as for feed in FEEDS)
    if product == "malformed" or customer in ("email", "phone"):
        return ("customers",)
    if customer == "malformed" or (customer == "name" and any(char.isdigit() for char in typed)):
        return ("products",)
    return FEEDS


def read_query(feed: str, typed: str) -> Query:
    return read_product_query(typed) if feed == "products" else read_customer_query(typed)


def called(feed: str, typed: str) -> str:
    """What these words are looked for as: `SKU, handle, barcode or title`. Empty for what cannot be read."""
    query = read_query(feed, typed)
    return "" if query.read_as == "malformed" else _called(query)


def note_lookup(shop: str, feed: str, who: str | None, answer: Answer) -> None:
    """Who looked, and what kind of words they used: the words themselves may name a person."""
    log.info("lookup", shop=shop, feed=feed, who=who, read_as=answer["read_as"], found=len(answer["results"]))


def note_names(shop: str, feed: str, who: str | None, count: int) -> None:
    """The same for a list that nobody asked for by a name, but which shows so many."""
    log.info("lookup", shop=shop, feed=feed, who=who, read_as="list", found=count)


def _matches(db: Connection, vault: Vault, shop: str, feed: str, query: Query) -> dict[int, str]:
    """By record id, how it matched first. A prefix is tried only when nothing matched exactly."""
    found: dict[int, str] = {}
    exact = [candidate for candidate in query.candidates if candidate.field not in ("title", "name")]
    for candidates in (exact, [candidate for candidate in query.candidates if candidate not in exact]):
        if not found:
            for record_id, match in _matching(db, vault, shop, feed, candidates):
                found.setdefault(record_id, match)
    return found


def _matching(
    db: Connection, vault: Vault, shop: str, feed: str, candidates: Sequence[Candidate]
) -> list[tuple[int, str]]:
    if feed == "products":
        return lookup.products_by(db, shop, candidates)
    each = (lookup.customers_by(db, vault, shop, one.field, one.value) for one in candidates)
    return [row for rows in each for row in rows]


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
        for record_id in lookup.removed_products_by(db, shop, query.candidates):
            gone = _held_absence(db, vault, shop, feed, record_id)
            if gone:
                return gone
    kind = "product" if feed == "products" else "customer"
    return _absence("never_seen", f"No {kind} with this {_called(query)} has ever reached SparkLayer.", None)


def _is_record_id(feed: str, candidate: Candidate) -> bool:
    return candidate.field == ("product_id" if feed == "products" else "customer_id")


def _called(query: Query, *, by_shopify: bool = False) -> str:
    """`SKU, handle, barcode or title`: all it was looked for as. Shopify is asked for a title only if it is one."""
    if query.read_as in ("gid", "admin_url", "internal_id"):
        return "address" if query.read_as == "admin_url" else "id"
    fields = [one.field for one in query.candidates]
    if by_shopify:
        fields = [field for field in fields if field not in ("title", "name") or field == query.read_as]
    names = list(dict.fromkeys(_FIELDS[field] for field in fields))
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


_FIELDS = {
    "sku": "SKU",
    "product_id": "id",
    "variant_id": "id",
    "handle": "handle",
    "barcode": "barcode",
    "title": "title",
    "customer_id": "id",
    "email": "email address",
    "phone": "telephone number",
    "name": "name",
}


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
        said = "The product was here and is gone" if product.core else "The product is not in Shopify (any more)"
        return _absence("removed", f"{said}: {product.removed_reason}.", product.removed_at)
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
    told = {}
    for feed in FEEDS:
        answer = look_up(db, vault, shop, feed, typed, tag)
        ids = [result["id"] for result in answer["results"]] or asked_ids(feed, typed)
        steps = [step for i in ids for step in _steps(db, shop, feed, i)]
        told[feed] = {"feed": feed, "sentence": _in_short(feed, answer), "steps": steps, **answer}
    known = [one for one in told.values() if _is_known(one)]
    feeds = known or [told[feed] for feed in feeds_of(typed)]
    return {"query": typed, "feeds": feeds}


def _is_known(told: Answer) -> bool:
    return bool(told["results"] or told["steps"] or told["absent"]["state"] not in ("never_seen", "malformed"))


def asked_ids(feed: str, typed: str) -> list[int]:
    query = read_query(feed, typed)
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


# What Shopify says now. Nothing of it is kept, and no connection to the database is held while it is asked.


def live_check(desk: Office, shop: Shop, feed: str, typed: str) -> Answer:
    """`state`: found, nothing, malformed, or failed (the sentence says why Shopify could not be asked).

    Each of `found` has an `id`, a `standing` (same, newer, missing, gone, not_eligible, leaving, unknown) with its
    `sentence`, and whether a `resync` would change anything; products their title and status, customers their tags and
    the namespaces of their metafields.
    """
    query = read_query(feed, typed)
    told: Answer = {"feed": feed, "query": typed, "read_as": query.read_as, "asked_at": datetime.now(UTC), "found": []}
    if query.read_as == "malformed":
        return told | {"state": "malformed", "sentence": query.sentence}
    with desk.db.begin() as db:
        here = list(_matches(db, desk.vault, shop.domain, feed, query))[: shop_check.MOST]
    try:
        found = _ask_about(desk, shop, feed, query, here)
    except (Transient, Permanent) as trouble:
        return told | {"state": "failed", "sentence": str(trouble)}
    if not found:
        kind = feed.removesuffix("s")
        return told | {
            "state": "nothing",
            "sentence": f"Shopify has no {kind} with this {_called(query, by_shopify=True)} either.",
        }
    many = "this record" if len(found) == 1 else f"{len(found)} records"
    return told | {"state": "found", "sentence": f"Shopify was asked about {many}.", "found": found}


def _ask_about(desk: Office, shop: Shop, feed: str, query: Query, here: Sequence[int]) -> list[Answer]:
    token = access.with_fresh_token(desk.db, desk.vault, desk.tokens, shop, datetime.now(UTC)).token
    if token is None:
        raise Permanent("Shopify cannot be asked: it no longer lets the app in. Open the app in your Shopify admin.")
    if feed == "products":
        products = shop_check.products(desk.admin, shop.domain, token, query, here)
        with desk.db.begin() as db:
            stored = mirror_products.load(db, shop.domain, [*here, *(p.id for p in products)])
        seen = [_product_seen(shop, product, stored.get(product.id)) for product in products]
    else:
        customers = shop_check.customers(desk.admin, shop.domain, token, query, here)
        with desk.db.begin() as db:
            held = mirror_customers.load(db, desk.vault, shop.domain, [*here, *(c.id for c in customers)])
        seen = [_customer_seen(shop, customer, held.get(customer.id)) for customer in customers]
    gone = [i for i in here if i not in {one["id"] for one in seen}]
    sentence = "Shopify no longer has it, and SparkLayer still does. Resync it to remove it."
    return seen + [_seen(shop, feed, i, "gone", sentence, None) for i in gone]


def _product_seen(shop: Shop, product: ProductSeen, stored: StoredProduct | None) -> Answer:
    if stored is None or stored.core is None or stored.removed_at is not None:
        standing, sentence = "missing", "Shopify has it, and SparkLayer does not. Import it now."
    elif stored.core.updated_at is not None and stored.core.updated_at >= product.updated_at:
        standing, sentence = "same", "SparkLayer has the same state as Shopify."
    else:
        standing, sentence = "newer", "Shopify has a newer state than SparkLayer. Resync it to bring the newer one."
    about = {"title": product.title, "status": product.status, "sku": product.sku}
    return _seen(shop, "products", product.id, standing, sentence, product.updated_at) | about


def _customer_seen(shop: Shop, customer: CustomerSeen, stored: StoredCustomer | None) -> Answer:
    others = [name for name in customer.namespaces if name != NAMESPACE]
    judged = judge(customer.tags, customer.keys, shop.rule, others)
    standing, sentence = _customer_standing(customer, judged, stored)
    about = {"tags": customer.tags, "namespaces": customer.namespaces}
    return _seen(shop, "customers", customer.id, standing, sentence, customer.updated_at) | about


def _customer_standing(customer: CustomerSeen, judged: Eligibility, stored: StoredCustomer | None) -> tuple[str, str]:
    is_here = stored is not None and stored.state == "member"
    if stored is not None and stored.redacted:
        return "not_eligible", "This customer's data was erased on request; nothing of theirs is imported again."
    if judged.belongs is None:
        return "unknown", judged.sentence or "Shopify did not say enough to decide."
    if not judged.belongs:
        sentence = judged.sentence or "Not imported."
        return (
            ("leaving", f"{sentence} SparkLayer still has them; resync to remove them.")
            if is_here
            else (
                "not_eligible",
                sentence,
            )
        )
    if stored is None or not is_here:
        return "missing", f"They belong (by the {judged.rule} {judged.matched}), but are not here. Import them now."
    if stored.version.at >= customer.updated_at:
        return "same", "SparkLayer has the same state as Shopify."
    return "newer", "Shopify has a newer state than SparkLayer. Resync to bring the newer one."


def _seen(shop: Shop, feed: str, i: int, standing: str, sentence: str, updated_at: datetime | None) -> Answer:
    return {
        "id": i,
        "standing": standing,
        "sentence": sentence,
        "updated_at": updated_at,
        "resync": standing in ("missing", "newer", "gone", "leaving"),
        "admin_url": admin_url(shop.domain, feed, i),
    }
