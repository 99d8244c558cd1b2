"""`flask replays …` and `flask deliveries replay|dismiss`: open closed deliveries again, or let dead ones be."""

import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

import click
from flask.cli import AppGroup

from adapters import audit, inbox, replays
from adapters.chosen import Filter
from adapters.reach import Reach, reach
from app import replaying
from app.command import AS_JSON, FINDINGS, NUMBER, cell, operator, reaching, show, table, tell, who_and_why
from app.filters import at_least_one, filters, read_filter
from app.forecast import Fate, Forecast, forecast
from app.office import office
from domain.replays import fails_too_often

P = ParamSpec("P")
R = TypeVar("R")
replays_group = AppGroup("replays", help="Closed deliveries are opened again: what was, and what is going.")
LOOK_SECONDS = 0.2
COLUMNS = ["id", "name", "who", "state", "mode", "total", "opened", "to_go", "outcomes", "started_at", "reason"]
NO_REASON = "no reason was given"


def choosing(command: Callable[P, R]) -> Callable[P, R]:
    """The options of a new replay."""
    options = (
        click.option("--name", help="What it is called ever after: the incident's name, say."),
        click.option("--refresh", is_flag=True, help="Ask Shopify for each record instead of applying what was sent."),
        click.option("--wait", is_flag=True, help="Until everything is decided."),
        click.option("--yes", is_flag=True, help="Do it. Without this only the forecast is shown."),
    )
    command = who_and_why(command)
    for option in reversed(options):
        command = option(command)
    return filters(command)


@click.command("replay")
@choosing
@AS_JSON
@reaching
def replay(
    name: str | None,
    who: str | None,
    reason: str | None,
    refresh: bool,
    wait: bool,
    yes: bool,
    as_json: bool,
    **words: Any,
) -> None:
    """Open closed deliveries again, in the lane that never delays live mail; without --yes say what that would do.

    With --wait: exit status 0 when all was applied, 1 when some failed again or the replay did not get to its end.
    """
    chosen = read_filter(words)
    with office().db.connect() as db:
        matching = inbox.forecast(db, chosen)
    if not yes:
        _show_forecast(chosen, matching, as_json, refreshed=refresh)
        return
    at_least_one(chosen, "replay")
    if not matching:
        nothing = {"matching": matching, "reopened": 0, "forecast": None, "replay": None}
        show(nothing, as_json, lambda: click.echo("Nothing matches that could be replayed."))
        return
    name = name or f"by hand, {datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z"
    about = (name, operator(who), reason or NO_REASON, chosen)
    started, is_new = replaying.start(office(), *about, refreshed=refresh, key=str(uuid.uuid4()))
    row = _wait_for(started.id, quiet=as_json) if wait else _row(started.id)
    answer = {"matching": matching, "reopened": started.total if is_new else 0, "forecast": None, "replay": row}
    said = f"{started.total:,} reopened ({_in_words(matching)})." if is_new else "A replay of the same filter is going."
    show(answer, as_json, lambda: tell(f"{said} {_progress(row)}"))
    sys.exit(_status(row) if wait else 0)


replays_group.add_command(replay, "start")


def _show_forecast(chosen: Filter, matching: dict[str, int], as_json: bool, *, refreshed: bool) -> None:
    with office().db.connect() as db:
        foreseen = forecast(db, office().vault, chosen, refreshed=refreshed)
        reached = reach(db, chosen)
    answer = {"matching": matching, "reopened": 0, "forecast": foreseen.as_json(), "replay": None}
    show(answer, as_json, lambda: _print_forecast(foreseen, reached, matching))


def _print_forecast(foreseen: Forecast, reached: Reach, matching: dict[str, int]) -> None:
    tell(reached.sentence)
    click.echo(foreseen.sentence)
    if fails_too_often(foreseen.considered, foreseen.still_fails):
        click.echo("So many would fail again that it would stop itself: deploy the fix first.")
    for fate in (Fate.STILL_FAILS, Fate.CANNOT):
        for sample in foreseen.samples[fate.value]:
            tell(f"  delivery {sample.id} ({sample.topic}, {sample.shop}): {sample.sentence}")
    click.echo(f"Would reopen {_in_words(matching)}. Add --yes to do it.")


def _in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items())) or "nothing"


def _row(replay_id: int) -> dict[str, Any]:
    with office().db.connect() as db:
        row = replays.find(db, replay_id)
    if row is None:
        click.echo(f"There is no replay {replay_id}.", err=True)
        sys.exit(FINDINGS)
    return row


def _wait_for(replay_id: int, *, quiet: bool) -> dict[str, Any]:
    said = ""
    while True:
        row = _row(replay_id)
        if row["state"] != "running":
            return row
        if not quiet and said != (said := _progress(row)):
            click.echo(said, err=True)
        time.sleep(LOOK_SECONDS)


def _progress(row: dict[str, Any]) -> str:
    reason = f" ({row['reason']})" if row["reason"] else ""
    left = f", {row['passed_over']:,} passed over: no id can be read in them" if row["passed_over"] else ""
    return (
        f"Replay {row['id']}, {row['name']}: {row['state']}{reason}; {row['opened']:,} of {row['total']:,} open so far"
        f" ({_in_words(row['outcomes'])}), {row['to_go']:,} to go{left}."
    )


def _status(row: dict[str, Any]) -> int:
    is_sound = row["state"] == "finished" and not row["outcomes"].get("dead") and not row["passed_over"]
    return 0 if is_sound else FINDINGS


@replays_group.command("list")
@click.option("--state", type=click.Choice(["running", "cancelled", "stopped", "finished"]))
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@click.option("--before", type=NUMBER, help="Older than this replay: the next page.")
@AS_JSON
@reaching
def list_replays(state: str | None, limit: int, before: int | None, as_json: bool) -> None:
    """Replays, newest first."""
    with office().db.connect() as db:
        found = replays.listed(db, limit, state=state, before=before)
    rows = [[_in_words(row[name]) if name == "outcomes" else row[name] for name in COLUMNS] for row in found]
    show({"replays": found}, as_json, lambda: table(COLUMNS, rows, "No replay yet."))


@replays_group.command("show")
@click.argument("replay", type=NUMBER)
@AS_JSON
@reaching
def show_replay(replay: int, as_json: bool) -> None:
    """One replay: its filter, how far it is, and what came of it."""
    _show(_row(replay), as_json)


def _show(row: dict[str, Any], as_json: bool) -> None:
    def lines() -> None:
        for name, value in row.items():
            words = ", ".join(f"{key} {cell(one)}" for key, one in value.items()) if isinstance(value, dict) else value
            tell(f"{name:14} {cell(words)}")

    show(row, as_json, lines)


@replays_group.command("watch")
@click.argument("replay", type=NUMBER)
@AS_JSON
@reaching
def watch(replay: int, as_json: bool) -> None:
    """Wait for its end, with its progress on stderr. Exit status 0 when all was applied, else 1."""
    row = _wait_for(replay, quiet=as_json)
    show(row, as_json, lambda: tell(_progress(row)))
    sys.exit(_status(row))


@replays_group.command("cancel")
@click.argument("replay", type=NUMBER)
@who_and_why
@AS_JSON
@reaching
def cancel(replay: int, who: str | None, reason: str | None, as_json: bool) -> None:
    """Open nothing more. What is open already stays open, and is decided."""
    _row(replay)
    with office().db.begin() as db:
        cancelled = replays.cancel(db, replay, operator(who), reason)
    if not cancelled:
        raise click.UsageError(f"Replay {replay} is not running. `flask replays list` shows all.")
    row = _row(replay)
    show(row, as_json, lambda: tell(_progress(row)))


@replays_group.command("resume")
@click.argument("replay", type=NUMBER)
@who_and_why
@AS_JSON
@reaching
def resume(replay: int, who: str | None, reason: str | None, as_json: bool) -> None:
    """Let a cancelled or stopped one go on where it ended; what failed so far no longer counts against it."""
    _row(replay)
    with office().db.begin() as db:
        resumed = replays.resume(db, replay, operator(who), reason)
    if not resumed:
        raise click.UsageError(
            f"Replay {replay} was neither cancelled nor stopped, or another of the same filter is going."
        )
    replaying.ring(office())
    row = _row(replay)
    show(row, as_json, lambda: tell(_progress(row)))


@click.command("dismiss")
@filters
@click.option("--reason", required=True, help="Why these need not be applied.")
@click.option("--who", help="Otherwise the account on this machine.")
@click.option("--yes", is_flag=True, help="Do it. Without this only the count is shown.")
@AS_JSON
@reaching
def dismiss(reason: str, who: str | None, yes: bool, as_json: bool, **words: Any) -> None:
    """Close dead deliveries without applying them."""
    chosen = read_filter(words)
    if yes:
        at_least_one(chosen, "dismiss")
    with office().db.begin() as db:
        dead = inbox.count_dead(db, chosen)
        dismissed = inbox.dismiss(db, chosen, reason) if yes else 0
        if yes:
            audit.note(db, operator(who), "deliveries dismissed", why=reason, chosen=chosen, count=dismissed)
    said = f"{dismissed} dismissed." if yes else f"Would dismiss {dead}. Add --yes to do it."
    show({"matching": {"dead": dead}, "dismissed": dismissed}, as_json, lambda: click.echo(said))
