"""What a pretend shop holds: frozen values, named as Shopify's Admin API names them (in snake case).

`number` is Shopify's integer id, `gid` the same as the Admin API spells it. Times are aware, in UTC, to the second,
because that is how fine Shopify's `updatedAt` is. A changed record is a new value; the old one stays a snapshot.
"""

from dataclasses import dataclass
from datetime import datetime


class Numbered:
    """Anything with a number has a gid; the class name is Shopify's type name."""

    __slots__ = ()
    number: int

    @property
    def gid(self) -> str:
        return f"gid://shopify/{type(self).__name__}/{self.number}"


@dataclass(frozen=True, slots=True)
class Metafield(Numbered):
    number: int
    namespace: str
    key: str
    type: str
    value: str
    owner_type: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class MetafieldWish:
    """How a metafield shall be. `value` None removes it; `type` None keeps the type it has."""

    key: str
    value: str | None
    type: str | None = None
    namespace: str = "sparklayer"


@dataclass(frozen=True, slots=True)
class ProductVariant(Numbered):
    number: int
    product_number: int
    sku: str | None
    barcode: str | None
    price: str
    compare_at_price: str | None
    title: str
    position: int
    inventory_quantity: int
    option_name: str
    created_at: datetime
    updated_at: datetime
    metafields: tuple[Metafield, ...] = ()


@dataclass(frozen=True, slots=True)
class Product(Numbered):
    number: int
    title: str
    handle: str
    status: str
    vendor: str
    product_type: str
    tags: tuple[str, ...]
    description_html: str
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None
    variants: tuple[ProductVariant, ...]
    metafields: tuple[Metafield, ...] = ()


@dataclass(frozen=True, slots=True)
class MailingAddress(Numbered):
    number: int
    first_name: str | None
    last_name: str | None
    company: str | None
    address1: str | None
    address2: str | None
    city: str | None
    province: str | None
    province_code: str | None
    zip: str | None
    country: str | None
    country_code_v2: str | None
    phone: str | None

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)


@dataclass(frozen=True, slots=True)
class Customer(Numbered):
    number: int
    first_name: str | None
    last_name: str | None
    email: str | None
    phone: str | None
    state: str
    tags: tuple[str, ...]
    note: str | None
    tax_exempt: bool
    verified_email: bool
    created_at: datetime
    updated_at: datetime
    addresses: tuple[MailingAddress, ...] = ()
    metafields: tuple[Metafield, ...] = ()

    @property
    def display_name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part) or self.email or str(self.number)

    @property
    def default_address(self) -> MailingAddress | None:
        return self.addresses[0] if self.addresses else None


@dataclass(frozen=True, slots=True)
class BasicEvent(Numbered):
    """What Shopify's `events` remembers of a deletion."""

    number: int
    action: str
    subject_id: str
    subject_type: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing Shopify may tell an app about. `record` is the state at that moment: retries resend it, however old."""

    topic: str
    gid: str
    at: datetime
    record: Product | Customer | None = None
    tags: tuple[str, ...] = ()
    extra: tuple[tuple[str, object], ...] = ()


def number_of(gid: str | int) -> int:
    """The integer at the end of a gid. A plain integer (or its text) is taken as it is."""
    return int(str(gid).rsplit("/", 1)[-1].split("?", 1)[0])
