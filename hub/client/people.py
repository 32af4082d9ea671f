"""People, keys and the audit, for administrators."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hub.client.errors import Json

if TYPE_CHECKING:
    from hub.client.transport import Transport


class PeopleCalls:
    """A part of `hub.client.Client`."""

    _transport: "Transport"

    def find_people(self, **filters: Any) -> Any:
        """People that this person administers: search, tenant, role, state, sort, cursor, limit."""
        return self._transport.get("/people", **{k: v for k, v in filters.items() if v})

    def set_role(self, login: str, tenant: str, role: str | None) -> Json:
        """Give a role in a tenant; None takes back what was given by hand."""
        body = {"tenant": tenant, "role": role}
        return self._transport.put(f"/people/{quote(login, safe='')}/roles", body)

    def password_link(self, login: str) -> Json:
        """A one-time link at which the person sets a new password."""
        return self._transport.post(f"/people/{quote(login, safe='')}/password-link")

    def invitations(self, state: str = "open", cursor: str = "") -> Any:
        """Invitations that are out, without their links."""
        return self._transport.get("/invitations", state=state, cursor=cursor)

    def void_invitation(self, invitation: str) -> None:
        """Its link is good for nothing any more."""
        self._transport.delete(f"/invitations/{quote(invitation, safe='')}")

    def keys(self, cursor: str = "") -> Any:
        """Keys of services, without their secrets."""
        return self._transport.get("/keys", cursor=cursor)

    def add_key(self, name: str, **facts: str) -> Json:
        """A key; `key` in the answer is shown this once."""
        return self._transport.post("/keys", {"name": name, **facts})

    def renew_key(self, key: str, life: str) -> Json:
        """A new secret for it."""
        return self._transport.post(f"/keys/{quote(key, safe='')}/renew", {"life": life})

    def revoke_key(self, key: str) -> Json:
        """It is dead from now on."""
        return self._transport.post(f"/keys/{quote(key, safe='')}/revoke")

    def audit(
        self, cursor: str | None = None, limit: int | None = None,
        filters: Mapping[str, str] | None = None,
    ) -> Any:  # fmt: skip
        """The audit, the newest first."""
        return self._transport.get("/audit", cursor=cursor, limit=limit, **(filters or {}))

    def verify_audit(self, noted: str = "") -> Json:
        """Whether the chain holds."""
        return self._transport.get("/audit/verify", noted=noted)
