"""Invitations that are out: who was invited, and voiding what was not used yet."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlmodel import Session, col, select

from catalog.errors import Conflict
from hub.control_context import Control
from hub.policy import ANYBODY_OF_SITE, Action, Actor, absent, allowed, require, tenant_object
from hub.store import audit
from hub.store.tables import LinkRow, TenantRow
from hub.tenant_paths import below
from hub.tenants import object_of

State = Literal["open", "used", "expired"]
INVITATION = "invitation"


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation, without its secret."""

    row: LinkRow
    tenant_name: str
    state: State


def listed(
    control: Control, actor: Actor, tenant: str, state: str, cursor: str, limit: int
) -> list[Invited]:
    """Those into tenants that the actor administers, of `tenant` and below if it is given, in a
    fixed order after `cursor` (an id)."""
    roots = [t for t in actor.roles if allowed(actor, Action.INVITE, tenant_object((t,)))]
    if not roots:
        require(actor, Action.INVITE, ANYBODY_OF_SITE)
    now = control.clock.now()
    query = (
        select(LinkRow, TenantRow.name)
        .join(TenantRow, col(TenantRow.id) == LinkRow.tenant_id)
        .where(LinkRow.purpose == INVITATION, col(LinkRow.id) > cursor)
    )
    for above in ([] if actor.platform_admin else [roots]) + ([[tenant]] if tenant else []):
        query = query.where(below(col(LinkRow.tenant_id), above))
    match state:
        case "open":
            query = query.where(col(LinkRow.used_at).is_(None), col(LinkRow.expires_at) > now)
        case "used":
            query = query.where(col(LinkRow.used_at).is_not(None))
        case "expired":
            query = query.where(col(LinkRow.used_at).is_(None), col(LinkRow.expires_at) <= now)
        case _:
            pass
    with control.store.read() as session:
        rows = session.exec(query.order_by(LinkRow.id).limit(limit)).all()
    return [Invited(row, name, _state(row, now)) for row, name in rows]


def void(control: Control, actor: Actor, link_id: str) -> None:
    """The link is good for nothing any more. Raises Conflict when it was used."""
    with control.store.write() as session:
        row = _of_id(session, actor, link_id)
        if row.used_at is not None:
            raise Conflict(
                "this invitation was used", next="close the account that was made with it"
            )
        audit.record(
            session, control.clock.now(), actor.person_id, "invitation-voided", row.id,
            row.tenant_id, {"role": row.role},
        )  # fmt: skip
        session.delete(row)


def _of_id(session: Session, actor: Actor, link_id: str) -> LinkRow:
    row = session.get(LinkRow, link_id)
    name = f"invitation {link_id[:40]!r}"
    if row is None or row.purpose != INVITATION:
        raise absent(name)
    if not allowed(actor, Action.INVITE, object_of(session, row.tenant_id)):
        raise absent(name)
    return row


def _state(row: LinkRow, now: datetime) -> State:
    if row.used_at is not None:
        return "used"
    return "open" if row.expires_at > now else "expired"
