"""What somebody typed into the lookup box: how it reads best, and everything it may be, in the order to try."""

import re
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from domain.text import storable

LARGEST_ID = 2**63 - 1
LONGEST = 255  # a SKU, title or name; addresses of pages may be longer
LONGEST_LINK = 2_048
_DIGITS = re.compile(r"[0-9]{1,19}")
_GID = re.compile(r"gid://shopify/([A-Za-z]{1,40})/([0-9]{1,19})(?:[?#].*)?", re.IGNORECASE)
_INTERNAL = re.compile(r"(pp|pv|cu)_([0-9]{1,19})", re.IGNORECASE)
_HANDLE = re.compile(r"[^\s/?#&A-Z]{1,255}")
_PHONE = re.compile(r"\+?[0-9][0-9 ().-]{5,28}[0-9]")
_LINK = re.compile(r"https?://|/|[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?/", re.IGNORECASE)
_ADMIN = re.compile(r"/(products|customers|variants)/([0-9]{1,19})(?:/variants/([0-9]{1,19}))?(?=$|[/.])")
_STOREFRONT = re.compile(r"/products/([^/]+)")

PRODUCT_WORDS = "Type a SKU, a product's or variant's id, its address in Shopify, a handle, a barcode or a title."
CUSTOMER_WORDS = "Type a customer's id, its address in Shopify, an email address, a telephone number or a name."


@dataclass(frozen=True, slots=True)
class Candidate:
    """`field` is one of: sku, product_id, variant_id, handle, barcode, title (a prefix); or customer_id, email,
    phone, name.

    Ids are ints; everything else is text, of which only the SKU keeps its spaces.
    """

    field: str
    value: str | int


@dataclass(frozen=True, slots=True)
class Query:
    """`read_as`: sku, id, gid, admin_url, handle, internal_id, title, email, phone, name or malformed.

    A malformed one has no candidates and a sentence that says what to type instead.
    """

    text: str
    read_as: str
    candidates: tuple[Candidate, ...] = ()
    sentence: str | None = None


Reading: TypeAlias = tuple[str, list[Candidate]]


def read_product_query(text: str) -> Query:
    kept = storable(text)
    absurd = _absurd(kept, PRODUCT_WORDS)
    if absurd is not None:
        return absurd
    word = kept.strip()
    reading = _gid(word) or _product_link(word) or _product_words(kept, word)
    if _names_the_other(reading, "customer_id"):
        return Query(kept, "malformed", (), "This is a customer; look for it under customers.")
    return _answer(kept, reading, PRODUCT_WORDS)


def read_customer_query(text: str) -> Query:
    kept = storable(text)
    absurd = _absurd(kept, CUSTOMER_WORDS)
    if absurd is not None:
        return absurd
    word = kept.strip()
    reading = _gid(word) or _customer_link(word) or _customer_words(word)
    if _names_the_other(reading, "product_id", "variant_id"):
        return Query(kept, "malformed", (), "This is a product; look for it under products.")
    return _answer(kept, reading, CUSTOMER_WORDS)


def _absurd(text: str, words: str) -> Query | None:
    if not any(char.isprintable() and not char.isspace() for char in text):
        return Query(text[:LONGEST], "malformed", (), f"There is nothing to look for. {words}")
    longest = LONGEST_LINK if _LINK.match(text.strip()) or text.strip().lower().startswith("gid:") else LONGEST
    if len(text) > longest:
        return Query(
            text[:LONGEST], "malformed", (), f"This is too long to be found ({len(text):,} characters). {words}"
        )
    return None


def _answer(text: str, reading: Reading, words: str) -> Query:
    read_as, candidates = reading
    if not candidates:
        return Query(text, "malformed", (), f"No id can be read from this. {words}")
    return Query(text, read_as, tuple(dict.fromkeys(candidates)))


def _names_the_other(reading: Reading, *fields: str) -> bool:
    return bool(reading[1]) and all(candidate.field in fields for candidate in reading[1])


def _gid(word: str) -> Reading | None:
    found = _GID.fullmatch(word)
    if found is None:
        return ("gid", []) if word.lower().startswith("gid:") else None
    fields = {"product": "product_id", "productvariant": "variant_id", "customer": "customer_id"}
    field = fields.get(found[1].lower())
    return "gid", [] if field is None else _ids(found[2], field)


def _product_words(text: str, word: str) -> Reading:
    """The SKU first, with and without the spaces around it: spaces in a SKU count, but people paste them too."""
    candidates = [Candidate("sku", text), Candidate("sku", word)]
    internal = _internal(word, "pp", "pv")
    if internal:
        return "internal_id", [*candidates, *internal]
    ids = _ids(word, "product_id", "variant_id")
    candidates += ids
    if _HANDLE.fullmatch(word):
        candidates.append(Candidate("handle", word))
    candidates += [Candidate("barcode", word), Candidate("title", word)]
    return _best_word(word, numeric=bool(ids)), candidates


def _best_word(word: str, *, numeric: bool) -> str:
    if numeric:
        return "id"
    if any(char.isspace() for char in word):
        return "title"
    is_slug = "-" in word and _HANDLE.fullmatch(word) and not any(char.isdigit() for char in word)
    return "handle" if is_slug else "sku"


def _customer_words(word: str) -> Reading:
    internal = _internal(word, "cu", "pp", "pv")
    if internal:
        return "internal_id", internal
    if "@" in word:
        return "email", [Candidate("email", word), Candidate("name", word)]
    ids = _ids(word, "customer_id")
    phone = [Candidate("phone", word)] if _PHONE.fullmatch(word) else []
    read_as = "id" if ids else "phone" if phone else "name"
    return read_as, [*ids, *phone, Candidate("name", word)]


def _product_link(word: str) -> Reading | None:
    link = _Link.of(word)
    if link is None:
        return None
    if link.is_admin:
        return "admin_url", _admin_ids(link)
    found = _STOREFRONT.search(link.path)
    if found is None:
        return ("handle", []) if link.has_host else None
    handle = unquote(found[1]).removesuffix(".json").removesuffix(".js")
    return "handle", [*_ids(link.variant, "variant_id"), Candidate("handle", storable(handle))]


def _customer_link(word: str) -> Reading | None:
    link = _Link.of(word)
    if link is None or not (link.is_admin or link.has_host):
        return None
    return "admin_url", _admin_ids(link) if link.is_admin else []


def _admin_ids(link: "_Link") -> list[Candidate]:
    found = _ADMIN.search(link.path)
    if found is None:
        return []
    kind, own_id, variant_id = found.groups()
    if variant_id is not None or (kind == "products" and link.variant):
        return [*_ids(variant_id or link.variant, "variant_id"), *_ids(own_id, "product_id")]
    return _ids(own_id, {"products": "product_id", "variants": "variant_id", "customers": "customer_id"}[kind])


def _internal(word: str, *prefixes: str) -> list[Candidate]:
    """SparkLayer's own ids, as this product shows them."""
    found = _INTERNAL.fullmatch(word)
    if found is None or found[1].lower() not in prefixes:
        return []
    return _ids(found[2], {"pp": "product_id", "pv": "variant_id", "cu": "customer_id"}[found[1].lower()])


def _ids(digits: str, *fields: str) -> list[Candidate]:
    if not _DIGITS.fullmatch(digits) or not 0 < int(digits) <= LARGEST_ID:
        return []
    return [Candidate(field, int(digits)) for field in fields]


@dataclass(frozen=True, slots=True)
class _Link:
    path: str
    variant: str
    is_admin: bool
    has_host: bool

    @classmethod
    def of(cls, word: str) -> "_Link | None":
        """None for what is no address of a page. A SKU may hold slashes: without a scheme the host must be a name."""
        if not _LINK.match(word) or any(char.isspace() for char in word):
            return None
        has_scheme = word[0] != "/" and "://" in word[:8]
        try:
            parts = urlsplit(word if has_scheme else f"//{word.lstrip('/')}" if word[0] != "/" else word)
            host = (parts.hostname or "").lower()
        except ValueError:  # `http://[`
            return None
        path = parts.path
        is_admin = host == "admin.shopify.com" or path.startswith("/admin/")
        if not is_admin and "/products/" not in path and not has_scheme:
            return None
        variant = parse_qs(parts.query, max_num_fields=None).get("variant", [""])[0]
        return cls(path, variant, is_admin, bool(host))
