"""What every worker process holds: its connections, made once, on first use."""

import os
import socket
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Engine

from adapters import access, bell, database
from adapters.admin import AdminClient
from adapters.bell import Bell
from adapters.breaker import Breaker
from adapters.budget import Budget
from adapters.database import Clock
from adapters.figures import POINTS, Figures
from adapters.tokens import TokenEndpoint
from adapters.vault import Vault
from settings import Settings, settings_or_exit

LEFT_TO_LIVE = 0.25  # of what Shopify lets a shop be asked


@dataclass(frozen=True, slots=True)
class Workshop:
    """`holder` marks the leases of this process. `clock` is the database's: by it reads and waits are timed.

    `looks` are `db`'s own connections, for single statements that only read.
    """

    settings: Settings
    db: Engine
    looks: Engine
    clock: Clock
    bell: Bell
    vault: Vault
    tokens: TokenEndpoint
    admin: AdminClient
    figures: Figures
    holder: str


@cache
def workshop(lane: str) -> Workshop:
    """The process's own; a process serves one lane."""
    return open_workshop(settings_or_exit(), leave=LEFT_TO_LIVE if lane == "bulk" else 0.0)


def open_workshop(settings: Settings, *, leave: float = 0.0) -> Workshop:
    """Connections are lazy: nothing is reached before it is needed."""
    client = bell.connect(settings.redis_url)
    figures = Figures(client)
    db, vault = database.connect(settings.database_url, pool=2), Vault(settings.encryption_keys)
    tokens = TokenEndpoint(settings.shopify_admin_origin, settings.shopify_api_key, settings.shopify_api_secret)
    return Workshop(
        settings=settings,
        db=db,
        looks=database.for_looks(db),
        clock=Clock(),
        bell=Bell(client),
        vault=vault,
        tokens=tokens,
        admin=AdminClient(
            settings.shopify_admin_origin,
            settings.shopify_api_version,
            Budget(client, leave=leave),
            Breaker(client),
            another_token=access.another_token(db, vault, tokens),
            spent=lambda points: figures.count(POINTS, by=points),
        ),
        figures=figures,
        holder=f"{socket.gethostname()}:{os.getpid()}",
    )
