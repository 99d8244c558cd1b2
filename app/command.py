"""What all commands share: options, tables, exit statuses, and one sentence for a neighbour that is away."""

import getpass
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click
import redis
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from adapters import shops
from adapters.breakage import sqlstate
from adapters.shops import Shop
from app.api import dump
from app.filter_words import full_domain
from app.office import office
from settings import INCOMPLETE, BadSettings

P = ParamSpec("P")
R = TypeVar("R")
FINDINGS, USAGE, UNREACHABLE = 1, 2, 3
NOT_THERE = ("42P01", "42703")  # a table, a column


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
        except ProgrammingError as error:
            if sqlstate(error) not in NOT_THERE:
                raise
            click.echo("The schema is not the one of this code: run `flask migrate`.", err=True)
            sys.exit(USAGE)
        except redis.RedisError as error:
            click.echo(f"Redis does not answer ({type(error).__name__}). Check REDIS_URL.", err=True)
        sys.exit(UNREACHABLE)

    return wrapped


NUMBER = click.IntRange(0, 2**63 - 1)  # as far as Postgres counts
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
    lines = [columns, *([cell(value) for value in row] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for number, line in enumerate(lines):
        # Nothing is cut, in a terminal neither: what is too long for it goes on in its next line.
        said = "  ".join(one.ljust(width) for one, width in zip(line, widths, strict=True)).rstrip()
        click.secho(said, bold=number == 0)


def cell(value: Any) -> str:
    """One line. What strangers wrote must not move a terminal's cursor, nor turn its letters round."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    said = "" if value is None else str(value)
    return said if said.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in said)


def tell(sentence: str) -> None:
    click.echo(cell(sentence))


def who_and_why(command: Callable[P, R]) -> Callable[P, R]:
    """Who did it and why, for the audit."""
    command = click.option("--reason", help="Why, for the audit.")(command)
    return click.option("--who", help="Otherwise the account on this machine.")(command)


def operator(who: str | None) -> str:
    """Under which name the audit keeps what is done by a command."""
    return who or f"cli:{getpass.getuser()}"


def known_shop(domain: str) -> Shop:
    """The shop, by domain or by its first word. Unknown: usage error with what there is."""
    full = full_domain(domain)
    with office().db.connect() as db:
        shop = shops.find(db, office().vault, full)
    if shop is None:
        raise click.UsageError(f"{full} is not known. `flask shops list` shows who is.")
    return shop
