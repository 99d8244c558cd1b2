"""`flask doctor` and `flask secrets`: what an installation stands on, and what to do about what does not hold."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from adapters import sealed, signatures
from adapters.signatures import SecretUse
from adapters.vault import WrongKeys
from app import doctor
from app.command import AS_JSON, FINDINGS, UNREACHABLE, cell, known_shop, reaching, show, table
from app.office import office
from domain.doctor import OK, PROBLEM, WARNING, Finding
from domain.doctor import keys as keys_of

secrets_group = AppGroup("secrets", help="The app's secrets and keys.")
MARKS = {OK: "ok", WARNING: "WARNING", PROBLEM: "PROBLEM"}
NAMES = ("SHOPIFY_API_SECRET", "SHOPIFY_API_SECRET_PREVIOUS")


@click.command("doctor")
@click.argument("shop", required=False)
@AS_JSON
@reaching
def examine(shop: str | None, as_json: bool) -> None:
    """Is everything as it must be? SHOP: ask only this shop. Exit status 1 when anything is not, 3 when something does
    not answer.
    """
    try:
        one = known_shop(shop) if shop else None
    except (OperationalError, InterfaceError, PoolTimeout, WrongKeys):
        one = None  # that Postgres is away, or a key, is what the findings will say
    found = doctor.examine(office(), one)
    answer = {"fine": all(finding.level == OK for finding in found), "findings": [asdict(one) for one in found]}
    show(answer, as_json, lambda: _print(found))
    sys.exit(_status(found))


def _status(found: Sequence[Finding]) -> int:
    if any(finding.unreachable for finding in found):
        return UNREACHABLE
    return FINDINGS if any(finding.level != OK for finding in found) else 0


def _print(found: Sequence[Finding]) -> None:
    """What is wrong comes last, where a terminal shows it."""
    order = [OK, WARNING, PROBLEM]
    for finding in sorted(found, key=lambda one: order.index(one.level)):
        about = f"{finding.check}, {finding.shop}" if finding.shop else finding.check
        click.echo(f"{MARKS[finding.level]:8} {about}: {finding.sentence}")
        if finding.level != OK and finding.fix:
            click.echo(f"{'':8} → {finding.fix}")


@secrets_group.command("check")
@AS_JSON
@reaching
def check(as_json: bool) -> None:
    """Which secret is in use, whether the previous one can go, and which keys still open something. Exit status 1 when
    there is something to do.
    """
    desk = office()
    uses = signatures.secrets_in_use(desk.redis, desk.settings.webhook_secrets, datetime.now(UTC))
    with desk.db.connect() as db:
        keys = sealed.opened_by(db, desk.settings.encryption_keys)
    found = _secret_findings(uses) + _key_findings(keys)
    answer = {
        "secrets": [_secret(use) for use in uses],
        "encryption_keys": [{"place": place, **asdict(key)} for place, key in enumerate(keys.keys)],
        "sampled": keys.sampled,
        "unreadable": keys.unreadable,
        "findings": [asdict(finding) for finding in found],
    }
    show(answer, as_json, lambda: _print_secrets(uses, keys, found))
    sys.exit(_status(found))


def _secret(use: SecretUse) -> dict[str, Any]:
    return {"name": NAMES[use.place], **asdict(use)}


def _secret_findings(uses: Sequence[SecretUse]) -> list[Finding]:
    found = []
    for use in uses[1:]:
        if use.safe_to_remove:
            sentence = f"{NAMES[use.place]} has verified nothing for two days."
            found.append(Finding("secrets", WARNING, sentence, "Remove it and restart the processes."))
        else:
            last = (
                f"It was last needed at {cell(use.last_at)}." if use.last_at else "It has to be watched for two days."
            )
            found.append(Finding("secrets", OK, f"{NAMES[use.place]} stays for now. {last}"))
    return found


def _key_findings(keys: sealed.Opened) -> list[Finding]:
    found = [keys_of(keys.unreadable, keys.sampled)]
    for place, key in enumerate(keys.keys[1:], start=1):
        if keys.sampled and not key.opens:
            sentence = f"Key {place + 1} opened none of the {keys.sampled} sealed values that were tried."
            found.append(Finding("keys", OK, f"{sentence} {'All were tried.' if keys.all_of_them else ''}".strip()))
    return found


def _print_secrets(uses: Sequence[SecretUse], keys: sealed.Opened, found: Sequence[Finding]) -> None:
    rows: list[list[Any]] = [[NAMES[use.place], use.digest, use.last_hour, use.last_at] for use in uses]
    table(["secret", "digest", "last hour", "last used"], rows, "No secret.")
    click.echo()
    rows = [[f"key {place + 1}", key.opens] for place, key in enumerate(keys.keys)]
    table(["ENCRYPTION_KEYS", f"opens, of {keys.sampled}"], rows, "No key.")
    click.echo()
    _print(found)
