"""Every figure as a line: what, how much, and whether the goal is met. Compared with others, and Data Sync alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bench.sides import express, flask_rq, floor
from bench.stage import OURS

EXPRESS, SIMPLE, FORKING = express.NAME, flask_rq.NAMES["SimpleWorker"], flask_rq.NAMES["Worker"]
CONTESTANTS = (OURS, EXPRESS, SIMPLE, FORKING, floor.BARE, floor.POSTGRES)
COLUMNS = (
    "end to end, deliveries/s",
    "accepted at the peak, /s",
    "ack p50 / p99 at half the peak, ms",
    "POST to lookup idle, p50, ms",
    "and under load, p50 / p99, ms",
    "storm: rows written",
)
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `met` is None where no goal is set."""

    figure: str
    value: str
    goal: str = ""
    met: bool | None = None

    @property
    def verdict(self) -> str:
        return "" if self.met is None else "met" if self.met else "MISSED"


def side_by_side(found: Figures) -> Iterator[tuple[str, list[str]]]:
    """Who, and a text for each of COLUMNS."""
    for name in CONTESTANTS:
        cells = [cell(found, name) for cell in _CELLS]
        if any(cells):
            yield name, cells


def _of(found: Figures, measure: str, name: str) -> Figures:
    of: Figures = found.get(measure, {}).get(name, {})
    return of


def _rate(found: Figures, name: str, which: str) -> str:
    of = _of(found, "end_to_end", name)
    return _spread(of[which]) if which in of else ""


def _p50_p99(found: Figures, measure: str, name: str) -> str:
    of = _of(found, measure, name)
    return f"{_ms(of, 'p50')} / {_ms(of, 'p99')}" if of else ""


def _idle_p50(found: Figures, name: str) -> str:
    of = _of(found, "idle", name)
    return _ms(of, "p50") if of else ""


def _storm_writes(found: Figures, name: str) -> str:
    of = _of(found, "storm", name)
    return f"{of['writes']:,} of {found['storm']['deliveries']:,}" if of else ""


_CELLS: tuple[Callable[[Figures, str], str], ...] = (
    lambda found, name: _rate(found, name, "applied_per_second"),
    lambda found, name: _rate(found, name, "accepted_per_second"),
    lambda found, name: _p50_p99(found, "acknowledgement", name),
    _idle_p50,
    lambda found, name: _p50_p99(found, "under_load", name),
    _storm_writes,
)


def rows(found: Figures) -> Iterator[Row]:
    """Of Data Sync; those with a goal that names others hold the ratio."""
    for measure, told in _ROWS.items():
        if measure in found:
            yield from told(found[measure])


def _end_to_end(found: Figures) -> Iterator[Row]:
    for other, least in ((EXPRESS, 2.5), (SIMPLE, None), (FORKING, 30.0)):
        ratio = _ratio(found, "applied_per_second", other)
        met = None if least is None else ratio >= least
        yield Row(f"First POST to last row committed, beside {other}", f"{ratio:.2f} x", f"≥ {least} x", met)
    ratio = found[OURS]["applied_per_second"]["median"] / found[floor.POSTGRES]["applied_per_second"]["median"]
    yield Row("Rows committed, of what COPY alone writes", f"{ratio:.0%}")
    for other, reached in ((EXPRESS, 1.0), (FORKING, None)):
        ratio = _ratio(found, "accepted_per_second", other)
        met = None if reached is None else ratio >= reached
        yield Row(f"Peak accepted (ours are durable rows), beside {other}", f"{ratio:.2f} x", f"≥ {reached} x", met)
    ratio = _ratio(found, "accepted_per_second", floor.BARE)
    yield Row("Peak accepted, of what a bare WSGI app answers", f"{ratio:.0%}")


def _ratio(found: Figures, which: str, other: str) -> float:
    return float(found[OURS][which]["median"] / found[other][which]["median"])


def _spread(found: dict[str, float]) -> str:
    return f"{found['median']:,.0f} ({found['low']:,.0f} to {found['high']:,.0f})"


def _acknowledgement(found: Figures) -> Iterator[Row]:
    ours = found[OURS]
    figure = "Acknowledgement at half the peak"
    yield Row(f"{figure}: offered (open loop), /s", f"{ours['offered_per_second']:,.0f}")
    yield Row(f"{figure}: p50 / p95, ms", f"{_ms(ours, 'p50')} / {_ms(ours, 'p95')}")
    yield Row(f"{figure}: p99, ms", _ms(ours, "p99"), "≤ 25 ms", ours["p99_ms"] <= 25)
    left = f"{ours['unapplied_at_the_end']:,}"
    yield Row(f"{figure}: answered and not yet applied at its end", left)


def _idle(found: Figures) -> Iterator[Row]:
    ours = found[OURS]
    yield Row("POST to lookup, idle: p50, ms", _ms(ours, "p50"), "≤ 100 ms", ours["p50_ms"] <= 100)
    yield Row("POST to lookup, idle: p99, ms", _ms(ours, "p99"))


def _under_load(found: Figures) -> Iterator[Row]:
    ours = found[OURS]
    yield Row(f"POST to lookup, under load: p50 of {ours['deliveries']}, ms", _ms(ours, "p50"))
    yield Row("POST to lookup, under load: p99, ms", _ms(ours, "p99"), "≤ 500 ms", ours["p99_ms"] <= 500)


def _storm(found: Figures) -> Iterator[Row]:
    ours, share = found[OURS], found[OURS]["share_percent"]
    figure = f"Storm of {found['deliveries']:,} deliveries about {found['products']} products: rows written"
    yield Row(figure, f"{ours['writes']:,} ({share:.2f} %)", "< 2 %", share < 2)
    figure = f"Storm: POST to lookup of other shops, p50 / slowest of {ours['other_shops']}, ms"
    slowest = f"{_ms(ours, 'p50')} / {_ms(ours, 'max')}"
    yield Row(figure, slowest, "≤ 1,000 ms", ours["max_ms"] <= 1000)
    if other := found.get(EXPRESS):
        yield Row(
            f"Storm: the same of {EXPRESS}, which serves in order of arrival",
            f"{_ms(other, 'p50')} / {_ms(other, 'max')}",
        )


def _lookup(found: Figures) -> Iterator[Row]:
    for kind, taken in found.items():
        if kind not in ("products", "pages"):
            figure = f"Lookup by {kind} among {found['products']:,} products, p50 / p95, ms"
            both = f"{_ms(taken, 'p50')} / {_ms(taken, 'p95')}"
            yield Row(figure, both, "p95 < 50 ms", taken["p95_ms"] < 50)
    for path, taken in found["pages"].items():
        both = f"{_ms(taken, 'p50')} / {_ms(taken, 'p95')}"
        figure = f"Page {path.partition('?')[0]} of that shop, p50 / p95, ms"
        yield Row(figure, both, "p95 < 300 ms", taken["p95_ms"] < 300)


def _memory(found: Figures) -> Iterator[Row]:
    for name, of in found.items():
        both = f"{of['first_mib']:.0f} → {of['last_mib']:.0f} ({of['growth_percent']:+.0f} %)"
        yield Row(f"Memory of {name}, MiB, first → last quarter under load", both)


def _replay(found: Figures) -> Iterator[Row]:
    rate = found["deliveries"] / max(found["seconds"], 1)
    yield Row(f"Replay of {found['deliveries']:,} dead deliveries, seconds", f"{found['seconds']:,} ({rate:,.0f}/s)")
    for name, taken in found["looking"].items():
        yield Row(f"Replay: {name} of the dead, p95, ms", _ms(taken, "p95"), "< 300 ms", taken["p95_ms"] < 300)
    figure = f"Replay: forecast of {found['forecast']['considered']:,}, seconds, the command's start included"
    yield Row(figure, f"{found['forecast']['seconds']:,.1f}", "≤ 10 s", found["forecast"]["seconds"] <= 10)
    yield _beside("Replay: live p99, alone → beside it, ms", found)
    for name, of in found["memory"].items():
        memory = f"{of['first_mib']:.0f} → {of['last_mib']:.0f} ({of['growth_percent']:+.0f} %)"
        yield Row(f"Replay: memory of {name}, MiB, first → last quarter", memory)


def _beside_run(found: Figures) -> Iterator[Row]:
    figure = f"First import of {found['products']:,} products: another shop's live p99, alone → beside it, ms"
    yield _beside(figure, found)


def _beside(figure: str, found: Figures) -> Row:
    ratio = found["during_p99_ms"] / found["alone_p99_ms"]
    both = f"{found['alone_p99_ms']:,.1f} → {found['during_p99_ms']:,.1f} ({ratio:.2f} x)"
    return Row(figure, both, "≤ 1.5 x", ratio <= 1.5)


MOST_MIB = 250
HANDFUL = 5  # queries


def _backfill(found: Figures) -> Iterator[Row]:
    size = f"{found['products']:,} products with {found['variants']:,} variants, {found['customers']:,} customers"
    yield Row(f"Backfill: {size}, seconds until all is applied", f"{found['seconds']:,.1f}")
    for feed, of in found["feeds"].items():
        yield Row(
            f"Backfill of {feed}: seconds (of them until Shopify's file is there)",
            _both(of, "seconds", "file_after_seconds"),
        )
        rates = "records_per_second", "records_per_second_from_the_file"
        yield Row(f"Backfill of {feed}: records/s in all (and from the file on)", _both(of, *rates))
    yield Row(
        "Backfill: queries of both feeds (points used)",
        f"{found['asked']['queries']:,} ({found['asked']['actual_points']:,.0f})",
    )
    for name, of in found["memory"].items():
        both = f"{of['peak_mib']:.0f}, {of['first_mib']:.0f} → {of['last_mib']:.0f} ({of['growth_percent']:+.0f} %)"
        figure = f"Backfill: memory of {name}, MiB: peak, first → last quarter"
        if name == "devstore":
            yield Row("Backfill: memory of the pretend Shopify, MiB (it holds the store)", both)
        else:
            yield Row(figure, both, f"≤ {MOST_MIB} MiB", of["peak_mib"] <= MOST_MIB)
    if "airbyte" in found:
        yield from _airbyte(found["airbyte"])


def _airbyte(found: Figures) -> Iterator[Row]:
    if not found["installed"]:
        yield Row("Beside airbyte-source-shopify", "does not install")
        return
    ours, ungrouped, grouped = found["ours"], found["airbyte"], found["airbyte_grouped"]
    figure = "The products' file, as Shopify writes it: records/s (airbyte-source-shopify's)"
    yield Row(figure, f"{_records_per_second(ours)} ({_records_per_second(ungrouped)})")
    misplaced = f"{ours['misplaced']:,} ({ungrouped['misplaced']:,}) of {ours['variants']:,}"
    yield Row("The products' file: variants attached to another product", misplaced)
    yield Row(
        "The products' file: memory that reading took, MiB", f"{ours['grown_mib']:,.0f} ({ungrouped['grown_mib']:,.0f})"
    )
    yield Row(
        "The products' file ordered with groupObjects: records/s of airbyte-source-shopify",
        _records_per_second(grouped),
    )


def _records_per_second(of: Figures) -> str:
    return f"{of['records'] / of['seconds']:,.0f}"


def _quiet(found: Figures) -> Iterator[Row]:
    many = found["many"]
    figure = f"Quiet cycle of {many['shops']} shops: seconds until all {many['runs']} runs have ended"
    yield Row(figure, f"{many['seconds']:,.1f} ({many['runs_per_second']:,.0f} runs/s)")
    runs, points = many["runs"], f"{many['requested_points']:,.0f} asked for, {many['actual_points']:,.0f} used"
    yield Row(
        f"Quiet cycle of {many['shops']} shops: queries (a run) / points",
        f"{many['queries']:,} ({many['queries'] / runs:g}) / {points}",
    )
    fewest = min(of["queries"] for of in found["by_size"].values())
    for size, of in found["by_size"].items():
        met = of["queries"] == fewest <= HANDFUL
        cost = f"{of['queries']} / {of['requested_points']:,.0f} asked for, {of['actual_points']:,.0f} used"
        figure = f"Quiet cycle of one shop with {int(size):,} products, queries / points"
        yield Row(figure, cost, "the same handful", met)


def _both(of: Figures, first: str, second: str) -> str:
    return f"{of[first]:,.1f} ({of[second]:,.1f})"


def _ms(found: dict[str, float], name: str) -> str:
    return f"{found[f'{name}_ms']:,.1f}"


_ROWS: dict[str, Callable[[Figures], Iterator[Row]]] = {
    "end_to_end": _end_to_end,
    "acknowledgement": _acknowledgement,
    "idle": _idle,
    "under_load": _under_load,
    "storm": _storm,
    "lookup": _lookup,
    "memory": _memory,
    "replay": _replay,
    "backfill": _backfill,
    "beside_run": _beside_run,
    "quiet": _quiet,
}
