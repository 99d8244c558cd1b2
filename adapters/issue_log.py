"""The issues of records: opened when found, resolved when a newer state no longer has them, kept either way."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Text

from domain.catalogue import CATALOGUE, render
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


def replace_of_records(db: Connection, shop: str, feed: str, found: Mapping[int, Iterable[Issue]]) -> None:
    """The open issues of these records are exactly `found`: new ones open, gone ones are resolved, the rest is seen."""
    if found:
        opened = db.execute(_OPEN_OF, {"shop": shop, "feed": feed, "ids": list(found)})
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

_RESOLVE = text("""
    UPDATE issues SET resolved_at = now()
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


_LISTED = text("""
    SELECT resource_id, code, path, snippet, facts, first_seen, last_seen, times_seen FROM issues
    WHERE shop = :shop AND feed = :feed AND resolved_at IS NULL
      AND (CAST(:code AS text) IS NULL OR code = :code)
      AND (resource_id, code, path) > (:after_id, :after_code, :after_path)
    ORDER BY resource_id, code, path LIMIT :most
""")


def listed(
    db: Connection, shop: str, feed: str, *, code: str | None = None, after: Key = (-1, "", ""), most: int = 100
) -> list[dict[str, Any]]:
    """A feed's open issues in a stable order, `after` the last one of the page before."""
    values = {"shop": shop, "feed": feed, "code": code, "most": most}
    cursor = {"after_id": after[0], "after_code": after[1], "after_path": after[2]}
    return [{"resource_id": row.resource_id} | _shown(row) for row in db.execute(_LISTED, values | cursor)]


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
