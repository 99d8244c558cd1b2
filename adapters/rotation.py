"""Seals everything again under the newest key, so that an older one can be removed.

Beside live writes:

1. A batch of customers is of one shop. It takes the place of the feed's only writer, then locks its rows: what a turn
   has written is seen, and no turn writes in between.
2. Whoever shares an address goes in the same transaction, else the two would have different indexes for a while, and
   their clash would be resolved and found again.
3. A refresh token that is being used is passed over: whoever uses it stores its successor only where it is still there
   (adapters/access.py), and would lose it. Leases end within seconds; the token is then the next round's.

No place is kept: a sealed value shows whether the newest key opens it, so whoever starts again passes over what is
done, at some ten thousand values a second.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, LargeBinary

from adapters import database, email_clashes, mirror_customers, stored
from adapters.vault import Vault, WrongKeys

SHOPS = 50  # a transaction
CUSTOMERS = 200
WAITS = (1.0, 2.0, 4.0, 8.0, 10.0)  # seconds; together more than a lease
SEALED_OF_SHOP = ("token", "refresh_token", "notify_mail", "notify_url")
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """How many sealed values each key opens, newest first, and how many none of them does."""

    by_key: tuple[int, ...]
    unreadable: int = 0

    @property
    def under_older_keys(self) -> int:
        return sum(self.by_key[1:])

    @property
    def values(self) -> int:
        return sum(self.by_key) + self.unreadable

    def __add__(self, other: "Standing") -> "Standing":
        counts = tuple(a + b for a, b in zip(self.by_key, other.by_key, strict=True))
        return Standing(counts, self.unreadable + other.unreadable)


@dataclass(frozen=True, slots=True)
class Step:
    """A page: values it looked at, those it sealed again, and refresh tokens that were being used."""

    looked_at: int
    sealed_again: int
    passed_over: int = 0


class Keys:
    """All of ENCRYPTION_KEYS, and each alone: a sealed value does not say its key, so it is tried."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.vault = Vault(keys)
        self._each = [Vault([key]) for key in keys]

    def place_of(self, sealed: bytes) -> int | None:
        """0 is the newest; None: no key opens it."""
        return next((place for place, vault in enumerate(self._each) if _opens(vault, sealed)), None)

    def standing_of(self, values: Sequence[bytes]) -> Standing:
        places = [self.place_of(value) for value in values]
        return Standing(tuple(places.count(place) for place in range(len(self._each))), places.count(None))

    def is_older(self, sealed: bytes | None) -> bool:
        """Whether it is to be sealed again. What nobody can open is left as it is: its key may yet be put back."""
        return sealed is not None and self.place_of(sealed) not in (0, None)


def _opens(vault: Vault, sealed: bytes) -> bool:
    try:
        vault.open(sealed)
    except WrongKeys:
        return False
    return True


def standing(engine: Engine, keys: Keys) -> Iterator[Standing]:
    """Page by page, every sealed value there is. Nothing is locked."""
    for shops in _pages_of_shops(engine):
        yield keys.standing_of([bytes(row[name]) for row in shops for name in SEALED_OF_SHOP if row[name] is not None])
    for customers in _pages_of_customers(engine):
        yield keys.standing_of([bytes(row["record"]) for row in customers])


def rotate(engine: Engine, keys: Keys, sleep: Callable[[float], None] = time.sleep) -> Iterator[Step]:
    """Seal again whatever an older key opens; a step is committed before it is told."""
    first = list(_rotate_all_shops(engine, keys))
    yield from first
    yield from _rotate_all_customers(engine, keys)
    passed_over = sum(step.passed_over for step in first)
    for wait in WAITS:
        if not passed_over:
            return
        sleep(wait)
        again = list(_rotate_all_shops(engine, keys))
        yield Step(0, sum(step.sealed_again for step in again))
        passed_over = sum(step.passed_over for step in again)


def _rotate_all_shops(engine: Engine, keys: Keys) -> Iterator[Step]:
    for shops in _pages_of_shops(engine):
        with engine.begin() as db:
            step = _rotate_shops(db, keys, [row["domain"] for row in shops])
        yield step


def _rotate_all_customers(engine: Engine, keys: Keys) -> Iterator[Step]:
    for customers in _pages_of_customers(engine):
        sealed_again = 0
        for shop, ids in _by_shop(customers, keys).items():
            with engine.begin() as db:
                sealed_again += _rotate_customers(db, keys, shop, ids)
        yield Step(len(customers), sealed_again)


_NEXT_SHOPS = text(f"""
    SELECT domain, {", ".join(SEALED_OF_SHOP)} FROM shops WHERE domain > :after ORDER BY domain LIMIT :most
""")  # noqa: S608 — names of our own columns
_NEXT_CUSTOMERS = text("""
    SELECT shop, id, record FROM customers
    WHERE (shop, id) > (:shop, :id) AND state = 'member' AND record IS NOT NULL ORDER BY shop, id LIMIT :most
""")


def _pages_of_shops(engine: Engine) -> Iterator[list[Mapping[str, Any]]]:
    after = ""
    while page := _page(engine, _NEXT_SHOPS, {"after": after, "most": SHOPS}):
        yield page
        after = page[-1]["domain"]


def _pages_of_customers(engine: Engine) -> Iterator[list[Mapping[str, Any]]]:
    shop, last = "", 0
    while page := _page(engine, _NEXT_CUSTOMERS, {"shop": shop, "id": last, "most": CUSTOMERS}):
        yield page
        shop, last = page[-1]["shop"], page[-1]["id"]


def _page(engine: Engine, statement: Any, values: Values) -> list[Mapping[str, Any]]:
    with engine.connect() as db:
        return [dict(row) for row in db.execute(statement, values).mappings()]


_LOCK_SHOPS = text(f"""
    SELECT domain, {", ".join(SEALED_OF_SHOP)}, coalesce(refresh_leased_until > now(), false) AS is_leased
    FROM shops WHERE domain = ANY(:domains) ORDER BY domain FOR UPDATE
""")  # noqa: S608 — names of our own columns
_SEAL_SHOP = text(f"""
    UPDATE shops SET {", ".join(f"{name} = :{name}" for name in SEALED_OF_SHOP)} WHERE domain = :domain
""")  # noqa: S608 — names of our own columns


def _rotate_shops(db: Connection, keys: Keys, domains: Sequence[str]) -> Step:
    looked_at = sealed_again = passed_over = 0
    for row in db.execute(_LOCK_SHOPS, {"domains": list(domains)}).mappings().all():
        held = {name: row[name] for name in SEALED_OF_SHOP}
        older = [name for name in held if keys.is_older(held[name])]
        if row["is_leased"] and "refresh_token" in older:
            older.remove("refresh_token")
            passed_over += 1
        looked_at += sum(value is not None for value in held.values())
        if older:
            anew = {name: keys.vault.reseal(held[name]) for name in older}
            db.execute(_SEAL_SHOP, held | anew | {"domain": row["domain"]})
            sealed_again += len(anew)
    return Step(looked_at, sealed_again, passed_over)


def _by_shop(customers: Sequence[Mapping[str, Any]], keys: Keys) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row in customers:
        if keys.is_older(row["record"]):
            found.setdefault(row["shop"], []).append(row["id"])
    return found


_SEALED_CUSTOMERS = (
    "SELECT id, record, record_hash, email_index FROM customers WHERE shop = :shop AND record IS NOT NULL"
)
_LOCK_CUSTOMERS = text(f"""
    {_SEALED_CUSTOMERS} AND id = ANY(:ids) ORDER BY id FOR UPDATE
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))
_LOCK_SHARERS = text(f"""
    {_SEALED_CUSTOMERS} AND email_index = ANY(:indexes) AND id <> ALL(:ids) ORDER BY id FOR UPDATE
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)), bindparam("indexes", type_=ARRAY(LargeBinary)))
_SEAL_CUSTOMER = text("""
    UPDATE customers SET record = :record, record_hash = :record_hash, email_index = :email_index,
                         phone_index = :phone_index, word_indexes = :word_indexes
    WHERE shop = :shop AND id = :id
""")
# Resolved ones as well: what names an address under a removed key would never be found again.
_RENAME_SCOPE = text("""
    UPDATE issues SET scope = :after
    WHERE shop = :shop AND feed = 'customers' AND resource_id = :id AND code = 'EMAIL_DUPLICATE' AND scope = :before
""")


def _rotate_customers(db: Connection, keys: Keys, shop: str, ids: Sequence[int]) -> int:
    database.sole_writer(db, shop, email_clashes.FEED)
    older = [row for row in db.execute(_LOCK_CUSTOMERS, {"shop": shop, "ids": ids}) if keys.is_older(row.record)]
    before = {bytes(row.email_index) for row in older if row.email_index}
    sharers = db.execute(_LOCK_SHARERS, {"shop": shop, "ids": ids, "indexes": sorted(before)}).all() if before else []
    older += [row for row in sharers if keys.is_older(row.record)]
    anew = [_sealed_anew(keys.vault, shop, row) for row in older]
    if anew:
        db.execute(_SEAL_CUSTOMER, anew)
    scopes = [
        {"shop": shop, "id": row.id, "before": _scope(row.email_index), "after": _scope(new["email_index"])}
        for row, new in zip(older, anew, strict=True)
        if row.email_index and new["email_index"]
    ]
    if scopes:
        db.execute(_RENAME_SCOPE, scopes)
    email_clashes.renew(db, shop, before | {new["email_index"] for new in anew if new["email_index"]})
    return len(anew)


def _sealed_anew(vault: Vault, shop: str, row: Any) -> Values:
    clear = vault.open(row.record)
    indexes = mirror_customers.indexes_of(vault, shop, stored.load_customer(clear))
    content = vault.fingerprint(shop, clear) if row.record_hash else None
    return {"shop": shop, "id": row.id, "record": vault.seal(clear), "record_hash": content, **indexes}


def _scope(index: bytes) -> str:
    return email_clashes.scope_of(bytes(index))
