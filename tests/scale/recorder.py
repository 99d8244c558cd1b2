"""Catches each statement as it is really sent. Postgres says, there and then, how it does it and what it touches."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event

EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON)"
KEPT_AND_READ = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@dataclass(frozen=True)
class Seen:
    """A statement of a deed. `blocks`: pages it touched, those of its sub-plans included.

    `shop`: the one that its transaction has entered, if any.
    """

    deed: str
    shop: str | None
    statement: str
    values: Any
    plan: Mapping[str, Any]

    @property
    def blocks(self) -> int:
        return self.plan["Shared Hit Blocks"] + self.plan["Shared Read Blocks"]

    @property
    def rows(self) -> float:
        """That it answers or, if it writes, that it writes."""
        writes = self.plan["Node Type"] == "ModifyTable"
        top = self.plan["Plans"][0] if writes else self.plan
        return float(top["Actual Rows"] * top["Actual Loops"])

    def scanned(self) -> set[str]:
        """Tables that are read from end to end."""
        return {node["Relation Name"] for node in _nodes(self.plan) if node["Node Type"] == "Seq Scan"}

    @property
    def short(self) -> str:
        return " ".join(self.statement.split())


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


@dataclass
class Recorder:
    """Records while a deed is under way. `named` are the constants (`text(…)`) that were executed."""

    seen: list[Seen] = field(default_factory=list)
    named: set[int] = field(default_factory=set)
    _deed: str | None = None

    @contextmanager
    def of(self, deed: str) -> Iterator[None]:
        self._deed = deed
        try:
            yield
        finally:
            self._deed = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """To every engine, in every thread."""
        event.listen(Engine, "before_execute", self._note_name)
        event.listen(Engine, "before_cursor_execute", self._explain)
        try:
            yield
        finally:
            event.remove(Engine, "before_execute", self._note_name)
            event.remove(Engine, "before_cursor_execute", self._explain)

    def _note_name(self, _connection: Any, clause: Any, *_: Any) -> None:
        self.named.add(id(clause))

    def _explain(
        self, connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, executemany: bool
    ) -> None:
        """Within the caller's transaction, just before it does the same for good; what this does is taken back."""
        if self._deed is None or not statement.lstrip().upper().startswith(KEPT_AND_READ):
            return
        first = values[0] if executemany else values
        sent_to = connection.connection.dbapi_connection
        before, after = ("BEGIN", "ROLLBACK") if sent_to.autocommit else ("SAVEPOINT looked", "ROLLBACK TO looked")
        with sent_to.cursor() as own:
            own.execute(before)
            own.execute(f"{EXPLAIN} {statement}", first, prepare=False)
            ((told,),) = own.fetchone()
            own.execute(after)
        shop = connection.get_execution_options().get("shop")
        self.seen.append(Seen(self._deed, shop, statement, first, told["Plan"]))
