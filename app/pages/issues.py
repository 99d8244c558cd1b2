"""What is wrong with records, and what their owner can do: by kind, one by one, and as a file."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, current_app, g, request, url_for
from sqlalchemy import Connection

from adapters import issue_log, lookup, mirror_customers
from adapters.issue_log import Chosen
from app.issue_export import Export
from app.lookup import admin_url, note_names
from app.office import office
from app.pages.base import page, shop_zone
from app.pages.entrance import merchant_blueprint
from domain.query import LARGEST_ID, LONGEST_LINK, read_customer_query, read_product_query
from domain.text import storable

blueprint = merchant_blueprint("issues", __name__)
TITLES = {"products": "Product issues", "customers": "Customer issues"}
SEVERITIES = ("error", "warning", "info")
PAGE = 50
FEED_ITSELF = 0  # the resource of what is wrong with a feed as a whole
FIRST_RECORD = (1, "", "")
VARIANT = re.compile(r"variants\[(\d{1,18})\]")


@blueprint.get("/<feed:feed>/issues")
def listed(feed: str) -> Response:
    shop, since = g.shop.domain, datetime.now(UTC) - timedelta(days=1)
    with office().db.begin() as db:
        chosen = _chosen(db, feed)
        found = _page_of(db, feed, chosen)
        shown = found[:PAGE]
        told: dict[str, Any] = {
            "about_feed": issue_log.open_of(db, shop, feed, [FEED_ITSELF])[FEED_ITSELF],
            "groups": issue_log.groups(db, shop, feed),
            "issues": _named(db, feed, shown),
            "resolved_count": issue_log.count_resolved(db, shop, feed, since),
            "resolved": _named(db, feed, issue_log.resolved(db, shop, feed, since)),
        }
    asked: dict[str, Any] = {"code": chosen.code, "severity": chosen.severity, "q": chosen.q}
    further = _cursor(shown[-1]) if len(found) > PAGE else None
    addresses = {
        "next": url_for("issues.listed", feed=feed, **asked, after=further) if further else None,
        "csv": url_for("issues.as_csv", feed=feed, **asked),
        "json": url_for("issues.as_json", feed=feed, **asked),
    }
    later = "after" in request.args
    return page("issues.html", title=TITLES[feed], feed=feed, **told, asked=asked, addresses=addresses, later=later)


def _chosen(db: Connection, feed: str) -> Chosen:
    """What the address asks for; a word that nobody knows is no filter."""
    severity = request.args.get("severity", "")
    words = storable(request.args.get("q", "")).strip()[:LONGEST_LINK]
    return Chosen(
        code=storable(request.args.get("code", "")) or None,
        severity=severity if severity in SEVERITIES else None,
        q=words or None,
        records=_records(db, feed, words) if words else (),
    )


def _records(db: Connection, feed: str, words: str) -> list[int]:
    """Who else these words mean: an address pasted from the admin; a customer by what only blind indexes can find."""
    if feed == "products":
        ids = [c for c in read_product_query(words).candidates if c.field in ("product_id", "variant_id")]
        return [record for record, _ in lookup.products_by(db, g.shop.domain, ids)]
    found = [
        record
        for candidate in read_customer_query(words).candidates
        for record, _ in lookup.customers_by(db, office().vault, g.shop.domain, candidate.field, candidate.value)
    ]
    if found:
        note_names(g.shop.domain, feed, g.user, len(found))
    return found


def _page_of(db: Connection, feed: str, chosen: Chosen) -> list[dict[str, Any]]:
    """One more than is shown, to know whether there is a next page."""
    after = _read_cursor(request.args.get("after", ""))
    asked: dict[str, Any] = {"code": chosen.code, "severity": chosen.severity, "q": chosen.q}
    return issue_log.listed(db, g.shop.domain, feed, **asked, records=chosen.records, after=after, most=PAGE + 1)


def _cursor(issue: dict[str, Any]) -> str:
    return f"{issue['resource_id']}:{issue['code']}:{issue['path']}"


def _read_cursor(text: str) -> tuple[int, str, str]:
    """Where the page before ended; what cannot be read begins at the first."""
    record, _, rest = text.partition(":")
    code, _, path = rest.partition(":")
    if not (record.isascii() and record.isdigit() and len(record) < 20 and 0 < int(record) <= LARGEST_ID):
        return FIRST_RECORD
    return int(record), storable(code), storable(path)


def _named(db: Connection, feed: str, issues: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With the names a merchant knows the records by; opened for this page alone."""
    ids = {issue["resource_id"] for issue in issues} - {FEED_ITSELF}
    names = issue_log.titles(db, g.shop.domain, ids) if feed == "products" else _customers(db, ids)
    variants = {int(found[1]) for issue in issues if (found := VARIANT.match(issue["path"] or ""))}
    skus = issue_log.skus(db, g.shop.domain, variants) if feed == "products" else {}
    return [_row(feed, issue, names, skus) for issue in issues]


def _row(feed: str, issue: dict[str, Any], names: dict[int, str], skus: dict[int, str]) -> dict[str, Any]:
    record, variant = issue["resource_id"], VARIANT.match(issue["path"])
    kind = feed.removesuffix("s").capitalize()
    return issue | {
        "name": names.get(record) or (f"{kind} {record}" if record else TITLES[feed].replace("issues", "sync")),
        "sku": skus.get(int(variant[1])) if variant else None,
        "admin_url": admin_url(g.shop.domain, feed, record) if record else None,
    }


def _customers(db: Connection, ids: Iterable[int]) -> dict[int, str]:
    held = mirror_customers.load(db, office().vault, g.shop.domain, list(ids))
    names = {}
    for record, row in held.items():
        if row.customer is not None:
            person = f"{row.customer.first_name or ''} {row.customer.last_name or ''}".strip()
            names[record] = person or mirror_customers.company_name(row.customer) or ""
    if names:
        note_names(g.shop.domain, "customers", g.user, len(names))
    return names


@blueprint.get("/<feed:feed>/issues.csv")
def as_csv(feed: str) -> Response:
    return _file(_export(feed).as_csv(), feed, "csv", "text/csv; charset=utf-8")


@blueprint.get("/<feed:feed>/issues.json")
def as_json(feed: str) -> Response:
    return _file(_export(feed).as_json(), feed, "json", "application/json")


def _export(feed: str) -> Export:
    with office().db.begin() as db:
        return Export(office().db, g.shop.domain, feed, _chosen(db, feed))


def _file(parts: Iterable[str] | Iterable[bytes], feed: str, ending: str, kind: str) -> Response:
    shop = g.shop.domain.removesuffix(".myshopify.com")
    name = f"{shop}-{feed}-issues-{datetime.now(shop_zone()):%Y-%m-%d}.{ending}"
    response = current_app.response_class(parts, content_type=kind)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
