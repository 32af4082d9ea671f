"""Users: people as their provider describes them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from scim2_models import (
    GroupMembership,
    InvalidValueException,
    Meta,
    PreconditionFailedException,
    Resource,
    UniquenessException,
)
from sqlalchemy import func
from sqlmodel import Session, col, select

from hub import arrivals, people
from hub.control_context import Control
from hub.policy import Actor
from hub.scim import filters
from hub.scim.keyed import Window, demand_touchable, key_of, source_of, user_of
from hub.scim.shapes import User, folded
from hub.settings import SCIM_PREFIX
from hub.store import audit
from hub.store.access_tables import ScimGroupRow, ScimMemberRow, ScimUserRow, ServiceKeyRow
from hub.store.ids import new_id
from hub.store.tables import IdentityRow, PersonRow
from hub.tenant_paths import TenantPaths

_MAX_NAME = 200
_MAX_ATTRIBUTES = 16 * 1024
Edit = Callable[[User], User]
"""From the user as it is to the user as it shall be; it may change what it is given."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A user as it is now. `person` is whom the caller signs out completely when they are closed;
    of those in `left` the API tokens end, because they lost a role."""

    user: User
    person: PersonRow
    closed_by: str = ""
    left: Sequence[str] = field(default_factory=tuple[str, ...])


def create(control: Control, actor: Actor, wanted: User) -> Kept:
    """A person with the identity that they sign in with; one who signed in before is taken on.

    Raises UniquenessException when the name or the identity is somebody else's already.
    """
    with control.store.write() as session:
        key, now = key_of(session, actor), control.clock.now()
        _demand_free_name(session, key, wanted)
        person = _person_for(control, session, key, wanted)
        row = ScimUserRow(id=person.id, key_id=key.id, user_name="", created_at=now, changed_at=now)
        if wanted.active is None:
            wanted.active = True
        _write(control, session, key, row, person, wanted)
        return _finish(control, session, key, row, person, "scim-user-added")


def change(
    control: Control, actor: Actor, id_: str, edit: Edit, if_match: str = ""
) -> Kept:  # fmt: skip
    """Replace or patch a user. Without `active` in it the account stays as it is."""
    with control.store.write() as session:
        key = key_of(session, actor)
        row, person = user_of(session, key, id_)
        before = view(control, session, row, person)
        demand_version(before, if_match)
        demand_touchable(session, person)
        wanted = edit(before.model_copy(deep=True))
        if folded(wanted.user_name or "") != row.user_name:
            _demand_free_name(session, key, wanted)
        _identify(control, session, key, person, wanted)
        _write(control, session, key, row, person, wanted)
        return _finish(control, session, key, row, person, "scim-user-changed")


def closing_of(control: Control, actor: Actor, id_: str, if_match: str = "") -> Kept:
    """Who is to be closed before `remove`. Raises what `remove` would."""
    with control.store.read() as session:
        key = key_of(session, actor)
        row, person = user_of(session, key, id_)
        user = view(control, session, row, person)
        demand_version(user, if_match)
        demand_touchable(session, person)
        return Kept(user, person, source_of(key))


def remove(control: Control, actor: Actor, id_: str) -> None:
    """The user is gone. The person stays, closed: their work and their bills are somebody's."""
    with control.store.write() as session:
        key = key_of(session, actor)
        row, person = user_of(session, key, id_)
        demand_touchable(session, person)
        for member in session.exec(select(ScimMemberRow).where(ScimMemberRow.person_id == id_)):
            session.delete(member)
        session.delete(row)
        session.flush()
        arrivals.depart(control, session, person, source_of(key), source_of(key))
        audit.record(
            session, control.clock.now(), source_of(key), "scim-user-removed", person.id,
            person.tenant_id, {"user_name": row.user_name},
        )  # fmt: skip


def one(control: Control, actor: Actor, id_: str) -> User:
    with control.store.read() as session:
        row, person = user_of(session, key_of(session, actor), id_)
        return view(control, session, row, person)


def listed(
    control: Control, actor: Actor, condition: filters.Condition | None, window: Window
) -> tuple[list[User], int]:
    """The users in the window that meet the condition, and how many do in all."""
    with control.store.read() as session:
        key = key_of(session, actor)
        query = (
            select(ScimUserRow, PersonRow)
            .join(PersonRow, col(PersonRow.id) == ScimUserRow.id)
            .where(ScimUserRow.key_id == key.id)
        )
        if condition is not None:
            query = query.where(condition)
        total = session.exec(select(func.count()).select_from(query.subquery())).one()
        page = query.order_by(ScimUserRow.id).offset(window.skip).limit(window.most)
        rows = session.exec(page).all() if window.most else []
        groups = _groups_of(control, session, [row.id for row, _ in rows])
        return [_view(control, row, who, groups.get(row.id, [])) for row, who in rows], total


def view(control: Control, session: Session, row: ScimUserRow, person: PersonRow) -> User:
    groups = _groups_of(control, session, [row.id])
    return _view(control, row, person, groups.get(row.id, []))


def reassess(
    control: Control, session: Session, key: ServiceKeyRow, person_ids: Sequence[str]
) -> tuple[str, ...]:
    """Roles follow from groups and attributes. The Hub names of those who lost one."""
    rows = session.exec(
        select(ScimUserRow, PersonRow)
        .join(PersonRow, col(PersonRow.id) == ScimUserRow.id)
        .where(col(ScimUserRow.id).in_(person_ids))
    ).all()
    groups, left = _groups_of(control, session, list(person_ids)), list[str]()
    for row, person in rows:
        claims = _claims(row, groups.get(row.id, []))
        found = arrivals.provision(
            control, session, person, key.issuer, claims, source=source_of(key),
            below=key.tenant_id,
        )  # fmt: skip
        if found.lost:
            left.append(person.hub_name)
    return tuple(left)


def with_version(resource: Any, kind: str, row: Any, url: str) -> Any:
    """The resource with its `meta`; its version is the hash of all else."""
    content = json.dumps(resource.model_dump(), sort_keys=True).encode()
    resource.meta = Meta(
        resource_type=kind, created=row.created_at, last_modified=row.changed_at,
        location=f"{url}{SCIM_PREFIX}/{kind}s/{row.id}",
        version=f'W/"{hashlib.sha256(content).hexdigest()[:20]}"',
    )  # fmt: skip
    return resource


def demand_version(resource: Resource[Any], if_match: str) -> None:
    """Raise PreconditionFailedException when the client has seen another version."""
    version = resource.meta.version if resource.meta else None
    asked = {part.strip() for part in if_match.split(",")} - {""}
    if asked and "*" not in asked and version not in asked:
        raise PreconditionFailedException(detail="it was changed meanwhile; read it again")


def _person_for(control: Control, session: Session, key: ServiceKeyRow, wanted: User) -> PersonRow:
    known = _identity(session, key, _subject(key, wanted))
    if known is not None:
        return _taken_on(session, key, session.get_one(PersonRow, known.person_id))
    hub_name = new_id("u")
    person = people.add_person(
        control, session, hub_name, hub_name, _shown_name(wanted), _address(wanted),
        key.tenant_id, "", actor=source_of(key),
    )  # fmt: skip
    _identify(control, session, key, person, wanted)
    return person


def _taken_on(session: Session, key: ServiceKeyRow, person: PersonRow) -> PersonRow:
    """Somebody who signed in before, in this key's part of the tree, and of no other key."""
    demand_touchable(session, person)
    here = key.tenant_id in TenantPaths(session).of(person.tenant_id)
    if session.get(ScimUserRow, person.id) is not None or not here:
        raise UniquenessException(detail="this identity belongs to somebody else already")
    return person


def _identify(
    control: Control, session: Session, key: ServiceKeyRow, person: PersonRow, wanted: User
) -> None:
    """The identity with which they will sign in; a provider may correct its own word."""
    subject = _subject(key, wanted)
    if not subject:
        return
    taken = _identity(session, key, subject)
    if taken is not None and taken.person_id != person.id:
        raise UniquenessException(detail="this identity belongs to somebody else already")
    row = session.exec(
        select(IdentityRow).where(
            IdentityRow.person_id == person.id, IdentityRow.issuer == key.issuer
        )
    ).first()
    if row is not None and row.subject == subject:
        return
    row = row or IdentityRow(
        id=new_id("i"), person_id=person.id, issuer=key.issuer, subject=subject,
        created_at=control.clock.now(),
    )  # fmt: skip
    row.subject = subject
    session.add(row)
    session.flush()
    audit.record(
        session, control.clock.now(), source_of(key), "identity-provisioned", person.id,
        person.tenant_id, {"issuer": key.issuer, "subject": subject},
    )  # fmt: skip


def _write(
    control: Control, session: Session, key: ServiceKeyRow, row: ScimUserRow, person: PersonRow,
    wanted: User,
) -> None:  # fmt: skip
    """What the provider says, and whether the account is open."""
    attributes = wanted.model_copy(update={"id": None, "meta": None, "groups": None})
    attributes.schemas = [str(User.__schema__)]
    kept = attributes.model_dump()
    if len(json.dumps(kept)) > _MAX_ATTRIBUTES:
        raise InvalidValueException(detail="a user has at most 16 KiB of attributes")
    said = (folded(wanted.user_name or ""), wanted.external_id or "", kept)
    if (row.user_name, row.external_id, row.attributes) != said:
        row.user_name, row.external_id, row.attributes = said
        row.changed_at = control.clock.now()
    person.display_name, person.email = _shown_name(wanted), _address(wanted)
    session.add_all([row, person])
    session.flush()
    by = source_of(key)
    if wanted.active is False:
        people.shut(control, session, person, by, by)
    elif wanted.active:
        people.reopen(control, session, person, by, by)


def _finish(
    control: Control, session: Session, key: ServiceKeyRow, row: ScimUserRow, person: PersonRow,
    action: str,
) -> Kept:  # fmt: skip
    left = reassess(control, session, key, [person.id])
    audit.record(
        session, control.clock.now(), source_of(key), action, person.id, person.tenant_id,
        {"user_name": row.user_name, "active": person.active},
    )  # fmt: skip
    by = source_of(key) if not person.active else ""
    return Kept(view(control, session, row, person), person, by, left)


def _demand_free_name(session: Session, key: ServiceKeyRow, wanted: User) -> None:
    name = folded(wanted.user_name or "")
    if not name.strip() or len(name) > _MAX_NAME or not name.isprintable():
        raise InvalidValueException(detail="userName has 1 to 200 characters that can be printed")
    taken = session.exec(
        select(ScimUserRow.id).where(ScimUserRow.key_id == key.id, ScimUserRow.user_name == name)
    ).first()
    if taken is not None:
        raise UniquenessException(detail="there is a user of this name already")


def _identity(session: Session, key: ServiceKeyRow, subject: str) -> IdentityRow | None:
    if not subject:
        return None
    return session.exec(
        select(IdentityRow).where(IdentityRow.issuer == key.issuer, IdentityRow.subject == subject)
    ).first()


def _subject(key: ServiceKeyRow, user: User) -> str:
    said = (user.user_name if key.subject == "user-name" else user.external_id) or ""
    if len(said) > 2 * _MAX_NAME:
        raise InvalidValueException(detail="the identifier is too long")
    return said


def _shown_name(user: User) -> str:
    name = user.name
    parts = [name.given_name, name.family_name] if name else []
    joined = " ".join(part for part in parts if part)
    shown = user.display_name or (name.formatted if name else "") or joined or user.user_name or ""
    return "".join(letter for letter in shown if letter.isprintable()).strip()[:80]


def _address(user: User) -> str:
    given = [email for email in user.emails or [] if email.value]
    first = next((email for email in given if email.primary), given[0] if given else None)
    return (first.value or "")[:200] if first else ""


def _view(
    control: Control, row: ScimUserRow, person: PersonRow, groups: list[GroupMembership]
) -> User:
    user = User.model_validate(row.attributes)
    user.id = row.id
    if user.active is not None:
        user.active = person.active
    user.groups = groups or None
    return with_version(user, "User", row, control.settings.url)


def _groups_of(
    control: Control, session: Session, person_ids: Sequence[str]
) -> dict[str, list[GroupMembership]]:
    if not person_ids:
        return {}
    rows = session.exec(
        select(ScimMemberRow.person_id, ScimGroupRow)
        .join(ScimGroupRow, col(ScimGroupRow.id) == ScimMemberRow.group_id)
        .where(col(ScimMemberRow.person_id).in_(person_ids))
        .order_by(ScimGroupRow.id)
    ).all()
    found: dict[str, list[GroupMembership]] = {}
    for person_id, group in rows:
        found.setdefault(person_id, []).append(
            GroupMembership.model_validate(
                {
                    "value": group.id, "display": group.display_name, "type": "direct",
                    "$ref": f"{control.settings.url}{SCIM_PREFIX}/Groups/{group.id}",
                }
            )
        )  # fmt: skip
    return found


def _claims(row: ScimUserRow, groups: list[GroupMembership]) -> dict[str, Any]:
    """What rules may look at, by the names that a provider's tokens use."""
    user = User.model_validate(row.attributes)
    return {
        "groups": [group.display for group in groups],
        "roles": [one.value for one in user.roles or [] if one.value],
        "entitlements": [one.value for one in user.entitlements or [] if one.value],
        "userType": user.user_type or "",
    }
