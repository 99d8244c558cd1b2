"""docs/performance.md and its picture, written from the figures of one run and from nothing else."""

from collections.abc import Iterator

from bench.picture import picture
from bench.rows import COLUMNS, Figures, Row, rows, side_by_side
from bench.stage import CHECKOUT

PAGE = CHECKOUT / "docs" / "performance.md"
PICTURE = CHECKOUT / "docs" / "pictures" / "performance.svg"


def publish(figures: Figures) -> None:
    PICTURE.write_text(picture(figures["end_to_end"]))
    PAGE.write_text(page(figures))


def page(figures: Figures) -> str:
    told = list(rows(figures))
    goals = [row for row in told if row.met is not None]
    met = sum(row.met is True for row in goals)
    rounds, machine = figures["options"]["rounds"], figures["machine"]
    per_round = "; ".join(f"{name} {of['deliveries_a_round']:,}" for name, of in figures["end_to_end"].items())
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return _PAGE.format(
        at=figures["at"],
        commit=machine["commit"] or "unknown",
        system=machine["system"],
        cores=machine["cores"],
        memory=machine["memory_gib"],
        load=machine["load_at_start"],
        versions=versions,
        compared="\n".join(_compared(figures)),
        rounds=rounds,
        per_round=per_round,
        met=met,
        of=len(goals),
        goals="\n".join(f"| {row.figure} | {row.value} | {row.goal} | {_verdict(row)} |" for row in goals),
        figures="\n".join(f"| {row.figure} | {row.value} |" for row in told if row.met is None),
    )


def _compared(figures: Figures) -> Iterator[str]:
    yield f"| | {' | '.join(COLUMNS)} |"
    yield f"|---|{'---:|' * len(COLUMNS)}"
    for name, cells in side_by_side(figures):
        yield f"| {name} | {' | '.join(cell or '-' for cell in cells)} |"


def _verdict(row: Row) -> str:
    return row.verdict if row.met else f"**{row.verdict}**"


_PAGE = """\
# Performance

Written by `make bench` on {at}, commit `{commit}` (with a `+`: and changes on top of it), on {system}, {cores} cores,
{memory} GiB; load average before the start {load}. All that is measured shares these cores with the load generator.

## Side by side

![Deliveries a second, side by side; the same figures are in the table below](pictures/performance.svg)

{compared}

Rounds in turn (A B C … A B C …), {rounds} of them; the median, and the lowest and highest in brackets. After each round
it was verified that every delivery was answered with 200 and lies in the tables with its variants; a loss would have
kept this page from being written. Deliveries a round: {per_round}.

- **Data Sync**: granian, two live workers and a bulk worker, the clock. 200 means a committed row.
- **Express + BullMQ**: one web process and two workers of Node, 25 jobs at once in each; `pg` with ten connections a
  process, ajv, HMAC over the raw bytes, one statement for a product with its variants, guarded by `updated_at`. One job
  a webhook; 200 means a job in Redis' memory.
- **Flask + RQ**: granian with the same flags and two workers; Marshmallow, SQLAlchemy. Once with RQ's default worker,
  which forks for each job, and once with its SimpleWorker.
- **The floor**: the same bytes answered by a bare WSGI app that verifies and keeps nothing; and the very rows that Data
  Sync wrote (inbox, products, variants, with all their indexes), copied in by `COPY` over two connections, with nothing
  else to do.

All stand on one Postgres (fsync on) and one Valkey (nothing on disk), each in a database of its own. What the peers do
not do is not held against them: they keep no inbox, do not notice what comes twice, check no record, ask for no
metafields, replay nothing.

## Goals: {met} of {of} met

| | Data Sync | goal | |
|---|---:|---|---|
{goals}

## The other figures

| | Data Sync |
|---|---:|
{figures}

## What is measured, and what is not

`bench/README.md` says how each figure is taken and what to be careful with. Not measured: networks, TLS, a Postgres on
another machine, more than one machine, Shopify itself (a pretend one answers), days of running.

## Again

    make bench

It takes some twenty minutes on two cores, writes this page, its picture and `bench/results/latest.json`, and ends with
1 if a delivery is lost or a measurement breaks off; then this page stays as it was. A missed goal fails nothing.

Versions: {versions}.
"""
