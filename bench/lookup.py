"""Lookups and pages of Data Sync in one shop with many products, which came in by the front door."""

import time
from collections.abc import Callable, Sequence
from random import Random

from bench import mail
from bench.caller import Caller
from bench.measures import Bench, Figures
from bench.sender import send
from bench.spread import latencies
from bench.stage import LOOKUP_SHOP, Lost


def lookup(bench: Bench) -> Figures:
    """Latency of GET /api/v1/products?q= in a shop with many products, which came in by the front door."""
    size, contest = bench.size, bench.contest
    requests = contest.folder / "lookup"
    bench.note(f"signing {size.lookup_products:,} deliveries")
    mail.write_requests(requests, contest.secret, [LOOKUP_SHOP], size.lookup_products)
    contest.settle()
    what = f"lookup: {size.lookup_products:,} products by the front door"
    bench.note(what)
    with bench.memory.watching():
        sent = send(requests, contest.data_sync.port, size.lookup_products)
        contest.data_sync.await_applied(size.lookup_products, lambda left: bench.note(what, f"{left:,} left"))
    contest.data_sync.verify(size.lookup_products, sent.statuses)
    chance = Random(50_000)
    numbers = [chance.randrange(size.lookup_products) for _ in range(size.lookups)]
    found: Figures = {"products": size.lookup_products} | {kind: _look_up(bench, kind, numbers) for kind in KINDS}
    return found | {"pages": {path: _open_page(bench, path) for path in PAGES}}


KINDS: dict[str, Callable[[int], str]] = {
    "sku": lambda number: mail.sku(number, 3),
    "id": lambda number: str(mail.product_id(number)),
    "title prefix": lambda number: mail.title(number)[:-2],
    "barcode": lambda number: mail.barcode(number, 2),
}


def _look_up(bench: Bench, kind: str, numbers: Sequence[int]) -> dict[str, float]:
    bench.note(f"lookup: {len(numbers)} by {kind}")
    taken = []
    with Caller(bench.contest.data_sync.port, bench.contest.secret, LOOKUP_SHOP) as caller:
        for number in numbers:
            began = time.monotonic()
            answer = caller.look_up(KINDS[kind](number))
            taken.append(time.monotonic() - began)
            if mail.product_id(number) not in {result["id"] for result in answer["results"]}:
                raise Lost(f"Data Sync: {KINDS[kind](number)!r} was not found by {kind}.")
    return latencies(taken)


PAGES = ("/", "/products", "/products/issues", "/products/activity", f"/products/lookup?q={mail.sku(0, 1)}")


def _open_page(bench: Bench, path: str) -> dict[str, float]:
    """Each by a caller of its own, as the first page of somebody who comes in is."""
    bench.note(f"pages: {path}")
    taken = []
    for _ in range(max(bench.size.lookups // 10, 3)):
        with Caller(bench.contest.data_sync.port, bench.contest.secret, LOOKUP_SHOP) as caller:
            began = time.monotonic()
            page = caller.open_page(path)
            taken.append(time.monotonic() - began)
        if "</html>" not in page:
            raise Lost(f"Data Sync: {path} was not a whole page.")
    return latencies(taken)
