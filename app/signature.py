"""Whether a body was signed by Shopify for this app.

https://shopify.dev/docs/apps/build/webhooks/verify-deliveries — the signature covers the raw body alone. While a secret
is rotated Shopify signs with the old one for up to an hour, so every secret we know may be the right one.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence


def verified_by(body: bytes, signature: str | None, secrets: Sequence[str]) -> int | None:
    """Which secret signed these bytes (0 is the current one), or None.

    Compared as bytes: `compare_digest` raises on text that is not ASCII, and the header is the sender's to choose. The
    encoded forms are compared, for decoding base64 forgives what Shopify never sends.
    """
    given = (signature or "").encode("utf-8", "surrogateescape")
    found = None
    for position, secret in enumerate(secrets):
        expected = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256))
        if hmac.compare_digest(expected, given) and found is None:
            found = position
    return found
