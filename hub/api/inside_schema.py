"""Shapes of what running work is told of itself."""

import hashlib
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from catalog.units import MIB, format_credits, format_duration, format_gpu
from hub.activity import active_at
from hub.api.announcement_schema import AnnouncementView, announcement_view
from hub.api.schema import Body, ShareView
from hub.api.views import share_view
from hub.extending import Extension
from hub.inside import Inside, Left
from hub.store.tables import AttemptRow

WARN_MINUTES = (15, 5)


class ExtensionView(BaseModel):
    """Whether the lease may be longer by `by` (like ``"1h"``). `possible` null: only asking tells."""

    possible: bool | None
    by: str
    why_not: str


class GoingView(BaseModel):
    """It was told to go then, and waits again after that."""

    at: datetime
    reason: str


class IdleView(BaseModel):
    """Nothing happens in it since `since`: it stops at `stops_at` unless somebody says that they
    still work."""

    since: datetime
    stops_at: datetime


class LeftView(BaseModel):
    """What is left of something, in words and in the dimension's base unit. `of` null is no limit."""

    dimension: Literal["credits", "gpu-hours"]
    scope: str
    left: int
    of: int | None
    period: str
    text: str


class MemoryView(BaseModel):
    """Main memory. `used_mib` 0: it is not measured here."""

    used_mib: int
    limit_mib: int


class VisitAsked(BaseModel):
    """Somebody of the staff asks to open this server; with `ends_at` they may, until then."""

    id: str
    visitor: str
    reason: str
    asked_at: datetime
    ends_at: datetime | None


class InsideView(BaseModel):
    """What a workload is told of itself. Send `mark` with the next look to wait for a change."""

    id: str
    name: str
    kind: str
    status: str
    now: datetime
    lease_ends_at: datetime | None
    ends_at: datetime | None
    """The end of the lease, or earlier if it was told to go."""
    warn_minutes: list[int]
    """So long before the end people are warned."""
    extend: ExtensionView
    going: GoingView | None
    idle: IdleView | None
    """The question that is open; null while there is none."""
    share: ShareView
    share_text: str
    memory: MemoryView
    cost: str
    per_hour: str
    left: list[LeftView]
    announcements: list[AnnouncementView]
    visits: list[VisitAsked]
    page: str
    """The workload's page in the portal."""
    mark: str


class InsideExtendBody(Body):
    """Longer by this much; empty: by as much as was offered."""

    by: str = Field(default="", max_length=20)


class ActiveBody(Body):
    """Seconds since anything was at work in it; 0: somebody works now."""

    idle_s: int = Field(default=0, ge=0, le=90 * 86400)


class Noted(BaseModel):
    """It was written down."""

    id: str


class AnswerBody(Body):
    """Whether the visitor may come in."""

    allow: bool


class Answered(BaseModel):
    """A question was answered."""

    id: str
    allowed: bool


def inside_view(found: Inside, portal: str) -> InsideView:
    """`portal` is the address of the portal without a trailing slash."""
    row, attempt = found.row, found.attempt
    share = share_view(row, list(found.shares), rescue=bool(attempt and attempt.rescue))
    going = attempt is not None and attempt.go_at is not None
    view = InsideView(
        id=row.id, name=row.name, kind=row.kind, status=row.status, now=found.at,
        lease_ends_at=attempt.lease_ends_at if attempt else None, ends_at=found.ends_at,
        warn_minutes=list(WARN_MINUTES), extend=_extension(found.extension),
        going=GoingView(at=attempt.go_at, reason=attempt.go_text)
        if going and attempt and attempt.go_at
        else None,
        idle=_idle(attempt), share=share, share_text=share_text(share),
        memory=MemoryView(
            used_mib=found.memory_used // MIB, limit_mib=row.memory_bytes // MIB
        ),
        cost=format_credits(found.cost), per_hour=format_credits(row.price_per_hour),
        left=[_left(one) for one in found.left],
        announcements=[announcement_view(shown) for shown in found.messages],
        visits=[
            VisitAsked(
                id=one.id, visitor=one.visitor, reason=one.reason, asked_at=one.asked_at,
                ends_at=one.ends_at,
            )
            for one in found.visits
        ],
        page=f"{portal}/services/portal/workloads/{row.id}", mark="",
    )  # fmt: skip
    view.mark = _mark(view)
    return view


def share_text(share: ShareView) -> str:
    """``"1/4 of L4, 6 GiB, emulated"``; ``"CPU only"`` without one."""
    if not share.milli:
        return "CPU only"
    amount = format_gpu(share.milli).removesuffix(" GPU")
    whole = share.milli % 1000 == 0
    words = [f"{amount} {'×' if whole else 'of'} {share.model or 'GPU'}"]
    if share.memory_mib:
        words.append(f"{share.memory_mib / 1024:g} GiB")
    if share.mode not in {"", "whole", "emulated"}:
        words.append({"mps": "MPS", "mig": "MIG"}.get(share.mode, share.mode))
    if share.emulated:
        words.append("emulated")
    return ", ".join(words)


def _idle(attempt: AttemptRow | None) -> IdleView | None:
    since = active_at(attempt) if attempt else None
    if attempt is None or since is None or attempt.idle_stop_at is None:
        return None
    return IdleView(since=since, stops_at=attempt.idle_stop_at)


def _extension(found: Extension) -> ExtensionView:
    by = format_duration(found.by) if found.by else ""
    return ExtensionView(possible=found.possible, by=by, why_not=found.why_not)


def _left(one: Left) -> LeftView:
    per = f" this {one.period}" if one.period else ""
    of = "" if one.scope == "you" else f" of {one.scope}"
    text = f"{one.dimension.show(one.left)} left{of}{per}"
    return LeftView(
        dimension=one.dimension.value,  # type: ignore[arg-type]
        scope=one.scope, left=one.left, of=one.of, period=one.period, text=text,
    )  # fmt: skip


def _mark(view: InsideView) -> str:
    """Equal while nothing has happened that a person should see at once."""
    moving = {"now", "memory", "cost", "left", "mark"}
    return hashlib.sha256(view.model_dump_json(exclude=moving).encode()).hexdigest()[:16]
