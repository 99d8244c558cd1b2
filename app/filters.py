"""Which deliveries a command is about: the console's filters, as options."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

import click

from adapters.bell import LANES
from adapters.chosen import Filter
from app.command import TIMES, full_domain
from domain.topics import ROUTES

P = ParamSpec("P")
R = TypeVar("R")


def filters(command: Callable[P, R]) -> Callable[P, R]:
    """The same words on every command and screen."""
    for option in (
        click.option("--shop", help="The shop's domain."),
        click.option("--topic", type=click.Choice(sorted(ROUTES)), help="For example products/update."),
        click.option(
            "--outcome",
            type=click.Choice(["applied", "unchanged", "superseded", "filtered", "deleted", "dead", "waiting"]),
        ),
        click.option("--error", help="Words of the reason."),
        click.option("--since", type=TIMES, help="Received at or after (UTC)."),
        click.option("--until", type=TIMES, help="Received before (UTC)."),
        click.option("--resource", type=int, help="The product's or customer's id."),
        click.option("--id", "delivery", type=int, help="One delivery."),
        click.option("--issue", help="Of this group of failures: flask issues list."),
        click.option("--replay", "by_replay", type=int, help="Opened last by this replay."),
        click.option("--lane", type=click.Choice(LANES)),
        click.option("--source", type=click.Choice(["webhook", "run", "fetch", "replay", "operator"])),
        click.option("--copies", type=click.IntRange(1), help="Sent at least so many times: 2 finds the duplicates."),
        click.option("--attempts", type=click.IntRange(1), help="Failed at least so many times."),
    ):
        command = option(command)
    return command


def read_filter(words: dict[str, Any]) -> Filter:
    def utc(moment: datetime | None) -> datetime | None:
        return moment.replace(tzinfo=UTC) if moment else None

    domain = full_domain(words["shop"]) if words["shop"] else None
    return Filter(
        shop=domain,
        topic=words["topic"],
        outcome=words["outcome"],
        error=words["error"],
        since=utc(words["since"]),
        until=utc(words["until"]),
        resource=words["resource"],
        id=words["delivery"],
        fingerprint=words["issue"],
        replay=words["by_replay"],
        lane=words["lane"],
        source=words["source"],
        copies=words["copies"],
        attempts=words["attempts"],
    )
