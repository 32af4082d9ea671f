"""For administrators: people, their roles, invitations."""

from typing import Annotated

from fastapi import APIRouter, Header, Query
from sqlmodel import Session, col, select

from hub import closing, people, transfers
from hub.api import schema
from hub.api.access import ActorArg, ControlArg, HubArg, does
from hub.api.routers.account import person_view
from hub.control_context import Control
from hub.policy import (
    ANYBODY_OF_SITE,
    ROOT_TENANT,
    Action,
    Actor,
    Object,
    absent,
    allowed,
    require,
    tenant_object,
)
from hub.store.ids import new_id
from hub.store.tables import MembershipRow, PersonRow
from hub.world import tenant_path

router = APIRouter()


@router.get("/people", **does(Action.READ_PEOPLE))
def people_list(
    control: ControlArg, actor: ActorArg,
    search: Annotated[str, Query(max_length=60)] = "",
    cursor: Annotated[str, Query(max_length=60)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> schema.Page[schema.PersonView]:  # fmt: skip
    """People of the tenants that you administer, by name."""
    with control.store.read() as session:
        _require_somewhere(session, actor, Action.READ_PEOPLE)
        query = select(PersonRow).where(col(PersonRow.login) > cursor)
        if search:
            like = f"%{search}%"
            query = query.where(
                col(PersonRow.login).ilike(like) | col(PersonRow.display_name).ilike(like)
            )
        found: list[schema.PersonView] = []
        for person in session.exec(query.order_by(PersonRow.login)):
            if not allowed(actor, Action.READ_PEOPLE, _about(session, person)):
                continue
            if len(found) == limit:
                return schema.Page(items=found, next=found[-1].login)
            found.append(person_view(session, person, _roles(session, person)))
    return schema.Page(items=found, next=None)


@router.post("/people/{login}/deactivate", **does(Action.MANAGE_PEOPLE))
async def deactivate(
    login: str, control: ControlArg, actor: ActorArg, hub: HubArg
) -> schema.PersonView:
    """Close an account: tokens die, sessions end, servers stop."""
    person = await closing.in_thread(_managed, control, actor, login)
    await closing.deactivate(control, hub, actor, person)
    return await closing.in_thread(_show, control, person.id)


@router.post("/people/{login}/activate", **does(Action.MANAGE_PEOPLE))
def activate(login: str, control: ControlArg, actor: ActorArg) -> schema.PersonView:
    """Reopen an account."""
    person = _managed(control, actor, login)
    people.set_active(control, actor, person, active=True)
    return _show(control, person.id)


@router.post("/people/{login}/grant", **does(Action.GRANT_CREDITS))
def grant(
    login: str, body: schema.GrantBody, control: ControlArg, actor: ActorArg,
    idempotency_key: Annotated[str, Header(alias="Idempotency-Key", max_length=200)] = "",
) -> schema.PersonView:  # fmt: skip
    """Give credits."""
    require(actor, Action.GRANT_CREDITS, ANYBODY_OF_SITE)
    person = people.by_login(control, login)
    amount = transfers.amount_of(body.credits)
    people.grant_credits(control, actor, person, amount, idempotency_key or new_id("g"))
    return _show(control, person.id)


@router.post("/invitations", status_code=201, **does(Action.INVITE))
def invite(body: schema.InviteBody, control: ControlArg, actor: ActorArg) -> schema.Invitation:
    """A link that creates one account; shown once."""
    with control.store.read() as session:
        require(actor, Action.INVITE, _tenant(session, body.tenant))
    url, expires_at = people.invite(control, actor, body.tenant, body.role, body.email)
    return schema.Invitation(url=url, expires_at=expires_at)


def _require_somewhere(session: Session, actor: Actor, action: Action) -> None:
    """Raise Forbidden unless the actor may do it in one of their tenants at least."""
    tenants_of = [_tenant(session, tenant) for tenant in actor.roles] or [ANYBODY_OF_SITE]
    if not any(allowed(actor, action, tenant) for tenant in tenants_of):
        require(actor, action, tenants_of[0])


def _tenant(session: Session, tenant_id: str) -> Object:
    return tenant_object(tenant_path(session, tenant_id))


def _about(session: Session, person: PersonRow) -> Object:
    return Object(person.id, tenant_path(session, person.tenant_id), f"person {person.login!r}")


def _managed(control: Control, actor: Actor, login: str) -> PersonRow:
    person = people.by_login(control, login)
    with control.store.read() as session:
        require(actor, Action.MANAGE_PEOPLE, _about(session, person))
        above = _roles(session, person).get(ROOT_TENANT) == "platform-admin"
    if above and not actor.platform_admin:
        raise absent(f"person {login!r}")
    return person


def _show(control: Control, person_id: str) -> schema.PersonView:
    with control.store.read() as session:
        person = session.get_one(PersonRow, person_id)
        return person_view(session, person, _roles(session, person))


def _roles(session: Session, person: PersonRow) -> dict[str, str]:
    rows = session.exec(select(MembershipRow).where(MembershipRow.person_id == person.id)).all()
    return {row.tenant_id: row.role for row in rows}
