"""What every worker process holds: its connections, made once, on first use."""

import os
import socket
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Engine

from adapters import bell, database
from adapters.admin import AdminClient
from adapters.bell import Bell
from adapters.breaker import Breaker
from adapters.budget import Budget
from adapters.figures import Figures
from adapters.vault import Vault
from settings import Settings, settings_or_exit


@dataclass(frozen=True, slots=True)
class Workshop:
    """`holder` marks the leases of this process."""

    settings: Settings
    db: Engine
    bell: Bell
    vault: Vault
    admin: AdminClient
    figures: Figures
    holder: str


@cache
def workshop() -> Workshop:
    """The process's own."""
    return open_workshop(settings_or_exit())


def open_workshop(settings: Settings) -> Workshop:
    """Connections are lazy: nothing is reached before it is needed."""
    client = bell.connect(settings.redis_url)
    return Workshop(
        settings=settings,
        db=database.connect(settings.database_url, pool=2),
        bell=Bell(client),
        vault=Vault(settings.encryption_keys),
        admin=AdminClient(settings.shopify_admin_origin, settings.shopify_api_version, Budget(client), Breaker(client)),
        figures=Figures(client),
        holder=f"{socket.gethostname()}:{os.getpid()}",
    )
