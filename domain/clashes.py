"""What no record shows alone: two variants with one SKU, two customers with one email address.

An issue names at most three of the others, those with the lowest ids, and no count: when ten thousand variants share a
SKU, one more must not rewrite ten thousand issues.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import islice
from typing import TypeAlias, TypeVar

from domain.issues import Issue
from domain.text import shown

NAMED = 3
H = TypeVar("H", bound=Hashable)
Holder: TypeAlias = tuple[int, int, str]  # product id, variant id, SKU


def fold_sku(sku: str) -> str:
    """Equal for SKUs that differ only by case or spaces; empty for what is no SKU."""
    return "".join(sku.split()).casefold()


def fold_email(email: str) -> str:
    """Equal for addresses that are the same to log in with."""
    return email.strip().casefold()


def sku_clashes(holders: Iterable[tuple[str, int, int]]) -> dict[tuple[int, int], tuple[Issue, ...]]:
    """By (product id, variant id), from all holders (SKU, product id, variant id) of one or more folded SKUs.

    A holder without a clash is in the answer with no issues, so that its old ones can be closed.
    """
    folded: dict[str, list[Holder]] = defaultdict(list)
    for sku, product_id, variant_id in sorted(set(holders), key=lambda holder: (holder[1], holder[2], holder[0])):
        folded[fold_sku(sku)].append((product_id, variant_id, sku))
    answer: dict[tuple[int, int], tuple[Issue, ...]] = {}
    for key, group in folded.items():
        exact: dict[str, list[Holder]] = defaultdict(list)
        for holder in group:
            exact[holder[2]].append(holder)
        for sku, same in exact.items():
            # once a spelling, and never past the third: a group of ten thousand stays linear
            near = list(islice((other for other in group if other[2] != sku), NAMED))
            near_names = _listed([_variant(other) for other in near], len(group) - len(same))
            for holder in same:
                answer[holder[:2]] = _sku_issues(holder, same, near_names) if key else ()
    return answer


def email_clashes(holders: Iterable[tuple[str, int]]) -> dict[int, tuple[Issue, ...]]:
    """By customer id, from (token, customer id); the token stands for an address and is never shown."""
    groups: dict[str, list[int]] = defaultdict(list)
    for token, customer_id in sorted(set(holders), key=lambda holder: holder[1]):
        groups[token].append(customer_id)
    answer: dict[int, tuple[Issue, ...]] = {}
    for group in groups.values():
        for customer_id in group:
            others = _named(group, customer_id)
            named = [f"customer {other}" for other in others]
            issue = Issue("EMAIL_DUPLICATE", "email", None, {"others": _listed(named, len(group) - 1)})
            answer[customer_id] = (issue,) if others else ()
    return answer


def _sku_issues(holder: Holder, same: Sequence[Holder], near_names: str) -> tuple[Issue, ...]:
    path, snippet = f"variants[{holder[1]}].sku", shown(holder[2])
    issues = []
    if len(same) > 1:
        others = _listed([_variant(other) for other in _named(same, holder)], len(same) - 1)
        issues.append(Issue("SKU_DUPLICATE", path, snippet, {"others": others}))
    if near_names:
        issues.append(Issue("SKU_NEAR_DUPLICATE", path, snippet, {"others": near_names}))
    return tuple(issues)


def _named(group: Sequence[H], one: H) -> list[H]:
    return [other for other in group[: NAMED + 1] if other != one][:NAMED]


def _listed(named: list[str], others: int) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b, c and others`."""
    if others > len(named):
        return f"{', '.join(named)} and others"
    return " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else "".join(named)


def _variant(holder: Holder) -> str:
    return f"variant {holder[1]} of product {holder[0]}"
