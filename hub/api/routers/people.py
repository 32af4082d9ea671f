"""For administrators: people, their roles, invitations."""

from typing import Annotated

from fastapi import APIRouter, Header, Query

from catalog.errors import Forbidden
from catalog.units import format_credits
from hub import closing, invitations, passwords, people, people_list, roles, transfers
from hub.api import schema
from hub.api.access import ActorArg, ControlArg, HubArg, does
from hub.api.people_schema import (
    InvitationView,
    PasswordLink,
    PeoplePage,
    PersonLine,
    RoleBody,
    RoleView,
)
from hub.control_context import Control
from hub.memberships import role_in
from hub.policy import (
    ANYBODY_OF_SITE,
    PLATFORM_ADMIN_ROLE,
    ROOT_TENANT,
    Action,
    Actor,
    Object,
    absent,
    allowed,
    require,
)
from hub.store.ids import new_id
from hub.store.tables import PersonRow
from hub.tenants import object_of
from hub.world import tenant_path

router = APIRouter()


@router.get("/people", **does(Action.READ_PEOPLE))
def people_page(  # noqa: PLR0913 (one parameter for each filter)
    control: ControlArg, actor: ActorArg, *,
    search: Annotated[str, Query(max_length=60)] = "",
    tenant: Annotated[str, Query(max_length=60)] = "",
    role: Annotated[str, Query(max_length=20)] = "",
    state: people_list.State = "",
    sort: people_list.Sort = "login",
    cursor: Annotated[str, Query(max_length=500)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> PeoplePage:  # fmt: skip
    """People of the tenants that you administer. `tenant` is with all below it; `sort` with a minus
    turns the order round."""
    asked = people_list.Asked(search, tenant, role, state, sort, cursor, limit)
    found = people_list.find(control, actor, asked)
    return PeoplePage(
        items=[_line(line) for line in found.lines], next=found.next or None, total=found.total
    )


@router.post("/people/{login}/deactivate", **does(Action.MANAGE_PEOPLE))
async def deactivate(login: str, control: ControlArg, actor: ActorArg, hub: HubArg) -> PersonLine:
    """Close an account: tokens die, sessions end, servers stop."""
    person = await closing.in_thread(_managed, control, actor, login)
    await closing.deactivate(control, hub, actor, person)
    return await closing.in_thread(_show, control, actor, person.id)


@router.post("/people/{login}/activate", **does(Action.MANAGE_PEOPLE))
def activate(login: str, control: ControlArg, actor: ActorArg) -> PersonLine:
    """Reopen an account."""
    person = _managed(control, actor, login)
    people.set_active(control, actor, person, active=True)
    return _show(control, actor, person.id)


@router.post("/people/{login}/grant", **does(Action.GRANT_CREDITS))
def grant(
    login: str, body: schema.GrantBody, control: ControlArg, actor: ActorArg,
    idempotency_key: Annotated[str, Header(alias="Idempotency-Key", max_length=200)] = "",
) -> PersonLine:  # fmt: skip
    """Give credits."""
    require(actor, Action.GRANT_CREDITS, ANYBODY_OF_SITE)
    person = people.by_login(control, login)
    amount = transfers.amount_of(body.credits)
    people.grant_credits(control, actor, person, amount, idempotency_key or new_id("g"))
    return _show(control, actor, person.id)


@router.put("/people/{login}/roles", **does(Action.MANAGE_ROLES))
async def set_role(
    login: str, body: RoleBody, control: ControlArg, actor: ActorArg, hub: HubArg
) -> PersonLine:
    """Give a role in a tenant, or with null take back what was given by hand."""
    person, gone = await closing.in_thread(
        roles.set_role, control, actor, login, body.tenant, body.role
    )
    if gone:
        await hub.end_tokens(person.hub_name)
    return await closing.in_thread(_show, control, actor, person.id)


@router.post("/people/{login}/password-link", status_code=201, **does(Action.MANAGE_PEOPLE))
def password_link(login: str, control: ControlArg, actor: ActorArg) -> PasswordLink:
    """A one-time link at which this person sets a new password; shown once."""
    person = _managed(control, actor, login)
    _demand_all_theirs(control, actor, person)
    url, expires_at = passwords.new_link(control, actor, person)
    return PasswordLink(url=url, expires_at=expires_at)


@router.post("/invitations", status_code=201, **does(Action.INVITE))
def invite(body: schema.InviteBody, control: ControlArg, actor: ActorArg) -> schema.Invitation:
    """A link that creates one account; shown once."""
    with control.store.read() as session:
        require(actor, Action.INVITE, object_of(session, body.tenant))
    url, expires_at = people.invite(control, actor, body.tenant, body.role, body.email)
    return schema.Invitation(url=url, expires_at=expires_at)


@router.get("/invitations", **does(Action.INVITE))
def list_invitations(
    control: ControlArg, actor: ActorArg,
    tenant: Annotated[str, Query(max_length=60)] = "",
    state: Annotated[str, Query(pattern="^(open|used|expired|)$")] = "open",
    cursor: Annotated[str, Query(max_length=60)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> schema.Page[InvitationView]:  # fmt: skip
    """Invitations into the tenants that you administer; empty `state` is all of them."""
    found = invitations.listed(control, actor, tenant, state, cursor, limit + 1)
    shown = found[:limit]
    return schema.Page(
        items=[_invitation(one) for one in shown],
        next=shown[-1].row.id if len(found) > limit else None,
    )


@router.delete("/invitations/{invitation_id}", status_code=204, **does(Action.INVITE))
def void_invitation(invitation_id: str, control: ControlArg, actor: ActorArg) -> None:
    """The link is good for nothing any more."""
    invitations.void(control, actor, invitation_id)


def _managed(control: Control, actor: Actor, login: str) -> PersonRow:
    person = people.by_login(control, login)
    with control.store.read() as session:
        path = tenant_path(session, person.tenant_id)
        require(actor, Action.MANAGE_PEOPLE, Object(person.id, path, f"person {login!r}"))
        above = role_in(session, person.id, ROOT_TENANT) == PLATFORM_ADMIN_ROLE
    if above and not actor.platform_admin:
        raise absent(f"person {login!r}")
    return person


def _demand_all_theirs(control: Control, actor: Actor, person: PersonRow) -> None:
    """Whoever has the link has the account. Raise Forbidden when that leads to a role beyond a
    member's where the actor administers nothing."""
    with control.store.read() as session:
        roles = people.actor_from(session, person).roles
        for tenant in (tenant for tenant, role in roles.items() if role != "member"):
            path = tenant_path(session, tenant)
            if not allowed(actor, Action.MANAGE_PEOPLE, Object(person.id, path, tenant)):
                raise Forbidden(
                    "this person has a role in a part of the site that you do not administer",
                    next="ask an administrator of the platform for the link",
                )


def _show(control: Control, actor: Actor, person_id: str) -> PersonLine:
    with control.store.read() as session:
        return _line(
            people_list.line_of(session, actor, session.get_one(PersonRow, person_id))
        )  # fmt: skip


def _line(line: people_list.Line) -> PersonLine:
    person = line.person
    return PersonLine(
        login=person.login, display_name=person.display_name, email=person.email,
        active=person.active, hub_name=person.hub_name, balance=format_credits(line.balance),
        tenant=person.tenant_id if line.home else "", home=line.home, closed_by=person.closed_by,
        created_at=person.created_at,
        memberships=[
            RoleView(
                tenant=one.tenant, tenant_name=one.tenant_name, role=one.role,
                reasons=list(one.reasons),
            )
            for one in line.roles
        ],
    )  # fmt: skip


def _invitation(one: invitations.Invited) -> InvitationView:
    row = one.row
    return InvitationView(
        id=row.id, tenant=row.tenant_id, tenant_name=one.tenant_name, role=row.role,
        email=row.email, state=one.state, created_at=row.created_at, expires_at=row.expires_at,
    )  # fmt: skip
