"""What can be wrong with a record, as a value. The sentences live in `domain/catalogue.py`, one row a code."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Severity(StrEnum):
    """`error`: the feed turns amber. `warning`: imported, attention advised. `info`: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Issue:
    """Something wrong with a record that its owner can fix.

    `path` points into the record as the merchant sees it (`variants[8123].metafields.pack_size`), `snippet` is the
    offending value, masked and at most 80 characters, and never a secret or a personal value. `facts` fill the
    catalogue's sentence (short strings and numbers only, never personal data).
    """

    code: str
    path: str
    snippet: str | None = None
    facts: dict[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Translation(Generic[T]):
    """What a translator made of a body: the record, or None when nothing usable came out, and what was wrong."""

    record: T | None
    issues: tuple[Issue, ...] = ()
