"""Stable ids and secrets."""

import hashlib
import hmac
import secrets

_ALPHABET = "abcdefghjkmnpqrstvwxyz0123456789"
"""Lower case, without letters that are read as others; legal in a server name and in a path."""


def new_id(prefix: str) -> str:
    """``"w-7k2m9q4t1x"``: 50 random bits behind a prefix that names the noun."""
    return f"{prefix}-{''.join(secrets.choice(_ALPHABET) for _ in range(10))}"


def new_secret() -> str:
    """256 random bits for a link."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str, pepper: str) -> str:
    """What is stored of a secret: HMAC-SHA-256 under the site's pepper, in hex."""
    return hmac.new(pepper.encode(), secret.encode(), hashlib.sha256).hexdigest()
