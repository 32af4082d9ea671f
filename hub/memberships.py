"""Roles of people in tenants, and the reasons for them.

A person may have a role for several reasons at once: an administrator gave it, a rule about their
groups does, the learning system says so. Each reason comes and goes by itself; the strongest role
that is left counts.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlmodel import Session, select

from hub.policy import strongest
from hub.store.access_tables import RoleGrantRow
from hub.store.tables import MembershipRow

MANUAL = "manual"


def give(
    session: Session, person_id: str, tenant_id: str, source: str, role: str, at: datetime
) -> bool:
    """The person has the role for this reason; what the same reason gave there before is replaced.
    Whether the role that counts has changed."""
    row = session.get(RoleGrantRow, (person_id, tenant_id, source))
    if row is None:
        row = RoleGrantRow(
            person_id=person_id, tenant_id=tenant_id, source=source, role=role, created_at=at
        )
    row.role = role
    session.add(row)
    session.flush()
    return _settle(session, person_id, tenant_id)


def withdraw(session: Session, person_id: str, tenant_id: str, source: str) -> bool:
    """The reason is gone. Whether the role that counts has changed. Safe to repeat."""
    row = session.get(RoleGrantRow, (person_id, tenant_id, source))
    if row is None:
        return False
    session.delete(row)
    session.flush()
    return _settle(session, person_id, tenant_id)


def set_all(
    session: Session, person_id: str, source: str, roles: Mapping[str, str], at: datetime
) -> frozenset[str]:
    """Make `roles` (by tenant) all that this source gives. The tenants where the role changed."""
    before = session.exec(
        select(RoleGrantRow).where(
            RoleGrantRow.person_id == person_id, RoleGrantRow.source == source
        )
    ).all()
    gone = {row.tenant_id for row in before} - set(roles)
    changed = {tenant for tenant in gone if withdraw(session, person_id, tenant, source)}
    for tenant, role in roles.items():
        if give(session, person_id, tenant, source, role, at):
            changed.add(tenant)
    return frozenset(changed)


def role_in(session: Session, person_id: str, tenant_id: str) -> str:
    """The role that counts there; empty when there is none."""
    row = session.get(MembershipRow, (person_id, tenant_id))
    return row.role if row else ""


def _settle(session: Session, person_id: str, tenant_id: str) -> bool:
    roles = session.exec(
        select(RoleGrantRow.role).where(
            RoleGrantRow.person_id == person_id, RoleGrantRow.tenant_id == tenant_id
        )
    ).all()
    row = session.get(MembershipRow, (person_id, tenant_id))
    before = row.role if row else ""
    after = strongest(list(roles)) if roles else ""
    if before == after:
        return False
    if not after:
        session.delete(row)
    else:
        row = row or MembershipRow(person_id=person_id, tenant_id=tenant_id, role=after)
        row.role = after
        session.add(row)
    session.flush()
    return True
