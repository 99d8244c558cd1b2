"""Who did what, why, and to how many. Whatever changes something by hand leaves a row in the same transaction."""

from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.types import BigInteger, Text

from adapters.inbox import Filter

_NOTE = text("""
    INSERT INTO audit (who, act, why, chosen, count, target)
    VALUES (:who, :act, :why, CAST(:chosen AS jsonb), :count, :target)
""").bindparams(
    bindparam("why", type_=Text),
    bindparam("chosen", type_=Text),
    bindparam("count", type_=BigInteger),
    bindparam("target", type_=Text),
)


def note(
    db: Connection,
    who: str,
    act: str,
    *,
    why: str | None = None,
    chosen: Filter | None = None,
    count: int | None = None,
    target: str | None = None,
) -> None:
    """`who`: a user of the console, or `cli:` and the account on the machine. `act`: what was done, as a person says
    it ("issue resolved"). `chosen`: the filter that said to which deliveries; `target`: the one thing it was done to.
    """
    words = orjson.dumps(chosen.as_words()).decode() if chosen else None
    db.execute(_NOTE, {"who": who, "act": act, "why": why, "chosen": words, "count": count, "target": target})


_LISTED = text("""
    SELECT id, at, who, act, why, chosen, count, target FROM audit
    WHERE id < coalesce(:before, 9223372036854775807) ORDER BY id DESC LIMIT :most
""").bindparams(bindparam("before", type_=BigInteger))


def listed(db: Connection, most: int = 100, before: int | None = None) -> list[dict[str, Any]]:
    """Newest first, JSON-ready; the next page is what comes `before` the last one's id."""
    return [dict(row) for row in db.execute(_LISTED, {"most": most, "before": before}).mappings()]
