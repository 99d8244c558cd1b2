"""One installation: a shop, and what Shopify keeps about this app in it."""

import random
import threading
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from devstore.cost import Bucket
from devstore.records import Numbered
from devstore.shop import Shop
from devstore.tokens import TokenBook

SCOPES = ("read_products", "read_customers")


@dataclass(frozen=True, slots=True)
class WebhookSubscription(Numbered):
    """A shop-specific subscription. `topic` as the enum spells it; `metafields` are (namespace, key) pairs."""

    number: int
    topic: str
    uri: str
    api_version: str
    created_at: datetime
    updated_at: datetime
    filter: str | None = None
    format: str = "JSON"
    include_fields: tuple[str, ...] = ()
    metafield_namespaces: tuple[str, ...] = ()
    metafields: tuple[tuple[str, str], ...] = ()
    name: str | None = None

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Of the metafields that it wants in its bodies."""
        return self.metafield_namespaces + tuple(namespace for namespace, _ in self.metafields)


@dataclass(frozen=True, slots=True)
class BulkOperation(Numbered):
    """`path` is the finished file, kept out of GraphQL; the URL is made from it by whoever knows the origin."""

    number: int
    query: str
    created_at: datetime
    status: str = "CREATED"
    type: str = "QUERY"
    error_code: str | None = None
    completed_at: datetime | None = None
    object_count: int = 0
    root_object_count: int = 0
    file_size: int | None = None
    path: str | None = None
    partial: bool = False


@dataclass
class Tally:
    """What the app asked of this shop."""

    requests: int = 0
    requested_points: int = 0
    actual_points: int = 0
    throttled: int = 0
    too_dear: int = 0
    faults: int = 0
    errors: int = 0
    operations: Counter[str] = field(default_factory=Counter)


@dataclass
class Tenant:
    shop: Shop
    tokens: TokenBook
    bucket: Bucket
    rng: random.Random
    tally: Tally = field(default_factory=Tally)
    subscriptions: dict[int, WebhookSubscription] = field(default_factory=dict)
    bulk: dict[int, BulkOperation] = field(default_factory=dict)
    documents: deque[str] = field(default_factory=lambda: deque(maxlen=200))
    lock: threading.RLock = field(default_factory=threading.RLock)

    def subscribed(self, topic: str) -> Iterator[WebhookSubscription]:
        with self.lock:
            wanted = enum_of(topic)
            yield from [s for s in self.subscriptions.values() if s.topic == wanted]

    def advance(self, number: int, **changes: object) -> BulkOperation:
        with self.lock:
            self.bulk[number] = replace(self.bulk[number], **changes)  # type: ignore[arg-type]  # names its own fields
            return self.bulk[number]

    def note(self, document: str) -> None:
        with self.lock:
            if document not in self.documents:
                self.documents.append(document)


def enum_of(topic: str) -> str:
    """`customer.tags_added` → `CUSTOMER_TAGS_ADDED`."""
    return topic.replace("/", "_").replace(".", "_").upper()
