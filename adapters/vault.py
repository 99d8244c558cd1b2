"""Seals what must not be read from the database, and finds it again without reading it.

Sealing is Fernet (AES-128-CBC with HMAC-SHA256). A blind index is a keyed hash of a normalised value: equal values have
equal indexes, and nothing else can be told from them. Both know several keys, newest first, while one is rotated.
"""

import hashlib
import hmac
import re
import unicodedata
from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence
from enum import StrEnum

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from domain.failures import Transient

INDEX_BYTES = 16
WORD_BREAK = re.compile(r"[\W_]+")


class Kind(StrEnum):
    """What an indexed value is. It is part of the hash: the email "x" and the word "x" share nothing."""

    EMAIL = "email"
    PHONE = "phone"
    WORD = "word"


class WrongKeys(Transient):
    """The delivery is not to blame: put back the key that the value was sealed with."""


class Vault:
    """`keys` are Fernet keys, newest first: the first one seals, all of them open."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("ENCRYPTION_KEYS is empty. Give at least one Fernet key.")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            # The cause would repeat a key in a traceback.
            raise ValueError("ENCRYPTION_KEYS holds something that is not a Fernet key (32 bytes in base64).") from None
        self._index_keys = [_index_key(key) for key in keys]

    def seal(self, clear: bytes) -> bytes:
        return self._fernet.encrypt(clear)

    def open(self, sealed: bytes) -> bytes:
        """What was sealed. Raises `WrongKeys` when no key fits or the value was changed."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            sentence = "None of ENCRYPTION_KEYS opens a sealed value. Put back the key that it was sealed with."
            raise WrongKeys(sentence) from None

    def reseal(self, sealed: bytes) -> bytes:
        """The same value under the newest key, so that an old one can be retired."""
        return self.seal(self.open(sealed))

    def indexes(self, shop: str, kind: Kind, value: str) -> list[bytes]:
        """One index a key, newest first, to search with. Empty when nothing is left of the value once normalised.

        The shop is hashed too: one person who buys in two shops has two indexes that nobody can join.
        """
        normal = NORMALISERS[kind](value)
        message = f"{shop}\0{kind}\0{normal}".encode("utf-8", "surrogatepass")
        return [_digest(key, message)[:INDEX_BYTES] for key in self._index_keys] if normal else []

    def index(self, shop: str, kind: Kind, value: str) -> bytes | None:
        """The index under the newest key, to store. None when nothing is left of the value once normalised."""
        return next(iter(self.indexes(shop, kind, value)), None)

    def fingerprint(self, shop: str, clear: bytes) -> bytes:
        """Tells whether sealed bytes are the same without opening them: sealing twice never gives the same bytes.

        Under the newest key alone: once a key is rotated, everything looks changed, and is written anew.
        """
        return _digest(self._index_keys[0], f"{shop}\0fingerprint\0".encode() + clear)[:INDEX_BYTES]


def folded(value: str) -> str:
    return unicodedata.normalize("NFKC", value).strip().casefold()


def normal_phone(value: str) -> str:
    """Digits, with the leading + of an international number (`00` is one, too)."""
    text = unicodedata.normalize("NFKC", value).strip()
    digits = "".join(str(unicodedata.decimal(letter)) for letter in text if letter.isdecimal())
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    return f"+{digits}" if digits and text.startswith(("+", "(+")) else digits


def words(text: str) -> list[str]:
    """The words of a name or a company, each once, as they are indexed: two letters or more."""
    parts = WORD_BREAK.split(folded(text))
    return list(dict.fromkeys(part for part in parts if len(part) >= 2))


NORMALISERS: dict[Kind, Callable[[str], str]] = {
    Kind.EMAIL: folded,
    Kind.PHONE: normal_phone,
    Kind.WORD: folded,
}


def _index_key(key: str) -> bytes:
    """Derived, so that whoever learns an index key still opens nothing."""
    return _digest(urlsafe_b64decode(key), b"data-sync blind index 1")


def _digest(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()
