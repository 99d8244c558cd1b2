"""`flask retention`: how long each class of record is kept, and whether that is so."""

import sys
from datetime import UTC, datetime
from typing import Any

import click
from sqlalchemy import Connection

from adapters import retention as kept_rows
from app.command import AS_JSON, FINDINGS, reaching, show, table
from app.office import office
from domain.retention import ALL, Kept

HOURS = 3  # the sweep comes every hour


@click.command("retention")
@AS_JSON
@reaching
def retention(as_json: bool) -> None:
    """How long everything is kept, what is older than that, and how much was deleted. Exit status 1 when something is
    older and nobody has looked for hours.
    """
    now = datetime.now(UTC)
    with office().db.connect() as db:
        history = kept_rows.history(db)
        classes = [_told(db, kept, history, now) for kept in ALL]
    show({"classes": classes}, as_json, lambda: _print(classes))
    sys.exit(FINDINGS if any(_is_neglected(one, now) for one in classes) else 0)


def _told(db: Connection, kept: Kept, history: dict[str, dict[str, Any]], now: datetime) -> dict[str, Any]:
    past = history.get(kept.name, {})
    return {
        "class": kept.name,
        "what": kept.what,
        "kept": kept.in_words,
        "days": kept.days,
        "since": kept.since or None,
        "older": kept_rows.overdue(db, kept, now),
        "deleted": past.get("removed", 0) if kept.days else None,
        "looked_at": past.get("at"),
    }


def _is_neglected(one: dict[str, Any], now: datetime) -> bool:
    seen = one["looked_at"]
    return bool(one["older"]) and (seen is None or (now - seen).total_seconds() > HOURS * 3_600)


def _print(classes: list[dict[str, Any]]) -> None:
    names = ["class", "kept", "since", "older", "deleted", "looked_at", "what"]
    table(names, [[one[name] for name in names] for one in classes], "Nothing is kept.")
