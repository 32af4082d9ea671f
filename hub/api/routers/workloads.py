"""Workloads: launch, look, stop, extend, accept, relaunch, follow."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from catalog.errors import BadValue
from hub import idle, launching, workloads
from hub.api import schema, streams
from hub.api.access import ActorArg, ControlArg, does
from hub.api.views import WorkloadViews
from hub.control_context import Control
from hub.picture import look
from hub.policy import ANYBODY, Action, Actor, require
from hub.store.ids import new_id
from hub.store.tables import WorkloadRow

router = APIRouter()

_MAX_LOG_LINES = 5000
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]


@router.post("/workloads", status_code=201, **does(Action.LAUNCH))
def launch(
    body: schema.LaunchBody, control: ControlArg, actor: ActorArg, idempotency_key: Key = ""
) -> schema.WorkloadView:
    """Put a wish in the queue. The same `Idempotency-Key` gives the same workload."""
    require(actor, Action.LAUNCH, ANYBODY)
    wish = launching.Wish(
        body.offer, body.set, body.name, body.notify, idempotency_key, body.tenant
    )
    return show_one(control, actor, launching.launch(control, actor, wish))


@router.get("/workloads", **does(Action.READ_WORKLOAD))
def listing(
    control: ControlArg, actor: ActorArg,
    state: Literal["queued", "active", "ended", "all"] = "active",
    everybody: bool = False,  # noqa: FBT001, FBT002 (a query parameter)
    cursor: Annotated[str, Query(max_length=40)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> schema.Page[schema.WorkloadView]:  # fmt: skip
    """Your workloads, the newest first; with `everybody`, those of others that you may see."""
    page = workloads.page(control, actor, state, everybody=everybody, cursor=cursor, limit=limit)
    return schema.Page(items=_show_all(control, actor, page.rows), next=page.next)


@router.get("/workloads/{workload_id}", **does(Action.READ_WORKLOAD))
def one(workload_id: str, control: ControlArg, actor: ActorArg) -> schema.WorkloadView:
    """One workload."""
    return show_one(
        control, actor, workloads.find(control, actor, workload_id, Action.READ_WORKLOAD)
    )


@router.post("/workloads/{workload_id}/stop", **does(Action.STOP))
def stop(workload_id: str, control: ControlArg, actor: ActorArg) -> schema.WorkloadView:
    """Ask for its end; repeat as you like."""
    return show_one(control, actor, workloads.stop(control, actor, workload_id))


@router.post("/workloads/{workload_id}/extend", **does(Action.EXTEND))
def extend(
    workload_id: str, body: schema.ExtendBody, control: ControlArg, actor: ActorArg,
    idempotency_key: Key = "",
) -> schema.WorkloadView:  # fmt: skip
    """A longer lease, where that delays nobody in the queue."""
    key = idempotency_key or new_id("x")
    return show_one(control, actor, workloads.extend(control, actor, workload_id, body.by, key))


@router.post("/workloads/{workload_id}/relaunch", status_code=201, **does(Action.LAUNCH))
def relaunch(
    workload_id: str, body: schema.RelaunchBody, control: ControlArg, actor: ActorArg,
    idempotency_key: Key = "",
) -> schema.WorkloadView:  # fmt: skip
    """The same again, with changed answers."""
    row = workloads.relaunch(control, actor, workload_id, body.set, idempotency_key)
    return show_one(control, actor, row)


@router.post("/workloads/{workload_id}/accept", **does(Action.LAUNCH))
def accept(workload_id: str, control: ControlArg, actor: ActorArg) -> schema.WorkloadView:
    """Take the turn that is held for you."""
    return show_one(control, actor, workloads.accept(control, actor, workload_id))


@router.post("/workloads/{workload_id}/active", **does(Action.REPORT_ACTIVE))
def active(workload_id: str, control: ControlArg, actor: ActorArg) -> schema.WorkloadView:
    """You still work with it: it does not stop as idle now."""
    return show_one(control, actor, idle.report(control, actor, workload_id, 0))


@router.post("/workloads/{workload_id}/notify", **does(Action.LAUNCH))
def notify(
    workload_id: str, body: schema.NotifyBody, control: ControlArg, actor: ActorArg
) -> schema.WorkloadView:
    """Tell me when it is my turn and hold it for ten minutes, rather than start at once."""
    return show_one(control, actor, workloads.set_notify(control, actor, workload_id, on=body.on))


@router.get("/workloads/{workload_id}/logs", **does(Action.READ_LOGS))
def logs(
    workload_id: str, control: ControlArg, actor: ActorArg,
    tail: Annotated[int, Query(ge=1, le=_MAX_LOG_LINES)] = 200,
) -> dict[str, str]:  # fmt: skip
    """The last lines that its server printed."""
    row = workloads.find(control, actor, workload_id, Action.READ_LOGS)
    raw = control.engine.log(row.attempt_id) if row.attempt_id else b""
    lines = raw.decode(errors="replace").splitlines()[-tail:]
    return {"text": "\n".join(lines)}


@router.get(
    "/workloads/{workload_id}/events", response_class=StreamingResponse,
    **does(Action.READ_WORKLOAD),
)  # fmt: skip
async def events(
    request: Request, workload_id: str, control: ControlArg, actor: ActorArg,
    last_event_id: Annotated[str, Header(alias="Last-Event-ID", max_length=20)] = "0",
) -> StreamingResponse:  # fmt: skip
    """Its history as server-sent events, and what happens from now on; ends when it has ended."""
    await asyncio.to_thread(workloads.find, control, actor, workload_id, Action.READ_WORKLOAD)
    if not last_event_id.isascii() or not last_event_id.isdigit():
        raise BadValue("Last-Event-ID: must be a number", next="leave it out to start at the first")
    lines = streams.history(
        request, workload_id, int(last_event_id),
        lambda now: workloads.find(control, now, workload_id, Action.READ_WORKLOAD),
    )  # fmt: skip
    return StreamingResponse(lines, media_type="text/event-stream", headers=_NO_CACHE)


@router.get("/stream", response_class=StreamingResponse, **does(Action.READ_SELF))
async def stream(request: Request, actor: ActorArg) -> StreamingResponse:
    """Hints that something of yours changed, as server-sent events: read it again then."""
    require(actor, Action.READ_SELF, ANYBODY)
    lines = streams.hints(request, actor, lambda now: require(now, Action.READ_SELF, ANYBODY))
    return StreamingResponse(lines, media_type="text/event-stream", headers=_NO_CACHE)


_NO_CACHE = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def show_one(control: Control, actor: Actor, row: WorkloadRow) -> schema.WorkloadView:
    """A workload as this actor sees it now."""
    return _show_all(control, actor, [row])[0]


def _show_all(control: Control, actor: Actor, rows: list[WorkloadRow]) -> list[schema.WorkloadView]:
    picture = look(control, actor)
    with control.store.read() as session:
        standing = launching.standing_of(control, session, actor, picture)
        return WorkloadViews(control, session, standing).show(rows)
