"""The administrator's desk: the tree of quotas, changes with preview and undo, requests for more."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from sqlmodel import col, select

from hub import quota_desk, quota_preview, quota_requests, quota_tree
from hub.api import desk_schema as shapes
from hub.api.access import ActorArg, ControlArg, does
from hub.api.schema import Page
from hub.control_context import Control
from hub.people import EACH_PERSON
from hub.policy import Action, Actor, allowed, tenant_object
from hub.quota_desk import NO_LIMIT, State, Wish
from hub.store.desk_tables import QuotaChangeRow
from hub.store.tables import PersonRow, TenantRow
from hub.tenant_paths import TenantPaths
from quotas.amounts import write_amount
from quotas.limits import Dimension
from quotas.periods import Period

router = APIRouter()
Word = Annotated[str, Query(max_length=60)]
Offset = Annotated[int, Query(ge=0, le=2**31)]
Most = Annotated[int, Query(ge=1, le=200)]


@router.get("/quotas/tree", **does(Action.READ_QUOTA))
def tree(
    control: ControlArg, actor: ActorArg, parent: Word = "", search: Word = "",
    sort: Annotated[str, Query(max_length=20)] = "name",
    dimension: shapes.DimensionName = "gpu", cursor: Offset = 0, limit: Most = 50,
) -> Page[shapes.TreeLine]:  # fmt: skip
    """The tenants below one, or the topmost that you administer; with `search`, wherever they are.
    Sort by name, used, guaranteed, limit or borrowed of a dimension; a dash in front turns it."""
    look = quota_tree.Look(parent, search, sort, Dimension(dimension), cursor, limit)
    lines, after = quota_tree.page(control, actor, look)
    with control.store.read() as session:
        paths = TenantPaths(session)
    return Page(
        items=[_line(actor, line, paths) for line in lines],
        next=None if after is None else str(after),
    )


@router.post("/quotas/preview", **does(Action.SET_PERSON_QUOTA))
def preview(body: shapes.ChangesBody, control: ControlArg, actor: ActorArg) -> shapes.PreviewView:
    """What changes would bring about: who would be over, what would start. Changes nothing."""
    found = quota_preview.preview(control, actor, [_wish(one) for one in body.changes])
    lines = [
        shapes.PreviewLine(
            name=name, before=one.before.text(one.cell.dimension),
            after=one.after.text(one.cell.dimension), changes=one.before != one.after,
        )
        for name, one in zip(found.names, found.changes, strict=True)
    ]  # fmt: skip
    return shapes.PreviewView(
        refused=bool(found.problems), lines=lines,
        problems=[shapes.Problem(message=p.message, next=p.next) for p in found.problems],
        consequences=[
            shapes.ConsequenceView(kind=one.kind, text=one.text, workload=one.workload)  # type: ignore[arg-type]
            for one in found.consequences
        ],
    )  # fmt: skip


@router.get("/quotas/changes", **does(Action.READ_QUOTA))
def changes(
    control: ControlArg, actor: ActorArg, tenant: Word = "",
    cursor: Annotated[int, Query(ge=0, le=2**53)] = 0, limit: Most = 50,
) -> Page[shapes.QuotaChangeView]:  # fmt: skip
    """Changes of limits, the newest first."""
    rows = quota_desk.changes(control, actor, tenant=tenant, cursor=cursor, limit=limit)
    more = len(rows) > limit
    return Page(
        items=_changes(control, rows[:limit]), next=str(rows[limit - 1].id) if more else None
    )


@router.post("/quotas/changes", **does(Action.SET_QUOTA))
def change(
    body: shapes.ChangesBody, control: ControlArg, actor: ActorArg
) -> Page[shapes.QuotaChangeView]:
    """Change several limits: all, or none. Their ids take them back."""
    rows = quota_desk.apply(control, actor, [_wish(one) for one in body.changes])
    return Page(items=_changes(control, rows), next=None)


@router.post("/quotas/changes/undo", **does(Action.SET_QUOTA))
def undo_several(
    body: shapes.UndoBody, control: ControlArg, actor: ActorArg
) -> Page[shapes.QuotaChangeView]:
    """Take several changes back: all, or none. Each limit is then as it was before."""
    rows = quota_desk.undo(control, actor, body.changes)
    return Page(items=_changes(control, rows), next=None)


@router.post("/quotas/changes/{change}/undo", **does(Action.SET_QUOTA))
def undo(change: int, control: ControlArg, actor: ActorArg) -> Page[shapes.QuotaChangeView]:
    """Take one change back. Refused when something else has changed that limit since."""
    return Page(items=_changes(control, quota_desk.undo(control, actor, [change])), next=None)


@router.get("/quota-requests", **does(Action.ASK_QUOTA))
def requests(
    control: ControlArg, actor: ActorArg, *,
    state: Literal["", "open", "approved", "denied", "withdrawn"] = "", mine: bool = False,
    cursor: Offset = 0, limit: Most = 50,
) -> Page[shapes.RequestView]:  # fmt: skip
    """Your requests, and those that you may decide; the newest first."""
    rows = quota_requests.requests(
        control, actor, state=state, mine=mine, offset=cursor, limit=limit
    )
    return Page(
        items=[_request(actor, one) for one in rows[:limit]],
        next=str(cursor + limit) if len(rows) > limit else None,
    )


@router.post("/quota-requests", status_code=201, **does(Action.ASK_QUOTA))
def ask(body: shapes.RequestBody, control: ControlArg, actor: ActorArg) -> shapes.RequestView:
    """Ask for more of something; the administrators of the tenant are told."""
    asked = quota_requests.Asked(
        body.tenant or actor.tenant_id, Dimension(body.dimension), body.amount, body.period,
        body.reason,
    )  # fmt: skip
    row = quota_requests.ask(control, actor, asked)
    return _request(actor, quota_requests.one(control, actor, row.id))


@router.post("/quota-requests/{request}/decide", **does(Action.DECIDE_QUOTA))
def decide(
    request: str, body: shapes.DecideBody, control: ControlArg, actor: ActorArg
) -> shapes.RequestView:
    """Approve, perhaps another amount: it becomes the person's own limit. Or deny, in words."""
    quota_requests.decide(
        control, actor, request, approve=body.approve, amount=body.amount, answer=body.answer
    )
    return _request(actor, quota_requests.one(control, actor, request))


@router.post("/quota-requests/{request}/withdraw", **does(Action.ASK_QUOTA))
def withdraw(request: str, control: ControlArg, actor: ActorArg) -> shapes.RequestView:
    """Ask no more."""
    quota_requests.withdraw(control, actor, request)
    return _request(actor, quota_requests.one(control, actor, request))


def _wish(body: shapes.QuotaWish) -> Wish:
    limit = body.limit
    if "limit" in body.model_fields_set and limit is None:
        limit = NO_LIMIT
    return Wish(
        body.tenant, body.dimension, body.person, limit, body.guaranteed, body.period, body.version
    )


def _line(actor: Actor, line: quota_tree.Line, paths: TenantPaths) -> shapes.TreeLine:
    about = tenant_object(paths.of(line.id))
    return shapes.TreeLine(
        tenant=line.id, name=line.name, kind=line.kind, parent=line.parent or None,
        path=list(line.path), children=line.children,
        may_set=allowed(actor, Action.SET_QUOTA, about),
        may_set_people=allowed(actor, Action.SET_PERSON_QUOTA, about),
        dimensions={d.value: _cell(d, amounts) for d, amounts in line.amounts.items()},
    )  # fmt: skip


def _cell(dimension: Dimension, amounts: quota_tree.Amounts) -> shapes.TreeCell:
    state, show = amounts.state, dimension.show
    said = [] if amounts.used is None else [f"{show(amounts.used)} used"]
    if amounts.borrowed:
        said.append(f"{show(amounts.borrowed)} borrowed")
    return shapes.TreeCell(
        limit=state.limit, guaranteed=state.guaranteed, period=state.period, used=amounts.used,
        borrowed=amounts.borrowed, used_in=amounts.period,
        written="" if state.limit is None else write_amount(dimension, state.limit),
        guaranteed_written=write_amount(dimension, state.guaranteed),
        version=state.version, text=", ".join([*said, state.text(dimension)]),
    )  # fmt: skip


def _changes(control: Control, rows: Sequence[QuotaChangeRow]) -> list[shapes.QuotaChangeView]:
    ids = {row.person_id for row in rows} | {row.changed_by for row in rows}
    with control.store.read() as session:
        logins = dict(
            session.exec(
                select(PersonRow.id, PersonRow.login).where(col(PersonRow.id).in_(ids))
            ).all()
        )
        named = select(TenantRow.id, TenantRow.name).where(
            col(TenantRow.id).in_({row.tenant_id for row in rows})
        )
        names = dict(session.exec(named).all())
    return [_changed(row, logins, names) for row in rows]


def _changed(
    row: QuotaChangeRow, logins: dict[str, str], names: dict[str, str]
) -> shapes.QuotaChangeView:
    dimension, tenant = Dimension(row.dimension), names.get(row.tenant_id, row.tenant_id)
    person = logins.get(row.person_id, row.person_id)
    whom = f"{person} in {tenant}" if person else tenant
    if person == EACH_PERSON:
        whom = f"each person of {tenant}"
    return shapes.QuotaChangeView(
        id=row.id or 0, tenant=row.tenant_id, person=person, dimension=row.dimension,
        name=f"{dimension.label} of {whom}", before=State(**row.before).text(dimension),
        after=State(**row.after).text(dimension), by=logins.get(row.changed_by, ""), at=row.at,
        undoes=row.undoes, undone_by=row.undone_by,
    )  # fmt: skip


def _request(actor: Actor, told: quota_requests.Told) -> shapes.RequestView:
    row = told.row
    dimension = Dimension(row.dimension)
    each = Period(row.period).each
    return shapes.RequestView(
        id=row.id, person=told.login, name=told.name, tenant=row.tenant_id,
        tenant_name=told.tenant_name, dimension=row.dimension, period=row.period,
        amount=write_amount(dimension, row.amount), text=f"{dimension.show(row.amount)}{each}",
        now="no limit" if told.now is None else dimension.show(told.now), reason=row.reason,
        state=row.state, asked_at=row.asked_at, decided_at=row.decided_at,  # type: ignore[arg-type]
        decided_by=told.decided_by,
        granted=None if row.granted is None else dimension.show(row.granted), answer=row.answer,
        may_decide=told.may_decide and row.state == "open",
        mine=row.person_id == actor.person_id,
    )  # fmt: skip
