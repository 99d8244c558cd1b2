"""The first import of a large shop beside another shop's live mail."""

import time

from bench.live import Live, compared, know_metafields
from bench.measures import Figures, Size
from bench.pretend import Pretend, pretend
from bench.progress import Note
from bench.stage import Lost, number

LARGE, LIVE = "bench-large.myshopify.com", "bench-live.myshopify.com"
VARIANTS = 5


def beside_run(note: Note, size: Size) -> Figures:
    """Windows are compared from the moment when Shopify's file is there: writing it is the pretend Shopify's work."""
    with pretend(note, size.bulk_above) as standing:
        note(f"run: inventing {size.run_products:,} products")
        standing.open_shop(LARGE, products=size.run_products, customers=size.run_products, variants=VARIANTS)
        standing.open_shop(LIVE, products=0, customers=0)
        standing.install([LIVE])
        standing.await_none("run: the other shop's import", lambda: _left(standing, LIVE))
        live = Live(
            standing.folder / "live", standing.port, standing.secret, [LIVE], size.live_per_second, size.window_seconds
        )
        know_metafields(standing.db, [LIVE], live.products)
        alone = live.alone(lambda what: note(f"run: {what}"))
        standing.install([LARGE])
        standing.await_none("run: Shopify writes its file", lambda: _without_file(standing))
        began = time.monotonic()
        note("run: live mail beside it")
        during = list(live.beside(lambda: _left(standing, LARGE) > 0))
        seconds = time.monotonic() - began
        standing.await_none("run: the last live mail", lambda: _left(standing, LIVE))
        _verify(standing, size, live)
    return {"products": size.run_products, "seconds": round(seconds, 1), **compared(alone, during)}


def _left(standing: Pretend, shop: str) -> int:
    """Feeds whose first import has not ended, runs that go on, and what of the shop's mail has not been decided."""
    return number(
        standing.db,
        f"""SELECT (SELECT count(*) FROM feeds WHERE shop = '{shop}' AND last_complete_at IS NULL)
                 + (SELECT count(*) FROM runs WHERE shop = '{shop}' AND state = 'running')
                 + (SELECT count(*) FROM deliveries WHERE shop = '{shop}' AND state = 'waiting')""",  # noqa: S608  # ours
    )


def _without_file(standing: Pretend) -> int:
    return number(
        standing.db,
        f"""SELECT 2 - count(*) FROM runs
            WHERE shop = '{LARGE}' AND trigger = 'install'
              AND (state <> 'running' OR coalesce(place ->> 'phase', 'begin') NOT IN ('begin', 'bulk', 'poll'))""",  # noqa: S608  # ours
    )


def _verify(standing: Pretend, size: Size, live: Live) -> None:
    """All of the large shop is there, and all of the live mail."""
    there = "SELECT count(*) FROM products WHERE shop = '{}' AND core IS NOT NULL AND removed_at IS NULL"
    found = tuple(number(standing.db, there.format(shop)) for shop in (LARGE, LIVE))
    if found != (size.run_products, live.products):
        raise Lost(f"Beside a run: products {found} instead of {(size.run_products, live.products)}.")
