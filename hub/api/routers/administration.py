"""For administrators: tenants and quotas."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import tuple_
from sqlmodel import col, select

from catalog.errors import BadValue
from hub import quota_desk, tenants_seen
from hub.api import schema
from hub.api.access import ActorArg, ControlArg, does
from hub.control_context import Control
from hub.policy import Action, Actor
from hub.quota_desk import NO_LIMIT, State, Wish
from hub.store.tables import PersonRow, QuotaRow, TenantRow
from quotas.limits import Dimension
from quotas.periods import Period, Span, show_moment, span_at

router = APIRouter()
Word = Annotated[str, Query(max_length=60)]
_KEY = tuple_(QuotaRow.tenant_id, QuotaRow.person_id, QuotaRow.dimension)  # type: ignore[arg-type]


@router.get("/tenants", **does(Action.READ_TENANTS))
def tenants(control: ControlArg, actor: ActorArg) -> schema.Page[schema.TenantView]:
    """Tenants that you administer."""
    tenants_seen.demand_somewhere(actor, Action.READ_TENANTS)
    mine = tenants_seen.seen(actor, Action.READ_TENANTS)
    with control.store.read() as session:
        rows = session.exec(
            select(TenantRow).where(col(TenantRow.id).in_(select(mine.c.id))).order_by(TenantRow.id)
        ).all()
    items = [
        schema.TenantView(id=row.id, name=row.name, parent=row.parent_id, kind=row.kind)
        for row in rows
    ]
    return schema.Page(items=items, next=None)


@router.get("/quotas", **does(Action.READ_QUOTA))
def quotas(
    control: ControlArg, actor: ActorArg, tenant: Word = "", person: Word = "", search: Word = "",
    cursor: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
) -> schema.Page[schema.QuotaView]:  # fmt: skip
    """Limits as they are set. Person `*` is each person of the tenant; empty, the tenant's own.
    `search` looks for people by login and name."""
    tenants_seen.demand_somewhere(actor, Action.READ_QUOTA)
    mine = tenants_seen.seen(actor, Action.READ_QUOTA)
    query = (
        select(QuotaRow, PersonRow.login)
        .join(PersonRow, col(PersonRow.id) == QuotaRow.person_id, isouter=True)
        .where(col(QuotaRow.tenant_id).in_(select(mine.c.id)))
        .order_by(QuotaRow.tenant_id, QuotaRow.person_id, QuotaRow.dimension)
        .limit(limit + 1)
    )
    if tenant:
        query = query.where(QuotaRow.tenant_id == tenant)
    if person:
        each = QuotaRow.person_id == person if person == "*" else PersonRow.login == person
        query = query.where(each)
    if search:
        named = col(PersonRow.display_name).icontains(search, autoescape=True)
        query = query.where(col(PersonRow.login).icontains(search, autoescape=True) | named)
    if cursor:
        query = query.where(tuple_(*_after(cursor)) < _KEY)
    with control.store.read() as session:
        rows = session.exec(query).all()
    last = rows[limit - 1][0] if len(rows) > limit else None
    return schema.Page(
        items=[_view(control, row, login or row.person_id) for row, login in rows[:limit]],
        next=f"{last.tenant_id}/{last.person_id}/{last.dimension}" if last else None,
    )


@router.put("/quotas", **does(Action.SET_QUOTA))
def set_quota(
    body: schema.QuotaBody, control: ControlArg, actor: ActorArg
) -> schema.Page[schema.QuotaView]:
    """Set or remove a limit: of a tenant from above it, of people from within. What runs goes on;
    the next launch is judged by it. With `version`, only if it is as it was seen."""
    limit = NO_LIMIT if body.limit is None else body.limit
    wish = Wish(
        body.tenant, body.dimension, body.person, limit, period=body.period, version=body.version
    )
    quota_desk.apply(control, actor, [wish])
    return _of_tenant(control, actor, body.tenant)


@router.put("/quotas/guaranteed", **does(Action.SET_QUOTA))
def guarantee(
    body: schema.GuaranteeBody, control: ControlArg, actor: ActorArg
) -> schema.Page[schema.QuotaView]:
    """Guarantee a tenant a part of the site. Others borrow what it does not use."""
    wish = Wish(body.tenant, body.dimension, guaranteed=body.amount, version=body.version)
    quota_desk.apply(control, actor, [wish])
    return _of_tenant(control, actor, body.tenant)


def _of_tenant(control: Control, actor: Actor, tenant: str) -> schema.Page[schema.QuotaView]:
    return quotas(control, actor, tenant=tenant, limit=1000)


def _after(cursor: str) -> list[str]:
    parts = cursor.split("/")
    if len(parts) != 3:
        raise BadValue("cursor: it is not one of this list", next="begin without a cursor")
    return parts


def _view(control: Control, row: QuotaRow, person: str) -> schema.QuotaView:
    span = span_at(Period(row.period), control.clock.now(), control.settings.zone)
    state = State(row.limit, row.guaranteed, row.period)
    return schema.QuotaView(
        tenant=row.tenant_id, person=person, dimension=row.dimension, limit=row.limit,
        period=row.period, guaranteed=row.guaranteed, resets_at=span.ends_at,
        text=_text(control, Dimension(row.dimension), state, span), version=state.version,
    )  # fmt: skip


def _text(control: Control, dimension: Dimension, state: State, span: Span) -> str:
    """``"10 GPU-hours a week, resets on 1 December 00:00 UTC"``, ``"4 GPUs, 2 GPUs guaranteed"``."""
    text = state.text(dimension)
    if span.ends_at is None or state.limit is None:
        return text
    return f"{text}, resets on {show_moment(span.ends_at, control.settings.zone)}"
