"""`make bench`: Data Sync beside what a user would pick instead, in one run.

Exit status 1 if a delivery is lost or a measurement breaks off; whatever else can be measured still is.
"""

import signal
import sys
from dataclasses import asdict, replace
from types import FrameType

import click

from bench import capacity_page, document, report
from bench.course import ALONE, BESIDE_OTHERS, TROUBLE, Course, sentence
from bench.measures import Size
from bench.progress import progress
from bench.scale import QUICK as QUICK_REACH
from bench.scale import Reach
from bench.sides import express
from bench.stage import CHECKOUT

QUICK = Size(
    shops=2,
    rounds=1,
    deliveries=300,
    ack_seconds=2.0,
    idle_deliveries=2,
    storm_deliveries=1_000,
    storm_products=10,
    lookup_products=200,
    lookups=10,
    backfill_products=60,
    backfill_customers=120,
    bulk_above=50,
    quiet_shops=3,
    quiet_sizes=(10, 30),
    replay_deliveries=600,
    live_per_second=20.0,
    window_seconds=1.0,
    run_products=60,
)


@click.command()
@click.option("--quick", is_flag=True, help="Everything in a tiny size: does it work? The figures mean nothing.")
@click.option("--rounds", type=click.IntRange(1), help="Rounds end to end. Default 5.")
@click.option("--deliveries", type=click.IntRange(100), help="Deliveries a round; slow sides get less. Default 12,000.")
@click.option(
    "--products", type=click.IntRange(1), help="Products in the backfill. Default 50,000; among all else 10,000."
)
@click.option(
    "--customers", type=click.IntRange(1), help="Customers in the backfill. Default 250,000; among all else 50,000."
)
@click.option("--all", "everything", is_flag=True, help="Everything in full size. Some half an hour.")
@click.option("--only", type=click.Choice([*BESIDE_OTHERS, *ALONE]), help="One measurement.")
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
    """Data Sync beside Express + BullMQ, Flask + RQ and the floor. About twenty minutes on two cores."""
    size = QUICK if quick else Size()
    if not quick and not everything and only is None:
        size = _shorter(size)
    if everything or only == "scale":  # it makes ten million rows
        size = replace(size, reach=QUICK_REACH if quick else Reach())
    standard = size
    size = replace(
        size,
        rounds=rounds or size.rounds,
        deliveries=deliveries or size.deliveries,
        backfill_products=products or size.backfill_products,
        backfill_customers=customers or size.backfill_customers,
    )
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job has been told to ignore
    path = report.RESULTS / f"{'quick' if quick else 'latest'}{'-scale' if only == 'scale' else ''}.json"
    course, options = Course(size, only, airbyte), asdict(size) | {"only": only}
    try:
        where = report.machine()
        with progress() as note:
            express.installed(note)  # or nothing at all: not after a quarter of an hour
            for _ in course.run(note):
                report.write(report.as_figures(course.found, options, where, course.problems), path)
    except (*TROUBLE, express.NotInstalled) as trouble:
        course.problems.append(sentence(trouble))
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    if course.found:
        report.show(course.found, where)
        print(f"Written to {path.relative_to(CHECKOUT)}")
    if course.problems:
        sys.exit("\n".join(["The bench failed.", *course.problems]))
    print("All deliveries arrived.")
    if "scale" in course.found:
        page = report.RESULTS / "capacity.md" if quick else capacity_page.PAGE
        capacity_page.write(course.found["scale"], where, page)
        print(f"Written to {page.relative_to(CHECKOUT)}")
    if not quick and only is None and size == standard:
        document.publish(report.as_figures(course.found, options, where, []))
        print("Written to docs/performance.md")


def _shorter(size: Size) -> Size:
    """So that the whole bench takes twenty minutes at most."""
    return replace(
        size, backfill_products=10_000, backfill_customers=50_000, quiet_sizes=(100, 10_000), replay_deliveries=20_000
    )


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
