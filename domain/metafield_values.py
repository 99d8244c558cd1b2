"""How the text of one metafield is read, one reader a kind of value.

A reader takes the text, the metafield's key and its path, and answers the value (None when it cannot be used) and what
is wrong with it.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import Any, TypeAlias

from domain.codes import CURRENCIES
from domain.issues import Issue
from domain.text import MASK, shown
from domain.typed_json import NotJsonError, parse

Read: TypeAlias = tuple[Any, tuple[Issue, ...]]
Reader: TypeAlias = Callable[[str, str, str], Read]

LARGEST = 9_007_199_254_740_991  # of a Shopify number_integer
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_AMOUNT = re.compile(r"[0-9]{1,18}(\.[0-9]{1,9})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def whole_number(low: int, high: int = LARGEST) -> Reader:
    def read(text: str, key: str, path: str) -> Read:
        if not _INTEGER.fullmatch(text.strip()):
            return None, (wrong_type(key, path, "a whole number such as 6", text),)
        return within(int(text), low, high, key, path)

    return read


def within(number: int, low: int, high: int, key: str, path: str) -> Read:
    if low <= number <= high:
        return number, ()
    expected = f"at least {low}" if high == LARGEST and number < low else f"from {low} to {high}"
    return None, (Issue("METAFIELD_OUT_OF_RANGE", path, shown(number), {"key": key, "expected": expected}),)


def yes_or_no(text: str, key: str, path: str) -> Read:
    word = text.strip()
    if word in {"true", "false"}:
        return word == "true", ()
    return None, (wrong_type(key, path, "true or false", text),)


def plain_text(text: str, _key: str, _path: str) -> Read:
    return text.strip() or None, ()


def secret(_text: str, _key: str, _path: str) -> Read:
    return MASK, ()


def day(text: str, _key: str, path: str) -> Read:
    if _DAY.fullmatch(text.strip()):
        try:
            return date.fromisoformat(text.strip()), ()
        except ValueError:
            pass  # 2026-02-30
    return None, (Issue("RESTOCK_DATE_INVALID", path, shown(text)),)


def any_json(text: str, key: str, path: str) -> Read:
    try:
        return parse(text), ()
    except NotJsonError as error:
        return None, (invalid_json(error, key, path),)


def list_of_ids(text: str, key: str, path: str) -> Read:
    value, issues = any_json(text, key, path)
    if issues:
        return None, issues
    if isinstance(value, list) and all(_is_id(entry) for entry in value):
        return [str(entry) for entry in value], ()
    return None, (wrong_type(key, path, "a JSON list of ids", value),)


def list_of_slugs(text: str, key: str, path: str) -> Read:
    if not text.strip().startswith(("[", "{", '"')):
        return None, (Issue("PRICE_LISTS_SHAPE_INVALID", path, shown(text)),)
    value, issues = any_json(text, key, path)
    if issues:
        return None, issues
    if isinstance(value, list) and all(isinstance(slug, str) and slug.strip() for slug in value):
        return [slug.strip() for slug in value], ()
    return None, (Issue("PRICE_LISTS_SHAPE_INVALID", path, shown(value)),)


def retail_price(text: str, _key: str, path: str) -> Read:
    """A number, Shopify's money (`{"amount", "currency_code"}`), or a list of such; which one is not documented."""
    word = text.strip()
    if _AMOUNT.fullmatch(word):
        return word, ()
    try:
        value = parse(text)
    except NotJsonError:
        value = None
    prices = value if isinstance(value, list) else [value]
    if prices and all(_is_price(price) for price in prices):
        return value, ()
    return None, (Issue("RRP_UNREADABLE", path, shown(text)),)


def wrong_type(key: str, path: str, expected: str, found: Any) -> Issue:
    return Issue("METAFIELD_WRONG_TYPE", path, shown(found), {"key": key, "expected": expected, "found": kind(found)})


def invalid_json(error: NotJsonError, key: str, path: str) -> Issue:
    facts: dict[str, str | int] = {
        "key": key,
        "line": error.line,
        "column": error.column,
        "problem": error.problem,
    }
    return Issue("METAFIELD_INVALID_JSON", path, shown(error.around), facts)


def kind(value: Any) -> str:
    """What a JSON value is, in a merchant's words."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text" if value.strip() else "empty text"
    if isinstance(value, int):
        return "a whole number"
    if isinstance(value, float):
        return "a number with decimals"
    return "a list" if isinstance(value, list) else "an object"


def currency(value: Any) -> str | None:
    """The code in upper case, or None when it is none that Shopify knows; SparkLayer's own examples are lower case."""
    code = value.strip().upper() if isinstance(value, str) else ""
    return code if code in CURRENCIES else None


def _is_id(entry: Any) -> bool:
    return (isinstance(entry, str) and bool(entry.strip())) or (
        isinstance(entry, int) and not isinstance(entry, bool) and 0 < entry <= LARGEST
    )


def _is_price(price: Any) -> bool:
    if not isinstance(price, dict) or currency(price.get("currency_code")) is None:
        return False
    amount = next((price[name] for name in ("amount", "rrp", "price", "value") if name in price), None)
    if isinstance(amount, str):
        return bool(_AMOUNT.fullmatch(amount))
    return isinstance(amount, (int, float)) and not isinstance(amount, bool) and amount >= 0
