"""Customers who share an email address, known by its blind index alone."""

from sqlalchemy import Connection

from adapters import issue_log, mirror_customers
from domain.clashes import email_clashes

FEED = "customers"


def renew(db: Connection, shop: str, indexes: set[bytes]) -> None:
    """Whoever has one of these addresses now, or had it until now: flagged on every side, cleared on every side."""
    found = {}
    for index, holders in mirror_customers.holders_of_email(db, shop, indexes).items():
        found[scope_of(index)] = email_clashes([(index.hex(), i) for i in holders])
    issue_log.replace_in_scopes(db, shop, FEED, found)


def scope_of(index: bytes) -> str:
    return f"email:{index.hex()}"
