"""The stand-in's people, invitations, keys and audit."""

from typing import Any

from fastapi import FastAPI, Response

from hub.api.audit_schema import AuditEntry, SoundnessView
from hub.api.key_schema import KeyBody, KeyView, NewKeyView, RenewBody
from hub.api.people_schema import (
    InvitationView,
    PasswordLink,
    PeoplePage,
    PersonLine,
    RoleBody,
)
from hub.api.schema import Page

V1 = "/services/control/v1"
AT = "2030-01-01T08:00:00Z"
END = "0" * 64
ROLE = {"tenant": "main", "tenant_name": "Main", "role": "admin", "reasons": ["manual"]}
KEY = {
    "id": "k-7k2m9q4t1x", "name": "Entra", "scope": "scim", "tenant": "main",
    "issuer": "https://idp.example.edu", "subject": "external-id", "state": "active",
    "created_at": AT, "expires_at": "2031-01-01T08:00:00Z", "used_at": None, "revoked_at": None,
}  # fmt: skip
NEW_KEY = KEY | {"key": "pj_k-7k2m9q4t1x_secret", "url": "https://site/services/control/scim/v2"}
INVITATION = {
    "id": "l-7k2m9q4t1x", "tenant": "main", "tenant_name": "Main", "role": "member",
    "email": "grace@example.org", "state": "open", "created_at": AT, "expires_at": AT,
}  # fmt: skip
LINE = {
    "id": 1, "at": AT, "actor": "p-1", "actor_login": "ada", "action": "launch", "object": "w1",
    "object_login": "", "tenant": "main", "detail": {"offer": "x"},
    "told": {"offer": "x", "from": AT, "amount": "5.00 credits"},
}  # fmt: skip


def line_of(login: str, *roles: dict[str, Any]) -> dict[str, Any]:
    return {
        "login": login, "display_name": login.title(), "email": "", "active": True,
        "hub_name": login, "memberships": list(roles), "balance": "99.60", "tenant": "main",
        "home": True, "closed_by": "", "created_at": AT,
    }  # fmt: skip


def add(app: FastAPI) -> None:
    """Their routes."""
    _people(app)
    _keys(app)

    @app.get(V1 + "/audit", response_model=Page[AuditEntry])
    async def _() -> Any:
        return {"items": [LINE], "next": None}

    @app.get(V1 + "/audit/verify", response_model=SoundnessView)
    async def _(noted: str = "") -> Any:
        there = noted in {"", END}
        return {
            "sound": there, "lines": 7, "end": END, "broken": None, "missing": None, "noted": there,
        }  # fmt: skip


def _people(app: FastAPI) -> None:
    @app.get(V1 + "/people", response_model=PeoplePage)
    async def _() -> Any:
        return {"items": [line_of("ada", ROLE), line_of("grace", ROLE)], "next": None, "total": 2}

    @app.put(V1 + "/people/{login}/roles", response_model=PersonLine)
    async def _(login: str, body: RoleBody) -> Any:
        given = ROLE | {"tenant": body.tenant, "role": body.role}
        return line_of(login, *([given] if body.role else []))

    @app.post(V1 + "/people/{login}/password-link", response_model=PasswordLink)
    async def _(login: str) -> Any:
        return {"url": f"https://site/hub/password?token={login}", "expires_at": AT}

    @app.get(V1 + "/invitations", response_model=Page[InvitationView])
    async def _() -> Any:
        return {"items": [INVITATION], "next": None}

    @app.delete(V1 + "/invitations/{invitation}", status_code=204)
    async def _(invitation: str) -> Response:
        return Response(status_code=204)


def _keys(app: FastAPI) -> None:
    @app.get(V1 + "/keys", response_model=Page[KeyView])
    async def _() -> Any:
        return {"items": [KEY], "next": None}

    @app.post(V1 + "/keys", response_model=NewKeyView)
    async def _(body: KeyBody) -> Any:
        return NEW_KEY | {"name": body.name}

    @app.post(V1 + "/keys/{key}/renew", response_model=NewKeyView)
    async def _(key: str, body: RenewBody) -> Any:
        return NEW_KEY

    @app.post(V1 + "/keys/{key}/revoke", response_model=KeyView)
    async def _(key: str) -> Any:
        return KEY | {"state": "revoked", "revoked_at": AT}
