"""What runs and customers' webhooks cost, against the pretend Shopify: CPU by process, WAL, and Shopify's points."""

from collections.abc import Callable

import redis

from bench.expense import Meter
from bench.pretend import Pretend, pretend
from bench.progress import Note
from bench.quiet import await_imports
from bench.scale import Figures
from bench.stage import Lost, number

PRODUCTS, CUSTOMERS, BELONGING = 100, 100, 0.5  # of each shop
CHANGES = 3  # of customers, of each shop
_WAITING = "SELECT count(*) FROM deliveries WHERE state = 'waiting'"


def runs(note: Note, shops: int) -> Figures:
    names = [f"bench-{n:03d}.myshopify.com" for n in range(1, shops + 1)]
    with pretend(note, 1_000_000) as standing:
        note(f"scale: inventing {shops} shops")
        for name in names:
            standing.open_shop(name, products=PRODUCTS, customers=CUSTOMERS, variants=5, b2b=BELONGING)
        standing.install(names)
        await_imports(standing)
        records = number(standing.db, "SELECT count(*) FROM customers WHERE state = 'member'")
        with redis.Redis.from_url(standing.redis_url) as client:
            meter = Meter(standing.db, client)
            quiet = _cost(standing, meter, lambda: _cycle(standing, complete=False), 2 * shops)
            complete = _cost(standing, meter, lambda: _cycle(standing, complete=True), shops * (PRODUCTS + CUSTOMERS))
            edited = _cost(standing, meter, lambda: _edit_customers(standing, names), CHANGES * shops)
    sizes = {"shops": shops, "products_each": PRODUCTS, "customers_each": CUSTOMERS, "members": records}
    return {**sizes, "quiet_run": quiet, "complete_run_a_record": complete, "customer_webhook": edited}


def _cost(standing: Pretend, meter: Meter, do: Callable[[], None], number_of: int) -> Figures:
    asked, before = standing.asked(), meter.read()
    do()
    spent, told = meter.read() - before, standing.asked() - asked
    points = {"queries": round(told.queries / number_of, 2), "points": round(told.actual_points / number_of, 2)}
    points |= {"points_reserved": round(told.requested_points / number_of, 2)}
    return spent.each(number_of) | points


def _cycle(standing: Pretend, *, complete: bool) -> None:
    """Both feeds of all shops, until the last difference is applied."""
    due = ", next_complete_at = now()" if complete else ""
    last = number(standing.db, "SELECT max(id) FROM runs")
    standing.db.execute(f"UPDATE feeds SET next_run_at = now(){due}".encode())  # noqa: S608  # a constant of ours
    feeds = number(standing.db, "SELECT count(*) FROM feeds")
    ended = f"SELECT count(*) FROM runs WHERE id > {last} AND state = 'finished'"  # noqa: S608  # a number of ours
    standing.await_none("scale: a cycle of runs", lambda: feeds - number(standing.db, ended))
    standing.await_none("scale: what they found", lambda: number(standing.db, _WAITING))
    standing.db.execute("UPDATE feeds SET next_run_at = now() + interval '1 day'")
    if number(standing.db, f"SELECT count(*) FROM runs WHERE id > {last} AND complete <> {complete}"):  # noqa: S608  # ours
        raise Lost("Scale: a run was not of the kind that was asked for.")


def _edit_customers(standing: Pretend, names: list[str]) -> None:
    """Somebody is renamed in each shop, member or not; the pretend Shopify sends the webhooks."""
    last = number(standing.db, "SELECT max(id) FROM deliveries")
    for _ in range(CHANGES):
        for name in names:
            standing.devstore.change(name, "edit_customer")
    came = f"SELECT count(*) FROM deliveries WHERE id > {last} AND topic LIKE 'customer%'"  # noqa: S608  # a number
    standing.await_none("scale: customers' webhooks", lambda: CHANGES * len(names) - number(standing.db, came))
    standing.await_none("scale: customers' turns", lambda: number(standing.db, _WAITING))
