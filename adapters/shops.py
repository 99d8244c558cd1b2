"""The shops we serve, their tokens (sealed) and their rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, DateTime, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from adapters.tokens import Grant
from adapters.vault import Vault
from domain.eligibility import Rule


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop as the turn needs it. `token` is None when none is known, or the last one died.

    A lasting token (a custom app's) has no `token_expires_at`. `scopes` None: Shopify has not said. `time_zone` is an
    IANA name. The refresh token stays in the database but for the moment in which it is used.
    """

    domain: str
    state: str
    token: str | None = field(repr=False)
    installed_at: datetime
    rule: Rule
    token_expires_at: datetime | None = None
    can_refresh: bool = False
    scopes: frozenset[str] | None = None
    time_zone: str = "UTC"

    @property
    def is_active(self) -> bool:
        return self.state == "active" and self.token is not None


_FIND = text("""
    SELECT domain, state, token, installed_at, b2b_tag, ignored_keys, rule_changed_at, token_expires_at,
           refresh_token IS NOT NULL AS can_refresh, scopes, coalesce(time_zone, 'UTC') AS time_zone
    FROM shops WHERE domain = :domain
""")


def find(db: Connection, vault: Vault, domain: str) -> Shop | None:
    """The shop, or None if it never installed."""
    row = db.execute(_FIND, {"domain": domain}).one_or_none()
    if row is None:
        return None
    token = vault.open(row.token).decode() if row.token is not None else None
    return Shop(
        domain=row.domain,
        state=row.state,
        token=token,
        installed_at=row.installed_at,
        rule=_rule(row),
        token_expires_at=row.token_expires_at,
        can_refresh=row.can_refresh,
        scopes=frozenset(row.scopes) if row.scopes is not None else None,
        time_zone=row.time_zone,
    )


def rule(db: Connection, domain: str) -> Rule | None:
    """Who belongs, as the shop says at this moment; None when the shop is not known (any more)."""
    row = db.execute(_FIND, {"domain": domain}).one_or_none()
    return _rule(row) if row is not None else None


def _rule(row: Any) -> Rule:
    return Rule(tag=row.b2b_tag, ignored_keys=frozenset(row.ignored_keys), changed_at=row.rule_changed_at)


# Nobody is there yet, or somebody is: either way a row to lock, so that two grants at once see each other.
_KNOW = text("""
    INSERT INTO shops (domain, state, access_proven_at) VALUES (:domain, 'uninstalled', to_timestamp(0))
    ON CONFLICT (domain) DO NOTHING
""")
_ADMIT = text("""
    UPDATE shops
    SET state = 'active', token = :token, token_expires_at = :expires_at, refresh_token = :refresh_token,
        refresh_expires_at = :refresh_expires_at, refresh_leased_until = NULL, scopes = :scopes,
        access_proven_at = greatest(access_proven_at, coalesce(:proven_at, now())),
        needs_auth_since = NULL, next_probe_at = NULL, uninstalled_at = NULL,
        installed_at = CASE WHEN before.state = 'uninstalled' THEN now() ELSE shops.installed_at END
    FROM (SELECT domain, state FROM shops WHERE domain = :domain FOR UPDATE) AS before
    WHERE shops.domain = before.domain
    RETURNING before.state AS was
""").bindparams(bindparam("scopes", type_=ARRAY(Text)), bindparam("proven_at", type_=DateTime(timezone=True)))


def add(db: Connection, vault: Vault, domain: str, token: str) -> bool:
    """Install a shop with a lasting token, or give a known one its new token. Whether it was not active before."""
    return _admit(db, domain, {**_NO_PAIR, "token": vault.seal(token.encode())})


def grant(db: Connection, vault: Vault, domain: str, granted: Grant) -> bool:
    """Install a shop with what Shopify granted, or renew its access. Whether it was not active before."""
    return _admit(db, domain, _sealed(vault, granted))


def _admit(db: Connection, domain: str, values: Mapping[str, Any]) -> bool:
    db.execute(_KNOW, {"domain": domain})
    return bool(db.execute(_ADMIT, {"domain": domain, **values}).scalar_one() != "active")


_NO_PAIR: Mapping[str, Any] = dict.fromkeys(
    ("expires_at", "refresh_token", "refresh_expires_at", "scopes", "proven_at"), None
)


def _sealed(vault: Vault, granted: Grant) -> dict[str, Any]:
    return {
        "token": vault.seal(granted.access_token.encode()),
        "expires_at": granted.expires_at,
        "refresh_token": vault.seal(granted.refresh_token.encode()) if granted.refresh_token else None,
        "refresh_expires_at": granted.refresh_expires_at,
        "scopes": sorted(granted.scopes) or None,
        "proven_at": granted.asked_at,
    }


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one process to ask for a shop's next pair. `sealed`: the refresh token as it stands in the row."""

    domain: str
    refresh_token: str = field(repr=False)
    sealed: bytes = field(repr=False)


_LEASE = text("""
    UPDATE shops SET refresh_leased_until = now() + make_interval(secs => :seconds)
    WHERE domain = :domain AND refresh_token IS NOT NULL AND token_expires_at IS NOT DISTINCT FROM :expires_at
      AND (refresh_leased_until IS NULL OR refresh_leased_until <= now())
    RETURNING refresh_token
""").bindparams(bindparam("expires_at", type_=DateTime(timezone=True)))


def lease_refresh(db: Connection, vault: Vault, shop: Shop, seconds: float) -> Lease | None:
    """The lease, unless somebody has it, or the shop has another token by now than the one in `shop`."""
    values = {"domain": shop.domain, "expires_at": shop.token_expires_at, "seconds": seconds}
    sealed = db.execute(_LEASE, values).scalar_one_or_none()
    return Lease(shop.domain, vault.open(sealed).decode(), sealed) if sealed is not None else None


_RENEW = text("""
    UPDATE shops
    SET token = :token, token_expires_at = :expires_at, refresh_token = coalesce(:refresh_token, refresh_token),
        refresh_expires_at = coalesce(:refresh_expires_at, refresh_expires_at), refresh_leased_until = NULL,
        scopes = coalesce(:scopes, scopes), access_proven_at = greatest(access_proven_at, :proven_at)
    WHERE domain = :domain AND refresh_token = :sealed
""").bindparams(bindparam("scopes", type_=ARRAY(Text)))


def renew(db: Connection, vault: Vault, lease: Lease, granted: Grant) -> bool:
    """Store the next pair, unless the shop was uninstalled or granted another one while Shopify was asked: False."""
    values = {"domain": lease.domain, "sealed": lease.sealed, **_sealed(vault, granted)}
    return db.execute(_RENEW, values).rowcount == 1


def end_lease(db: Connection, lease: Lease, pause: float) -> None:
    """No pair came. Nobody asks again before `pause` seconds have passed."""
    statement = text("""UPDATE shops SET refresh_leased_until = now() + make_interval(secs => :pause)
                        WHERE domain = :domain AND refresh_token = :sealed""")
    db.execute(statement, {"domain": lease.domain, "sealed": lease.sealed, "pause": pause})


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
    UPDATE shops SET state = 'uninstalled', token = NULL, token_expires_at = NULL, refresh_token = NULL,
                     refresh_expires_at = NULL, refresh_leased_until = NULL, scopes = NULL, uninstalled_at = :at,
                     needs_auth_since = NULL
    WHERE domain = :domain AND state <> 'uninstalled' AND access_proven_at <= :at
""")


def uninstall(db: Connection, domain: str, at: datetime) -> bool:
    """The app was removed at `at` (Shopify's clock). Notices older than the last proof of access change nothing: False.

    Two clocks are compared without any allowance between them, because the two errors differ. Obeying an old notice
    forgets a token that works, and nothing but a merchant's visit brings it back; so no notice is taken for newer than
    it says. Ignoring a true one, when our clock is ahead, leaves a dead token: the check that the caller asks for then
    finds it out within seconds.
    """
    return db.execute(_UNINSTALL, {"domain": domain, "at": at}).rowcount == 1


def is_proven_since(db: Connection, domain: str, at: datetime, *, needs_auth_at: datetime) -> bool:
    """Whether Shopify has granted access after `at`; where that access was lost again, after `needs_auth_at`.

    A lasting token was brought by somebody, not granted by Shopify: it counts like access that was lost again. Nobody
    can erase or uninstall the shop before this transaction ends.
    """
    statement = text("""SELECT state = 'active' AND token_expires_at IS NOT NULL AS is_granted, state, access_proven_at
                        FROM shops WHERE domain = :domain FOR UPDATE""")
    row = db.execute(statement, {"domain": domain}).one_or_none()
    if row is None or row.state == "uninstalled":
        return False
    return bool(row.access_proven_at > (at if row.is_granted else needs_auth_at))


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


def note_facts(db: Connection, domain: str, scopes: frozenset[str], time_zone: str) -> None:
    """What the shop says of itself and of our access."""
    statement = text("""
        UPDATE shops SET scopes = :scopes, time_zone = :time_zone
        WHERE domain = :domain AND state <> 'uninstalled'
          AND (scopes IS DISTINCT FROM :scopes OR time_zone IS DISTINCT FROM :time_zone)
    """).bindparams(bindparam("scopes", type_=ARRAY(Text)))
    db.execute(statement, {"domain": domain, "scopes": sorted(scopes), "time_zone": time_zone})


def listed(db: Connection) -> list[dict[str, Any]]:
    """Every shop, as `flask shops list` shows it."""
    rows = db.execute(text("SELECT domain, state, installed_at FROM shops ORDER BY domain")).mappings()
    return [dict(row) for row in rows]
