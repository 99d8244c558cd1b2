"""Signs what a browser keeps for us."""

import hashlib

from itsdangerous import URLSafeTimedSerializer

from app.office import office


def signer(use: str) -> URLSafeTimedSerializer:
    """Each use has a key of its own, derived from SECRET_KEY by HMAC-SHA256: what was signed for one opens no other."""
    derived = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeTimedSerializer(office().settings.secret_key, salt=use, signer_kwargs=derived)
