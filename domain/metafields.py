"""The metafields of the namespace `sparklayer`: which there are, on whom they belong, and what their values mean.

The value is judged first and the type that Shopify declares second: older shops carry older types with good values.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from domain.catalogue import severity
from domain.credit_metafield import payment_on_account
from domain.issues import Issue, Severity
from domain.metafield_values import (
    Reader,
    any_json,
    day,
    list_of_ids,
    list_of_slugs,
    plain_text,
    retail_price,
    secret,
    whole_number,
    yes_or_no,
)
from domain.quantity_rules import LOWEST
from domain.records import Metafield
from domain.settings_metafield import settings
from domain.text import MASK, shortened

AUTHENTICATION = "authentication"  # SparkLayer's storefront login token: never shown, logged or exported

_WHOLE = ("number_integer", "integer")
_YES_NO = ("boolean",)
_DAY = ("date",)
_TEXT = ("single_line_text_field", "multi_line_text_field", "string", "id")
_JSON = ("json", "json_string")
_JSON_OR_TEXT = (*_JSON, "single_line_text_field", "multi_line_text_field", "string")
_LIST = (*_JSON_OR_TEXT, "list.single_line_text_field")
_PRICE = ("number_decimal", "number_integer", "money", *_JSON_OR_TEXT, "integer", "list.money")


@dataclass(frozen=True, slots=True)
class Key:
    """How a metafield is read, and Shopify's types that suit it, the proper one first."""

    read: Reader
    types: tuple[str, ...]


VARIANT_KEYS: Mapping[str, Key] = {
    **{name: Key(whole_number(low), _WHOLE) for name, low in LOWEST.items()},
    "display": Key(yes_or_no, _YES_NO),
    "sell": Key(yes_or_no, _YES_NO),
    "settings": Key(settings, _JSON),
    "min_stock_level": Key(whole_number(0), _WHOLE),
    "restock_date": Key(day, _DAY),
    "stock_location_data": Key(any_json, _JSON_OR_TEXT),
    "rrp": Key(retail_price, _PRICE),
}

CUSTOMER_KEYS: Mapping[str, Key] = {
    AUTHENTICATION: Key(secret, _TEXT),
    "title": Key(plain_text, _TEXT),
    "company_name": Key(plain_text, _TEXT),
    "group": Key(plain_text, _TEXT),
    "price_lists": Key(list_of_slugs, _LIST),
    "discount_percentage": Key(whole_number(0, 100), _WHOLE),
    "payment_on_account": Key(payment_on_account, _JSON_OR_TEXT),
    "accounting_id": Key(plain_text, (*_TEXT, "number_integer")),
    "available_shipping_addresses_ids": Key(list_of_ids, (*_LIST, "list.number_integer")),
    "billing_address_id": Key(plain_text, (*_TEXT, "number_integer")),
    "shipping_address_id": Key(plain_text, (*_TEXT, "number_integer")),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What metafields mean, by key: None when the value cannot be used, the text itself when the key is not known."""

    values: dict[str, Any]
    issues: tuple[Issue, ...]


def read_variant_metafields(metafields: Iterable[Metafield], path: str) -> Reading:
    """`path` is where they stand: `variants[8123].metafields`."""
    return _read(metafields, VARIANT_KEYS, path, owner="a variant")


def read_product_metafields(metafields: Iterable[Metafield], path: str = "metafields") -> Reading:
    """SparkLayer reads none from the product itself, also when it has a single variant."""
    return _read(metafields, {}, path, owner="the product")


def read_customer_metafields(metafields: Iterable[Metafield], path: str = "metafields") -> Reading:
    return _read(metafields, CUSTOMER_KEYS, path, owner="a customer")


def raw_values(metafields: Iterable[Metafield]) -> dict[str, str]:
    """The values as Shopify sends them, for people to see; the login token is masked."""
    return {metafield.key: MASK if metafield.key == AUTHENTICATION else metafield.value for metafield in metafields}


def _read(metafields: Iterable[Metafield], keys: Mapping[str, Key], path: str, owner: str) -> Reading:
    values: dict[str, Any] = {}
    issues: list[Issue] = []
    for metafield in metafields:
        name = shortened(metafield.key, 64)
        where = f"{path}.{name}"
        known = keys.get(metafield.key)
        if known is None:
            values[metafield.key] = MASK if metafield.key == AUTHENTICATION else metafield.value
            issues.append(_stray(metafield.key, name, where, owner))
            continue
        values[metafield.key], found = known.read(metafield.value, name, where)
        issues.extend(found)
        if "\ufffd" in metafield.value:  # what our translators put in the place of what cannot be stored
            issues.append(Issue("TEXT_UNSTORABLE", where))
        if not any(severity(issue.code) is Severity.ERROR for issue in found):
            issues.extend(_odd_type(metafield, known, name, where))
    return Reading(values, tuple(issues))


def _stray(key: str, name: str, where: str, owner: str) -> Issue:
    """No snippet: nobody knows what stands in a metafield that nobody knows."""
    if key in VARIANT_KEYS:
        return Issue("METAFIELD_WRONG_OWNER", where, None, {"key": name, "belongs_on": "a variant", "found_on": owner})
    if key in CUSTOMER_KEYS:
        return Issue("METAFIELD_WRONG_OWNER", where, None, {"key": name, "belongs_on": "a customer", "found_on": owner})
    return Issue("METAFIELD_UNKNOWN_KEY", where, None, {"key": name})


def _odd_type(metafield: Metafield, known: Key, name: str, where: str) -> tuple[Issue, ...]:
    if metafield.type is None or metafield.type in known.types:
        return ()
    facts: dict[str, str | int] = {
        "key": name,
        "declared": shortened(metafield.type, 64),
        "expected": known.types[0],
    }
    return (Issue("METAFIELD_TYPE_MISMATCH", where, None, facts),)
