"""Bulk operations from CREATED to their end, each in a thread of its own.

https://shopify.dev/docs/api/usage/bulk-operations/queries
"""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from devstore.notices import bulk_finished
from devstore.records import Happening
from devstore.tenant import BulkOperation, Tenant
from devstore.walk import Line, lines

LOOK = 0.02  # seconds between two looks for a cancellation


@dataclass
class BulkRunner:
    """`tell` takes the finish webhook; `closing` ends the waiting of whatever still runs."""

    folder: Path
    tell: Callable[[Tenant, tuple[Happening, ...]], object]
    closing: threading.Event

    def start(self, tenant: Tenant, operation: BulkOperation) -> None:
        threading.Thread(target=self._run, args=(tenant, operation), daemon=True).start()

    def _run(self, tenant: Tenant, operation: BulkOperation) -> None:
        number, outcome = operation.number, tenant.shop.conduct.bulk_outcome
        with tenant.lock:
            if tenant.bulk[number].status == "CREATED":
                tenant.advance(number, status="RUNNING")
        path = self.folder / f"{number}.jsonl"
        rows = lines(tenant, operation.query)
        counts = _write(path, _part(rows) if outcome == "partial" else rows)
        self._wait(tenant, number, tenant.shop.conduct.bulk_seconds, stuck=outcome == "stuck")
        if self.closing.is_set():
            return
        with tenant.lock:
            canceled = tenant.bulk[number].status == "CANCELING"
            ending = _canceled(tenant) if canceled else _ending(tenant, outcome, path, *counts)
            done = tenant.advance(number, **ending)
        if outcome != "silent":
            self.tell(tenant, (bulk_finished(tenant.shop, done),))

    def _wait(self, tenant: Tenant, number: int, seconds: float, *, stuck: bool) -> None:
        waited = 0.0
        while (stuck or waited < seconds) and tenant.bulk[number].status != "CANCELING":
            if self.closing.wait(LOOK):
                return
            waited += LOOK


def _write(path: Path, rows: Iterable[Line]) -> tuple[int, int]:
    """How many lines, and how many of them have no parent."""
    objects = roots = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
            objects += 1
            roots += "__parentId" not in row
    return objects, roots


def _part(rows: Iterator[Line]) -> Iterator[Line]:
    """Every other run of lines: parents without children and children without parents, as a broken file has them."""
    while piece := list(islice(rows, 5)):
        yield from piece
        list(islice(rows, 5))


def _canceled(tenant: Tenant) -> dict[str, Any]:
    return {"status": "CANCELED", "completed_at": tenant.shop.now().replace(microsecond=0)}


def _ending(tenant: Tenant, outcome: str, path: Path, objects: int, roots: int) -> dict[str, Any]:
    if outcome == "failed":
        return {"status": "FAILED", "error_code": "INTERNAL_SERVER_ERROR"}
    result = {
        "object_count": objects,
        "root_object_count": roots,
        "file_size": path.stat().st_size if objects else None,
        "path": str(path),
    }
    if outcome == "partial":
        return result | {"status": "FAILED", "error_code": "TIMEOUT", "partial": True}
    return result | {"status": "COMPLETED", "completed_at": tenant.shop.now().replace(microsecond=0)}
