"""`python -m bench.read_ours FILE HOMES`: Data Sync's reader of a bulk file of products, alone in a process."""

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from workers.bulk_file import BulkFile


def main(path: str, homes: str) -> None:
    """Prints records, seconds, peak memory, and how many variants do not lie with the product that HOMES names."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    records = sum(1 for _ in _records(path))
    seconds = time.monotonic() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    home = json.loads(Path(homes).read_text())  # large: only now, when memory has been measured
    at_home = [home[variant] == record for record, variants in _records(path) for variant in variants]
    told = {"records": records, "variants": len(at_home), "misplaced": at_home.count(False)}
    print(json.dumps(told | {"seconds": round(seconds, 2), "grown_mib": round(grown / 1024, 1)}))


def _records(path: str) -> Iterator[tuple[str, list[str]]]:
    """Each product's gid with those of its variants."""
    with BulkFile() as file, Path(path).open("rb") as lines:
        file.load(map(orjson.loads, lines), lambda: None)
        for node in file.nodes():
            yield node["id"], [variant["id"] for variant in node["variants"]["nodes"]]


if __name__ == "__main__":
    main(*sys.argv[1:])
