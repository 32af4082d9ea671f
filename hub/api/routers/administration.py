"""For administrators: people, invitations, quotas, credits, audit."""

from typing import Annotated

from fastapi import APIRouter, Header, Query
from sqlmodel import Session, col, select

from catalog.errors import BadValue, NotFound
from catalog.units import parse_bytes, parse_credits, parse_milli
from hub import closing, guarantees, people, transfers
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
from hub.store import audit
from hub.store.ids import new_id
from hub.store.tables import AuditRow, MembershipRow, PersonRow, QuotaRow, TenantRow
from hub.world import tenant_path
from quotas.limits import Dimension
from quotas.periods import Period, Span, demand_period, show_moment, span_at

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


@router.get("/tenants", **does(Action.READ_TENANTS))
def tenants(control: ControlArg, actor: ActorArg) -> schema.Page[schema.TenantView]:
    """Tenants that you administer."""
    with control.store.read() as session:
        _require_somewhere(session, actor, Action.READ_TENANTS)
        rows = session.exec(select(TenantRow).order_by(TenantRow.id)).all()
        seen = [
            schema.TenantView(id=row.id, name=row.name, parent=row.parent_id, kind=row.kind)
            for row in rows
            if allowed(actor, Action.READ_TENANTS, _tenant(session, row.id))
        ]
    return schema.Page(items=seen, next=None)


@router.get("/quotas", **does(Action.READ_QUOTA))
def quotas(control: ControlArg, actor: ActorArg) -> schema.Page[schema.QuotaView]:
    """Limits as they are set. Person `*` is each person of the tenant; empty, the tenant's own."""
    with control.store.read() as session:
        _require_somewhere(session, actor, Action.READ_QUOTA)
        logins = dict(session.exec(select(PersonRow.id, PersonRow.login)).all())
        rows = session.exec(
            select(QuotaRow).order_by(QuotaRow.tenant_id, QuotaRow.person_id, QuotaRow.dimension)
        ).all()
        seen = [
            schema.QuotaView(
                tenant=row.tenant_id, person=logins.get(row.person_id, row.person_id),
                dimension=row.dimension, limit=row.limit, period=row.period,
                guaranteed=row.guaranteed,
                resets_at=_span(control, row).ends_at, text=_limit_text(control, row),
            )
            for row in rows
            if allowed(actor, Action.READ_QUOTA, _tenant(session, row.tenant_id))
        ]  # fmt: skip
    return schema.Page(items=seen, next=None)


@router.put("/quotas", **does(Action.SET_QUOTA))
def set_quota(
    body: schema.QuotaBody, control: ControlArg, actor: ActorArg
) -> schema.Page[schema.QuotaView]:
    """Set or remove a limit. What runs goes on; the next launch is judged by it."""
    require(actor, Action.SET_QUOTA, ANYBODY_OF_SITE)
    dimension = Dimension(body.dimension)
    limit = None if body.limit is None else _amount(dimension, body.limit)
    if limit is not None:
        demand_period(dimension, Period(body.period), person=bool(body.person))
    with control.store.write() as session:
        if session.get(TenantRow, body.tenant) is None:
            raise NotFound(f"there is no tenant {body.tenant!r}", next="see the list of tenants")
        person_id = _person_id(session, body.person)
        row = session.get(QuotaRow, (body.tenant, person_id, dimension.value))
        if limit is None:
            if row is not None and row.guaranteed:
                row.limit, row.period = None, ""
                session.add(row)
            elif row is not None:
                session.delete(row)
        elif row is None:
            session.add(
                QuotaRow(
                    tenant_id=body.tenant, person_id=person_id, dimension=dimension, limit=limit,
                    period=body.period,
                )
            )  # fmt: skip
        else:
            row.limit, row.period = limit, body.period
            session.add(row)
        session.flush()
        guarantees.demand_sound(session)
        audit.record(
            session, control.clock.now(), actor.person_id, "set-quota",
            body.person or body.tenant, body.tenant,
            {"dimension": dimension, "limit": limit, "period": body.period},
        )  # fmt: skip
    control.wake()
    return quotas(control, actor)


@router.put("/quotas/guaranteed", **does(Action.SET_QUOTA))
def guarantee(
    body: schema.GuaranteeBody, control: ControlArg, actor: ActorArg
) -> schema.Page[schema.QuotaView]:
    """Guarantee a tenant a part of the site. Others borrow what it does not use."""
    require(actor, Action.SET_QUOTA, ANYBODY_OF_SITE)
    dimension = Dimension(body.dimension)
    amount = _amount(dimension, body.amount)
    guarantees.guarantee(control, actor, body.tenant, dimension, amount)
    return quotas(control, actor)


@router.get("/audit", **does(Action.READ_AUDIT))
def audit_lines(
    control: ControlArg, actor: ActorArg,
    cursor: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> schema.Page[schema.AuditLine]:  # fmt: skip
    """The audit, the newest first."""
    require(actor, Action.READ_AUDIT, ANYBODY_OF_SITE)
    with control.store.read() as session:
        query = select(AuditRow).order_by(col(AuditRow.id).desc()).limit(limit)
        if cursor:
            query = query.where(col(AuditRow.id) < cursor)
        rows = session.exec(query).all()
    items = [
        schema.AuditLine(
            id=row.id or 0, at=row.at, actor=row.actor, action=row.action, object=row.object,
            tenant=row.tenant_id, detail=row.detail,
        )
        for row in rows
    ]  # fmt: skip
    return schema.Page(items=items, next=str(rows[-1].id) if len(rows) == limit else None)


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


def _person_id(session: Session, name: str) -> str:
    if name in {"", people.EACH_PERSON}:
        return name
    found = session.exec(select(PersonRow.id).where(PersonRow.login == name)).first()
    if found is None:
        raise absent(f"person {name!r}")
    return found


def _span(control: Control, row: QuotaRow) -> Span:
    return span_at(Period(row.period), control.clock.now(), control.settings.zone)


def _limit_text(control: Control, row: QuotaRow) -> str:
    """``"10 GPU-hours a week, resets on 1 December 00:00 UTC"``, ``"4 GPUs, 2 GPUs guaranteed"``."""
    show = Dimension(row.dimension).show
    sure = f", {show(row.guaranteed)} guaranteed" if row.guaranteed else ""
    if row.limit is None:
        return f"no limit{sure}"
    text = f"{show(row.limit)}{Period(row.period).each}{sure}"
    resets_at = _span(control, row).ends_at
    if resets_at is None:
        return text
    return f"{text}, resets on {show_moment(resets_at, control.settings.zone)}"


def _amount(dimension: Dimension, text: str) -> int:
    match dimension:
        case Dimension.MEMORY | Dimension.STORAGE:
            amount = parse_bytes(text)
        case Dimension.GPU_HOURS:
            amount = parse_milli(text) * 3600
        case Dimension.CREDITS:
            amount = parse_credits(text)
        case Dimension.WORKLOADS | Dimension.TOKENS:
            if not text.isdecimal():
                raise BadValue(f"limit: {text!r} is not a whole number", next="write it like 5")
            amount = int(text)
        case _:
            amount = parse_milli(text)
    if not 0 <= amount < 2**62:
        raise BadValue(f"limit: {text} is absurd", next="use a smaller number, or null for none")
    return amount
