"""What all commands share: options, tables, exit statuses, and one sentence for a neighbour that is away."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click
import redis
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from adapters import shops
from adapters.shops import Shop
from app.api import dump
from app.office import office
from settings import INCOMPLETE, BadSettings

P = ParamSpec("P")
R = TypeVar("R")
FINDINGS, USAGE, UNREACHABLE = 1, 2, 3


def reaching(command: Callable[P, R]) -> Callable[P, R]:
    """A neighbour that does not answer is one sentence and exit status 3, not a traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except BadSettings as problems:
            click.echo(f"{INCOMPLETE}\n{problems}", err=True)
            sys.exit(USAGE)
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            click.echo(f"Postgres does not answer ({type(error).__name__}). Check DATABASE_URL.", err=True)
        except redis.RedisError as error:
            click.echo(f"Redis does not answer ({type(error).__name__}). Check REDIS_URL.", err=True)
        sys.exit(UNREACHABLE)

    return wrapped


# Whatever a screen or an answer shows can be pasted back.
TIMES = click.DateTime(
    [
        *("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"),
        *("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"),
    ]
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def show(value: Any, as_json: bool, otherwise: Callable[[], None]) -> None:
    if as_json:
        click.echo(dump(value, indent=True).decode())
    else:
        otherwise()


def table(columns: list[str], rows: list[list[Any]], empty: str) -> None:
    if not rows:
        click.echo(empty)
        return
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        drawn.add_column(column, no_wrap=True)
    for row in rows:
        drawn.add_row(*(cell(value) for value in row))
    # Into a pipe or a file nothing is cut; a terminal has its width.
    Console(width=None if sys.stdout.isatty() else 400).print(drawn)


def cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    return "" if value is None else str(value)


def known_shop(domain: str) -> Shop:
    """The shop, by domain or by its first word. Unknown: usage error with what there is."""
    full = full_domain(domain)
    with office().db.connect() as db:
        shop = shops.find(db, office().vault, full)
    if shop is None:
        raise click.UsageError(f"{full} is not known. `flask shops list` shows who is.")
    return shop


def full_domain(domain: str) -> str:
    return domain.lower() if "." in domain else f"{domain.lower()}.myshopify.com"
