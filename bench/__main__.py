"""`make bench`: figures side by side with a plain Flask + RQ app, in one run. Exit status 1 if a delivery is lost."""

import signal
import sys
from dataclasses import asdict, replace
from types import FrameType

import click

from bench import measures, report
from bench.measures import Bench, Figures, Size
from bench.memory import Memory
from bench.progress import Note, progress
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
)
MEASURES = ("end-to-end", "ack", "idle", "lookup")


@click.command()
@click.option("--quick", is_flag=True, help="Everything in a tiny size: does it work? The figures mean nothing.")
@click.option("--rounds", type=click.IntRange(1), help="Rounds end to end. Default 3.")
@click.option("--deliveries", type=click.IntRange(100), help="Data Sync's deliveries a round. Default 20,000.")
@click.option("--only", type=click.Choice(MEASURES), help="One measurement.")
def main(quick: bool, rounds: int | None, deliveries: int | None, only: str | None) -> None:
    """Figures side by side with a plain Flask + RQ app. About ten minutes on two cores."""
    size = QUICK if quick else Size()
    size = replace(size, rounds=rounds or size.rounds)
    if deliveries:
        size = replace(size, deliveries=deliveries, plain_deliveries=max(20, deliveries * 3 // 40))
    signal.signal(signal.SIGTERM, _leave)
    where = report.machine()
    try:
        with progress() as note:
            found = measure(size, only, note)
    except Lost as lost:
        sys.exit(f"The bench failed. {lost}")
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    path = report.RESULTS / ("quick.json" if quick else "latest.json")
    report.write(found, asdict(size) | {"only": only}, where, path)
    report.show(found, where)
    print(f"Written to bench/results/{path.name}")


def measure(size: Size, only: str | None, note: Note) -> Figures:
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
        note("stopping everything")
    return found


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
