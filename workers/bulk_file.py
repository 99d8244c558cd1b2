"""A bulk operation's file, put together again in flat memory.

Lines come in no useful order: a child after its parent, not beside it. They are laid into a temporary SQLite file and
taken out record by record, so that memory does not grow with the shop.
"""

import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

BATCH = 2_000
CONNECTIONS = {"ProductVariant": "variants", "Metafield": "metafields"}


class BulkFile:
    """`objects` lines were read, `roots` of them records of their own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="data-sync-")
        self._lines = sqlite3.connect(Path(self._folder.name) / "lines")
        self._lines.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; CREATE TABLE lines (id TEXT, parent TEXT, body BLOB);"
        )
        self.objects = 0
        self.roots = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lines.close()
        self._folder.cleanup()

    def load(self, lines: Iterable[Mapping[str, Any]], still_here: Callable[[], None]) -> None:
        """Read all lines; `still_here` is called now and then, for this may take a while."""
        remaining = iter(lines)
        while batch := list(islice(remaining, BATCH)):
            rows = [(line.get("id"), line.get("__parentId"), orjson.dumps(line)) for line in batch]
            self._lines.executemany("INSERT INTO lines VALUES (?, ?, ?)", rows)
            self.objects += len(rows)
            self.roots += sum(parent is None for _, parent, _ in rows)
            still_here()
        self._lines.execute("CREATE INDEX children ON lines (parent)")

    def nodes(self, skip: int = 0) -> Iterator[dict[str, Any]]:
        """Each record with its children, as GraphQL would have answered it, but for the first `skip`."""
        roots = "SELECT id, body FROM lines WHERE parent IS NULL ORDER BY rowid LIMIT -1 OFFSET ?"
        for identity, body in self._lines.execute(roots, (skip,)):
            yield self._node(identity, body)

    def _node(self, identity: str, body: bytes) -> dict[str, Any]:
        node: dict[str, Any] = orjson.loads(body)
        node.pop("__parentId", None)
        for connection in _connections_of(identity):
            node[connection] = {"nodes": []}
        children = self._lines.execute("SELECT id, body FROM lines WHERE parent = ? ORDER BY rowid", (identity,))
        for child, child_body in children.fetchall():
            holder = node.get(CONNECTIONS.get(_kind(child), ""))
            if isinstance(holder, dict):
                holder["nodes"].append(self._node(child, child_body))
        return node


def _kind(identity: str) -> str:
    return identity.removeprefix("gid://shopify/").split("/", 1)[0]


def _connections_of(identity: str) -> tuple[str, ...]:
    """What a record of this kind was asked for; without children in the file it has none."""
    return {"Product": ("variants", "metafields"), "ProductVariant": ("metafields",), "Customer": ("metafields",)}.get(
        _kind(identity), ()
    )
