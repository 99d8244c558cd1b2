"""What the front door holds: its connections, made once a process."""

from dataclasses import dataclass, replace
from typing import Self, cast

import redis
from flask import current_app, g
from sqlalchemy import Engine

from adapters import access, bell, database
from adapters.admin import AdminClient
from adapters.bell import Bell
from adapters.breaker import Breaker
from adapters.budget import Budget
from adapters.figures import POINTS, Figures
from adapters.frontdesk import FrontDesk
from adapters.rate_limit import RateLimit
from adapters.rejections import Rejections
from adapters.signatures import Signatures
from adapters.tokens import TokenEndpoint
from adapters.vault import Vault
from settings import BadSettings, Settings


@dataclass(frozen=True, slots=True)
class Office:
    """`db` answers people; the front desk has connections of its own, so that no lookup can make a webhook wait."""

    settings: Settings
    db: Engine
    redis: redis.Redis
    bell: Bell
    vault: Vault
    tokens: TokenEndpoint
    admin: AdminClient
    figures: Figures
    rejections: Rejections
    signatures: Signatures
    frontdesk: FrontDesk
    rate_limit: RateLimit

    def of_shop(self, domain: str) -> Self:
        """The same, but `db` keeps to one shop."""
        return replace(self, db=database.of_shop(self.db, domain))


def open_office(settings: Settings) -> Office:
    client = bell.connect(settings.redis_url, seconds=0.5)
    figures, rejections = Figures(client), Rejections(client)
    signatures = Signatures(client, settings.webhook_secrets)
    inbox_db = database.connect(settings.database_url, pool=3, statement_ms=5_000, pool_seconds=1, autocommit=True)
    db = database.connect(settings.database_url, pool=8, statement_ms=10_000, pool_seconds=2)
    vault = Vault(settings.encryption_keys)
    tokens = TokenEndpoint(settings.shopify_admin_origin, settings.shopify_api_key, settings.shopify_api_secret)
    return Office(
        settings=settings,
        db=db,
        redis=client,
        bell=Bell(client),
        vault=vault,
        tokens=tokens,
        admin=AdminClient(
            settings.shopify_admin_origin,
            settings.shopify_api_version,
            Budget(client),
            Breaker(client),
            another_token=access.another_token(db, vault, tokens),
            spent=lambda points: figures.count(POINTS, by=points),
        ),
        figures=figures,
        rejections=rejections,
        signatures=signatures,
        frontdesk=FrontDesk(inbox_db, Bell(client), figures, rejections, signatures),
        rate_limit=RateLimit(client),
    )


def office() -> Office:
    """The current application's; of a merchant's request, behind the second wall. Raises BadSettings on a command line
    without an environment.
    """
    desk = g.get("office") or current_app.extensions["office"]
    if isinstance(desk, BadSettings):
        raise desk
    return cast("Office", desk)


def keep_to(domain: str) -> Office:
    """The one place where a request is tied to the shop that was proven: from here on `office()` keeps to it."""
    g.office = office().of_shop(domain)
    return office()
