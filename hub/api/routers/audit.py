"""The audit, for administrators."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BeforeValidator

from hub import audit_reading
from hub.api import schema
from hub.api.access import ActorArg, ControlArg, does
from hub.api.audit_schema import AuditEntry, SoundnessView
from hub.policy import Action

router = APIRouter()


def _written_out(value: Any) -> Any:
    """A number would be read as seconds since 1970: nobody writes that here on purpose."""
    if isinstance(value, str) and value.lstrip("+-").replace(".", "", 1).isdigit():
        raise ValueError("write a time like 2026-02-01T09:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]


@router.get("/audit", **does(Action.READ_AUDIT))
def audit_lines(  # noqa: PLR0913 (one parameter for each filter)
    control: ControlArg, reader: ActorArg, *,
    actor: Annotated[str, Query(max_length=200)] = "",
    action: Annotated[str, Query(max_length=60)] = "",
    object: Annotated[str, Query(max_length=200)] = "",  # noqa: A002 (the line's own word)
    tenant: Annotated[str, Query(max_length=60)] = "",
    since: Annotated[Moment | None, Query(alias="from")] = None,
    until: Annotated[Moment | None, Query(alias="to")] = None,
    cursor: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> schema.Page[AuditEntry]:  # fmt: skip
    """Who did what in the tenants that you administer, the newest first. `actor` and `object` are
    ids or logins; `from` and `to` are times."""
    asked = audit_reading.Asked(actor, action, object, tenant, since, until, cursor, limit)
    found = audit_reading.find(control, reader, asked)
    items = [
        AuditEntry(
            id=one.row.id or 0, at=one.row.at, actor=one.row.actor, actor_login=one.actor_login,
            action=one.row.action, object=one.row.object, object_login=one.object_login,
            tenant=one.row.tenant_id, detail=one.row.detail,
            told=one.told,
        )
        for one in found
    ]  # fmt: skip
    return schema.Page(items=items, next=str(items[-1].id) if len(items) == limit else None)


@router.get("/audit/verify", **does(Action.READ_AUDIT))
def verify(
    control: ControlArg, actor: ActorArg, noted: Annotated[str, Query(max_length=64)] = ""
) -> SoundnessView:
    """Whether the whole chain holds, and still has the line whose hash was `noted`."""
    found = audit_reading.verify(control, actor, noted)
    return SoundnessView(
        sound=found.sound, lines=found.lines, end=found.end, broken=found.broken,
        missing=found.missing, noted=found.noted,
    )  # fmt: skip
