"""The variant's metafield `settings`: a JSON list with one entry for each customer group."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from domain.issues import Issue
from domain.metafield_values import LARGEST, Read, any_json, kind, within, wrong_type
from domain.quantity_rules import LOWEST, contradictions
from domain.text import shortened, shown

MOST_ISSUES = 20  # one hopeless metafield must not bury the rest of the record's issues
_FLAGS = frozenset({"display", "sell"})
_KNOWN = frozenset({"customer_group", *LOWEST, *_FLAGS})
_SLUG = re.compile(r"[a-z0-9]+([_-]+[a-z0-9]+)*")


def settings(text: str, key: str, path: str) -> Read:
    """A list of entries, each with what could be used of it; None when it is no list at all."""
    value, issues = any_json(text, key, path)
    if issues:
        return None, issues
    if not isinstance(value, list):
        return None, (Issue("SETTINGS_NOT_ARRAY", path, shown(value), {"found": kind(value)}),)
    entries: list[dict[str, Any]] = []
    found: list[Issue] = []
    groups: set[str] = set()
    for index, raw in enumerate(value):
        entry, wrong = _entry(raw, f"{path}[{index}]", groups)
        if entry:
            entries.append(entry)
        found.extend(wrong[: MOST_ISSUES - len(found)])
    return entries, tuple(found)


def _entry(raw: Any, path: str, groups: set[str]) -> tuple[dict[str, Any], list[Issue]]:
    if not isinstance(raw, dict):
        return {}, [wrong_type("an entry of settings", path, "an object", raw)]
    entry: dict[str, Any] = {}
    issues = list(_group_issues(raw.get("customer_group"), path, groups))
    for name, value in raw.items():
        if name == "customer_group":
            entry[name] = value.strip() if isinstance(value, str) else None
        elif name in _KNOWN:
            entry[name], wrong = _limit(name, value, f"{path}.{name}")
            issues.extend(wrong)
        else:
            issues.append(_unknown(name, path))
    issues.extend(contradictions(entry, path))
    return entry, issues


def _group_issues(group: Any, path: str, groups: set[str]) -> Iterator[Issue]:
    """Adds the group to those seen. Which groups exist is SparkLayer's knowledge, so only the spelling is judged."""
    where = f"{path}.customer_group"
    if not isinstance(group, str) or not group.strip():
        yield Issue("SETTINGS_GROUP_MISSING", where, None if group is None else shown(group))
        return
    slug = group.strip().casefold()
    if slug in groups:
        yield Issue("SETTINGS_GROUP_DUPLICATE", where, shown(group))
    elif not _SLUG.fullmatch(group):
        yield Issue("SETTINGS_GROUP_NOT_SLUG", where, shown(group))
    groups.add(slug)


def _limit(name: str, value: Any, path: str) -> Read:
    if value is None:
        return None, ()
    if name in _FLAGS:
        return (value, ()) if isinstance(value, bool) else (None, (wrong_type(name, path, "true or false", value),))
    if isinstance(value, bool) or not isinstance(value, int):
        return None, (wrong_type(name, path, "a whole number without quotes", value),)
    return within(value, LOWEST[name], LARGEST, name, path)


def _unknown(name: str, path: str) -> Issue:
    near = get_close_matches(name[:64].lower(), _KNOWN, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    word = shortened(name, 64)
    return Issue("SETTINGS_UNKNOWN_KEY", f"{path}.{word}", shown(name), {"name": word, "meant": meant})
