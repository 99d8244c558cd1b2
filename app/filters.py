"""Which deliveries a command is about: the console's filters, as options."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import click

from adapters.bell import LANES
from adapters.chosen import Filter
from app.filter_words import OUTCOMES, READ, SOURCES, numbers

P = ParamSpec("P")
R = TypeVar("R")


class Typed(click.ParamType[Any]):
    """An option that is read as the console reads the field of that name."""

    def __init__(self, name: str, shown: str) -> None:
        self.name, self._read = shown, READ[name]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


TIME = Typed("since", "TIME")
SEVERAL = click.IntRange(1, 2**31 - 1)


def filters(command: Callable[P, R]) -> Callable[P, R]:
    """The same words on every command and screen."""
    options = (
        click.option("--shop", type=Typed("shop", "SHOP"), help="The shop's domain, or its first word."),
        click.option("--topic", type=Typed("topic", "TOPIC"), help="For example products/update."),
        click.option("--outcome", type=click.Choice(OUTCOMES)),
        click.option("--error", help="Words of the reason."),
        click.option("--since", type=TIME, help="Received at or after: 30min, 2h, 7d, or a time (UTC)."),
        click.option("--until", type=TIME, help="Received before."),
        click.option("--closed-since", type=TIME, help="Decided at or after: when the dead died, say."),
        click.option("--closed-until", type=TIME, help="Decided before."),
        click.option("--version", help="An attempt failed in this version of the code."),
        click.option("--resource", type=Typed("resource", "ID"), help="The product's or customer's id, or its GID."),
        click.option("--id", "ids", multiple=True, metavar="ID", help="This delivery; may be given again for more."),
        click.option("--issue", type=Typed("fingerprint", "ISSUE"), help="A group of failures: flask issues list."),
        click.option("--replay", "by_replay", type=Typed("replay", "REPLAY"), help="Opened last by this replay."),
        click.option("--lane", type=click.Choice(LANES)),
        click.option("--source", type=click.Choice(SOURCES)),
        click.option("--copies", type=SEVERAL, help="Sent at least so many times: 2 finds the duplicates."),
        click.option("--attempts", type=SEVERAL, help="Failed at least so many times."),
    )
    for option in reversed(options):  # what is put on last is listed first
        command = option(command)
    return command


def read_filter(words: dict[str, Any]) -> Filter:
    """Raises click's UsageError."""
    given = dict(words)
    try:
        ids = numbers(given.pop("ids"))
    except ValueError as problem:
        raise click.BadParameter(str(problem), param_hint="--id") from None
    if ids is not None and len(ids) == 1:
        given["id"], ids = ids[0], None
    return Filter(fingerprint=given.pop("issue"), replay=given.pop("by_replay"), ids=ids, **given)


def at_least_one(chosen: Filter, what: str) -> None:
    """Without a filter it would be everything: that must be meant."""
    if chosen == Filter():
        raise click.UsageError(
            f"Name at least one filter (--shop, --outcome, --since …): this would {what} everything."
        )
