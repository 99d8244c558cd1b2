"""Open issues as a file, in the shape of SparkLayer's sync log: one entry a record, at most 5,000 of them.

`external_id` and `external_url` are the log's own names; `message` folds all issues of the record into one, as the log
knows one error a record. What stands beside them is ours. Customers are named by their ids alone: a file travels.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Engine

from adapters import issue_log
from adapters.issue_log import Chosen
from app.lookup import admin_url

MOST = 5_000
PAGE = 200
COLUMNS = (
    *("external_id", "external_url", "visible_name", "severity", "codes", "message", "issues"),
    *("first_seen", "last_seen"),
)
BOM = "\ufeff"  # without it Excel reads UTF-8 as whatever its country wrote before


@dataclass(frozen=True, slots=True)
class Export:
    """Which issues, of which feed. Read page by page: no connection is held while a slow reader reads."""

    db: Engine
    shop: str
    feed: str
    chosen: Chosen
    most: int = MOST

    def as_csv(self) -> Iterator[str]:
        """With a header; a last line says how many records found no room, if any."""
        yield BOM + _csv([COLUMNS])
        last = 0
        for page in self._pages():
            yield _csv([[entry[name] for name in COLUMNS] for entry in page])
            last = int(page[-1]["external_id"])
        more = self._count_after(last)
        if more:
            note = f"{more:,} more records have issues; a file lists {self.most:,}."
            yield _csv([["", "", "", "", "", note, "", "", ""]])

    def as_json(self) -> Iterator[bytes]:
        """`listed` and `not_listed` come after the entries they count."""
        head = orjson.dumps({"shop": self.shop, "feed": self.feed})
        yield head[:-1] + b',"errors":['
        listed, last = 0, 0
        for page in self._pages():
            separator = b",\n" if listed else b"\n"
            yield separator + b",\n".join(orjson.dumps(entry, option=orjson.OPT_UTC_Z) for entry in page)
            listed, last = listed + len(page), int(page[-1]["external_id"])
        counts = orjson.dumps({"listed": listed, "not_listed": self._count_after(last)})
        yield b"\n]," + counts[1:] + b"\n"

    def _pages(self) -> Iterator[list[dict[str, Any]]]:
        after, left = 0, self.most
        while left:
            with self.db.begin() as db:
                rows = issue_log.by_record(db, self.shop, self.feed, self.chosen, after=after, most=min(PAGE, left))
                ids = [row["resource_id"] for row in rows]
                names = issue_log.titles(db, self.shop, ids) if self.feed == "products" else {}
            if not rows:
                return
            yield [_entry(self.shop, self.feed, row, names.get(row["resource_id"])) for row in rows]
            after, left = ids[-1], left - len(rows)

    def _count_after(self, last: int) -> int:
        with self.db.begin() as db:
            return issue_log.count_records(db, self.shop, self.feed, self.chosen, after=last)


def _entry(shop: str, feed: str, row: dict[str, Any], name: str | None) -> dict[str, Any]:
    issues = row["issues"]
    return {
        "external_id": str(row["resource_id"]),
        "external_url": admin_url(shop, feed, row["resource_id"]),
        "visible_name": name,
        "severity": issues[0]["severity"],
        "codes": " ".join(dict.fromkeys(issue["code"] for issue in issues)),
        "message": _message(issues, row["count"]),
        "issues": row["count"],
        "first_seen": row["first_seen"],
        "last_seen": row["last_seen"],
    }


def _message(issues: list[dict[str, Any]], count: int) -> str:
    lines = [f"{issue['path']}: {issue['sentence']} {issue['fix']}" for issue in issues]
    if count > len(issues):
        lines.append(f"And {count - len(issues):,} more of this record.")
    return " | ".join(lines)


def _csv(rows: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    """A title may be `=HYPERLINK(…)`; a spreadsheet must show it, not run it.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    if value is None:
        return ""
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
