"""The audit, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlmodel import col, select

from hub.api import schema
from hub.api.access import ActorArg, ControlArg, does
from hub.policy import ANYBODY_OF_SITE, Action, require
from hub.store.tables import AuditRow

router = APIRouter()


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
