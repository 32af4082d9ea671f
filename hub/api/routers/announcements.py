"""Announcements: what people should see now, and what staff of their tenants say and schedule."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query

from hub import announcements
from hub.api import schema
from hub.api.access import ActorArg, ControlArg, does
from hub.api.announcement_schema import (
    AnnouncementBody,
    AnnouncementOfStaff,
    AnnouncementView,
    announcement_view,
    staff_view,
)
from hub.policy import Action
from quotas.periods import parse_moment

router = APIRouter()

Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]
Cursor = Annotated[str, Query(max_length=40)]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/announcements", **does(Action.READ_ANNOUNCEMENTS))
def mine(
    control: ControlArg, actor: ActorArg,
    seen: bool = False,  # noqa: FBT001, FBT002 (a query parameter)
    cursor: Cursor = "", limit: Limit = 50,
) -> schema.Page[AnnouncementView]:  # fmt: skip
    """What is announced to you now, the newest first; with `seen`, what you put away too."""
    page = announcements.mine(control, actor, seen=seen, cursor=cursor, limit=limit)
    return schema.Page(items=[announcement_view(one) for one in page.items], next=page.next)


@router.get("/announcements/all", **does(Action.ANNOUNCE))
def of_staff(
    control: ControlArg, actor: ActorArg,
    tenant: Annotated[str, Query(max_length=60)] = "",
    state: Literal["on", "scheduled", "over", "all"] = "all",
    cursor: Cursor = "", limit: Limit = 50,
) -> schema.Page[AnnouncementOfStaff]:  # fmt: skip
    """Of a tenant and all below, or of all whose people you may tell something; with what is
    scheduled and what is over."""
    page = announcements.of_staff(
        control, actor, tenant_id=tenant, state=state, cursor=cursor, limit=limit
    )
    now = control.clock.now()
    return schema.Page(items=[staff_view(one, now) for one in page.items], next=page.next)


@router.post("/announcements", status_code=201, **does(Action.ANNOUNCE))
def announce(
    body: AnnouncementBody, control: ControlArg, actor: ActorArg, idempotency_key: Key = ""
) -> AnnouncementOfStaff:
    """Tell everybody of a tenant and below, in the portal and in their notebooks. The same
    `Idempotency-Key` says it once."""
    zone = control.settings.zone
    wish = announcements.Wish(
        body.tenant, body.text, body.level,
        parse_moment(body.starts_at, zone, "starts_at") if body.starts_at else None,
        parse_moment(body.ends_at, zone, "ends_at") if body.ends_at else None,
        idempotency_key,
    )  # fmt: skip
    return staff_view(announcements.announce(control, actor, wish), control.clock.now())


@router.delete("/announcements/{announcement_id}", **does(Action.ANNOUNCE))
def withdraw(announcement_id: str, control: ControlArg, actor: ActorArg) -> AnnouncementOfStaff:
    """Nobody sees it any more; safe to repeat."""
    shown = announcements.withdraw(control, actor, announcement_id)
    return staff_view(shown, control.clock.now())


@router.post("/announcements/{announcement_id}/seen", **does(Action.READ_ANNOUNCEMENTS))
def put_away(announcement_id: str, control: ControlArg, actor: ActorArg) -> AnnouncementView:
    """You have read it; safe to repeat."""
    return announcement_view(announcements.put_away(control, actor, announcement_id))
