"""Roles that an administrator gives and takes by hand."""

from sqlalchemy import func
from sqlmodel import Session, col, select

from catalog.errors import BadValue, Conflict
from hub import departures, memberships, people_list
from hub.control_context import Control
from hub.courses import enrolment
from hub.memberships import MANUAL
from hub.policy import (
    PLATFORM_ADMIN_ROLE,
    ROOT_TENANT,
    STRENGTH,
    Action,
    Actor,
    Denied,
    absent,
    require,
)
from hub.store import audit
from hub.store.course_tables import CourseRow
from hub.store.tables import MembershipRow, PersonRow, TenantRow
from hub.tenants import object_of


def set_role(
    control: Control, actor: Actor, login: str, tenant_id: str, role: str | None
) -> tuple[PersonRow, bool]:
    """Give a person a role in a tenant, or take back what was given by hand; roles that follow from
    rules, rosters and services stay. Whether the person has no role there any more: the caller ends
    their API tokens then. Safe to repeat.

    Nobody gives or takes what is above them, sees people of other tenants, or leaves the platform
    without an administrator (Conflict).
    """
    with control.store.write() as session:
        require(actor, Action.MANAGE_ROLES, object_of(session, tenant_id))
        if session.get(TenantRow, tenant_id) is None:
            raise absent(f"tenant {tenant_id[:40]!r}")
        person = _seen(session, actor, login)
        before = memberships.role_in(session, person.id, tenant_id)
        _demand_below(session, actor, tenant_id, [before, role or ""])
        if role == PLATFORM_ADMIN_ROLE and tenant_id != ROOT_TENANT:
            raise BadValue(
                f"{PLATFORM_ADMIN_ROLE} is a role in {ROOT_TENANT!r} alone", next="give admin"
            )
        if role:
            _give(control, session, actor, person, tenant_id, role)
        else:
            _take(control, session, actor, person, tenant_id)
        after = memberships.role_in(session, person.id, tenant_id)
        if before == PLATFORM_ADMIN_ROLE != after:
            _demand_another(session)
        audit.record(
            session, control.clock.now(), actor.person_id, "set-role", person.id, tenant_id,
            {"asked": role or "", "before": before, "after": after},
        )  # fmt: skip
    control.wake()
    return person, bool(before and not after)


def _seen(session: Session, actor: Actor, login: str) -> PersonRow:
    person = session.exec(select(PersonRow).where(PersonRow.login == login)).first()
    if person is None or not people_list.visible(session, actor, person.id):
        raise absent(f"person {login[:40]!r}")
    return person


def _demand_below(session: Session, actor: Actor, tenant_id: str, roles: list[str]) -> None:
    """An administrator of the platform stands above all; everybody else is at most ``admin``."""
    above = [r for r in roles if r and STRENGTH.index(r) > STRENGTH.index("admin")]
    if above and not actor.platform_admin:
        raise Denied(actor, Action.MANAGE_ROLES, object_of(session, tenant_id))


def _give(
    control: Control, session: Session, actor: Actor, person: PersonRow, tenant_id: str, role: str
) -> None:
    given = enrolment.enrol(
        control, session, tenant_id, person, role=role, source=MANUAL, actor=actor.person_id
    )
    if not given and not memberships.role_in(session, person.id, tenant_id):
        raise Conflict("this course is over", next="clone it for a new term")


def _take(
    control: Control, session: Session, actor: Actor, person: PersonRow, tenant_id: str
) -> None:
    """In a course as whoever leaves it; elsewhere what runs there is warned, and ends."""
    if session.get(CourseRow, tenant_id) is not None:
        enrolment.leave(
            control, session, tenant_id, person, source=MANUAL, actor=actor.person_id,
            end_now=False,
        )  # fmt: skip
    else:
        memberships.withdraw(session, person.id, tenant_id, MANUAL)
    departures.leave(control, session, person)


def _demand_another(session: Session) -> None:
    left = session.exec(
        select(func.count())
        .select_from(MembershipRow)
        .join(PersonRow, col(PersonRow.id) == MembershipRow.person_id)
        .where(
            MembershipRow.tenant_id == ROOT_TENANT, MembershipRow.role == PLATFORM_ADMIN_ROLE,
            col(PersonRow.active).is_(True),
        )
    ).one()  # fmt: skip
    if not left:
        raise Conflict(
            "this is the last administrator of the platform", next="make somebody else one first"
        )
