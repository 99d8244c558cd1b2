"""The measurements. Each empties the tables, sends, verifies that everything arrived, and returns plain figures."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from bench import mail
from bench.caller import Caller
from bench.memory import Memory
from bench.progress import Note
from bench.sender import send
from bench.spread import latencies, spread
from bench.stage import LOOKUP_SHOP, Lost, Side, Stage, settle

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. The plain app is slow: it gets fewer deliveries, and rates are compared."""

    shops: int = 20
    rounds: int = 3
    deliveries: int = 20_000
    plain_deliveries: int = 1_500
    ack_seconds: float = 15.0
    idle_deliveries: int = 50
    lookup_products: int = 50_000
    lookups: int = 500  # of each kind
    backfill_products: int = 50_000  # of five variants on average
    backfill_customers: int = 250_000  # of whom one in a hundred belongs
    bulk_above: int = 5_000  # Data Sync's own default
    quiet_shops: int = 200
    quiet_sizes: tuple[int, ...] = (100, 10_000, 50_000)  # products of one shop
    replay_deliveries: int = 100_000
    replay_live_per_second: float = 100.0
    replay_window_seconds: float = 15.0


@dataclass(frozen=True)
class Bench:
    stage: Stage
    size: Size
    note: Note
    memory: Memory

    @property
    def sides(self) -> tuple[tuple[Side, int], tuple[Side, int]]:
        """Who, and how many deliveries a round."""
        return (self.stage.data_sync, self.size.deliveries), (self.stage.plain, self.size.plain_deliveries)

    def requests(self) -> Path:
        """The file with the signed requests, written when first asked for."""
        path = self.stage.folder / "requests"
        if not path.exists():
            self.note(f"signing {self.size.deliveries:,} deliveries")
            mail.write_requests(path, self.stage.secret, self.stage.shops, self.size.deliveries)
        return path


def warm_up(bench: Bench) -> None:
    """Caches, connections and lazily imported modules of both sides."""
    for side, count in bench.sides:
        _round(bench, side, max(count // 20, 10), f"{side.name}: warming up")


def end_to_end(bench: Bench) -> Figures:
    """Deliveries a second from the first POST to the last row committed, and to the last answer. Rounds in turn."""
    applied: dict[str, list[float]] = {side.name: [] for side, _ in bench.sides}
    accepted: dict[str, list[float]] = {side.name: [] for side, _ in bench.sides}
    for number in range(1, bench.size.rounds + 1):
        for side, count in bench.sides:
            what = f"end to end, round {number} of {bench.size.rounds}: {side.name}, {count:,} deliveries"
            to_rows, to_answers = _round(bench, side, count, what)
            applied[side.name].append(to_rows)
            accepted[side.name].append(to_answers)
    return {
        side.name: {
            "deliveries_a_round": count,
            "applied_per_second": asdict(spread(applied[side.name])),
            "accepted_per_second": asdict(spread(accepted[side.name])),
            "lost": 0,  # a loss ends the bench
        }
        for side, count in bench.sides
    }


def _round(bench: Bench, side: Side, count: int, what: str) -> tuple[float, float]:
    requests = bench.requests()
    settle(bench.stage)
    bench.note(what)
    with bench.memory.watching():
        sent = send(requests, side.port, count)
        done = side.await_applied(count, lambda left: bench.note(what, f"{left:,} left"))
    side.verify(count, sent.statuses)
    return count / (done - sent.began), sent.per_second


def acknowledgement(bench: Bench, peaks: Figures | None) -> Figures:
    """Latency of the answer at half the peak accept rate, sent at their own times whatever the answers do."""
    peaks = peaks or end_to_end(bench)
    found = {}
    for side, count in bench.sides:
        rate = peaks[side.name]["accepted_per_second"]["median"] / 2
        # The plain app accepts faster than it applies, so its backlog here is larger than that of a round.
        count = min(int(rate * bench.size.ack_seconds), max(count, bench.size.deliveries))  # noqa: PLW2901  # narrowed
        settle(bench.stage)
        bench.note(f"acknowledgement: {side.name}, {rate:,.0f} a second for {count / rate:.0f} s")
        with bench.memory.watching():
            sent = send(bench.requests(), side.port, count, connections=64, per_second=rate)
        if sent.statuses != {"200": count}:
            raise Lost(f"{side.name}: {count:,} sent, answers {sent.statuses}.")
        left = side.unapplied(count)
        if side is bench.stage.data_sync:
            side.await_applied(count, lambda left: bench.note("acknowledgement: the rest is applied", f"{left:,} left"))
            side.verify(count, sent.statuses)
        found[side.name] = {"offered_per_second": round(rate, 1), "seconds": round(sent.seconds, 1), **sent.latency}
        found[side.name]["unapplied_at_the_end"] = left
    return found


def idle(bench: Bench) -> Figures:
    """From a single POST to the lookup that finds it, with nothing else going on."""
    settle(bench.stage)
    found = {}
    for side, look_up in ((bench.stage.data_sync, Caller.finds), (bench.stage.plain, Caller.finds_plainly)):
        chance, taken = Random(side.name), []
        for n in range(bench.size.idle_deliveries):
            bench.note(f"idle: {side.name}, {bench.size.idle_deliveries} deliveries", str(n + 1))
            # Between one delivery and the next the workers may or may not have gone back to sleep.
            time.sleep(chance.uniform(0.1, 0.9))
            taken.append(_until_found(bench, side, n, look_up))
        found[side.name] = latencies(taken)
    return found


def _until_found(bench: Bench, side: Side, n: int, look_up: Callable[[Caller, str], bool]) -> float:
    shop = bench.stage.shops[n % len(bench.stage.shops)]
    delivery = mail.delivery(bench.stage.secret, shop, n)
    with Caller(side.port, bench.stage.secret, shop) as caller:
        caller.connect()
        began = time.monotonic()
        caller.post(delivery)
        while not look_up(caller, mail.sku(n, 1)):
            if time.monotonic() - began > 30:
                raise Lost(f"{side.name}: a single delivery was not found within 30 s.")
            time.sleep(0.002)
        return time.monotonic() - began


def lookup(bench: Bench) -> Figures:
    """Latency of GET /api/v1/products?q= in a shop with many products, which came in by the front door."""
    size, stage = bench.size, bench.stage
    requests = stage.folder / "lookup"
    bench.note(f"signing {size.lookup_products:,} deliveries")
    mail.write_requests(requests, stage.secret, [LOOKUP_SHOP], size.lookup_products)
    settle(stage)
    what = f"lookup: {size.lookup_products:,} products by the front door"
    bench.note(what)
    with bench.memory.watching():
        sent = send(requests, stage.data_sync.port, size.lookup_products)
        stage.data_sync.await_applied(size.lookup_products, lambda left: bench.note(what, f"{left:,} left"))
    stage.data_sync.verify(size.lookup_products, sent.statuses)
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
    with Caller(bench.stage.data_sync.port, bench.stage.secret, LOOKUP_SHOP) as caller:
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
        with Caller(bench.stage.data_sync.port, bench.stage.secret, LOOKUP_SHOP) as caller:
            began = time.monotonic()
            page = caller.open_page(path)
            taken.append(time.monotonic() - began)
        if "</html>" not in page:
            raise Lost(f"Data Sync: {path} was not a whole page.")
    return latencies(taken)
