"""Dead deliveries in whose bodies no id could be read: rules that have changed since may find one."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, DateTime

from adapters.chosen import Filter, condition_of
from domain.deliveries import Identity
from domain.topics import Unreadable

# Dead at the front door for want of an id, and the body is there: rules that have changed since may find one in it.
UNIDENTIFIED = "outcome = 'dead' AND feed IS NOT NULL AND resource_id IS NULL AND body IS NOT NULL"
_BODIES_A_PAGE = 20  # of up to 10 MiB each


def identify(db: Connection, chosen: Filter, read: Callable[[str, bytes, datetime], Identity]) -> int:
    """Read the ids of dead deliveries that had none again, by today's rules. How many can be reopened now is returned.

    `read` takes topic, body and time of receipt, and raises Unreadable where there still is no id: that one stays as it
    is.
    """
    identified = 0
    for found in _identities(db, chosen, read):
        identified += len(found)
        columns = {
            "ids": list(found),
            "resources": [one.resource_id for one in found.values()],
            "changes": [one.changed_at for one in found.values()],
        }
        db.execute(_IDENTIFY, columns)
    return identified


def count_identifiable(db: Connection, chosen: Filter, read: Callable[[str, bytes, datetime], Identity]) -> int:
    """The same without writing, for a forecast."""
    return sum(len(found) for found in _identities(db, chosen, read))


_IDENTIFY = text("""
    UPDATE deliveries SET resource_id = v.resource, changed_at = v.changed
    FROM unnest(:ids, :resources, :changes) AS v(id, resource, changed) WHERE deliveries.id = v.id
""").bindparams(
    bindparam("ids", type_=ARRAY(BigInteger)),
    bindparam("resources", type_=ARRAY(BigInteger)),
    bindparam("changes", type_=ARRAY(DateTime(timezone=True))),
)


def _identities(
    db: Connection, chosen: Filter, read: Callable[[str, bytes, datetime], Identity]
) -> Iterator[dict[int, Identity]]:
    """A few at a time, oldest first: bodies are large."""
    where, values = condition_of(chosen)
    statement = text(f"""
        SELECT id, topic, body, received_at FROM deliveries
        WHERE {where} AND {UNIDENTIFIED} AND id > :after ORDER BY id LIMIT :most
    """)  # noqa: S608 — conditions of ours, values bound
    after = 0
    while rows := db.execute(statement, values | {"after": after, "most": _BODIES_A_PAGE}).all():
        found = {}
        for row in rows:
            with suppress(Unreadable):
                found[row.id] = read(row.topic, bytes(row.body), row.received_at)
        yield found
        after = rows[-1].id
