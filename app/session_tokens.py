"""Who is asking: Shopify's session token (an ID token), one minute of life, signed with the app's secret.

https://shopify.dev/docs/apps/build/authentication-authorization/session-tokens
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from shopify import Session, session_token

from settings import Settings

_SECONDS = re.compile(r"[0-9]{1,12}")  # Python refuses to read a number of thousands of digits
_SHOP = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")


class NotAuthorised(Exception):
    """The token is missing, wrong or too old. The browser should bring a fresh one."""


@dataclass(frozen=True, slots=True)
class Caller:
    """`user` is Shopify's id of the person in the admin, None when the token names nobody."""

    shop: str
    user: str | None


def caller_of(authorization: str | None, settings: Settings) -> Caller:
    """Whose token stands in `Authorization: Bearer …`, or NotAuthorised.

    ShopifyAPI checks signature, audience, `nbf`, and that issuer and destination agree, with ten seconds of leeway. It
    takes one secret and forgives a token without an expiry; both are seen to here.
    """
    if not authorization or not authorization.startswith("Bearer "):
        raise NotAuthorised("Send Shopify's session token: Authorization: Bearer <token>.")
    claims = _claims(authorization, settings.shopify_api_key, settings.webhook_secrets)
    if "exp" not in claims:
        raise NotAuthorised("The session token never expires; Shopify's do.")
    shop = str(claims["dest"]).removeprefix("https://").rstrip("/").lower()
    if not _SHOP.fullmatch(shop):  # ShopifyAPI looks at the host alone, not at what stands behind it
        raise NotAuthorised("The session token names no shop.")
    user = claims.get("sub")
    return Caller(shop, str(user) if user else None)


def _claims(authorization: str, api_key: str, secrets: Sequence[str]) -> dict[str, object]:
    for secret in secrets:
        try:
            claims: dict[str, object] = session_token.decode_from_header(authorization, api_key, secret)
        except (session_token.SessionTokenError, jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError):
            continue
        return claims
    raise NotAuthorised("The session token is wrong or too old. Fetch a fresh one.")


def is_from_shopify(query: Mapping[str, str], settings: Settings) -> bool:
    """Whether Shopify made this address: its `hmac` is over all other parameters, and it is not a day old.

    ShopifyAPI keeps the secret on its class; a class of its own for each secret leaves the other threads' alone.
    """
    if not query.get("hmac") or not _SECONDS.fullmatch(query.get("timestamp", "")):
        return False
    signers: list[Any] = [type("Signer", (Session,), {"secret": secret}) for secret in settings.webhook_secrets]
    return any(signer.validate_params(dict(query)) for signer in signers)
