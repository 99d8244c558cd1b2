"""Finds records by what somebody typed: each candidate is found by an index, and all of them in one statement."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, text

from adapters.vault import Kind, Vault, words
from domain.clashes import fold_sku
from domain.query import Candidate

MOST = 25  # of a kind; a longer list is a question to be asked more exactly
Ids = list[int]


def products_by(db: Connection, shop: str, candidates: Iterable[Candidate]) -> list[tuple[int, str]]:
    """Ids of live products and how each matched, candidate by candidate: one trip for all of them."""
    known = [candidate for candidate in candidates if candidate.field in _PRODUCTS]
    values: dict[str, Any] = {"shop": shop, "most": MOST}
    parts = []
    for place, candidate in enumerate(known):
        match, query = _PRODUCTS[candidate.field]
        parts.append(f"(SELECT {place} AS place, '{match}' AS match, id FROM ({query.format(place=place)}) AS found)")  # noqa: S608 — constants of ours
        values[f"value{place}"] = _prefix(str(candidate.value)) if candidate.field == "title" else candidate.value
        if candidate.field == "sku":
            values[f"fold{place}"] = fold_sku(str(candidate.value))
    rows = db.execute(text(" UNION ALL ".join(parts)), values).all() if parts else []
    return [(row.id, row.match) for row in sorted(rows, key=lambda row: row.place)]  # each part keeps its own order


def _prefix(typed: str) -> str:
    """For LIKE: what was typed stands for itself, percent signs included."""
    escaped = typed.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"{escaped}%"


# What needs an index over an expression is found by a function of the database, see adapters/wall.py. A record is found
# by its id before anything else is asked of it (OFFSET 0): where Postgres has not counted yet, the index of all that is
# live in a shop seems as good to it as the one of ids.
_PRODUCTS: Mapping[str, tuple[str, str]] = {
    "sku": (
        "variant_sku",
        """SELECT product_id AS id, min(id) AS variant FROM variants
           WHERE shop = :shop AND sku_fold = :fold{place} AND sku = :value{place}
           GROUP BY product_id ORDER BY product_id LIMIT :most""",
    ),
    "product_id": (
        "product_id",
        """SELECT id FROM (SELECT id, removed_at, core FROM products WHERE shop = :shop AND id = :value{place} OFFSET 0)
           AS known WHERE removed_at IS NULL AND core IS NOT NULL LIMIT :most""",
    ),
    "variant_id": (
        "variant_id",
        "SELECT product_id AS id FROM variants WHERE shop = :shop AND id = :value{place} LIMIT :most",
    ),
    "handle": (
        "handle",
        "SELECT id FROM find_products_by_handle(:shop, :value{place}, :most) AS id",
    ),
    "barcode": (
        "barcode",
        """SELECT DISTINCT product_id AS id FROM variants WHERE shop = :shop AND barcode = :value{place}
           ORDER BY product_id LIMIT :most""",
    ),
    "title": (
        "title",
        "SELECT id FROM find_products_by_title(:shop, :value{place}, :most) AS id",
    ),
}


def removed_products_by(db: Connection, shop: str, candidates: Iterable[Candidate]) -> list[int]:
    """Removed products that were known by one of these when they were last seen, candidate by candidate."""
    known_by = [_KNOWN_BY[candidate.field](candidate.value) for candidate in candidates if candidate.field in _KNOWN_BY]
    query = text("""
        SELECT id FROM unnest(CAST(:known_by AS jsonb[])) WITH ORDINALITY AS asked (known_by, place)
        CROSS JOIN LATERAL find_removed_products(:shop, asked.known_by, :most) WITH ORDINALITY AS found (id, nth)
        ORDER BY asked.place, found.nth
    """)
    values = {"shop": shop, "known_by": [orjson.dumps(one).decode() for one in known_by], "most": MOST}
    return [row.id for row in db.execute(query, values)] if known_by else []


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
    query = """SELECT id FROM (SELECT id, state FROM customers WHERE shop = :shop AND id = :value OFFSET 0) AS known
               WHERE state = 'member'"""
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
