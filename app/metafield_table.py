"""A record's metafields as a table: the value as it is, what it means, and what is wrong with it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from domain import catalogue
from domain.metafields import AUTHENTICATION, Reading, read_customer_metafields, read_variant_metafields
from domain.records import Metafield
from domain.text import shortened

LONGEST = 400  # characters of a value; the rest stands in the JSON below


@dataclass(frozen=True, slots=True)
class Row:
    """`owner`: the variant, None for a customer's. `meaning` is None when the value cannot be used."""

    owner: str | None
    key: str
    value: str
    meaning: str | None
    problems: tuple[str, ...]


def metafield_rows(feed: str, record: Mapping[str, Any], issues: Sequence[Mapping[str, Any]]) -> list[Row] | None:
    """From a record as the API answers it (so `authentication` is masked already). None: not read from Shopify yet."""
    if feed == "customers":
        return _rows(None, record["metafields"], "metafields", read_customer_metafields, issues)
    known = [variant for variant in record["variants"] if variant["metafields"] is not None]
    if not known:
        return None
    rows = []
    for variant in known:
        path = f"variants[{variant['id']}].metafields"
        owner = variant["sku"] or variant["title"] or str(variant["id"])
        rows += _rows(owner, variant["metafields"], path, read_variant_metafields, issues)
    return rows


def _rows(
    owner: str | None, values: Mapping[str, str], path: str, read: Any, issues: Sequence[Mapping[str, Any]]
) -> list[Row]:
    reading: Reading = read([Metafield(key, value) for key, value in values.items()], path)
    return [
        Row(owner, key, shortened(value, LONGEST), _meaning(key, reading), _problems(f"{path}.{key}", reading, issues))
        for key, value in values.items()
    ]


def _problems(path: str, reading: Reading, issues: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The record's open issues know most; what they do not know yet is judged here."""
    told = [f"{issue['sentence']} {issue['fix']}" for issue in issues if _is_at(str(issue["path"]), path)]
    return tuple(told or [catalogue.sentence(issue) for issue in reading.issues if _is_at(issue.path, path)])


def _is_at(where: str, path: str) -> bool:
    return where == path or where.startswith((f"{path}.", f"{path}["))


def _meaning(key: str, reading: Reading) -> str | None:
    value = reading.values.get(key)
    if key == AUTHENTICATION:
        return "SparkLayer's login token for the storefront; its value is never shown"
    if value is None:
        return None
    if any(issue.code == "METAFIELD_UNKNOWN_KEY" and issue.path.endswith(f".{key}") for issue in reading.issues):
        return "Kept as it is; SparkLayer does not document this key"
    if key == "settings":
        return " · ".join(map(_setting, value)) or "Nothing for any customer group"
    return _said(_WORDS.get(key, "{}"), value)


def _said(words: str | tuple[str, str], value: Any) -> str:
    """One sentence of two for yes and no, or the value in its sentence."""
    if isinstance(words, tuple):
        return words[0] if value else words[1]
    return _plain(value) if isinstance(value, dict | list) else words.format(_plain(value))


_WORDS: Mapping[str, str | tuple[str, str]] = {
    "pack_size": "Sold in packs of {}",
    "min_order_quantity": "At least {} in an order",
    "max_order_quantity": "At most {} in an order",
    "min_order_parent_quantity": "At least {} of all variants together",
    "max_order_parent_quantity": "At most {} of all variants together",
    "reserve_stock_quantity": "{} always stay for retail",
    "display": ("Shown to B2B customers", "Hidden from B2B customers"),
    "sell": ("B2B customers may buy it", "B2B customers cannot buy it"),
    "min_stock_level": "Stock level for display: {}",
    "restock_date": "Back in stock on {}",
    "rrp": "Recommended retail price {}",
    "title": "Title: {}",
    "company_name": "Company: {}",
    "group": "Customer group {}, whatever the tags say",
    "discount_percentage": "{} % off on top of the price lists",
    "accounting_id": "In the accounts as {}",
    "billing_address_id": "Bills go to address {}",
    "shipping_address_id": "Goods go to address {}",
}


def _setting(entry: Any) -> str:
    if not isinstance(entry, dict):
        return _plain(entry)
    group = entry.get("customer_group") or "no group"
    said = [_entry_words(key, value) for key, value in entry.items() if key != "customer_group" and value is not None]
    return f"{group}: {', '.join(said) or 'no limits'}"


def _entry_words(key: str, value: Any) -> str:
    told = _said(_WORDS.get(key, key.replace("_", " ") + " {}"), value)
    return told[:1].lower() + told[1:] if not told.startswith("B2B") else told


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return ", ".join(f"{str(name).replace('_', ' ')} {_plain(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return str(value)
