"""The customer's metafield `payment_on_account`: credit limit, balance and net terms, for one or more currencies."""

from typing import Any

from domain.issues import Issue
from domain.metafield_values import Read, any_json, currency, kind
from domain.text import shown

_TERMS = ("net_terms", "net_terms_days")  # the documentation does not name the key; these two have been seen
USUAL_TERMS = range(7, 91)


def payment_on_account(text: str, key: str, path: str) -> Read:
    """The object (or list of objects, one a currency) as typed; None when any part of it cannot be used."""
    value, issues = any_json(text, key, path)
    if issues:
        return None, issues
    accounts = value if isinstance(value, list) else [value]
    if not accounts:
        return None, (_unusable(path, "the list is empty", value),)
    found: list[Issue] = []
    for index, account in enumerate(accounts[:50]):
        found.extend(_account_issues(account, f"{path}[{index}]" if isinstance(value, list) else path))
    if len(accounts) > 1 and not found:
        found.extend(_currency_clashes(accounts, path))
    usable = all(issue.code == "NET_TERMS_UNUSUAL" for issue in found)
    return (value if usable else None), tuple(found)


def _account_issues(account: Any, path: str) -> list[Issue]:
    if not isinstance(account, dict):
        return [_unusable(path, f"an object was expected, but it is {kind(account)}", account)]
    issues = _amount_issues(account, path)
    if "currency_code" in account and account["currency_code"] is not None:
        code = account["currency_code"]
        if currency(code) is None:
            issues.append(Issue("CURRENCY_INVALID", f"{path}.currency_code", shown(code)))
    terms = next((account[name] for name in _TERMS if account.get(name) is not None), None)
    if terms is not None:
        issues.extend(_terms_issues(terms, f"{path}.net_terms"))
    return issues


def _amount_issues(account: dict[str, Any], path: str) -> list[Issue]:
    limit, balance = account.get("credit_limit"), account.get("balance")
    if "credit_limit" not in account and not any(name in account for name in _TERMS):
        return [_unusable(path, "credit_limit is missing", account)]
    issues = []
    if limit is not None and not _is_number(limit):
        issues.append(_unusable(f"{path}.credit_limit", f"credit_limit must be a number, but is {kind(limit)}", limit))
    elif limit is not None and limit < 0:
        facts: dict[str, str | int] = {"key": "credit_limit", "expected": "at least 0"}
        issues.append(Issue("METAFIELD_OUT_OF_RANGE", f"{path}.credit_limit", shown(limit), facts))
    if balance is not None and not _is_number(balance):
        issues.append(_unusable(f"{path}.balance", f"balance must be a number, but is {kind(balance)}", balance))
    return issues


def _terms_issues(terms: Any, path: str) -> list[Issue]:
    if isinstance(terms, bool) or not isinstance(terms, int) or abs(terms) > 10**6:
        return [_unusable(path, "the net terms must be a whole number of days", terms)]
    return [] if terms in USUAL_TERMS else [Issue("NET_TERMS_UNUSUAL", path, str(terms), {"days": terms})]


def _currency_clashes(accounts: list[Any], path: str) -> list[Issue]:
    codes = [currency(account.get("currency_code")) for account in accounts]
    if None in codes:
        return [_unusable(path, "with several entries each needs its currency_code", accounts)]
    if len(set(codes)) < len(codes):
        return [_unusable(path, "the same currency is named twice", accounts)]
    return []


def _unusable(path: str, problem: str, found: Any) -> Issue:
    return Issue("CREDIT_SHAPE_INVALID", path, shown(found), {"problem": problem})


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
