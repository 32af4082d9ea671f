"""Groups: their names are what rules look at, so their members' roles follow from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from scim2_models import InvalidValueException
from sqlalchemy import func
from sqlmodel import Session, col, select

from hub.control_context import Control
from hub.policy import Actor
from hub.scim import filters, users
from hub.scim.keyed import Window, group_of, key_of, source_of
from hub.scim.shapes import Group, GroupMember
from hub.settings import SCIM_PREFIX
from hub.store import audit
from hub.store.access_tables import ScimGroupRow, ScimMemberRow, ScimUserRow, ServiceKeyRow
from hub.store.ids import new_id

_MAX_NAME = 200
_MAX_MEMBERS = 20_000
Edit = Callable[[Group], Group]
"""From the group as it is to the group as it shall be; it may change what it is given."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A group as it is now. Of those in `left` the API tokens end, because they lost a role."""

    group: Group
    left: Sequence[str] = field(default_factory=tuple[str, ...])


def create(control: Control, actor: Actor, wanted: Group) -> Kept:
    """Raises InvalidValueException for members whom this key did not make."""
    with control.store.write() as session:
        key, now = key_of(session, actor), control.clock.now()
        row = ScimGroupRow(
            id=new_id("sg"), key_id=key.id, display_name="", created_at=now, changed_at=now
        )
        return _write(control, session, key, row, wanted, "scim-group-added")


def change(control: Control, actor: Actor, id_: str, edit: Edit, if_match: str = "") -> Kept:
    """Replace or patch a group."""
    with control.store.write() as session:
        key = key_of(session, actor)
        row = group_of(session, key, id_)
        before = _view(control, session, row)
        users.demand_version(before, if_match)
        wanted = edit(before.model_copy(deep=True))
        return _write(control, session, key, row, wanted, "scim-group-changed")


def remove(control: Control, actor: Actor, id_: str, if_match: str = "") -> tuple[str, ...]:
    """The group is gone, and the roles that followed from it. The Hub names of those who lost one."""
    with control.store.write() as session:
        key = key_of(session, actor)
        row = group_of(session, key, id_)
        users.demand_version(_view(control, session, row), if_match)
        members = _members(session, id_)
        _set_members(session, id_, members, set())
        session.delete(row)
        session.flush()
        left = users.reassess(control, session, key, sorted(members))
        _record(control, session, key, row, "scim-group-removed")
    return left


def one(control: Control, actor: Actor, id_: str) -> Group:
    with control.store.read() as session:
        return _view(control, session, group_of(session, key_of(session, actor), id_))


def listed(
    control: Control, actor: Actor, condition: filters.Condition | None, window: Window,
    *, members: bool = True,
) -> tuple[list[Group], int]:  # fmt: skip
    """The groups in the window that meet the condition, and how many do in all."""
    with control.store.read() as session:
        key = key_of(session, actor)
        query = select(ScimGroupRow).where(ScimGroupRow.key_id == key.id)
        if condition is not None:
            query = query.where(condition)
        total = session.exec(select(func.count()).select_from(query.subquery())).one()
        page = query.order_by(ScimGroupRow.id).offset(window.skip).limit(window.most)
        rows = session.exec(page).all() if window.most else []
        return [_view(control, session, row, members=members) for row in rows], total


def _write(
    control: Control, session: Session, key: ServiceKeyRow, row: ScimGroupRow, wanted: Group,
    action: str,
) -> Kept:  # fmt: skip
    name, before = _name(wanted), _members(session, row.id)
    after = {member.value or "" for member in wanted.members or []}
    if len(after) > _MAX_MEMBERS:
        raise InvalidValueException(detail=f"a group has at most {_MAX_MEMBERS} members")
    _demand_own(session, key, after - before)
    renamed = name != row.display_name
    changed = renamed or after != before or (wanted.external_id or "") != row.external_id
    row.display_name, row.external_id = name, wanted.external_id or ""
    if changed:
        row.changed_at = control.clock.now()
    session.add(row)
    session.flush()
    _set_members(session, row.id, before, after)
    touched = before | after if renamed else before ^ after
    left = users.reassess(control, session, key, sorted(touched))
    if changed:
        _record(
            control, session, key, row, action, added=len(after - before),
            removed=len(before - after),
        )  # fmt: skip
    return Kept(_view(control, session, row), left)


def _set_members(session: Session, group_id: str, before: set[str], after: set[str]) -> None:
    for person_id in sorted(before - after):
        session.delete(session.get_one(ScimMemberRow, (group_id, person_id)))
    session.add_all(ScimMemberRow(group_id=group_id, person_id=one) for one in after - before)
    session.flush()


def _members(session: Session, group_id: str) -> set[str]:
    return set(
        session.exec(select(ScimMemberRow.person_id).where(ScimMemberRow.group_id == group_id))
    )


def _demand_own(session: Session, key: ServiceKeyRow, person_ids: set[str]) -> None:
    own = set(
        session.exec(
            select(ScimUserRow.id).where(
                ScimUserRow.key_id == key.id, col(ScimUserRow.id).in_(person_ids)
            )
        )
    )
    if strange := sorted(person_ids - own):
        raise InvalidValueException(detail=f"members: there is no user {strange[0][:60]!r}")


def _name(wanted: Group) -> str:
    name = (wanted.display_name or "").strip()
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise InvalidValueException(
            detail="displayName has 1 to 200 characters that can be printed"
        )
    return name


def _view(control: Control, session: Session, row: ScimGroupRow, *, members: bool = True) -> Group:
    group = Group(id=row.id, external_id=row.external_id or None, display_name=row.display_name)
    if members:
        group.members = _shown(control, session, row.id) or None
    shown = users.with_version(group, "Group", row, control.settings.url)
    if not members:
        shown.meta.version = None  # it would be that of a group with nobody in it
    return shown


def _shown(control: Control, session: Session, group_id: str) -> list[GroupMember]:
    place = f"{control.settings.url}{SCIM_PREFIX}/Users/"
    return [
        GroupMember.model_validate({"value": id_, "type": "User", "$ref": place + id_})
        for id_ in sorted(_members(session, group_id))
    ]


def _record(
    control: Control, session: Session, key: ServiceKeyRow, row: ScimGroupRow, action: str,
    **more: int,
) -> None:  # fmt: skip
    audit.record(
        session, control.clock.now(), source_of(key), action, row.id, key.tenant_id,
        {"name": row.display_name, **more},
    )  # fmt: skip
