"""Everything the pretend Shopify holds: the app it talks to, the shops, the post between them."""

import random
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urljoin

from devstore.bodies import body
from devstore.bulk import BulkRunner
from devstore.cost import Bucket
from devstore.courier import Courier, Letter
from devstore.faults import Faults
from devstore.generate import stock
from devstore.ledger import Entry
from devstore.mood import MOODS, Mood
from devstore.records import Happening, number_of
from devstore.shop import Happenings, Shop
from devstore.tenant import SCOPES, Tenant
from devstore.tokens import TokenBook

API_VERSION = "2026-10"
WEBHOOK_PATH = "/webhooks"
COMPLIANCE = frozenset({"customers/data_request", "customers/redact", "shop/redact"})
AFTER_UNINSTALL = COMPLIANCE | {"app/uninstalled"}


@dataclass
class App:
    """The app under test. Where it lives and its secret may change while the shops go on."""

    url: str | None
    api_key: str
    secret: str = field(repr=False)


class World:
    def __init__(self, app: App, *, seed: int = 1, mood: Mood = MOODS["calm"], retry_scale: float = 0.002) -> None:
        self.app = app
        self.seed = seed
        self.courier = Courier(seed, mood=mood, retry_scale=retry_scale, gave_up=self._remove_subscription)
        self.faults = Faults()
        self.tenants: dict[str, Tenant] = {}
        self.closing = threading.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="devstore-")
        self.bulk = BulkRunner(Path(self._folder.name), self.tell, self.closing)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def open_shop(
        self,
        domain: str,
        *,
        token: str | None = None,
        products: int = 0,
        customers: int = 0,
        variants: int = 3,
        b2b: float = 0.3,
    ) -> Tenant:
        """A shop with a seeded catalogue, installed, without telling the app anything. Opening it again replaces it."""
        shop = Shop(domain, 1 + len(self.tenants), self.now)
        shop.stock(*stock(shop, self.seed, products=products, customers=customers, variants=variants, b2b=b2b))
        tokens = TokenBook(self.now, SCOPES)
        if token is not None:
            tokens.admit(token)
        tenant = Tenant(shop, tokens, Bucket(time.monotonic), random.Random(f"{self.seed}:{domain}:changes"))
        self.tenants[domain] = tenant
        return tenant

    def tell(self, tenant: Tenant, happenings: Happenings) -> list[Entry]:
        """Hand what happened to the courier, once for each subscription that wants it."""
        entries: list[Entry] = []
        for happening in happenings:
            event_id = str(uuid.uuid4())
            entries += [self.courier.owe(letter) for letter in self._letters(tenant, happening, event_id)]
        return entries

    def close(self) -> None:
        self.closing.set()
        self.courier.close()
        self._folder.cleanup()

    def _letters(self, tenant: Tenant, happening: Happening, event_id: str) -> list[Letter]:
        """Compliance topics exist in the app's own file alone; both kinds for one topic make two deliveries."""
        if not tenant.shop.installed and happening.topic not in AFTER_UNINSTALL:
            return []
        letters = []
        if self.app.url and (tenant.shop.conduct.app_subscriptions or happening.topic in COMPLIANCE):
            letters.append(self._letter(tenant, happening, event_id))
        return letters + [
            replace(
                self._letter(tenant, happening, event_id),
                url=urljoin(self.app.url or "", one.uri),
                body=body(happening, one.namespaces, one.include_fields),
                api_version=one.api_version,
                subscription=one.gid,
                name=one.name,
            )
            for one in tenant.subscribed(happening.topic)
        ]

    def _letter(self, tenant: Tenant, happening: Happening, event_id: str) -> Letter:
        return Letter(
            url=(self.app.url or "").rstrip("/") + WEBHOOK_PATH,
            secret=self.app.secret,
            shop=tenant.shop.domain,
            topic=happening.topic,
            resource=happening.gid,
            triggered_at=happening.at,
            body=body(happening),
            api_version=API_VERSION,
            event_id=event_id,
        )

    def _remove_subscription(self, entry: Entry) -> None:
        """A shop-specific subscription is deleted after repeated failure, the app's own never."""
        tenant = self.tenants.get(entry.shop)
        if tenant is not None and entry.subscription is not None:
            with tenant.lock:
                tenant.subscriptions.pop(number_of(entry.subscription), None)
