"""Live mail at a steady pace, to be looked at alone and beside something else: does Shopify have to wait longer?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from bench import mail
from bench.sender import send
from bench.stage import OURS, Lost

ALONE = 3  # windows


@dataclass(frozen=True)
class Live:
    """Windows of live mail about the same products again and again, at their own times (Poisson)."""

    path: Path
    port: int
    secret: str
    shops: list[str]
    per_second: float
    seconds: float

    @property
    def products(self) -> int:
        return max(5, int(self.per_second * self.seconds))

    def window(self) -> float:
        """The p99 of its answers in milliseconds."""
        mail.write_requests(self.path, self.secret, self.shops, self.products)
        sent = send(self.path, self.port, self.products, connections=64, per_second=self.per_second)
        if sent.statuses != {"200": self.products}:
            raise Lost(f"{OURS}: {self.products:,} sent as live mail, answers {sent.statuses}.")
        return sent.latency["p99_ms"]

    def alone(self, note: Callable[[str], None]) -> list[float]:
        found = []
        for n in range(1, ALONE + 1):
            note(f"live mail alone, {n} of {ALONE}")
            found.append(self.window())
        return found

    def beside(self, goes_on: Callable[[], bool]) -> Iterator[float]:
        """At least one window, however soon it has ended."""
        while True:
            yield self.window()
            if not goes_on():
                return


def compared(alone: list[float], during: list[float]) -> dict[str, float]:
    """The medians of the windows' p99."""
    return {
        "alone_p99_ms": round(median(alone), 2),
        "during_p99_ms": round(median(during), 2),
        "during_windows": len(during),
    }


def know_metafields(db: psycopg.Connection[Any], shops: list[str], count: int) -> None:
    """Of the mail's first `count` products, so that Shopify, who does not have them, need not be asked."""
    db.execute(_KNOW_METAFIELDS, {"shops": shops, "of": len(shops), "count": count})


_KNOW_METAFIELDS = """
    INSERT INTO products (shop, id, core_at, core_seen, metafields, metafields_seen)
    SELECT (CAST(%(shops)s AS text[]))[n %% %(of)s + 1], 8000000000000 + n * 1000, 'epoch', 'epoch',
           jsonb_build_object('product', '[]'::jsonb, 'variants',
                              (SELECT jsonb_object_agg((8000000000000 + n * 1000 + v)::text, '[]'::jsonb)
                               FROM generate_series(1, 5) AS v)), 'epoch'
    FROM generate_series(0, %(count)s - 1) AS n
"""
