"""`flask keys rotate`: everything that is sealed is sealed again under the newest key, so that an older one can go."""

import sys
from collections.abc import Iterable
from functools import reduce

import click
from flask.cli import AppGroup

from adapters import audit, rotation
from adapters.rotation import Keys, Standing
from app.command import AS_JSON, FINDINGS, operator, reaching, show, table
from app.office import office

keys_group = AppGroup("keys", help="The keys that tokens and personal data are sealed with.")
REASON = click.option("--reason", help="For the audit.")


@keys_group.command("rotate")
@click.option("--yes/--dry-run", "yes", help="Do it. Without this only what each key opens is counted.")
@REASON
@AS_JSON
@reaching
def rotate(yes: bool, reason: str | None, as_json: bool) -> None:
    """Seal tokens, addresses and customers again under the first of ENCRYPTION_KEYS, with their indexes.

    Restart all processes with the new key in front before: one that does not know it would go on sealing under the old
    one. Safe while they work, and to break off and repeat. Exit status 1 while something is left under an older key, or
    does not open.
    """
    keys = Keys(office().settings.encryption_keys)
    before = _count(keys)
    sealed_again = _rotate(keys, before, reason) if yes and before.under_older_keys else 0
    left = _count(keys) if sealed_again else before
    answer = {
        "keys": [{"place": place, "opens": count} for place, count in enumerate(left.by_key)],
        "values": left.values,
        "unreadable": left.unreadable,
        "sealed_again": sealed_again,
    }
    show(answer, as_json, lambda: _print(left, sealed_again, asked=yes))
    sys.exit(FINDINGS if left.under_older_keys or left.unreadable else 0)


def _count(keys: Keys) -> Standing:
    return reduce(Standing.__add__, rotation.standing(office().db, keys), keys.standing_of([]))


def _rotate(keys: Keys, before: Standing, reason: str | None) -> int:
    """The audit says first what is begun: a rotation that is broken off has been one, too."""
    with office().db.begin() as db:
        audit.note(db, operator(None), "encryption keys rotated", why=reason, count=before.under_older_keys)
    sealed_again = 0
    # On stderr: with --json, stdout is the document's.
    with click.progressbar(length=before.values, label="Sealing again", file=sys.stderr) as bar:
        for step in rotation.rotate(office().db, keys):
            sealed_again += step.sealed_again
            bar.update(step.looked_at)
    return sealed_again


def _print(left: Standing, sealed_again: int, *, asked: bool) -> None:
    table(["ENCRYPTION_KEYS", f"opens, of {left.values}"], _rows(left.by_key), "No key.")
    if asked:
        click.echo(f"{sealed_again:,} values were sealed again.")
    if left.unreadable:
        click.echo(f"{left.unreadable:,} values do not open: put back the key that they were sealed with.")
    if left.under_older_keys:
        again = "Some were in use, or a process still seals under an older key. Do it again." if asked else ""
        click.echo(f"{left.under_older_keys:,} values are under an older key. {again or 'Add --yes to rotate.'}")
    elif len(left.by_key) > 1:
        click.echo("Nothing is left under an older key: keep the first of ENCRYPTION_KEYS, and restart the processes.")


def _rows(by_key: Iterable[int]) -> list[list[str | int]]:
    return [[f"key {place + 1}", count] for place, count in enumerate(by_key)]
