"""What an answer of Shopify's GraphQL amounts to: its `data`, or one of `domain.failures`.

Failures come with HTTP 200, as a list or as a bare string, and partly beside data. Partial data is never data.
Shopify's sentences are not repeated: they may quote what was sent. Only its codes are.
https://shopify.dev/docs/api/admin-graphql#status-and-error-codes
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import orjson

from domain.failures import (
    AccessDenied,
    QueryRefused,
    QueryTooExpensive,
    ShopFrozen,
    ShopUnreachable,
    Throttled,
    Transient,
)

SHORTEST_WAIT = 0.1  # seconds; asking again at once would only be refused again
DEFAULT_WAIT = 2.0
CODE = re.compile(r"[A-Za-z_]{1,60}")

FAILURES: dict[str, Callable[[str], Transient | QueryRefused]] = {
    "ACCESS_DENIED": lambda shop: AccessDenied(
        f"{shop} has not granted what this query reads. Check the app's scopes and its approval for protected"
        " customer data (ACCESS_DENIED)."
    ),
    "SHOP_INACTIVE": lambda shop: ShopFrozen(f"{shop} is not active. Its owner can reopen it (SHOP_INACTIVE)."),
    "MAX_COST_EXCEEDED": lambda shop: QueryTooExpensive(
        f"{shop} refuses a query of more points than one may cost. Ask for less at once (MAX_COST_EXCEEDED)."
    ),
    "INTERNAL_SERVER_ERROR": lambda shop: ShopUnreachable(
        f"{shop} failed inside (INTERNAL_SERVER_ERROR). It is asked again later."
    ),
}
REFUSALS = frozenset({"INVALID_VARIABLE", "BAD_USER_INPUT", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"})


def read(shop: str, content: bytes) -> dict[str, Any]:
    """The whole answer. Raises `ShopUnreachable` when it is not a JSON object."""
    answer = _parse(content)
    if not isinstance(answer, dict):
        raise ShopUnreachable(f"{shop} sent an answer that is not what its API sends. It is asked again later.")
    return answer


def data(shop: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's `data`, when there is nothing wrong with any of it."""
    errors = answer.get("errors")
    if errors:
        _fail(shop, answer, errors)
    found = answer.get("data")
    if not isinstance(found, dict):
        raise ShopUnreachable(f"{shop} sent an answer without data. It is asked again later.")
    return found


def throttle_status(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """`{maximumAvailable, currentlyAvailable, restoreRate}` in points and points a second, or nothing."""
    return _inside(_cost(answer), "throttleStatus")


def points(answer: Mapping[str, Any]) -> float:
    """What the query has cost; 0 when Shopify does not say."""
    cost = _cost(answer).get("actualQueryCost")
    return float(cost) if isinstance(cost, int | float) and cost > 0 else 0.0


def _parse(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return _parse_leniently(content)


def _parse_leniently(content: bytes) -> Any:
    """Half a surrogate pair in one title is no reason to refuse the 40 products around it, as orjson does."""
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _fail(shop: str, answer: Mapping[str, Any], errors: Any) -> NoReturn:
    codes = _codes(errors)
    if "THROTTLED" in codes or (isinstance(errors, str) and "throttled" in errors.lower()):
        raise Throttled(f"{shop} asks for a pause (THROTTLED).", _wait(answer))
    for code, failure in FAILURES.items():
        if code in codes:
            raise failure(shop)
    if isinstance(errors, list) and any(_is_refusal(error) for error in errors):
        named = ", ".join(codes) or "no code given"
        raise QueryRefused(f"{shop} refuses the query as invalid ({named}). The app has to be corrected.")
    named = ", ".join(codes) or "no code given"
    raise ShopUnreachable(f"{shop} answered with an error ({named}). It is asked again later.")


def _codes(errors: Any) -> list[str]:
    found = [_code(error) for error in errors] if isinstance(errors, list) else []
    return list(dict.fromkeys(code for code in found if code))


def _code(error: Any) -> str:
    code = _inside(error, "extensions").get("code")
    return code if isinstance(code, str) and CODE.fullmatch(code) else ""


def _is_refusal(error: Any) -> bool:
    """Shopify's static checks carry a camelCase code. An error without a code that points into the document, but at no
    field of the answer, is about the document, too; all else may have happened while answering, and may pass.
    """
    code = _code(error)
    if code:
        return code in REFUSALS or code[0].islower()
    return isinstance(error, dict) and "locations" in error and "path" not in error


def _wait(answer: Mapping[str, Any]) -> float:
    """Seconds until the bucket holds what was asked for, or as much of it as it can ever hold."""
    status = throttle_status(answer)
    try:
        available, maximum = float(status["currentlyAvailable"]), float(status["maximumAvailable"])
        needed = min(float(_cost(answer)["requestedQueryCost"]), maximum)
        return max(SHORTEST_WAIT, (needed - available) / float(status["restoreRate"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return DEFAULT_WAIT


def _cost(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    return _inside(_inside(answer, "extensions"), "cost")


def _inside(value: Any, key: str) -> Mapping[str, Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}
