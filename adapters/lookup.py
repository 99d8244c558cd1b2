"""Finds records by what somebody typed: each candidate is one indexed statement."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, text

from adapters.vault import Kind, Vault, words
from domain.clashes import fold_sku

MOST = 25  # of a kind; a longer list is a question to be asked more exactly
Ids = list[int]


def products_by(db: Connection, shop: str, field: str, value: str | int) -> list[tuple[int, str]]:
    """Ids of live products and how each matched. `field` is one of domain.query's words."""
    statement = _PRODUCTS.get(field)
    if statement is None:
        return []
    match, query = statement
    values = {"shop": shop, "value": value, "most": MOST}
    if field == "sku":
        values["fold"] = fold_sku(str(value))
    if field == "title":
        values["value"] = _prefix(str(value))
    return [(row.id, match) for row in db.execute(text(query), values)]


def _prefix(typed: str) -> str:
    """For LIKE: what was typed stands for itself, percent signs included."""
    escaped = typed.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"{escaped}%"


# What needs an index over an expression is found by a function of the database, see adapters/wall.py.
_PRODUCTS: Mapping[str, tuple[str, str]] = {
    "sku": (
        "variant_sku",
        """SELECT product_id AS id, min(id) AS variant FROM variants
           WHERE shop = :shop AND sku_fold = :fold AND sku = :value
           GROUP BY product_id ORDER BY product_id LIMIT :most""",
    ),
    "product_id": (
        "product_id",
        """SELECT id FROM products WHERE shop = :shop AND id = :value AND removed_at IS NULL AND core IS NOT NULL
           LIMIT :most""",
    ),
    "variant_id": (
        "variant_id",
        "SELECT product_id AS id FROM variants WHERE shop = :shop AND id = :value LIMIT :most",
    ),
    "handle": (
        "handle",
        "SELECT id FROM find_products_by_handle(:shop, :value, :most) AS id",
    ),
    "barcode": (
        "barcode",
        """SELECT DISTINCT product_id AS id FROM variants WHERE shop = :shop AND barcode = :value
           ORDER BY product_id LIMIT :most""",
    ),
    "title": (
        "title",
        "SELECT id FROM find_products_by_title(:shop, :value, :most) AS id",
    ),
}


def removed_products_by(db: Connection, shop: str, field: str, value: str | int) -> list[int]:
    """Removed products that were known by this when they were last seen."""
    shape = _KNOWN_BY.get(field)
    if shape is None:
        return []
    query = text("SELECT id FROM find_removed_products(:shop, CAST(:known_by AS jsonb), :most) AS id")
    known_by = orjson.dumps(shape(value)).decode()
    return [row.id for row in db.execute(query, {"shop": shop, "known_by": known_by, "most": MOST})]


_KNOWN_BY: Mapping[str, Callable[[str | int], dict[str, Any]]] = {
    "sku": lambda value: {"variants": [{"sku": value}]},
    "variant_id": lambda value: {"variants": [{"id": value}]},
    "barcode": lambda value: {"variants": [{"barcode": value}]},
    "handle": lambda value: {"handle": value},
}


def customers_by(db: Connection, vault: Vault, shop: str, field: str, value: str | int) -> list[tuple[int, str]]:
    """Ids of members and how each matched. Email, phone and words of a name are compared as blind indexes."""
    search = _CUSTOMERS.get(field)
    return search(db, vault, shop, value) if search else []


def _by_id(db: Connection, _vault: Vault, shop: str, value: str | int) -> list[tuple[int, str]]:
    query = "SELECT id FROM customers WHERE shop = :shop AND id = :value AND state = 'member'"
    return [(row.id, "customer_id") for row in db.execute(text(query), {"shop": shop, "value": value})]


def _by_index(column: str, kind: Kind) -> Callable[[Connection, Vault, str, str | int], list[tuple[int, str]]]:
    query = text(f"""
        SELECT id FROM customers WHERE shop = :shop AND {column} = ANY(:any) ORDER BY id LIMIT :most
    """)  # noqa: S608 — a column of ours

    def search(db: Connection, vault: Vault, shop: str, value: str | int) -> list[tuple[int, str]]:
        indexes = vault.indexes(shop, kind, str(value))
        rows = db.execute(query, {"shop": shop, "any": indexes, "most": MOST}) if indexes else ()
        return [(row.id, kind.value) for row in rows]

    return search


def _by_name(db: Connection, vault: Vault, shop: str, value: str | int) -> list[tuple[int, str]]:
    """Everybody whose name has all these words, then companies that begin so."""
    found = []
    tokens = [vault.indexes(shop, Kind.WORD, word) for word in words(str(value))]
    if tokens:
        query = "SELECT id FROM find_customers_by_words(:shop, CAST(:each AS bytea[]), :most) AS id"
        values: dict[str, Any] = {"shop": shop, "each": tokens, "most": MOST}
        found = [(row.id, "name") for row in db.execute(text(query), values)]
    query = "SELECT id FROM find_customers_by_company(:shop, :value, :most) AS id"
    values = {"shop": shop, "value": _prefix(str(value)), "most": MOST}
    return found + [(row.id, "company_name") for row in db.execute(text(query), values)]


_CUSTOMERS: Mapping[str, Callable[[Connection, Vault, str, str | int], list[tuple[int, str]]]] = {
    "customer_id": _by_id,
    "email": _by_index("email_index", Kind.EMAIL),
    "phone": _by_index("phone_index", Kind.PHONE),
    "name": _by_name,
}


_ASKED = text("""
    SELECT max(id) FROM deliveries
    WHERE shop = :shop AND resource_id = :id AND topic = :topic
      AND (webhook_id = :webhook_id OR (state = 'waiting' AND lane = 'live'))
""")


def asked_already(db: Connection, shop: str, topic: str, record_id: int, webhook_id: str) -> int | None:
    """The delivery that asks for this record: one that waits, or the one of this very webhook id."""
    values = {"shop": shop, "id": record_id, "topic": topic, "webhook_id": webhook_id}
    found: int | None = db.execute(_ASKED, values).scalar()
    return found


# A gap is recorded in the transaction that closes the delivery which repairs it, so their times are the same.
_HISTORY = text("""
    SELECT d.id, d.topic, d.source, d.webhook_id, d.state, d.outcome, d.reason, d.copies, d.run, d.received_at,
           d.closed_at, g.cause
    FROM deliveries d
    LEFT JOIN gaps g ON g.shop = d.shop AND g.repaired_at = d.closed_at AND g.resource_id = d.resource_id
                        AND g.feed = d.feed AND g.run = d.run
    WHERE d.shop = :shop AND d.feed = :feed AND d.resource_id = :id ORDER BY d.id DESC LIMIT :most
""")


def history(db: Connection, shop: str, feed: str, record_id: int, most: int = 20) -> list[dict[str, Any]]:
    """The latest deliveries about one record, newest first, each with the run that posted it and the gap it closed."""
    rows = db.execute(_HISTORY, {"shop": shop, "feed": feed, "id": record_id, "most": most}).mappings()
    return [dict(row) for row in rows]
