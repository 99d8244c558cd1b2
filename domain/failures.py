"""What can go wrong between us and the world, named by what to do about it.

A message is a plain sentence with its remedy. It holds a shop's domain, a status or a code of Shopify's, and never a
token, a body or anything personal: it is shown to merchants, logged, and kept beside deliveries.
"""

from collections.abc import Mapping
from typing import Any


class Transient(Exception):
    """The world is in the way. The same delivery may succeed later.

    `retry_after`: seconds before it makes sense to try again, None when nobody said. `counts`: whether this was an
    attempt of the delivery's, after which it waits longer than before; who says when to come back counts none.
    """

    counts = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Permanent(Exception):
    """The delivery itself is wrong. Trying again would fail the same way."""


class Throttled(Transient):
    """Shopify asks us to wait. Serve another shop meanwhile.

    `found` holds what a fetch of many ids had already read, by id: keep it, or a small bucket would never get through
    a long list. An id that is missing there was not asked for; it is not gone.
    """

    counts = False

    def __init__(self, message: str, retry_after: float, found: Mapping[int, Any] | None = None) -> None:
        super().__init__(message, retry_after)
        self.found: Mapping[int, Any] = found or {}


class ShopUnreachable(Transient):
    """No answer, or one that nobody can read: outages, time-outs, half bodies, redirects."""


class ShopParked(ShopUnreachable):
    """The shop did not answer lately and is left alone for a while. Nobody has asked it now: no attempt."""

    counts = False


class TokenDead(Transient):
    """Shopify no longer takes the token: the shop must be parked until it has a new one."""


class AppRefused(TokenDead):
    """Shopify does not know the app's key and secret, or the shop has uninstalled the app."""


class ShopFrozen(Transient):
    """The shop itself is closed to us: unpaid, locked, forbidden or gone. Ask rarely."""


class AccessDenied(Transient):
    """A scope or the approval for protected customer data is missing. Granting it heals what waits."""


class IdTokenRefused(Permanent):
    """Shopify does not take this session token. The browser must bring a fresh one."""


class NotAShop(Permanent):
    """Not a `*.myshopify.com` domain: nothing is sent there, least of all a token."""


class QueryRefused(Permanent):
    """Shopify will never answer this query: it is not valid."""


class QueryTooExpensive(QueryRefused):
    """The query asks for more points than one query may cost. The same ids in smaller parts may pass."""
