"""`flask feeds|runs|gaps`: is it green, and if not, why?"""

import getpass
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import redis
from flask.cli import AppGroup

from adapters import audit, runs, shops
from adapters.shops import Shop
from app import feeds
from app.command import AS_JSON, FINDINGS, NUMBER, cell, known_shop, operator, reaching, show, table, tell, who_and_why
from app.filters import TIME
from app.office import office

feeds_group = AppGroup("feeds", help="The state of each feed.")
runs_group = AppGroup("runs", help="Runs prove the mirror right and repair what webhooks missed.")
LOOK_SECONDS = 0.2
FEED = click.Choice(runs.FEEDS)
FEED_COLUMNS = [
    "shop",
    "feed",
    "state",
    "reason",
    "synchronised",
    "expected",
    "waiting",
    "last_import_at",
    "next_run_at",
]
RUN_COLUMNS = ["id", "shop", "feed", "trigger", "complete", "state", "seen", "created", "changed", "removed", "reason"]


@feeds_group.command("status")
@click.argument("shop", required=False)
@AS_JSON
@reaching
def status(shop: str | None, as_json: bool) -> None:
    """Both feeds of SHOP, or of every shop. Exit status 1 when one is not green."""
    with office().db.connect() as db:
        known = [known_shop(shop)] if shop else _every_shop()
        found = [
            {"shop": one.domain} | feeds.feed(db, one, office().settings, name) for one in known for name in runs.FEEDS
        ]
    rows = [[feed[name] for name in FEED_COLUMNS] for feed in found]
    show({"feeds": found}, as_json, lambda: table(FEED_COLUMNS, rows, "No shop yet."))
    sys.exit(0 if all(feed["state"] == "ok" for feed in found) else FINDINGS)


def _every_shop() -> list[Shop]:
    with office().db.connect() as db:
        return [shop for row in shops.listed(db) if (shop := shops.find(db, office().vault, row["domain"])) is not None]


@runs_group.command("start")
@click.argument("shop")
@click.argument("feed", type=FEED)
@click.option("--complete", is_flag=True, help="Read all of the feed, not only what changed lately.")
@click.option("--wait", is_flag=True, help="Until the run has ended and its differences are applied.")
@AS_JSON
@reaching
def start(shop: str, feed: str, complete: bool, wait: bool, as_json: bool) -> None:
    """Start a run, or name the one that is going. With --wait: exit status 0 finished, 1 failed or held."""
    desk, found = office(), known_shop(shop)
    with desk.db.begin() as db:
        run, _ = runs.start(db, found.domain, feed, "command", complete=complete, who=getpass.getuser())
    _wake_bulk()
    row = _wait_for(run.id, quiet=as_json) if wait else _run(run.id)
    show(feeds.run(row), as_json, lambda: tell(_in_words(row)))
    sys.exit(FINDINGS if row["state"] in ("failed", "held") else 0)


def _wake_bulk() -> None:
    try:
        office().bell.wake("bulk")
    except redis.RedisError:
        click.echo("Redis does not answer; the clock wakes a worker when it does.", err=True)


def _run(run_id: int) -> Any:
    with office().db.connect() as db:
        return runs.find(db, run_id)


def _wait_for(run_id: int, *, quiet: bool) -> Any:
    said = ""
    while True:
        with office().db.connect() as db:
            row = runs.find(db, run_id)
            waiting = runs.count_waiting(db, run_id)
        if row is None:
            raise click.ClickException("The shop was erased meanwhile, and its runs with it.")
        if row["state"] != "running" and not waiting:
            return row
        saying = f"run {run_id}: {row['seen']:,} of {row['expected'] or '?'} read, {waiting:,} waiting to be applied"
        if not quiet and saying != said:
            click.echo(saying, err=True)
            said = saying
        time.sleep(LOOK_SECONDS)


def _in_words(row: Any) -> str:
    counts = ", ".join(f"{row[name]:,} {name}" for name in ("seen", "created", "changed", "unchanged", "removed"))
    reason = f" ({row['reason']})" if row["reason"] else ""
    return f"run {row['id']} of {row['shop']} {row['feed']}: {row['state']}{reason}; {counts}"


@runs_group.command("list")
@click.argument("shop", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@AS_JSON
@reaching
def list_runs(shop: str | None, limit: int, as_json: bool) -> None:
    """Runs, newest first."""
    domain = known_shop(shop).domain if shop else None
    with office().db.connect() as db:
        found = [feeds.run(row) for row in runs.listed(db, domain, most=limit)]
    rows = [[run[name] for name in RUN_COLUMNS] for run in found]
    show({"runs": found}, as_json, lambda: table(RUN_COLUMNS, rows, "No run yet."))


@runs_group.command("confirm")
@click.argument("run", type=NUMBER)
@who_and_why
@AS_JSON
@reaching
def confirm(run: int, who: str | None, reason: str | None, as_json: bool) -> None:
    """Let a held run remove what it found to be gone."""
    with office().db.begin() as db:
        confirmed = runs.confirm(db, run)
        if confirmed is not None:
            target = f"run {run} of {confirmed.shop} {confirmed.feed}"
            audit.note(db, operator(who), "run confirmed", why=reason, target=target)
    if confirmed is None:
        raise click.UsageError(
            f"Run {run} is not held, or another run of its feed is going. `flask runs list` shows all."
        )
    _wake_bulk()
    row = _run(run)
    show(feeds.run(row), as_json, lambda: click.echo(f"Run {run} goes on."))


@click.command("gaps")
@click.argument("shop")
@click.option("--since", type=TIME, help="From then on: 2h, 7d, or a time (UTC); a day by default.")
@AS_JSON
@reaching
def gaps(shop: str, since: datetime | None, as_json: bool) -> None:
    """What SHOP's webhooks missed, why, and how soon it was repaired. Exit status 1 when there is any."""
    found = known_shop(shop)
    start = since or datetime.now(UTC) - timedelta(days=1)
    with office().db.connect() as db:
        answer = feeds.gaps(db, found.domain, start)
    show(answer, as_json, lambda: _print_gaps(answer))
    sys.exit(FINDINGS if answer["gaps"] else 0)


def _print_gaps(answer: Any) -> None:
    click.echo(answer["sentence"])
    columns = ["feed", "id", "cause", "topic", "changed_at", "repaired_at", "run"]
    table(columns, [[cell(gap[name]) for name in columns] for gap in answer["gaps"]], "No gaps.")
