"""A delivery's body against what the mirror holds now, as today's rules read it: what a replay as sent would change."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from adapters import mirror_products
from adapters.breakage import where_it_broke
from app.resync import Change, compare
from domain.deliveries import Waiting
from domain.failures import Permanent
from domain.records import Product
from domain.topics import ROUTES, Act
from schemas import bodies


def difference(db: Connection, row: Mapping[str, Any], body: bytes) -> dict[str, Any] | None:
    """A product's body against the mirror, as today's rules read it. None: not a product's."""
    if row["feed"] != "products" or ROUTES[row["topic"]].act is not Act.CORE:
        return None
    sent = _read(row, body)
    if isinstance(sent, str):
        return {"sentence": sent, "changes": ()}
    held = mirror_products.load(db, row["shop"], [sent.id]).get(sent.id)
    if held is None or held.core is None:
        return {"sentence": "The mirror has no such product.", "changes": ()}
    if held.removed_at is not None:
        return {"sentence": f"The product is gone from the mirror: {held.removed_reason}.", "changes": ()}
    changes = _compared(held.core, sent)
    return {"sentence": _standing(row, held.as_of, changes), "changes": changes}


def _read(row: Mapping[str, Any], body: bytes) -> Product | str:
    """The product, or why there is none to compare."""
    try:
        sent, _ = bodies.read_product(row["topic"], body, row["received_at"])
    except Permanent as refused:
        return f"It cannot be read by today's rules: {refused}"
    except Exception as error:  # noqa: BLE001 — whoever looks at a delivery may be looking for that very bug
        return f"Today's code cannot read it. It {where_it_broke(error)}."
    return sent.record if sent.record is not None else "It is no product by today's rules."


def _compared(held: Product, sent: Product) -> tuple[Change, ...]:
    return compare(orjson.loads(orjson.dumps(held)), orjson.loads(orjson.dumps(sent)))


def _standing(row: Mapping[str, Any], as_of: datetime, changes: tuple[Change, ...]) -> str:
    told = Waiting(**{name: row[name] for name in _WAITING}).version
    if told.seen < as_of:
        newer = "The mirror has a newer state: a replay as sent would be superseded."
        return newer if changes else f"{newer} It says the same."
    return "The mirror has another state." if changes else "The mirror has the same state."


_WAITING = (
    *("id", "topic", "feed", "resource_id", "source", "attempts", "changed_at", "triggered_at", "received_at"),
    *("body_bytes", "run"),
)
