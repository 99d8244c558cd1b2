"""From a POST to the lookup that finds it: when nothing else goes on, under load, and in another shop's storm."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from random import Random

from bench import mail
from bench.caller import Caller
from bench.measures import Bench, Figures
from bench.sender import Load, sending
from bench.spread import latencies
from bench.stage import Lost, Side, number

LOOK, LOOK_BESIDE = 0.002, 0.02  # seconds between two lookups; beside a load they must not be much of it themselves
MOST_SECONDS = 1_800.0  # a peer that serves in order of arrival may have a storm to apply first, on a busy machine


def idle(bench: Bench) -> Figures:
    """From a single POST to the lookup that finds it, with nothing else going on."""
    bench.contest.settle()
    found = {}
    for side in bench.contest.sides:
        chance, taken = Random(side.name), []
        for n in range(bench.size.idle_deliveries):
            bench.note(f"idle: {side.name}, {bench.size.idle_deliveries} deliveries", str(n + 1))
            # Between one delivery and the next the workers may or may not have gone back to sleep.
            time.sleep(chance.uniform(0.1, 0.7))
            taken.append(_until_found(bench, side, bench.contest.shops[n % len(bench.contest.shops)], n, LOOK))
        found[side.name] = latencies(taken)
    return found


def under_load(bench: Bench, rates: Mapping[str, float]) -> Figures:
    """The same while half the peak load runs, of the sides that can apply as fast as that lasts."""
    found = {}
    for side in _fast(bench):
        rate = rates[side.name]
        count = max(10, min(int(rate * bench.size.ack_seconds), bench.size.deliveries))
        bench.contest.settle()
        what = f"POST to lookup under load: {side.name}, {rate:,.0f} a second for {count / rate:.0f} s"
        bench.note(what)
        path = bench.requests()
        with (
            bench.memory.watching(),
            sending(path, side.port, count, connections=64, per_second=rate) as load,
        ):
            taken = list(_beside(bench, side, load, bench.contest.shops))
            sent = load.report()
        side.await_applied(count + len(taken), lambda left: bench.note(what, f"{left:,} left"))  # noqa: B023  # at once
        side.verify(count, sent.statuses, len(taken))
        found[side.name] = {"offered_per_second": round(rate, 1), "deliveries": len(taken), **latencies(taken)}
    return found


def storm(bench: Bench) -> Figures:
    """One shop sends as fast as it can about few products: how often are they written, and does another shop wait?"""
    size, contest = bench.size, bench.contest
    shop, *others = contest.shops
    requests = contest.folder / "storm"
    bench.note(f"signing {size.storm_deliveries:,} deliveries of a storm")
    mail.write_storm(requests, contest.secret, shop, size.storm_deliveries, size.storm_products)
    found: Figures = {"deliveries": size.storm_deliveries, "products": size.storm_products}
    for side in _fast(bench):
        contest.settle()
        what = f"storm: {side.name}, {size.storm_deliveries:,} deliveries about {size.storm_products} products"
        bench.note(what)
        with _witness(side, shop) as writes:
            with bench.memory.watching(), sending(requests, side.port, size.storm_deliveries) as load:
                taken = list(_beside(bench, side, load, others))
                sent = load.report()
            done = side.await_applied(size.storm_deliveries, lambda left: bench.note(what, f"{left:,} left"))  # noqa: B023  # at once
            _verify_storm(bench, side, shop, sent.statuses, len(taken))
            written = writes()
        found[side.name] = {
            "writes": written,
            "share_percent": round(100 * written / size.storm_deliveries, 2),
            "per_second": round(size.storm_deliveries / (done - sent.began), 1),
            "other_shops": len(taken),
            **latencies(taken),
        }
    return found


def _fast(bench: Bench) -> list[Side]:
    return [side for side in bench.contest.sides if side.share == 1]


def _beside(bench: Bench, side: Side, load: Load, shops: list[str]) -> Iterator[float]:
    """Single deliveries of products that the load does not send, one after the other, as long as it is sent."""
    chance, n = Random(side.name), bench.size.deliveries
    while True:
        time.sleep(chance.uniform(0.02, 0.1))
        if n > bench.size.deliveries and not load.goes_on():
            return
        yield _until_found(bench, side, shops[n % len(shops)], n, LOOK_BESIDE)
        n += 1


def _until_found(bench: Bench, side: Side, shop: str, n: int, pause: float) -> float:
    delivery = mail.delivery(bench.contest.secret, shop, n)
    with Caller(side.port, bench.contest.secret, shop) as caller:
        caller.connect()
        began = time.monotonic()
        caller.post(delivery)
        while not side.finds(caller, mail.sku(n, 1)):
            if time.monotonic() - began > MOST_SECONDS:
                raise Lost(f"{side.name}: a single delivery was not found within {MOST_SECONDS:.0f} s.")
            time.sleep(pause)
        return time.monotonic() - began


_WITNESS = """
    CREATE SEQUENCE bench_writes;
    CREATE FUNCTION bench_witness() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM nextval('bench_writes'); RETURN NULL; END $$;
    CREATE TRIGGER bench_witness AFTER INSERT OR UPDATE ON products FOR EACH ROW
        WHEN (NEW.shop = '{shop}') EXECUTE FUNCTION bench_witness()
"""


@contextmanager
def _witness(side: Side, shop: str) -> Iterator[Callable[[], int]]:
    """Counts each row of `products` that is written for this shop, rolled back or not."""
    side.db.execute(_WITNESS.format(shop=shop).encode())
    try:
        yield lambda: number(side.db, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM bench_writes")
    finally:
        side.db.execute("DROP FUNCTION bench_witness CASCADE")
        side.db.execute("DROP SEQUENCE bench_writes")


def _verify_storm(bench: Bench, side: Side, shop: str, statuses: Mapping[str, int], others: int) -> None:
    """Each product is at its last revision, and the other shops' are there."""
    sent, products = bench.size.storm_deliveries, bench.size.storm_products
    last = (sent - 1) // products
    newest = f"SELECT count(*) FROM products WHERE shop = %s AND {side.changed_at} = %s"  # noqa: S608  # a column of ours
    row = side.db.execute(newest.encode(), (shop, mail.changed_at(last))).fetchone()
    found = (row[0] if row else 0), number(side.db, "SELECT count(*) FROM products")
    if dict(statuses) != {"200": sent} or found != (products, products + others):
        raise Lost(f"{side.name}: a storm of {sent:,}, answers {dict(statuses)}, (at the newest, products) {found}.")
