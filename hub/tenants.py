"""The tenant tree as administrators shape it: add below, rename, move."""

import re
from dataclasses import dataclass

from sqlmodel import Session

from catalog.errors import BadValue, Conflict
from hub.control_context import Control
from hub.guarantees import demand_sound
from hub.policy import ROOT_TENANT, Action, Actor, Object, absent, require, tenant_object
from hub.store import audit
from hub.store.tables import TenantRow
from hub.tenant_paths import TenantPaths
from hub.world import tenant_path

KINDS = ("organisation", "department", "group", "course")
_ID = re.compile(r"[a-z][a-z0-9-]{1,39}")


@dataclass(frozen=True, slots=True)
class NewTenant:
    """A tenant as it is asked for; `id` never changes."""

    id: str
    name: str
    parent: str = ROOT_TENANT
    kind: str = "group"


def add(control: Control, actor: Actor, wanted: NewTenant) -> TenantRow:
    """A tenant below `parent`, with no limits and no guarantee of its own: those of the tenants
    above it hold. Asking again for the same changes nothing; Conflict when the id is taken."""
    with control.store.write() as session:
        require(actor, Action.MANAGE_TENANTS, object_of(session, wanted.parent))
        _demand_form(wanted)
        if session.get(TenantRow, wanted.parent) is None:
            raise absent(f"tenant {wanted.parent[:40]!r}")
        row = session.get(TenantRow, wanted.id)
        if row is not None:
            if (row.name, row.parent_id, row.kind) == (wanted.name, wanted.parent, wanted.kind):
                return row
            raise Conflict(f"there is a tenant {wanted.id!r} already", next="choose another id")
        row = TenantRow(
            id=wanted.id, name=wanted.name, parent_id=wanted.parent, kind=wanted.kind,
            created_at=control.clock.now(),
        )  # fmt: skip
        session.add(row)
        session.flush()
        _record(control, session, actor, "add-tenant", row)
    return row


def change(
    control: Control, actor: Actor, tenant_id: str, *, name: str | None, parent: str | None
) -> TenantRow:
    """Rename or move a tenant; what is below it moves along, and what runs goes on.

    Raises BadValue when it would be its own parent, or when more would be guaranteed below the new
    parent than that is guaranteed itself; then nothing has changed.
    """
    with control.store.write() as session:
        row = session.get(TenantRow, tenant_id)
        require(actor, Action.MANAGE_TENANTS, object_of(session, tenant_id))
        if row is None:
            raise absent(f"tenant {tenant_id[:40]!r}")
        if name is not None:
            row.name = demand_name(name)
        if parent is not None and parent != row.parent_id:
            _move(session, actor, row, parent)
        session.add(row)
        session.flush()
        demand_sound(session)
        _record(control, session, actor, "change-tenant", row)
    control.wake()
    return row


def object_of(session: Session, tenant_id: str) -> Object:
    """A tenant as the policy sees it."""
    return tenant_object(tenant_path(session, tenant_id))


def _move(session: Session, actor: Actor, row: TenantRow, parent: str) -> None:
    if row.parent_id is None:
        raise BadValue(f"{row.name} is the root and has no parent", next="move another tenant")
    if session.get(TenantRow, parent) is None:
        raise absent(f"tenant {parent[:40]!r}")
    # Whoever takes it away from one administrator and gives it to another must be both.
    for end in (row.parent_id, parent):
        require(actor, Action.MANAGE_TENANTS, object_of(session, end))
    _demand_movable(session, row, parent)
    row.parent_id = parent


def _demand_movable(session: Session, row: TenantRow, parent: str) -> None:
    """Raise BadValue where a course would lose a group, or get what was none of its own: its staff
    would decide about it, and its wallet pay."""
    paths = TenantPaths(session)
    if paths.course_of(row.parent_id or "") or paths.course_of(parent):
        raise BadValue(
            f"{row.name} cannot be moved out of a course or into one",
            next="make a group there, and move its people by the course's roster",
        )


def _demand_form(wanted: NewTenant) -> None:
    demand_id(wanted.id)
    if wanted.kind not in KINDS:
        raise BadValue(
            f"kind: {wanted.kind[:40]!r} is not a kind of tenant", next=f"use {', '.join(KINDS)}"
        )
    demand_name(wanted.name)


def demand_id(id: str) -> str:
    """Raises BadValue for what cannot be the id of a tenant."""
    if _ID.fullmatch(id) is None:
        raise BadValue(
            f"id: {id[:40]!r} is not an id of a tenant",
            next="use 2 to 40 small letters, digits and dashes, a letter first",
        )
    return id


def demand_name(name: str) -> str:
    """Raises BadValue for what cannot be the name of a tenant."""
    if not name.strip() or len(name) > 80 or not name.isprintable():
        raise BadValue("name: a tenant has a name of 1 to 80 characters", next="give it one")
    return name


def _record(control: Control, session: Session, actor: Actor, action: str, row: TenantRow) -> None:
    detail = {"name": row.name, "parent": row.parent_id, "kind": row.kind}
    audit.record(
        session, control.clock.now(), actor.person_id, action, row.id, row.parent_id or row.id,
        detail,
    )  # fmt: skip
