"""Access tokens of one shop: a lasting one, or pairs that expire and are refreshed as Shopify does since 2025-12.

https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/offline-access-tokens
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105  # a name from RFC 8693, not a secret
OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"
GRACE = timedelta(days=30)


class RefusedError(Exception):
    """The token endpoint says no; the text is Shopify's `error` word, the HTTP status is 400."""


@dataclass
class _Refresh:
    """A refresh token works until its successor is first used, then never again."""

    expires_at: datetime
    predecessor: str | None = None
    first_used_at: datetime | None = None


class TokenBook:
    def __init__(self, now: Callable[[], datetime], scopes: tuple[str, ...]) -> None:
        self.scopes = scopes
        self.lifetime = timedelta(hours=1)
        self.refresh_lifetime = timedelta(days=90)
        self._now = now
        self._lock = threading.Lock()
        self._access: dict[str, datetime | None] = {}
        self._refresh: dict[str, _Refresh] = {}
        self._codes: set[str] = set()

    def admit(self, token: str) -> None:
        """A lasting token, as a custom app has."""
        with self._lock:
            self._access[token] = None

    def is_good(self, token: str | None) -> bool:
        with self._lock:
            if token not in self._access:
                return False
            expires_at = self._access[token]
            return expires_at is None or expires_at > self._now()

    def spend(self, token: str) -> bool:
        """Migration of a lasting token: it is exchanged once and then dead, and there is no way back."""
        with self._lock:
            if token not in self._access or self._access[token] is not None:
                return False
            del self._access[token]
            return True

    def issue(self, *, expiring: bool, predecessor: str | None = None) -> dict[str, Any]:
        """A new token, in the words of Shopify's token endpoint."""
        with self._lock:
            now, access = self._now(), f"shpat_{secrets.token_hex(16)}"
            self._access[access] = now + self.lifetime if expiring else None
            answer: dict[str, Any] = {"access_token": access, "scope": ",".join(self.scopes)}
            if expiring:
                refresh = f"shprt_{secrets.token_hex(16)}"
                self._refresh[refresh] = _Refresh(now + self.refresh_lifetime, predecessor)
                answer["expires_in"] = int(self.lifetime.total_seconds())
                answer["refresh_token"] = refresh
                answer["refresh_token_expires_in"] = int(self.refresh_lifetime.total_seconds())
            return answer

    def refresh(self, token: str) -> dict[str, Any]:
        """A lost answer costs nothing: the old token goes on working until the new one is used (since 2026-08-28)."""
        with self._lock:
            known, now = self._refresh.get(token), self._now()
            if known is None or known.expires_at <= now:
                raise RefusedError("invalid_grant")
            if known.first_used_at is not None and now > known.first_used_at + GRACE:
                raise RefusedError("invalid_grant")
            known.first_used_at = known.first_used_at or now
            if known.predecessor is not None:
                self._refresh.pop(known.predecessor, None)
                known.predecessor = None
        return self.issue(expiring=True, predecessor=token)

    def offer_code(self) -> str:
        """What a merchant who let the app in is sent back with. It is good once."""
        with self._lock:
            code = secrets.token_hex(16)
            self._codes.add(code)
            return code

    def redeem(self, code: str, *, expiring: bool) -> dict[str, Any]:
        with self._lock:
            if code not in self._codes:
                raise RefusedError("invalid_grant")
            self._codes.remove(code)
        return self.issue(expiring=expiring)

    def expire_access(self) -> None:
        """Every expiring access token is over now; refresh tokens stay."""
        with self._lock:
            self._access = {token: end and self._now() for token, end in self._access.items()}

    def revoke(self) -> None:
        """What an uninstall does: every token is dead."""
        with self._lock:
            self._access.clear()
            self._refresh.clear()
            self._codes.clear()


def signed_query(secret: str, **values: str) -> dict[str, str]:
    """The parameters with which Shopify sends a browser to an app, and their `hmac`: hexadecimal, over the others,
    sorted.
    """
    told = urlencode(sorted(values.items()))
    return {**values, "hmac": hmac.new(secret.encode(), told.encode(), hashlib.sha256).hexdigest()}


def host_of(shop: str) -> str:
    """The `host` parameter: where in Shopify's admin the app stands, in base64 without padding."""
    return _base64url(f"admin.shopify.com/store/{shop.removesuffix('.myshopify.com')}".encode())


def id_token(shop: str, api_key: str, secret: str, now: datetime, seconds: float = 60, **claims: Any) -> str:
    """The session token that Shopify's admin gives an embedded page. `claims` overrule, to make wrong ones."""
    at = int(now.timestamp())
    payload = {
        "iss": f"https://{shop}/admin",
        "dest": f"https://{shop}",
        "aud": api_key,
        "sub": "42",
        "exp": at + int(seconds),
        "nbf": at,
        "iat": at,
        "jti": secrets.token_hex(8),
        "sid": secrets.token_hex(16),
        **claims,
    }
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, payload))
    return f"{signed}.{_signature(signed, secret)}"


def is_genuine_id_token(token: str, shop: str, api_key: str, secret: str, now: datetime) -> bool:
    signed, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(signed, secret).encode()):
        return False
    payload = signed.rpartition(".")[2]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    in_time = claims["nbf"] - 10 <= now.timestamp() <= claims["exp"]
    return bool(in_time and claims["aud"] == api_key and claims["dest"] == f"https://{shop}")


def _signature(signed: str, secret: str) -> str:
    return _base64url(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
