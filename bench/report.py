"""The figures as a table for people and as JSON for machines."""

import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

OURS, PLAIN = "Data Sync", "plain Flask + RQ"
RESULTS = Path(__file__).resolve().parent / "results"
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `met` is None where no goal is set."""

    figure: str
    ours: str
    plain: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None


def machine() -> Figures:
    load = os.getloadavg()[0]
    cores = os.cpu_count()
    return {"system": f"{platform.system()} {platform.machine()}", "cores": cores, "load_at_start": round(load, 2)}


def write(found: Figures, options: Figures, where: Figures, path: Path) -> None:
    goals = [{"figure": row.figure, "goal": row.goal, "met": row.met} for row in rows(found) if row.goal]
    at = datetime.now(UTC).isoformat(timespec="seconds")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"at": at, "machine": where, "options": options, **found, "goals": goals}, indent=2))


def show(found: Figures, where: Figures) -> None:
    table = Table(header_style="bold", pad_edge=False)
    for column in ("", OURS, PLAIN, "ratio", "goal"):
        table.add_column(column, justify="left" if column in ("", "goal") else "right")
    for row in rows(found):
        table.add_row(row.figure, row.ours, row.plain, row.ratio, _goal(row))
    width = None if Console().is_terminal else 150
    console = Console(width=width)
    console.print(table)
    console.print(
        f"{where['system']}, {where['cores']} cores shared by everything measured and the load generator "
        f"(load average before: {where['load_at_start']}).\nMedians (lowest to highest). All deliveries arrived."
    )


def _goal(row: Row) -> str:
    return "" if row.met is None else f"{row.goal} {'met' if row.met else 'MISSED'}"


def rows(found: Figures) -> Iterator[Row]:
    if "end_to_end" in found:
        yield from _end_to_end(found["end_to_end"])
    if "acknowledgement" in found:
        yield from _acknowledgement(found["acknowledgement"])
    if "idle" in found:
        yield from _idle(found["idle"])
    if "lookup" in found:
        yield from _lookup(found["lookup"])
    if "memory" in found:
        yield from _memory(found["memory"])
    if "replay" in found:
        yield from _replay(found["replay"])
    if "backfill" in found:
        yield from _backfill(found["backfill"])
    if "quiet" in found:
        yield from _quiet(found["quiet"])


def _end_to_end(found: Figures) -> Iterator[Row]:
    ours, plain = found[OURS], found[PLAIN]
    rounds = f"{ours['deliveries_a_round']:,}", f"{plain['deliveries_a_round']:,}"
    yield Row("End to end: deliveries a round (fewer for the slow one; rates are compared)", *rounds)
    ratio = ours["applied_per_second"]["median"] / plain["applied_per_second"]["median"]
    rates = _spread(ours["applied_per_second"]), _spread(plain["applied_per_second"])
    yield Row("  first POST to last row committed, deliveries/s", *rates, f"{ratio:.1f} x", "≥ 15 x", ratio >= 15)
    ratio = ours["accepted_per_second"]["median"] / plain["accepted_per_second"]["median"]
    rates = _spread(ours["accepted_per_second"]), _spread(plain["accepted_per_second"])
    yield Row("  peak accepted, answers/s (Data Sync's are durable rows)", *rates, f"{ratio:.1f} x")


def _spread(found: dict[str, float]) -> str:
    return f"{found['median']:,.0f} ({found['low']:,.0f} to {found['high']:,.0f})"


def _acknowledgement(found: Figures) -> Iterator[Row]:
    ours, plain = found[OURS], found[PLAIN]
    offered = (f"{side['offered_per_second']:,.0f}/s for {side['seconds']:.0f} s" for side in (ours, plain))
    yield Row("Acknowledgement at half the peak (open loop)", next(offered), next(offered))
    for name in ("p50", "p95"):
        yield Row(f"  {name}, ms", _ms(ours, name), _ms(plain, name))
    met = ours["p99_ms"] <= 50
    yield Row("  p99, ms", _ms(ours, "p99"), _ms(plain, "p99"), "", "≤ 50 ms", met)
    left = f"{ours['unapplied_at_the_end']:,}", f"{plain['unapplied_at_the_end']:,}"
    yield Row("  answered but not yet applied when the sending ended", *left)


def _idle(found: Figures) -> Iterator[Row]:
    ours, plain = found[OURS], found[PLAIN]
    met = ours["p50_ms"] <= 250
    yield Row("Idle: POST to lookup p50, ms", _ms(ours, "p50"), _ms(plain, "p50"), "", "≤ 250 ms", met)
    yield Row("  p99, ms", _ms(ours, "p99"), _ms(plain, "p99"))


def _lookup(found: Figures) -> Iterator[Row]:
    for kind, taken in found.items():
        if kind not in ("products", "pages"):
            figure = f"Lookup by {kind} among {found['products']:,} products, p50 / p95, ms"
            both = f"{_ms(taken, 'p50')} / {_ms(taken, 'p95')}"
            yield Row(figure, both, "", "", "p95 < 50 ms", taken["p95_ms"] < 50)
    for path, taken in found["pages"].items():
        both = f"{_ms(taken, 'p50')} / {_ms(taken, 'p95')}"
        yield Row(
            f"Page {path.partition('?')[0]} of that shop, p50 / p95, ms",
            both,
            "",
            "",
            "< 300 ms",
            taken["p95_ms"] < 300,
        )


def _memory(found: Figures) -> Iterator[Row]:
    for name, of in found.items():
        both = f"{of['first_mib']:.0f} → {of['last_mib']:.0f} ({of['growth_percent']:+.0f} %)"
        yield Row(f"Memory of {name}, MiB, first → last quarter under load", both)


def _replay(found: Figures) -> Iterator[Row]:
    rate = found["deliveries"] / max(found["seconds"], 1)
    yield Row(f"Replay of {found['deliveries']:,} dead deliveries, seconds", f"{found['seconds']:,} ({rate:,.0f}/s)")
    for name, taken in found["looking"].items():
        yield Row(f"  {name} of them, p95, ms", _ms(taken, "p95"), "", "", "< 300 ms", taken["p95_ms"] < 300)
    figure = f"  forecast of {found['forecast']['considered']:,}, seconds, the command's start included"
    yield Row(figure, f"{found['forecast']['seconds']:,.1f}", "", "", "≤ 10 s", found["forecast"]["seconds"] <= 10)
    ratio = found["during_p99_ms"] / found["idle_p99_ms"]
    both = f"{found['idle_p99_ms']:,.1f} → {found['during_p99_ms']:,.1f}"
    figure = "  live p99, alone → beside it, ms"
    yield Row(figure, both, "", f"{ratio:.2f} x", "≤ 1.5 x", ratio <= 1.5)
    for name, of in found["memory"].items():
        memory = f"{of['first_mib']:.0f} → {of['last_mib']:.0f} ({of['growth_percent']:+.0f} %)"
        yield Row(f"  memory of {name} during it, MiB, first → last quarter", memory)


MOST_MIB = 250
HANDFUL = 5  # queries


def _backfill(found: Figures) -> Iterator[Row]:
    size = f"{found['products']:,} products with {found['variants']:,} variants, {found['customers']:,} customers"
    yield Row(f"Backfill: {size}, seconds until all is applied", f"{found['seconds']:,.1f}")
    for feed, of in found["feeds"].items():
        yield Row(
            f"  {feed}: seconds (of them until Shopify's file is there)", _both(of, "seconds", "file_after_seconds")
        )
        rates = "records_per_second", "records_per_second_from_the_file"
        yield Row(f"  {feed}: records/s in all (and from the file on)", _both(of, *rates))
    yield Row(
        "  queries of both feeds (points used)",
        f"{found['asked']['queries']:,} ({found['asked']['actual_points']:,.0f})",
    )
    for name, of in found["memory"].items():
        both = f"{of['peak_mib']:.0f}, {of['first_mib']:.0f} → {of['last_mib']:.0f} ({of['growth_percent']:+.0f} %)"
        figure = f"  memory of {name}, MiB: peak, first → last quarter"
        if name == "devstore":
            yield Row("  memory of the pretend Shopify, MiB (it holds the store)", both)
        else:
            yield Row(figure, both, "", "", f"≤ {MOST_MIB} MiB", of["peak_mib"] <= MOST_MIB)
    if "airbyte" in found:
        yield from _airbyte(found["airbyte"])


def _airbyte(found: Figures) -> Iterator[Row]:
    """In the column of the other side: it is what a user would pick instead here."""
    if not found["installed"]:
        yield Row("  airbyte-source-shopify", "", "does not install")
        return
    ours, ungrouped, grouped = found["ours"], found["airbyte"], found["airbyte_grouped"]
    figure = "  products' file, as Shopify writes it: records/s (airbyte-source-shopify beside ours)"
    yield Row(figure, _records_per_second(ours), _records_per_second(ungrouped))
    misplaced = (f"{of['misplaced']:,} of {of['variants']:,}" for of in (ours, ungrouped))
    yield Row("  of it, variants attached to another product", next(misplaced), next(misplaced))
    yield Row("  memory that reading took, MiB", f"{ours['grown_mib']:,.0f}", f"{ungrouped['grown_mib']:,.0f}")
    yield Row("  the same file ordered with groupObjects: records/s", "", _records_per_second(grouped))


def _records_per_second(of: Figures) -> str:
    return f"{of['records'] / of['seconds']:,.0f}"


def _quiet(found: Figures) -> Iterator[Row]:
    many = found["many"]
    figure = f"Quiet cycle of {many['shops']} shops: seconds until all {many['runs']} runs have ended"
    yield Row(figure, f"{many['seconds']:,.1f} ({many['runs_per_second']:,.0f} runs/s)")
    runs, points = many["runs"], f"{many['requested_points']:,.0f} asked for, {many['actual_points']:,.0f} used"
    yield Row("  queries (a run) / points", f"{many['queries']:,} ({many['queries'] / runs:g}) / {points}")
    fewest = min(of["queries"] for of in found["by_size"].values())
    for size, of in found["by_size"].items():
        met = of["queries"] == fewest <= HANDFUL
        cost = f"{of['queries']} / {of['requested_points']:,.0f} asked for, {of['actual_points']:,.0f} used"
        figure = f"Quiet cycle of one shop with {int(size):,} products, queries / points"
        yield Row(figure, cost, "", "", "the same handful", met)


def _both(of: Figures, first: str, second: str) -> str:
    return f"{of[first]:,.1f} ({of[second]:,.1f})"


def _ms(found: dict[str, float], name: str) -> str:
    return f"{found[f'{name}_ms']:,.1f}"
