"""Shapes of announcements."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from hub.announcements import MOST_LETTERS, Shown, state_of
from hub.api.schema import Body


class AnnouncementBody(Body):
    """Plain text for everybody of a tenant and below. Times are RFC 3339, or a day or a time by the
    site's clocks; from now on and for a day unless said otherwise."""

    tenant: str = Field(max_length=60)
    text: str = Field(max_length=4 * MOST_LETTERS)
    level: Literal["info", "warning"] = "info"
    starts_at: str = Field(default="", max_length=40)
    ends_at: str = Field(default="", max_length=40)


class AnnouncementView(BaseModel):
    """An announcement, to somebody whom it is for. `tenant_name` is the site's own for the root."""

    id: str
    tenant: str
    tenant_name: str
    text: str
    level: str
    by: str
    """The display name of whoever said it."""
    starts_at: datetime
    ends_at: datetime
    seen: bool
    """You have put it away."""


class AnnouncementOfStaff(AnnouncementView):
    """The same with its schedule, to those who may make them."""

    state: Literal["on", "scheduled", "over", "withdrawn"]
    created_at: datetime
    withdrawn_at: datetime | None
    seen_by: int
    """How many people have put it away."""


def announcement_view(shown: Shown) -> AnnouncementView:
    return AnnouncementView(**_fields(shown))


def staff_view(shown: Shown, now: datetime) -> AnnouncementOfStaff:
    row = shown.row
    return AnnouncementOfStaff(
        **_fields(shown),
        state=state_of(row, now),  # type: ignore[arg-type]
        created_at=row.created_at,
        withdrawn_at=row.withdrawn_at,
        seen_by=shown.seen_by,
    )


def _fields(shown: Shown) -> dict[str, Any]:
    row = shown.row
    return {
        "id": row.id, "tenant": row.tenant_id, "tenant_name": shown.tenant_name, "text": row.text,
        "level": row.level, "by": shown.by, "starts_at": row.starts_at, "ends_at": row.ends_at,
        "seen": shown.seen,
    }  # fmt: skip
