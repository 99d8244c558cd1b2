"""Gets offline tokens from Shopify: for a session token at first, for the refresh token from then on.

https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/offline-access-tokens
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from adapters.wire import Limits, Refusal, Wire
from domain.failures import AppRefused, IdTokenRefused, ShopUnreachable, TokenDead

PATH = "/admin/oauth/access_token"
LIMITS = Limits(read=5.0, total=10.0)  # whoever asks holds others up
EXCHANGE: dict[str, str | int] = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
    "requested_token_type": "urn:shopify:params:oauth:token-type:offline-access-token",
    "expiring": 1,
}


@dataclass(frozen=True, slots=True)
class Grant:
    """What Shopify granted. A lasting token (custom apps) has no `expires_at` and no refresh token. Times are UTC.

    `asked_at` is before Shopify was asked: whatever it says happened earlier was over by then.
    """

    access_token: str = field(repr=False)
    expires_at: datetime | None
    refresh_token: str | None = field(repr=False)
    refresh_expires_at: datetime | None
    scopes: frozenset[str]
    asked_at: datetime


class TokenEndpoint:
    def __init__(self, origin: str, api_key: str, api_secret: str, limits: Limits | None = None) -> None:
        self._wire = Wire(origin, limits or LIMITS)
        self._app = {"client_id": api_key, "client_secret": api_secret}

    def exchange(self, shop: str, id_token: str) -> Grant:
        """For the session token of a merchant who has the app open. Raises `IdTokenRefused` when it is too old."""
        return self._ask(shop, {**EXCHANGE, "subject_token": id_token})

    def redeem(self, shop: str, code: str) -> Grant:
        """For the code that Shopify sent a merchant back with (authorization-code grant). Each is good once.

        Raises `TokenDead` when it is used up or too old.
        """
        return self._ask(shop, {"code": code, "expiring": 1})

    def refresh(self, shop: str, refresh_token: str) -> Grant:
        """A new pair. Raises `TokenDead` when only the merchant can renew the access, by opening the app.

        Keep the old refresh token until the new pair is stored: Shopify takes it again while the new one is unused.
        """
        return self._ask(shop, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    def close(self) -> None:
        self._wire.close()

    def _ask(self, shop: str, request: Mapping[str, str | int]) -> Grant:
        asked_at = datetime.now(UTC)  # before asking: a token may seem older than it is, never younger
        try:
            content = self._wire.post(shop, PATH, {**self._app, **request}, {})
        except Refusal as refusal:
            raise _reason(shop, refusal) from None
        except TokenDead:
            raise _app_refused(shop) from None  # no token was sent: the 401 is about the app
        return _read_grant(shop, content, asked_at)


def _reason(shop: str, refusal: Refusal) -> Exception:
    code = _parse(refusal.content).get("error")
    if code == "invalid_subject_token":
        return IdTokenRefused(f"{shop} does not take the session token. Reload the app in Shopify's admin.")
    if code == "invalid_grant":
        return TokenDead(
            f"The access to {shop} has run out. A merchant renews it by opening the app in Shopify's admin."
        )
    if code == "invalid_client":
        return _app_refused(shop)
    return refusal


def _app_refused(shop: str) -> AppRefused:
    return AppRefused(
        f"{shop} does not know the app. Check SHOPIFY_API_KEY and SHOPIFY_API_SECRET; when they are right, the shop has"
        " uninstalled it."
    )


def _read_grant(shop: str, content: bytes, asked_at: datetime) -> Grant:
    answer = _parse(content)
    access_token = answer.get("access_token")
    if not isinstance(access_token, str) or not access_token:
        raise ShopUnreachable(f"{shop} sent no token. It is asked again later.")
    return Grant(
        access_token,
        _moment(asked_at, answer.get("expires_in")),
        answer.get("refresh_token") or None,
        _moment(asked_at, answer.get("refresh_token_expires_in")),
        frozenset(scope.strip() for scope in str(answer.get("scope") or "").split(",") if scope.strip()),
        asked_at,
    )


def _moment(asked_at: datetime, seconds: Any) -> datetime | None:
    return asked_at + timedelta(seconds=seconds) if isinstance(seconds, int | float) else None


def _parse(content: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}
