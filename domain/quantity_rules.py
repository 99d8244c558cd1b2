"""What the numbers that limit an order must be, alone and together."""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.issues import Issue

LOWEST = {
    "pack_size": 1,
    "min_order_quantity": 1,
    "max_order_quantity": 1,
    "min_order_parent_quantity": 1,
    "max_order_parent_quantity": 1,
    "reserve_stock_quantity": 0,
}
PARENT_LIMITS = ("min_order_parent_quantity", "max_order_parent_quantity")
_PAIRS = (("min_order_quantity", "max_order_quantity"), PARENT_LIMITS)


def contradictions(values: Mapping[str, Any], path: str) -> Iterator[Issue]:
    """Of one variant, or of one entry of its `settings`. Numbers that could not be read contradict nothing."""
    for low_key, high_key in _PAIRS:
        low, high = values.get(low_key), values.get(high_key)
        if low is not None and high is not None and low > high:
            facts: dict[str, str | int] = {"low_key": low_key, "low": low, "high_key": high_key, "high": high}
            yield Issue("MIN_EXCEEDS_MAX", f"{path}.{low_key}", str(low), facts)
    pack_size = values.get("pack_size")
    for key in ("min_order_quantity", "max_order_quantity"):
        quantity = values.get(key)
        if pack_size is not None and quantity is not None and quantity % pack_size:
            facts = {"key": key, "quantity": quantity, "pack_size": pack_size}
            yield Issue("QTY_NOT_MULTIPLE_OF_PACK", f"{path}.{key}", str(quantity), facts)
