"""The issues of records: opened when found, resolved when a newer state no longer has them, kept either way."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Text

from domain.catalogue import CATALOGUE, render
from domain.clashes import fold_sku
from domain.issues import Issue

RECORD = "record"
Key = tuple[int, str, str]  # resource id, code, path

_OPEN_OF = text("""
    SELECT resource_id, code, path, scope, snippet, facts FROM issues
    WHERE shop = :shop AND feed = :feed AND resource_id = ANY(:ids) AND scope = 'record' AND resolved_at IS NULL
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))

_OPEN_IN = text("""
    SELECT resource_id, code, path, scope, snippet, facts FROM issues
    WHERE shop = :shop AND feed = :feed AND scope = ANY(:scopes) AND scope <> 'record' AND resolved_at IS NULL
""").bindparams(bindparam("scopes", type_=ARRAY(Text)))


def replace_of_records(
    db: Connection, shop: str, feed: str, found: Mapping[int, Iterable[Issue]], *, fresh: Collection[int] = ()
) -> None:
    """The open issues of these records are exactly `found`: new ones open, gone ones are resolved, the rest is seen.

    Those in `fresh` were unknown until now, and so have none.
    """
    known = [i for i in found if i not in fresh]
    opened = db.execute(_OPEN_OF, {"shop": shop, "feed": feed, "ids": known}) if known else ()
    wanted = {(i, issue.code, issue.path): (RECORD, issue) for i, issues in found.items() for issue in issues}
    _replace(db, shop, feed, {(r.resource_id, r.code, r.path) for r in opened}, wanted)


def replace_in_scopes(db: Connection, shop: str, feed: str, found: Mapping[str, Mapping[int, Iterable[Issue]]]) -> None:
    """The open issues of these clashes (`sku:…`, `email:…`) are exactly `found`, on whichever records they stand.

    Those that stay as they are are left untouched: a SKU on ten thousand variants must not rewrite ten thousand rows
    whenever one of them is updated.
    """
    if found:
        opened = db.execute(_OPEN_IN, {"shop": shop, "feed": feed, "scopes": list(found)}).all()
        wanted = {
            (i, issue.code, issue.path): (scope, issue)
            for scope, by_record in found.items()
            for i, issues in by_record.items()
            for issue in issues
        }
        same = {
            key
            for r in opened
            if (key := (r.resource_id, r.code, r.path)) in wanted
            and (r.scope, r.snippet, r.facts) == (wanted[key][0], wanted[key][1].snippet, wanted[key][1].facts)
        }
        before = {(r.resource_id, r.code, r.path) for r in opened} - same
        _replace(db, shop, feed, before, {key: value for key, value in wanted.items() if key not in same})


_OPEN = text("""
    INSERT INTO issues (shop, feed, resource_id, code, path, scope, severity, snippet, facts)
    SELECT :shop, :feed, resource_id, code, path, scope, severity, snippet, facts
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
         AS r(resource_id bigint, code text, path text, scope text, severity text, snippet text, facts jsonb)
    ON CONFLICT (shop, feed, resource_id, code, path) DO UPDATE
    SET scope = excluded.scope, severity = excluded.severity, snippet = excluded.snippet, facts = excluded.facts,
        first_seen = CASE WHEN issues.resolved_at IS NULL THEN issues.first_seen ELSE now() END,
        last_seen = now(), times_seen = issues.times_seen + 1, resolved_at = NULL
""")

# The scope of an address is its blind index, and nothing of an address outlives who had it.
_RESOLVE = text("""
    UPDATE issues SET resolved_at = now(), scope = CASE WHEN scope LIKE 'email:%' THEN 'record' ELSE scope END
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(resource_id bigint, code text, path text)
    WHERE shop = :shop AND feed = :feed AND issues.resource_id = r.resource_id
      AND issues.code = r.code AND issues.path = r.path
""")


def _replace(db: Connection, shop: str, feed: str, before: set[Key], wanted: Mapping[Key, tuple[str, Issue]]) -> None:
    rows = [_row(key, scope, issue) for key, (scope, issue) in sorted(wanted.items(), key=lambda pair: pair[0])]
    if rows:
        db.execute(_OPEN, {"shop": shop, "feed": feed, "rows": orjson.dumps(rows).decode()})
    gone = [{"resource_id": i, "code": code, "path": path} for i, code, path in sorted(before - set(wanted))]
    if gone:
        db.execute(_RESOLVE, {"shop": shop, "feed": feed, "rows": orjson.dumps(gone).decode()})


def _row(key: Key, scope: str, issue: Issue) -> dict[str, Any]:
    return {
        "resource_id": key[0],
        "code": issue.code,
        "path": issue.path,
        "scope": scope,
        "severity": CATALOGUE[issue.code].severity.value,
        "snippet": issue.snippet,
        "facts": issue.facts,
    }


_OF_RECORDS = text("""
    SELECT resource_id, code, path, snippet, facts, first_seen, last_seen, times_seen FROM issues
    WHERE shop = :shop AND feed = :feed AND resource_id = ANY(:ids) AND resolved_at IS NULL
    ORDER BY resource_id, code, path
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))


def open_of(db: Connection, shop: str, feed: str, ids: Collection[int]) -> dict[int, list[dict[str, Any]]]:
    """Open issues by record, as they are shown: with cause and fix in words."""
    found: dict[int, list[dict[str, Any]]] = {i: [] for i in ids}
    for row in db.execute(_OF_RECORDS, {"shop": shop, "feed": feed, "ids": list(ids)}) if ids else ():
        found[row.resource_id].append(_shown(row))
    return found


def listed(
    db: Connection,
    shop: str,
    feed: str,
    *,
    code: str | None = None,
    severity: str | None = None,
    q: str | None = None,
    records: Collection[int] = (),
    after: Key = (-1, "", ""),
    most: int = 100,
) -> list[dict[str, Any]]:
    """A feed's open issues in a stable order, `after` the last one of the page before.

    `q` is searched in codes and paths and, for products, in titles and SKUs; it may be a record's id. What else it
    finds (customers by their email, say) the caller knows: `records` match as well.
    """
    where, values = _where(shop, feed, Chosen(code, severity, q, records))
    statement = text(f"""
        SELECT resource_id, code, path, snippet, facts, first_seen, last_seen, times_seen FROM issues i
        WHERE {where} AND (resource_id, code, path) > (:after_id, :after_code, :after_path)
        ORDER BY resource_id, code, path LIMIT :most
    """)  # noqa: S608 — conditions of ours, values bound
    cursor = {"after_id": after[0], "after_code": after[1], "after_path": after[2], "most": most}
    return [{"resource_id": row.resource_id} | _shown(row) for row in db.execute(statement, values | cursor)]


# What matches is gathered once, from this shop's products alone, and not asked anew for each issue.
_WORDS = """(
    i.resource_id = ANY(:records)
    OR position(lower(:q) IN lower(i.code)) > 0 OR position(lower(:q) IN lower(i.path)) > 0
    OR (i.feed = 'products' AND (
        i.resource_id IN (SELECT product_id FROM variants WHERE shop = :shop AND position(:sku IN sku_fold) > 0)
        OR i.resource_id IN (SELECT id FROM products
                             WHERE shop = :shop AND position(lower(:q) IN lower(core ->> 'title')) > 0)))
)"""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of a feed's open issues, as `listed` says it; what is left out is not asked about."""

    code: str | None = None
    severity: str | None = None
    q: str | None = None
    records: Collection[int] = ()


def _where(shop: str, feed: str, chosen: Chosen) -> tuple[str, dict[str, Any]]:
    conditions = ["i.shop = :shop", "i.feed = :feed", "i.resolved_at IS NULL"]
    values: dict[str, Any] = {"shop": shop, "feed": feed}
    if chosen.code is not None:
        conditions.append("i.code = :code")
        values["code"] = chosen.code
    if chosen.severity is not None:
        conditions.append("i.severity = :severity")
        values["severity"] = chosen.severity
    words = (chosen.q or "").strip()
    if words:
        conditions.append(_WORDS)
        own = [int(words)] if words.isascii() and words.isdigit() and int(words) < 2**63 else []
        values |= {"q": words, "sku": fold_sku(words), "records": [*chosen.records, *own]}
    return " AND ".join(conditions), values


def _shown(row: Any) -> dict[str, Any]:
    issue = Issue(row.code, row.path, row.snippet, row.facts)
    times = {"first_seen": row.first_seen, "last_seen": row.last_seen, "times_seen": row.times_seen}
    return render(issue) | times


def count_open(db: Connection, shop: str, feed: str) -> dict[str, int]:
    """Open issues by severity; the three severities are always there."""
    statement = text("""SELECT severity, count(*) AS n FROM issues
                        WHERE shop = :shop AND feed = :feed AND resolved_at IS NULL GROUP BY severity""")
    counts = {"error": 0, "warning": 0, "info": 0}
    return counts | {row.severity: row.n for row in db.execute(statement, {"shop": shop, "feed": feed})}


# A group tells the words of its first example; `varies` says that others of the group read differently.
_GROUPS = text("""
    SELECT code, severity, count(*) AS issues, count(DISTINCT resource_id) AS records,
           min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(times_seen) AS times_seen,
           min(path) AS path, NULL AS snippet,
           CAST(min(CAST(facts AS text)) AS jsonb) AS facts,
           min(CAST(facts AS text)) <> max(CAST(facts AS text)) AS varies
    FROM issues WHERE shop = :shop AND feed = :feed AND resolved_at IS NULL AND resource_id <> 0
    GROUP BY code, severity
    ORDER BY array_position(ARRAY['error', 'warning', 'info'], severity), count(*) DESC, code
""")


def groups(db: Connection, shop: str, feed: str) -> list[dict[str, Any]]:
    """The open issues of a feed's records by code, the gravest first, then the most frequent."""
    rows = db.execute(_GROUPS, {"shop": shop, "feed": feed})
    return [_group(row) for row in rows]


def _group(row: Any) -> dict[str, Any]:
    shown = _shown(row)
    told = {name: shown[name] for name in ("code", "sentence", "fix", "first_seen", "last_seen")}
    counts = {"severity": row.severity, "records": row.records, "issues": row.issues, "varies": row.varies}
    return told | counts


def count_resolved(db: Connection, shop: str, feed: str, since: datetime) -> int:
    """Issues that disappeared since then, because a newer state of their records no longer has them."""
    statement = text("SELECT count(*) FROM issues WHERE shop = :shop AND feed = :feed AND resolved_at >= :since")
    return int(db.execute(statement, {"shop": shop, "feed": feed, "since": since}).scalar_one())


def resolved(db: Connection, shop: str, feed: str, since: datetime, most: int = 50) -> list[dict[str, Any]]:
    """Those issues, the latest first."""
    statement = text("""
        SELECT resource_id, code, path, snippet, facts, first_seen, last_seen, times_seen, resolved_at FROM issues
        WHERE shop = :shop AND feed = :feed AND resolved_at >= :since
        ORDER BY resolved_at DESC, resource_id, code, path LIMIT :most
    """)
    rows = db.execute(statement, {"shop": shop, "feed": feed, "since": since, "most": most})
    return [{"resource_id": row.resource_id, "resolved_at": row.resolved_at} | _shown(row) for row in rows]


MOST_NAMED = 20  # issues of one record that an export words; the rest are counted


def by_record(
    db: Connection, shop: str, feed: str, chosen: Chosen, *, after: int = 0, most: int = 200
) -> list[dict[str, Any]]:
    """Records with open issues, one row each, in the order of their ids: what an export is made of.

    `issues` holds the first `MOST_NAMED` of them, the gravest first; `count` is of all.
    """
    where, values = _where(shop, feed, chosen)
    statement = text(f"""
        SELECT i.resource_id, count(*) AS count, min(i.first_seen) AS first_seen, max(i.last_seen) AS last_seen,
               to_jsonb((array_agg(jsonb_build_array(i.code, i.path, i.facts)
                         ORDER BY array_position(ARRAY['error', 'warning', 'info'], i.severity), i.code, i.path)
                        )[1:{MOST_NAMED}]) AS named
        FROM issues i WHERE {where} AND i.resource_id > :after
        GROUP BY i.resource_id ORDER BY i.resource_id LIMIT :most
    """)  # noqa: S608 — conditions of ours, values bound
    rows = db.execute(statement, values | {"after": after, "most": most})
    return [
        {
            "resource_id": row.resource_id,
            "count": row.count,
            "first_seen": row.first_seen,
            "last_seen": row.last_seen,
            "issues": [render(Issue(name, path, None, facts)) for name, path, facts in row.named],
        }
        for row in rows
    ]


def count_records(db: Connection, shop: str, feed: str, chosen: Chosen, *, after: int = 0) -> int:
    """How many records with such issues come `after` that one."""
    where, values = _where(shop, feed, chosen)
    statement = text(f"""
        SELECT count(DISTINCT i.resource_id) FROM issues i WHERE {where} AND i.resource_id > :after
    """)  # noqa: S608 — conditions of ours, values bound
    return int(db.execute(statement, values | {"after": after}).scalar_one())


def titles(db: Connection, shop: str, ids: Collection[int]) -> dict[int, str]:
    """What these products are called, where they have a title."""
    statement = text("SELECT id, core ->> 'title' AS title FROM products WHERE shop = :shop AND id = ANY(:ids)")
    rows = db.execute(statement, {"shop": shop, "ids": list(ids)}) if ids else ()
    return {row.id: row.title for row in rows if row.title}


def skus(db: Connection, shop: str, variants: Collection[int]) -> dict[int, str]:
    """The SKUs of these variants, where they have one."""
    statement = text("SELECT id, sku FROM variants WHERE shop = :shop AND id = ANY(:ids) AND sku <> ''")
    rows = db.execute(statement, {"shop": shop, "ids": list(variants)}) if variants else ()
    return {row.id: row.sku for row in rows}
