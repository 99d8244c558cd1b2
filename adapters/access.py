"""Keeps a shop's token good: who is about to ask Shopify comes here first, and whoever was refused comes here again.

Tokens that expire come in pairs, and a pair is renewed by one process at a time:

1. Lease the right to ask, in the shop's row, in a transaction of its own.
2. Ask Shopify, with no transaction open and no row locked. The others go on with the old token while it lives, or look
   for the new one for a moment.
3. Store the pair where the refresh token is still the one that was used.

Who dies between 2 and 3 has lost an answer: when the lease has run out, the old refresh token is used again, which
Shopify takes until its successor is first used (since 2026-08-28, at most 30 days). Shopify's own Ruby gem holds a row
lock over the whole call instead: a slow answer then blocks everybody who touches the shop's row.
https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/offline-access-tokens
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Engine

from adapters import shops
from adapters.shops import Lease, Shop
from adapters.tokens import TokenEndpoint
from adapters.vault import Vault
from domain.failures import Permanent, ShopParked, ShopUnreachable, TokenDead, Transient

log = structlog.get_logger()

MARGIN = timedelta(seconds=60)  # a token that ends within it is renewed: a query may wait for its turn and its answer
LEASE_SECONDS = 20.0  # more than the endpoint's own limit
PAUSE_SECONDS = 5.0  # after the endpoint failed
LOOKS = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds between looks at whether somebody else has the new pair


@dataclass(frozen=True, slots=True)
class _Way:
    engine: Engine
    vault: Vault
    endpoint: TokenEndpoint
    sleep: Callable[[float], None]


def with_fresh_token(
    engine: Engine,
    vault: Vault,
    endpoint: TokenEndpoint,
    shop: Shop,
    now: datetime,
    sleep: Callable[[float], None] = time.sleep,
) -> Shop:
    """The shop with a token that lives on for a while; one with a lasting token, or with none at all, as it is.

    Raises `TokenDead` when only the merchant can renew the access, `ShopUnreachable` when the old token is over and no
    new one can be had at the moment.
    """
    end = shop.token_expires_at
    if shop.token is None or end is None or not shop.can_refresh or end - now > MARGIN:
        return shop
    return _renewed(_Way(engine, vault, endpoint, sleep), shop, lives=end > now)


def refused(
    engine: Engine,
    vault: Vault,
    endpoint: TokenEndpoint,
    domain: str,
    token: str,
    now: datetime,
    sleep: Callable[[float], None] = time.sleep,
) -> str | None:
    """The Admin API answered 401 to this token: another one to try once, None when there is none. Raises as above."""
    with engine.begin() as db:
        shop = shops.find(db, vault, domain)
    if shop is None or shop.token is None:
        return None
    if shop.token != token:
        return with_fresh_token(engine, vault, endpoint, shop, now, sleep).token
    if not shop.can_refresh:
        return None
    return _renewed(_Way(engine, vault, endpoint, sleep), shop, lives=False).token


def another_token(engine: Engine, vault: Vault, endpoint: TokenEndpoint) -> Callable[[str, str], str | None]:
    """What the Admin client asks when a token was refused in the middle of its work."""
    return lambda domain, token: refused(engine, vault, endpoint, domain, token, datetime.now(UTC))


def _renewed(way: _Way, shop: Shop, *, lives: bool) -> Shop:
    """By this process or by another; `lives`: whether the old token does, for as long as that takes."""
    for wait in (*LOOKS, 0.0):
        with way.engine.begin() as db:
            lease = shops.lease_refresh(db, way.vault, shop, LEASE_SECONDS)
            known = shop if lease else shops.find(db, way.vault, shop.domain)
        if lease is not None:
            return _refresh(way, shop, lease, lives=lives)
        if known is None or known.token != shop.token:
            return known or _gone(shop)
        if lives:
            return shop
        way.sleep(wait)
    raise ShopParked(f"{shop.domain} is being given a new token. It is asked again in a moment.", PAUSE_SECONDS)


def _refresh(way: _Way, shop: Shop, lease: Lease, *, lives: bool) -> Shop:
    try:
        granted = way.endpoint.refresh(shop.domain, lease.refresh_token)
    except (Transient, Permanent) as trouble:
        return _without_answer(way, shop, lease, trouble, lives=lives)
    with way.engine.begin() as db:
        stored = shops.renew(db, way.vault, lease, granted)
        known = shops.find(db, way.vault, shop.domain)
    log.info("token_renewed", shop=shop.domain, stored=stored)
    return known or _gone(shop)


def _without_answer(way: _Way, shop: Shop, lease: Lease, trouble: Transient | Permanent, *, lives: bool) -> Shop:
    """A dead refresh token may be one that somebody else has used; then theirs is the pair that counts."""
    dead = isinstance(trouble, TokenDead)
    with way.engine.begin() as db:
        shops.end_lease(db, lease, 0.0 if dead else PAUSE_SECONDS)
        known = shops.find(db, way.vault, shop.domain)
    if known is None or known.token != shop.token:
        return known or _gone(shop)
    log.warning("token_not_renewed", shop=shop.domain, old_one_lives=lives, reason=str(trouble))
    if dead:
        raise trouble
    if lives:
        return shop
    pause = trouble.retry_after if isinstance(trouble, Transient) else None
    sentence = f"{shop.domain} gave no new token, and the old one is over. {trouble}"
    raise ShopUnreachable(sentence, PAUSE_SECONDS if pause is None else pause) from None


def _gone(shop: Shop) -> Shop:
    """Erased while Shopify was asked."""
    return replace(shop, state="uninstalled", token=None, token_expires_at=None, can_refresh=False)
