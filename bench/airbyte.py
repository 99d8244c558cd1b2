"""The same bulk file through Data Sync's reader and through the record producer of PyPI's airbyte-source-shopify.

Airbyte asks for `groupObjects: true` and `__typename`, and attaches a child to the record above it. So it gets both:
the file in the order in which Shopify wrote it for us (not grouped), and the same lines grouped.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson

from bench.progress import Note
from bench.stage import CHECKOUT

PACKAGE = "airbyte-source-shopify"
MOST_SECONDS = 180.0  # to install it in
Figures = dict[str, Any]
Line = dict[str, Any]


def beside_airbyte(folder: Path, url: str, note: Note) -> Figures:
    """`installed` False is all there is to say where PyPI does not have it for this Python."""
    note(f"installing {PACKAGE} for a moment")
    python = _install(folder / "airbyte")
    if python is None:
        return {"installed": False}
    note("writing the bulk file down, as it came and grouped")
    as_it_came, grouped, homes = folder / "as_it_came.jsonl", folder / "grouped.jsonl", folder / "homes.json"
    lines = list(_download(url))
    _write(as_it_came, lines)
    _write(grouped, _in_groups(lines))
    homes.write_text(json.dumps({line["id"]: line["__parentId"] for line in lines if "/ProductVariant/" in line["id"]}))
    del lines
    note("reading the bulk file: Data Sync, then airbyte-source-shopify")
    theirs = [str(python), str(CHECKOUT / "bench" / "read_airbyte.py")]
    return {
        "installed": True,
        "ours": _read([sys.executable, "-m", "bench.read_ours"], as_it_came, homes),
        "airbyte": _read(theirs, as_it_came, homes),
        "airbyte_grouped": _read(theirs, grouped, homes),
    }


def _install(where: Path) -> Path | None:
    python = where / "bin" / "python"
    try:
        subprocess.run([sys.executable, "-m", "venv", str(where)], check=True, capture_output=True)  # noqa: S603  # a command put together here
        install = [str(python), "-m", "pip", "install", "--quiet", PACKAGE]
        subprocess.run(install, check=True, capture_output=True, timeout=MOST_SECONDS)  # noqa: S603  # a command put together here
    except (subprocess.SubprocessError, OSError):
        return None
    return python


def _download(url: str) -> Iterator[Line]:
    with httpx.stream("GET", url, timeout=60) as answer:
        for text in answer.iter_lines():
            line = orjson.loads(text)
            yield {"__typename": line["id"].split("/")[3], **line}


def _in_groups(lines: list[Line]) -> Iterator[Line]:
    children = defaultdict(list)
    for line in lines:
        children[line.get("__parentId")].append(line)
    waiting = children[None][::-1]
    while waiting:
        line = waiting.pop()
        yield line
        waiting += children.get(line["id"], [])[::-1]


def _write(path: Path, lines: Iterator[Line] | list[Line]) -> None:
    with path.open("wb") as file:
        for line in lines:
            file.write(orjson.dumps(line) + b"\n")


def _read(command: list[str], path: Path, homes: Path) -> Figures:
    done = subprocess.run([*command, str(path), str(homes)], check=True, cwd=CHECKOUT, capture_output=True)  # noqa: S603  # a command put together here
    told: Figures = json.loads(done.stdout)
    return told
