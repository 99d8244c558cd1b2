"""The mirror of customers who belong; of all others only id, reason and time.

The whole record is sealed. It is found by id, and by keyed blind indexes of email, phone and the words of a name.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger

from adapters import stored
from adapters.vault import Kind, Vault, words
from domain.records import Customer
from domain.settlement import Held
from domain.versions import Version

IDS = bindparam("ids", type_=ARRAY(BigInteger))


@dataclass(frozen=True, slots=True)
class HeldCustomer:
    """`was_here`: is, or once was, a member. `redacted`: nothing may ever be written again."""

    held: Held
    state: str
    was_here: bool
    redacted: bool
    email_index: bytes | None


_STANDING = """
    SELECT id, state, at, seen, record_hash, redacted, email_index FROM customers
    WHERE shop = :shop AND id = ANY(:ids) ORDER BY id
"""
_STAND = text(_STANDING).bindparams(IDS)
_HOLD = text(f"{_STANDING} FOR UPDATE").bindparams(IDS)


def hold(db: Connection, shop: str, ids: Iterable[int]) -> dict[int, HeldCustomer]:
    """What is held of these customers, rows locked until the transaction ends."""
    rows = db.execute(_HOLD, {"shop": shop, "ids": sorted(ids)})
    return {row.id: _held(row) for row in rows}


def standing(db: Connection, shop: str, ids: Iterable[int]) -> dict[int, HeldCustomer]:
    """The same for somebody who only looks: nothing is locked."""
    return {row.id: _held(row) for row in db.execute(_STAND, {"shop": shop, "ids": sorted(ids)})}


def _held(row: Any) -> HeldCustomer:
    held = Held(Version(row.at, row.seen), row.record_hash, removed=row.state != "member")
    return HeldCustomer(held, row.state, row.state in ("member", "removed"), row.redacted, row.email_index)


@dataclass(frozen=True, slots=True)
class Membership:
    """A member to be written: the record, its version, and which rule let them in."""

    customer: Customer
    version: Version
    source: str
    rule: str
    matched: str


_WRITE = text("""
    INSERT INTO customers (shop, id, state, reason, since, at, seen, record, record_hash, rule, matched, company_name,
                           email_index, phone_index, word_indexes, source)
    VALUES (:shop, :id, 'member', NULL, :seen, :at, :seen, :record, :record_hash, :rule, :matched, :company_name,
            :email_index, :phone_index, :word_indexes, :source)
    ON CONFLICT (shop, id) DO UPDATE
    SET state = 'member', reason = NULL, at = excluded.at, seen = excluded.seen, record = excluded.record,
        since = CASE WHEN customers.state = 'member' THEN customers.since ELSE excluded.since END,
        record_hash = excluded.record_hash, rule = excluded.rule, matched = excluded.matched,
        company_name = excluded.company_name, email_index = excluded.email_index, phone_index = excluded.phone_index,
        word_indexes = excluded.word_indexes, source = excluded.source, applied_at = now()
    WHERE NOT customers.redacted AND (customers.at, customers.seen) <= (excluded.at, excluded.seen)
""")


def write(db: Connection, vault: Vault, shop: str, members: Sequence[Membership]) -> None:
    """Write members, sealed."""
    rows = [_row(vault, shop, member) for member in members]
    if rows:
        db.execute(_WRITE, rows)


def fingerprint(vault: Vault, shop: str, customer: Customer) -> bytes:
    """A keyed hash of the record: a plain one would let a guess at the personal data be confirmed."""
    return vault.fingerprint(shop, stored.dump_customer(customer))


def _row(vault: Vault, shop: str, member: Membership) -> dict[str, Any]:
    customer = member.customer
    return {
        "shop": shop,
        "id": customer.id,
        "at": member.version.at,
        "seen": member.version.seen,
        "record": vault.seal(stored.dump_customer(customer)),
        "record_hash": fingerprint(vault, shop, customer),
        "rule": member.rule,
        "matched": member.matched,
        "company_name": company_name(customer),
        **indexes_of(vault, shop, customer),
        "source": member.source,
    }


def indexes_of(vault: Vault, shop: str, customer: Customer) -> dict[str, Any]:
    """By column, under the newest key."""
    return {
        "email_index": vault.index(shop, Kind.EMAIL, customer.email or ""),
        "phone_index": vault.index(shop, Kind.PHONE, customer.phone or ""),
        "word_indexes": _word_indexes(vault, shop, customer),
    }


def company_name(customer: Customer) -> str | None:
    """SparkLayer's metafield first, then the default address's company. Business data: stands in clear."""
    by_metafield = next((field.value for field in customer.metafields if field.key == "company_name"), None)
    by_address = next((address.company for address in customer.addresses if address.is_default), None)
    return (by_metafield or by_address or "").strip() or None


def _word_indexes(vault: Vault, shop: str, customer: Customer) -> list[bytes]:
    """Words of the person's name; the company stands in clear and is searched as it is."""
    named = words(f"{customer.first_name or ''} {customer.last_name or ''}")
    return [index for word in named if (index := vault.index(shop, Kind.WORD, word))]


@dataclass(frozen=True, slots=True)
class Absence:
    """A customer who is not (or no longer) here. `state` is `removed` for those who once were, `not_eligible` else."""

    id: int
    version: Version
    state: str
    reason: str


_LEAVE = text("""
    INSERT INTO customers (shop, id, state, reason, since, at, seen)
    VALUES (:shop, :id, :state, :reason, :seen, :at, :seen)
    ON CONFLICT (shop, id) DO UPDATE
    SET state = excluded.state, reason = excluded.reason, at = excluded.at, seen = excluded.seen,
        since = CASE WHEN customers.state = excluded.state THEN customers.since ELSE excluded.since END,
        record = NULL, record_hash = NULL, rule = NULL, matched = NULL, company_name = NULL, email_index = NULL,
        phone_index = NULL, word_indexes = NULL, source = NULL, applied_at = now()
    WHERE NOT customers.redacted AND (customers.at, customers.seen) <= (excluded.at, excluded.seen)
""")


def leave(db: Connection, shop: str, absences: Sequence[Absence]) -> None:
    """Keep id, reason and time, and nothing else."""
    rows = [
        {"shop": shop, "id": a.id, "state": a.state, "reason": a.reason, "at": a.version.at, "seen": a.version.seen}
        for a in absences
    ]
    if rows:
        db.execute(_LEAVE, rows)


_RENEW = text("""
    UPDATE customers SET at = :at, seen = :seen, source = coalesce(:source, source), applied_at = now()
    WHERE shop = :shop AND id = :id AND (at, seen) <= (:at, :seen)
""")


def renew(db: Connection, shop: str, versions: Mapping[int, tuple[Version, str | None]]) -> None:
    """The same content, seen at a later time."""
    rows = [{"shop": shop, "id": i, "at": v.at, "seen": v.seen, "source": s} for i, (v, s) in versions.items()]
    if rows:
        db.execute(_RENEW, rows)


@dataclass(frozen=True, slots=True)
class StoredCustomer:
    """A row of the mirror, read back; `customer` only for members."""

    id: int
    state: str
    reason: str | None
    since: datetime
    customer: Customer | None
    rule: str | None
    matched: str | None
    version: Version
    source: str | None
    redacted: bool

    @property
    def as_of(self) -> datetime:
        return self.version.seen


_LOAD = text("SELECT * FROM customers WHERE shop = :shop AND id = ANY(:ids)").bindparams(IDS)


def load(db: Connection, vault: Vault, shop: str, ids: Collection[int]) -> dict[int, StoredCustomer]:
    """These customers, opened."""
    rows = db.execute(_LOAD, {"shop": shop, "ids": list(ids)}) if ids else ()
    return {row.id: _stored(vault, row) for row in rows}


def _stored(vault: Vault, row: Any) -> StoredCustomer:
    return StoredCustomer(
        id=row.id,
        state=row.state,
        reason=row.reason,
        since=row.since,
        customer=stored.load_customer(vault.open(row.record)) if row.record else None,
        rule=row.rule,
        matched=row.matched,
        version=Version(row.at, row.seen),
        source=row.source,
        redacted=row.redacted,
    )


def holders_of_email(db: Connection, shop: str, indexes: Collection[bytes]) -> dict[bytes, list[int]]:
    """Members by the blind index of their email."""
    found: dict[bytes, list[int]] = {index: [] for index in indexes}
    statement = text("SELECT email_index, id FROM customers WHERE shop = :shop AND email_index = ANY(:i) ORDER BY id")
    for row in db.execute(statement, {"shop": shop, "i": list(indexes)}) if indexes else ():
        found[bytes(row.email_index)].append(row.id)
    return found


def count(db: Connection, shop: str) -> int:
    """Members."""
    statement = text("SELECT count(*) FROM customers WHERE shop = :shop AND state = 'member'")
    return int(db.execute(statement, {"shop": shop}).scalar_one())
