"""The shops we serve, their tokens (sealed) and their rules."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from adapters.vault import Vault
from domain.eligibility import Rule


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop as the turn needs it. `token` is None when none is known, or the last one died."""

    domain: str
    state: str
    token: str | None = field(repr=False)
    installed_at: datetime
    rule: Rule

    @property
    def is_active(self) -> bool:
        return self.state == "active" and self.token is not None


_FIND = text("SELECT domain, state, token, installed_at, b2b_tag, ignored_keys FROM shops WHERE domain = :domain")


def find(db: Connection, vault: Vault, domain: str) -> Shop | None:
    """The shop, or None if it never installed."""
    row = db.execute(_FIND, {"domain": domain}).one_or_none()
    if row is None:
        return None
    token = vault.open(row.token).decode() if row.token is not None else None
    rule = Rule(tag=row.b2b_tag, ignored_keys=frozenset(row.ignored_keys))
    return Shop(row.domain, row.state, token, row.installed_at, rule)


_ADD = text("""
    INSERT INTO shops (domain, state, token) VALUES (:domain, 'active', :token)
    ON CONFLICT (domain) DO UPDATE
    SET state = 'active', token = excluded.token, needs_auth_since = NULL, next_probe_at = NULL, uninstalled_at = NULL,
        installed_at = CASE WHEN shops.state = 'uninstalled' THEN now() ELSE shops.installed_at END
""")


def add(db: Connection, vault: Vault, domain: str, token: str) -> None:
    """Install a shop, or give a known one its new token: it is active again either way."""
    db.execute(_ADD, {"domain": domain, "token": vault.seal(token.encode())})


_NEEDS_AUTH = text("""
    UPDATE shops SET state = 'needs_auth', needs_auth_since = coalesce(needs_auth_since, now()),
                     next_probe_at = now() + interval '10 minutes'
    WHERE domain = :domain AND state = 'active' AND token = :token
""")


def needs_auth(db: Connection, vault: Vault, shop: Shop) -> bool:
    """Shopify refused this very token. A token that was replaced meanwhile is left alone; False then."""
    row = db.execute(_FIND, {"domain": shop.domain}).one_or_none()
    if row is None or row.token is None or vault.open(row.token).decode() != shop.token:
        return False
    return db.execute(_NEEDS_AUTH, {"domain": shop.domain, "token": row.token}).rowcount == 1


_UNINSTALL = text("""
    UPDATE shops SET state = 'uninstalled', token = NULL, uninstalled_at = :at, needs_auth_since = NULL
    WHERE domain = :domain AND state <> 'uninstalled' AND installed_at <= :at
""")


def uninstall(db: Connection, domain: str, at: datetime) -> bool:
    """The app was removed at `at`. A late notice of an earlier life, before a reinstall, changes nothing: False."""
    return db.execute(_UNINSTALL, {"domain": domain, "at": at}).rowcount == 1


_MAY_PROBE = text("""
    UPDATE shops SET next_probe_at = now() + interval '10 minutes'
    WHERE domain = :domain AND state = 'needs_auth' AND token IS NOT NULL
      AND (next_probe_at IS NULL OR next_probe_at <= now())
""")


def may_probe(db: Connection, domain: str) -> bool:
    """Claim the next rare try of a dead token; one worker gets it, once in ten minutes."""
    return db.execute(_MAY_PROBE, {"domain": domain}).rowcount == 1


def recovered(db: Connection, domain: str) -> None:
    """Shopify took the token after all."""
    db.execute(
        text("UPDATE shops SET state = 'active', needs_auth_since = NULL WHERE domain = :d AND state = 'needs_auth'"),
        {"d": domain},
    )


def listed(db: Connection) -> list[dict[str, Any]]:
    """Every shop, as `flask shops list` shows it."""
    rows = db.execute(text("SELECT domain, state, installed_at FROM shops ORDER BY domain")).mappings()
    return [dict(row) for row in rows]
