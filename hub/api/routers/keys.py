"""For platform administrators: keys of services."""

from typing import Annotated

from fastapi import APIRouter, Query

from catalog.errors import BadValue
from catalog.units import parse_duration
from hub import service_keys
from hub.api import schema
from hub.api.access import ActorArg, ControlArg, does
from hub.api.key_schema import KeyBody, KeyView, NewKeyView, RenewBody
from hub.control_context import Control
from hub.policy import ANYBODY_OF_SITE, Action, require
from hub.settings import SCIM_PREFIX
from hub.store.access_tables import ServiceKeyRow

router = APIRouter()


@router.get("/keys", **does(Action.MANAGE_KEYS))
def keys(
    control: ControlArg, actor: ActorArg,
    cursor: Annotated[str, Query(max_length=60)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> schema.Page[KeyView]:  # fmt: skip
    """Keys of services, dead ones too. Nobody can see a secret again."""
    rows = service_keys.every(control, actor, cursor, limit + 1)
    shown = rows[:limit]
    return schema.Page(
        items=[_view(control, row) for row in shown],
        next=shown[-1].id if len(rows) > limit else None,
    )


@router.post("/keys", status_code=201, **does(Action.MANAGE_KEYS))
def issue(body: KeyBody, control: ControlArg, actor: ActorArg) -> NewKeyView:
    """Make a key; it is shown this once."""
    require(actor, Action.MANAGE_KEYS, ANYBODY_OF_SITE)
    wanted = service_keys.NewKey(
        name=body.name, tenant_id=body.tenant, issuer=_issuer(control, body.provider),
        life=parse_duration(body.life), scope=body.scope, subject=body.subject,
    )  # fmt: skip
    return _once(control, service_keys.issue(control, actor, wanted))


@router.post("/keys/{key_id}/renew", **does(Action.MANAGE_KEYS))
def renew(key_id: str, body: RenewBody, control: ControlArg, actor: ActorArg) -> NewKeyView:
    """A new secret for the same key; the old one dies at once."""
    life = parse_duration(body.life)
    return _once(control, service_keys.renew(control, actor, key_id, life))


@router.post("/keys/{key_id}/revoke", **does(Action.MANAGE_KEYS))
def revoke(key_id: str, control: ControlArg, actor: ActorArg) -> KeyView:
    """End a key. What it made stays as it is."""
    return _view(control, service_keys.revoke(control, actor, key_id))


def _issuer(control: Control, name: str) -> str:
    providers = {one.name: one.issuer for one in control.providers.values()}
    if name not in providers:
        raise BadValue(
            f"provider: this site has no provider {name[:40]!r}",
            next=f"use {', '.join(providers)}" if providers else "add it to oidc.yaml first",
        )
    return providers[name]


def _once(control: Control, issued: service_keys.Issued) -> NewKeyView:
    facts = _view(control, issued.row).model_dump()
    return NewKeyView(**facts, key=issued.secret, url=control.settings.url + SCIM_PREFIX)


def _view(control: Control, row: ServiceKeyRow) -> KeyView:
    return KeyView(
        id=row.id, name=row.name, scope=row.scope, tenant=row.tenant_id, issuer=row.issuer,
        subject=row.subject, state=service_keys.state_of(row, control.clock.now()),
        created_at=row.created_at, expires_at=row.expires_at, used_at=row.used_at,
        revoked_at=row.revoked_at,
    )  # fmt: skip
