"""For platform administrators: nodes and devices, taking them out of service and back."""

from datetime import UTC, datetime

from fastapi import APIRouter
from sqlmodel import Session, col, select

from catalog.errors import BadValue
from catalog.inventory import Health, Node
from catalog.units import WHOLE, parse_duration
from hub import drains, healing, quarantine
from hub.api import schema
from hub.api.access import ActorArg, ControlArg, does
from hub.control_context import Control
from hub.policy import ANYBODY_OF_SITE, Action, require
from hub.store.tables import AttemptRow, DeviceRow, DrainRow

router = APIRouter()


@router.get("/nodes", **does(Action.MANAGE_NODES))
def nodes(control: ControlArg, actor: ActorArg) -> schema.Page[schema.NodeState]:
    """Nodes as placement sees them: what is drained, silent, failing or in quarantine."""
    require(actor, Action.MANAGE_NODES, ANYBODY_OF_SITE)
    return _all(control)


@router.post("/nodes/drain", **does(Action.MANAGE_NODES))
def roll(
    body: schema.RollBody, control: ControlArg, actor: ActorArg
) -> schema.Page[schema.NodeState]:
    """Take all nodes out of service one after another, each after the one before is resumed."""
    require(actor, Action.MANAGE_NODES, ANYBODY_OF_SITE)
    most_out = round(body.at_most * WHOLE)
    drains.roll(control, actor, most_out, parse_duration(body.each), body.reason)
    return _all(control)


@router.post("/nodes/resume", **does(Action.MANAGE_NODES))
def resume_all(control: ControlArg, actor: ActorArg) -> schema.Page[schema.NodeState]:
    """Every node is in service again; a rolling drain ends."""
    require(actor, Action.MANAGE_NODES, ANYBODY_OF_SITE)
    drains.resume(control, actor)
    return _all(control)


@router.post("/nodes/{node}/drain", **does(Action.MANAGE_NODES))
def drain(
    node: str, body: schema.DrainBody, control: ControlArg, actor: ActorArg
) -> schema.NodeState:
    """Place nothing new on a node, tell its work to go, and have it empty by a time."""
    require(actor, Action.MANAGE_NODES, ANYBODY_OF_SITE)
    drains.begin(control, actor, node, _time(control, body.by), body.reason)
    return _one(control, node)


@router.post("/nodes/{node}/resume", **does(Action.MANAGE_NODES))
def resume(node: str, control: ControlArg, actor: ActorArg) -> schema.NodeState:
    """The node is in service again; work that was told to go may stay. Repeat as you like."""
    require(actor, Action.MANAGE_NODES, ANYBODY_OF_SITE)
    drains.resume(control, actor, node)
    return _one(control, node)


@router.post("/devices/{device}/release", **does(Action.MANAGE_NODES))
def release(device: str, control: ControlArg, actor: ActorArg) -> schema.NodeState:
    """End the quarantine of a device: it is offered again."""
    require(actor, Action.MANAGE_NODES, ANYBODY_OF_SITE)
    return _one(control, quarantine.release(control, actor, device))


def _time(control: Control, text: str) -> datetime:
    """``"2h"`` from now on, or a time with its zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        try:
            return control.clock.now() + parse_duration(text)
        except BadValue as error:
            raise BadValue(
                f"by: {text!r} is neither a time nor a duration",
                next="write it like 2h or 2026-11-21T18:00:00Z",
            ) from error
    if at.tzinfo is None:
        raise BadValue(f"by: {text!r} has no time zone", next=f"write it like {text}Z")
    return at.astimezone(UTC)


def _one(control: Control, name: str) -> schema.NodeState:
    return next(node for node in _all(control).items if node.name == name)


def _all(control: Control) -> schema.Page[schema.NodeState]:
    healing.refresh_nodes(control)  # the act just made is shown, not the last beat's picture
    with control.store.read() as session:
        rows = {row.id: row for row in session.exec(select(DeviceRow))}
        drained = {row.node: row for row in [*drains.waiting(session), *drains.active(session)]}
        running = _running(session)
    items = [
        _state(control, node, drained.get(node.name), rows, running.get(node.name, 0))
        for node in sorted(control.nodes, key=lambda node: node.name)
    ]
    return schema.Page(items=items, next=None)


def _running(session: Session) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in session.exec(
        select(AttemptRow.node).where(col(AttemptRow.released_at).is_(None))
    ):  # fmt: skip
        found[node] = found.get(node, 0) + 1
    return found


def _state(
    control: Control, node: Node, drain: DrainRow | None, rows: dict[str, DeviceRow], running: int
) -> schema.NodeState:
    return schema.NodeState(
        name=node.name,
        state=_word(control, node, drain),
        closed=node.closed,
        by=drain.by if drain and drain.begun_at else None,
        empty_at=drain.empty_at if drain else None,
        reason=drain.reason if drain else "",
        running=running,
        devices=[
            schema.DeviceState(
                id=device.id, model=device.model, health=device.health,
                health_reason=device.health_reason,
                held_milli=row.held_milli if (row := rows.get(device.id)) else 0,
                failed_starts=row.failures if row else 0,
                quarantined=bool(row and row.quarantined_at),
            )
            for device in node.devices
        ],
    )  # fmt: skip


def _word(control: Control, node: Node, drain: DrainRow | None) -> schema.NodeWord:
    if node.name in control.sight.missing:
        return "silent"
    if drain is not None and drain.begun_at is not None:
        return "empty" if drain.empty_at else "draining"
    if node.closed:
        return "closed"
    if drain is not None:
        return "to be drained"
    ok = all(device.health is Health.OK for device in node.devices)
    return "in service" if ok else "impaired"
