"""What the Hub keeps of sign-ins, encrypted: the last ID token, and refresh tokens by provider.

::

    {"provider": name, "id_token": text,
     "vouchers": {name: {"refresh_token", "subject", "nonce", "at", "identity"}}}
"""

from dataclasses import asdict, dataclass, field
from typing import Any

Kept = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Voucher:
    """With which a provider is asked again about somebody. `at` is when it last answered, in seconds
    since the epoch; `nonce` is that of the sign-in, which later ID tokens may repeat. `identity` is
    by what they are known here, where that is not the `subject`."""

    refresh_token: str = field(repr=False)
    subject: str
    nonce: str = field(repr=False)
    at: float
    identity: str = ""

    @property
    def known_as(self) -> str:
        """The subject of their identity here."""
        return self.identity or self.subject


def of_sign_in(provider: str, id_token: str, voucher: Voucher | None) -> Kept:
    """What is new after a sign-in."""
    vouchers = {provider: asdict(voucher)} if voucher else {}
    return {"provider": provider, "id_token": id_token, "vouchers": vouchers}


def reconcile(_authenticator: Any, model: Any, before: Kept | None) -> Kept | None:
    """JupyterHub's hook: a sign-in adds to what other providers gave. One by password, or by a
    learning system, brings nothing and takes nothing."""
    new = model.get("auth_state") if isinstance(model, dict) else None
    if new is None:
        return before
    return new | {"vouchers": (before or {}).get("vouchers", {}) | new.get("vouchers", {})}


def without_session(kept: Kept | None) -> Kept | None:
    """After somebody signed out: they may have work that goes on, so the provider is still asked."""
    vouchers = (kept or {}).get("vouchers")
    return {"vouchers": vouchers} if vouchers else None


def vouchers(kept: Kept | None) -> dict[str, Voucher]:
    """By provider."""
    return {name: Voucher(**one) for name, one in (kept or {}).get("vouchers", {}).items()}


def with_voucher(kept: Kept | None, provider: str, voucher: Voucher | None) -> Kept:
    """Changed, or without it."""
    others = {k: v for k, v in (kept or {}).get("vouchers", {}).items() if k != provider}
    changed = {provider: asdict(voucher)} if voucher else {}
    return {**(kept or {}), "vouchers": others | changed}
