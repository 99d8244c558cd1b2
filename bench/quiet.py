"""Quiet cycles: incremental runs of shops in which nothing has changed. What do they cost, and does size matter?"""

import time
from typing import Any

from bench.pretend import LOOK, Pretend, pretend
from bench.progress import Note
from bench.stage import Lost, number

PRODUCTS, CUSTOMERS = 100, 50  # of each of the many shops
Figures = dict[str, Any]


def quiet(note: Note, shops: int, sizes: tuple[int, ...], bulk_above: int) -> Figures:
    many = [f"bench-{n:03d}.myshopify.com" for n in range(1, shops + 1)]
    sized = {size: f"bench-of-{size}.myshopify.com" for size in sizes}
    with pretend(note, bulk_above) as standing:
        note(f"inventing {shops} shops with {PRODUCTS} products and {CUSTOMERS} customers each")
        for shop in many:
            standing.open_shop(shop, products=PRODUCTS, customers=CUSTOMERS, variants=1)
        for size, shop in sized.items():
            note(f"inventing a shop with {size:,} products")
            standing.open_shop(shop, products=size, customers=CUSTOMERS, variants=1)
        began = time.monotonic()
        standing.install([*many, *sized.values()])
        await_imports(standing)
        imported = time.monotonic() - began
        return {
            "imported_in_seconds": round(imported, 1),
            "many": {"shops": shops, "products_each": PRODUCTS, **_cycle(standing, many)},
            "by_size": {str(size): _cycle(standing, [shop]) for size, shop in sized.items()},
        }


_OPEN = """
    SELECT (SELECT count(*) FROM feeds WHERE last_complete_at IS NULL)
         + (SELECT count(*) FROM runs WHERE state = 'running')
         + (SELECT count(*) FROM deliveries WHERE state = 'waiting')
         + (SELECT count(*) FROM shops s WHERE NOT EXISTS (SELECT 1 FROM health h WHERE h.shop = s.domain
                                                           AND h.checked_at IS NOT NULL))
"""


def await_imports(standing: Pretend) -> None:
    standing.await_none("quiet: first imports", lambda: number(standing.db, _OPEN))
    # From here on nothing is due but what is made so: what is counted below is one cycle, and only that.
    standing.db.execute("UPDATE feeds SET next_run_at = now() + interval '1 day'")
    standing.db.execute("UPDATE health SET next_check_at = now() + interval '1 day'")
    standing.await_none("quiet: the last runs", lambda: number(standing.db, _OPEN))


def _cycle(standing: Pretend, shops: list[str]) -> Figures:
    """Both feeds of these shops are due now; seconds until the clock has started all of the runs and all have ended."""
    what = f"quiet: a cycle of {len(shops)} shops"
    before, last = standing.asked(), number(standing.db, "SELECT max(id) FROM runs")
    began = time.monotonic()
    standing.db.execute("UPDATE feeds SET next_run_at = now() WHERE shop = ANY(%s)", (shops,))
    ended = f"SELECT count(*) FROM runs WHERE id > {last} AND state <> 'running'"  # noqa: S608  # a number of ours
    standing.await_none(what, lambda: 2 * len(shops) - number(standing.db, ended))
    seconds = time.monotonic() - began
    _verify(standing, last, len(shops))
    asked, runs = standing.asked() - before, 2 * len(shops)
    return {
        "runs": runs,
        "seconds": round(seconds, 1),
        "runs_per_second": round(runs / max(seconds, LOOK), 1),
        **asked.as_figures(),
    }


def _verify(standing: Pretend, last: int, shops: int) -> None:
    """All finished, none complete, nothing found."""
    statement = """SELECT count(*) FROM runs
                   WHERE id > %s AND state = 'finished' AND NOT complete AND created + changed = 0"""
    row = standing.db.execute(statement, (last,)).fetchone()
    if row is None or row[0] != 2 * shops:
        raise Lost(f"Quiet: of {2 * shops} runs {row and row[0]} were quiet and finished.")
