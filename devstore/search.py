"""Shopify's search language, with its traps: an unquoted date-time is rounded down to midnight, tags fold case.

`field:value`, comparators `>= <= > <`, quotes, `-` or NOT, AND (or a space), OR, parentheses, `*` at the end of a word,
`a,b` as either. A field that a kind of record cannot be searched by is ignored, as Shopify ignores it with a warning.
https://shopify.dev/docs/api/usage/search-syntax
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Predicate = Callable[[Any], bool]
Fields = Mapping[str, Callable[[Any], Any]]

_TOKEN = re.compile(
    r"""\s*(?: (?P<paren>[()]) | (?P<minus>-)(?=\S)
      | (?:(?P<field>[A-Za-z_][\w.]*):)?(?P<compare>>=|<=|>|<)?
        (?:'(?P<single>(?:[^'\\]|\\.)*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s()'"]*)) )""",
    re.VERBOSE,
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "": operator.eq,
}

PRODUCT_FIELDS: Fields = {
    "id": lambda p: p.number,
    "title": lambda p: p.title,
    "handle": lambda p: p.handle,
    "status": lambda p: p.status,
    "vendor": lambda p: p.vendor,
    "product_type": lambda p: p.product_type,
    "tag": lambda p: p.tags,
    "sku": lambda p: tuple(v.sku or "" for v in p.variants),
    "barcode": lambda p: tuple(v.barcode or "" for v in p.variants),
    "created_at": lambda p: p.created_at,
    "updated_at": lambda p: p.updated_at,
}
CUSTOMER_FIELDS: Fields = {
    "id": lambda c: c.number,
    "email": lambda c: c.email or "",
    "phone": lambda c: c.phone or "",
    "first_name": lambda c: c.first_name or "",
    "last_name": lambda c: c.last_name or "",
    "state": lambda c: c.state,
    "tag": lambda c: c.tags,
    "customer_date": lambda c: c.created_at,
    "created_at": lambda c: c.created_at,
    "updated_at": lambda c: c.updated_at,
}
CUSTOMER_COUNT_FIELDS: Fields = {name: CUSTOMER_FIELDS[name] for name in ("id", "created_at", "updated_at")}
VARIANT_FIELDS: Fields = {
    "id": lambda v: v.number,
    "product_id": lambda v: v.product_number,
    "sku": lambda v: v.sku or "",
    "barcode": lambda v: v.barcode or "",
    "title": lambda v: v.title,
    "updated_at": lambda v: v.updated_at,
}
EVENT_FIELDS: Fields = {
    "id": lambda e: e.number,
    "action": lambda e: e.action,
    "subject_type": lambda e: e.subject_type,
    "created_at": lambda e: e.created_at,
}
BULK_FIELDS: Fields = {
    "id": lambda b: b.number,
    "status": lambda b: b.status,
    "operation_type": lambda b: b.type,
    "created_at": lambda b: b.created_at,
}


class SearchError(Exception):
    """Shopify answers an empty comparison (`updated_at:>`) with an internal error."""


@dataclass(frozen=True)
class _Term:
    field: str | None
    compare: str
    value: str
    quoted: bool


def predicate(query: str | None, fields: Fields) -> Predicate | None:
    """None when there is nothing to filter by."""
    if query is None or not query.strip():
        return None
    return _either(list(_tokens(query)), fields)


def _tokens(query: str) -> Iterator[str | _Term]:
    at = 0
    while at < len(query.rstrip()):
        found = _TOKEN.match(query, at)
        assert found is not None, "every text begins with some token"
        at = max(found.end(), at + 1)
        if mark := found["paren"] or found["minus"]:
            yield mark
            continue
        quoted = found["bare"] is None
        value = re.sub(r"\\(.)", r"\1", found["single"] or found["double"] or "") if quoted else found["bare"]
        if not found["field"] and not quoted and value in {"AND", "OR", "NOT", ""}:
            if value:
                yield value
            continue
        yield _Term(found["field"], found["compare"] or "", value, quoted)


def _either(tokens: list[str | _Term], fields: Fields) -> Predicate:
    """OR binds tighter than AND (Shopify's words on filters), so: groups of alternatives, all of which must hold."""
    groups: list[list[Predicate]] = []
    joined = False
    while tokens and tokens[0] != ")":
        word = tokens[0]
        if word in ("AND", "OR"):
            tokens.pop(0)
            joined = word == "OR"
            continue
        one = _one(tokens, fields)
        if joined and groups:
            groups[-1].append(one)
        else:
            groups.append([one])
        joined = False
    return lambda record: all(any(test(record) for test in group) for group in groups)


def _one(tokens: list[str | _Term], fields: Fields) -> Predicate:
    word = tokens.pop(0)
    if word in ("-", "NOT"):
        inner = _one(tokens, fields)
        return lambda record: not inner(record)
    if word == "(":
        inner = _either(tokens, fields)
        if tokens:
            tokens.pop(0)
        return inner
    assert isinstance(word, _Term)
    return _test(word, fields)


def _test(term: _Term, fields: Fields) -> Predicate:
    if term.field is None:
        names = [fields[name] for name in ("title", "email", "first_name", "last_name", "sku") if name in fields]
        return lambda record: any(_text_matches(term.value, read(record), within=True) for read in names)
    if term.field not in fields:
        return lambda _record: True
    if not term.value and term.compare:
        raise SearchError(f"{term.field}:{term.compare}")
    read = fields[term.field]
    if term.field.endswith(("_at", "_date")):
        return _time_test(term, read)
    if term.field.endswith("id"):
        wanted = int(term.value) if term.value.isdigit() else -1
        return lambda record: _COMPARE[term.compare](read(record), wanted)
    values = term.value.split(",")
    return lambda record: any(_text_matches(value, read(record)) for value in values)


def _time_test(term: _Term, read: Callable[[Any], datetime]) -> Predicate:
    try:
        moment = datetime.fromisoformat(term.value)
    except ValueError as problem:
        raise SearchError(f"{term.field}:{term.value}") from problem
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not term.quoted:
        moment = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return lambda record: _COMPARE[term.compare](read(record), moment)


def _text_matches(wanted: str, have: str | tuple[str, ...], *, within: bool = False) -> bool:
    wanted = wanted.strip().casefold()
    texts = [text.strip().casefold() for text in ((have,) if isinstance(have, str) else have)]
    if wanted.endswith("*"):
        return any(text.startswith(wanted[:-1]) for text in texts)
    return any(wanted in text if within else wanted == text for text in texts)
