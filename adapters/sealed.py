"""Which of the encryption keys open what is sealed. A sealed value does not say its key: a sample is tried."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from adapters.vault import Vault, WrongKeys

SAMPLE = 500


@dataclass(frozen=True, slots=True)
class Key:
    opens: int


@dataclass(frozen=True, slots=True)
class Opened:
    """By key, newest first: how many of `sampled` values it opens. `all_of_them`: there are no others."""

    keys: tuple[Key, ...]
    sampled: int
    unreadable: int
    all_of_them: bool


# Tokens first, for they matter most; then customers, more or less in the order of their writing.
_SEALED = text("""
    (SELECT token AS value FROM shops WHERE token IS NOT NULL LIMIT :most)
    UNION ALL
    (SELECT refresh_token FROM shops WHERE refresh_token IS NOT NULL LIMIT :most)
    UNION ALL
    (SELECT notify_mail FROM shops WHERE notify_mail IS NOT NULL LIMIT :most)
    UNION ALL
    (SELECT notify_url FROM shops WHERE notify_url IS NOT NULL LIMIT :most)
    UNION ALL
    (SELECT record FROM customers WHERE record IS NOT NULL LIMIT :most)
""")


def opened_by(db: Connection, keys: Sequence[str]) -> Opened:
    values = [bytes(row.value) for row in db.execute(_SEALED, {"most": SAMPLE})]
    vaults = [Vault([key]) for key in keys]
    counts = [0] * len(vaults)
    unreadable = 0
    for value in values:
        opening = next((place for place, vault in enumerate(vaults) if _opens(vault, value)), None)
        if opening is None:
            unreadable += 1
        else:
            counts[opening] += 1
    return Opened(tuple(Key(n) for n in counts), len(values), unreadable, len(values) < SAMPLE)


def _opens(vault: Vault, value: bytes) -> bool:
    try:
        vault.open(value)
    except WrongKeys:
        return False
    return True
