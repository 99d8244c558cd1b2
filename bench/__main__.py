"""`make bench`: figures side by side with a plain Flask + RQ app, in one run. Exit status 1 if a delivery is lost."""

import signal
import sys
from dataclasses import asdict, replace
from types import FrameType

import click

from bench import measures, report
from bench.backfill import backfill
from bench.measures import Bench, Figures, Size
from bench.memory import Memory
from bench.progress import Note, progress
from bench.quiet import quiet
from bench.replay import replay
from bench.stage import Lost, stage

QUICK = Size(
    shops=2,
    rounds=1,
    deliveries=200,
    plain_deliveries=20,
    ack_seconds=2.0,
    idle_deliveries=3,
    lookup_products=200,
    lookups=10,
    backfill_products=60,
    backfill_customers=120,
    bulk_above=50,
    quiet_shops=3,
    quiet_sizes=(10, 30),
    replay_deliveries=600,
    replay_live_per_second=20.0,
    replay_window_seconds=1.0,
)
BESIDE_PLAIN = ("end-to-end", "ack", "idle", "lookup", "replay")
MEASURES = (*BESIDE_PLAIN, "backfill", "quiet")


@click.command()
@click.option("--quick", is_flag=True, help="Everything in a tiny size: does it work? The figures mean nothing.")
@click.option("--rounds", type=click.IntRange(1), help="Rounds end to end. Default 3.")
@click.option("--deliveries", type=click.IntRange(100), help="Data Sync's deliveries a round. Default 20,000.")
@click.option(
    "--products", type=click.IntRange(1), help="Products in the backfill. Default 50,000; among all else 10,000."
)
@click.option(
    "--customers", type=click.IntRange(1), help="Customers in the backfill. Default 250,000; among all else 50,000."
)
@click.option("--all", "everything", is_flag=True, help="Everything in full size. Some sixteen minutes.")
@click.option("--only", type=click.Choice(MEASURES), help="One measurement.")
@click.option("--airbyte", is_flag=True, help="The backfill's file also through PyPI's airbyte-source-shopify (3 min).")
def main(
    *,
    quick: bool,
    rounds: int | None,
    deliveries: int | None,
    products: int | None,
    customers: int | None,
    everything: bool,
    only: str | None,
    airbyte: bool,
) -> None:
    """Figures side by side with a plain Flask + RQ app. About thirteen minutes on two cores."""
    size = QUICK if quick else Size()
    if not quick and not everything and only is None:
        size = _shorter(size)
    size = replace(
        size,
        rounds=rounds or size.rounds,
        backfill_products=products or size.backfill_products,
        backfill_customers=customers or size.backfill_customers,
    )
    if deliveries:
        size = replace(size, deliveries=deliveries, plain_deliveries=max(20, deliveries * 3 // 40))
    signal.signal(signal.SIGTERM, _leave)
    where = report.machine()
    try:
        with progress() as note:
            found = measure(size, only, note, airbyte=airbyte)
    except Lost as lost:
        sys.exit(f"The bench failed. {lost}")
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    path = report.RESULTS / ("quick.json" if quick else "latest.json")
    report.write(found, asdict(size) | {"only": only}, where, path)
    report.show(found, where)
    print(f"Written to bench/results/{path.name}")


def _shorter(size: Size) -> Size:
    """So that the whole bench takes a quarter of an hour at most."""
    return replace(
        size, backfill_products=10_000, backfill_customers=50_000, quiet_sizes=(100, 10_000), replay_deliveries=20_000
    )


def measure(size: Size, only: str | None, note: Note, *, airbyte: bool) -> Figures:
    found: Figures = {}
    if only is None or only in BESIDE_PLAIN:
        found |= _beside_plain(size, only, note)
    if only in (None, "backfill"):
        found["backfill"] = backfill(
            note, size.backfill_products, size.backfill_customers, size.bulk_above, airbyte=airbyte
        )
    if only in (None, "quiet"):
        found["quiet"] = quiet(note, size.quiet_shops, size.quiet_sizes, size.bulk_above)
    note("everything is stopped")
    return found


def _beside_plain(size: Size, only: str | None, note: Note) -> Figures:
    found: Figures = {}
    with stage(note, size.shops) as standing:
        bench = Bench(standing, size, note, Memory(standing.data_sync.family))
        measures.warm_up(bench)
        if only in (None, "end-to-end"):
            found["end_to_end"] = measures.end_to_end(bench)
        if only in (None, "ack"):
            found["acknowledgement"] = measures.acknowledgement(bench, found.get("end_to_end"))
        if only in (None, "idle"):
            found["idle"] = measures.idle(bench)
        if only in (None, "lookup"):
            found["lookup"] = measures.lookup(bench)
        found["memory"] = bench.memory.quarters()
        if only in (None, "replay"):
            found["replay"] = replay(bench)
        note("stopping everything")
    return found


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
