"""Backfill: from `flask shops add` until both first imports have ended and everything they found is in the mirror."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from bench.airbyte import beside_airbyte
from bench.pretend import LOOK, PATIENCE, Pretend, pretend
from bench.progress import Note
from bench.stage import Lost, number
from devstore.client import Devstore
from devstore.demo_watch import AppReader
from devstore.invariant import breaches

SHOP = "bench-backfill.myshopify.com"
FEEDS = ("products", "customers")
VARIANTS = 5  # of a product, on average
LOOKED_UP = 200  # records of a feed that are compared field by field at the end
BELONGING = 0.01  # of the customers
FILE_PHASES = ("begin", "bulk", "poll")  # until Shopify has written the file
Figures = dict[str, Any]
Times = dict[str, dict[str, float]]  # by feed: seconds since `flask shops add`


def backfill(note: Note, products: int, customers: int, bulk_above: int, *, airbyte: bool) -> Figures:
    with pretend(note, bulk_above) as standing:
        note(f"inventing {products:,} products and {customers:,} customers")
        took = standing.open_shop(SHOP, products=products, customers=customers, variants=VARIANTS, b2b=BELONGING)
        began = time.monotonic()
        standing.install([SHOP])
        times: Times = {feed: {} for feed in FEEDS}
        files: dict[str, str] = {}
        _watch(standing, began, times, files, lambda: any("file" in of for of in times.values()))
        with standing.memory.watching():  # before the first file is there, nobody has anything to hold
            _watch(standing, began, times, files, lambda: all("applied" in of for of in times.values()))
        note("comparing the mirror with the store")
        found = _verify(standing)
        memory, asked = standing.memory.quarters(), standing.asked().as_figures()
        beside = {"airbyte": beside_airbyte(standing.folder, files["products"], note)} if airbyte else {}
    feeds = {feed: _rate(times[feed], found[feed]) for feed in FEEDS}
    seconds = round(max(of["applied"] for of in times.values()), 1)
    figures = {**found, "seconds": seconds, "feeds": feeds, "asked": asked, "memory": memory}
    return {**figures, **beside, "invented_in_seconds": round(took, 1)}


def _watch(standing: Pretend, began: float, times: Times, files: dict[str, str], enough: Callable[[], bool]) -> None:
    """Note by feed when the file was there, when the run had ended, and when its differences were applied."""
    before, moved = "", began
    while not enough():
        time.sleep(LOOK)
        now = time.monotonic()
        found = _runs(standing)
        files |= {feed: file for feed, *_, file in found if file}
        rows = {feed: (state, phase, seen, waiting) for feed, state, phase, seen, waiting, _ in found}
        for feed, (state, phase, _, waiting) in rows.items():
            _note_times(times[feed], state, phase, waiting, now - began)
        told = ", ".join(f"{feed} {seen:,} read, {waiting:,} waiting" for feed, (_, _, seen, waiting) in rows.items())
        standing.note("backfill", told)
        if told != before:
            before, moved = told, now
        if now - moved > PATIENCE:
            raise Lost(f"Backfill: nothing moves any more ({told}).")


def _runs(standing: Pretend) -> list[tuple[str, str, str, int, int, str | None]]:
    rows = standing.db.execute(
        """SELECT r.feed, r.state, coalesce(r.place ->> 'phase', 'begin'), r.seen,
                  (SELECT count(*) FROM deliveries d WHERE d.run = r.id AND d.state = 'waiting'),
                  r.place ->> 'url'
           FROM runs r WHERE r.shop = %s AND r.trigger = 'install'""",
        (SHOP,),
    ).fetchall()
    if broken := [row for row in rows if row[1] in ("failed", "held")]:
        raise Lost(f"Backfill: the run of {broken[0][0]} is {broken[0][1]}.")
    return rows


def _note_times(times: dict[str, float], state: str, phase: str, waiting: int, at: float) -> None:
    if phase not in FILE_PHASES:
        times.setdefault("file", at)
    if state == "finished":
        times.setdefault("finished", at)
        if waiting == 0:
            times.setdefault("applied", at)


def _verify(standing: Pretend) -> dict[str, int]:
    """The mirror holds what the store has, and of the customers those who belong."""
    store = standing.devstore.truth(SHOP)
    expected = {
        "products": len(store["products"]),
        "variants": sum(len(product["variants"]) for product in store["products"]),
        "members": sum(map(_belongs, store["customers"])),
    }
    queries = {
        "products": "SELECT count(*) FROM products WHERE removed_at IS NULL AND core IS NOT NULL",
        "variants": "SELECT count(*) FROM variants",
        "members": "SELECT count(*) FROM customers WHERE state = 'member'",
    }
    mirror = {name: number(standing.db, query) for name, query in queries.items()}
    if mirror != expected:
        raise Lost(f"Backfill: the store has {expected}, the mirror {mirror}.")
    _hold_to_invariant(standing)
    return {**expected, "customers": len(store["customers"])}


class _Sample:
    """A store of which every so-manieth record is told: to look up all of them would take longer than the import."""

    def __init__(self, store: Devstore) -> None:
        self._store = store
        self.ledger = store.ledger

    def truth(self, shop: str) -> dict[str, Any]:
        whole = self._store.truth(shop)
        return whole | {feed: whole[feed][:: len(whole[feed]) // LOOKED_UP + 1] for feed in FEEDS}


def _hold_to_invariant(standing: Pretend) -> None:
    app = AppReader(standing.devstore, standing.devstore.state()["app"], [SHOP])
    found = breaches(_Sample(standing.devstore), standing.database_url, app.mirror, [SHOP])
    app.close()
    if found:
        raise Lost(f"Backfill: {found[0]} ({len(found):,} breaches of the invariant.)")


def _belongs(customer: Mapping[str, Any]) -> bool:
    tagged = any(tag.strip().casefold() == "b2b" for tag in customer["tags"])
    return tagged or any(metafield["namespace"] == "sparklayer" for metafield in customer["metafields"])


def _rate(times: Mapping[str, float], records: int) -> Figures:
    """Whole, and without the time that Shopify took to write the file."""
    reading = max(times["applied"] - times["file"], LOOK)
    return {
        "records": records,
        "seconds": round(times["applied"], 1),
        "file_after_seconds": round(times["file"], 1),
        "finished_after_seconds": round(times["finished"], 1),
        "records_per_second": round(records / times["applied"], 1),
        "records_per_second_from_the_file": round(records / reading, 1),
    }
