"""What a key may touch: people and groups that it made, and nothing else."""

from dataclasses import dataclass

from scim2_models import ForbiddenException, NotFoundException
from sqlmodel import Session

from hub.policy import PLATFORM_ADMIN_ROLE, ROOT_TENANT, Action, Actor, require
from hub.store.access_tables import ScimGroupRow, ScimUserRow, ServiceKeyRow
from hub.store.tables import MembershipRow, PasswordRow, PersonRow
from hub.tenants import object_of

MOST_AT_ONCE = 200
"""How many of a list are shown at once."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a list: `skip` of it are left out, and `most` shown."""

    skip: int = 0
    most: int = 100

    @classmethod
    def of(cls, start: int | None, count: int | None) -> "Window":
        """SCIM counts from 1; what is below that means 1, and less than none means none."""
        most = 100 if count is None else min(max(count, 0), MOST_AT_ONCE)
        return cls(min(max(start or 1, 1), 2**53) - 1, most)


def key_of(session: Session, actor: Actor) -> ServiceKeyRow:
    """The key that is used. Raises unless it may provision people of its part of the tree."""
    require(actor, Action.PROVISION, object_of(session, actor.tenant_id))
    return session.get_one(ServiceKeyRow, actor.person_id)


def source_of(key: ServiceKeyRow) -> str:
    """By what name the key closes accounts and gives roles, and stands in the audit."""
    return f"scim:{key.id}"


def user_of(session: Session, key: ServiceKeyRow, id_: str) -> tuple[ScimUserRow, PersonRow]:
    """Raises NotFoundException, for another key's too."""
    row = session.get(ScimUserRow, id_)
    if row is None or row.key_id != key.id:
        raise NotFoundException(detail=f"there is no user {id_[:60]!r}")
    return row, session.get_one(PersonRow, id_)


def group_of(session: Session, key: ServiceKeyRow, id_: str) -> ScimGroupRow:
    """Raises NotFoundException, for another key's too."""
    row = session.get(ScimGroupRow, id_)
    if row is None or row.key_id != key.id:
        raise NotFoundException(detail=f"there is no group {id_[:60]!r}")
    return row


def demand_touchable(session: Session, person: PersonRow) -> None:
    """No key touches who administers the platform, or has a password here."""
    role = session.get(MembershipRow, (person.id, ROOT_TENANT))
    if role is not None and role.role == PLATFORM_ADMIN_ROLE:
        raise ForbiddenException(detail="this person administers the platform")
    if session.get(PasswordRow, person.id) is not None:
        raise ForbiddenException(detail="this person has a local account with a password")
