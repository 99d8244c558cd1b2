"""What each attempt at a delivery said, and how the delivery had closed before a replay opened it again."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Integer, Text

from adapters.code_version import code_version

KEPT = 20  # a delivery; a shop that is away for two days makes some three hundred


@dataclass(frozen=True, slots=True)
class Failed:
    """The `n`th attempt since it was last opened, which failed: a plain sentence without any value of the body."""

    delivery: int
    n: int
    sentence: str
    error: str | None = None


_NOTE = text("""
    INSERT INTO attempts (delivery, n, error_class, sentence, worker, version)
    SELECT delivery, n, error, sentence, :worker, :version
    FROM unnest(:deliveries, :ns, :errors, :sentences) AS v(delivery, n, error, sentence)
""").bindparams(
    bindparam("deliveries", type_=ARRAY(BigInteger)),
    bindparam("ns", type_=ARRAY(Integer)),
    bindparam("errors", type_=ARRAY(Text)),
    bindparam("sentences", type_=ARRAY(Text)),
)
_FORGET = text("""
    DELETE FROM attempts USING (
        SELECT v.delivery, (SELECT at FROM attempts WHERE attempts.delivery = v.delivery
                            ORDER BY at DESC OFFSET :kept - 1 LIMIT 1) AS oldest
        FROM unnest(:deliveries) AS v(delivery)
    ) AS full_up
    WHERE attempts.delivery = full_up.delivery AND attempts.at < full_up.oldest
""").bindparams(bindparam("deliveries", type_=ARRAY(BigInteger)))


def note(db: Connection, failed: Sequence[Failed]) -> None:
    """Keep them, in the transaction that decides what becomes of their deliveries. The latest ones stay."""
    if not failed:
        return
    values = {
        "deliveries": [one.delivery for one in failed],
        "ns": [one.n for one in failed],
        "errors": [one.error for one in failed],
        "sentences": [one.sentence for one in failed],
    }
    db.execute(_NOTE, values | {"worker": f"{socket.gethostname()}:{os.getpid()}", "version": code_version()})
    db.execute(_FORGET, {"deliveries": values["deliveries"], "kept": KEPT})


_OF = text("""
    SELECT n, at, outcome, error_class, sentence, worker, version FROM attempts
    WHERE delivery = :delivery ORDER BY at DESC, outcome NULLS LAST, n DESC
""")


def of(db: Connection, delivery: int) -> list[dict[str, Any]]:
    """Newest first, JSON-ready. With an `outcome`: how it stood closed until it was opened again or dismissed."""
    return [dict(row) for row in db.execute(_OF, {"delivery": delivery}).mappings()]
