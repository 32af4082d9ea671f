"""Rules of a course: everybody of whom a provider says something belongs to it."""

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from catalog.errors import BadValue
from hub.auth.rules import says
from hub.control_context import Control
from hub.courses import access, enrolment
from hub.courses.providers import issuer_of, name_of
from hub.courses.wishes import Rule
from hub.policy import Action, Actor, absent
from hub.scim.users import reassess
from hub.store import audit
from hub.store.access_tables import RoleGrantRow, ScimGroupRow, ScimMemberRow, ServiceKeyRow
from hub.store.course_tables import CourseRuleRow
from hub.store.tables import PersonRow

MOST = 50


def of_course(control: Control, session: Session, course_id: str) -> list[Rule]:
    """In a fixed order, with the names of their providers."""
    rows = session.exec(
        select(CourseRuleRow)
        .where(CourseRuleRow.tenant_id == course_id)
        .order_by(CourseRuleRow.issuer, CourseRuleRow.claim, CourseRuleRow.value)
    ).all()
    return [Rule(name_of(control, row.issuer), row.claim, row.value, row.role) for row in rows]


def add(control: Control, actor: Actor, course_id: str, wanted: Rule) -> None:
    """Whom the site knows to fit comes in at once, everybody else at their next sign-in. Adding it
    again with another role changes the role."""
    with control.store.write() as session:
        access.find(session, actor, course_id, Action.MANAGE_COURSE)
        there = of_course(control, session, course_id)
        if len(there) >= MOST and _key(wanted) not in {_key(one) for one in there}:
            raise BadValue(
                f"a course has at most {MOST} rules", next="remove one that is not needed"
            )
        add_within(control, session, actor, course_id, wanted)


def remove(control: Control, actor: Actor, course_id: str, wanted: Rule) -> None:
    """Whom this rule alone let in leaves now, where that is known, or at their next sign-in."""
    with control.store.write() as session:
        access.find(session, actor, course_id, Action.MANAGE_COURSE)
        if _key(wanted) not in {_key(one) for one in of_course(control, session, course_id)}:
            raise absent("rule like this in this course")
        remove_within(control, session, actor, course_id, wanted)


def replace_all(
    control: Control, session: Session, actor: Actor, course_id: str, wanted: tuple[Rule, ...]
) -> None:
    """Make `wanted` all rules of a course. Raises BadValue for a provider that there is not."""
    there = of_course(control, session, course_id)
    for gone in [one for one in there if _key(one) not in {_key(new) for new in wanted}]:
        remove_within(control, session, actor, course_id, gone)
    for new in [one for one in wanted if one not in there]:
        add_within(control, session, actor, course_id, new)


def add_within(
    control: Control, session: Session, actor: Actor, course_id: str, wanted: Rule
) -> None:
    """As `add`, as a part of a transaction."""
    issuer = issuer_of(control, wanted.provider)
    if not issuer or not wanted.claim.strip() or not wanted.value.strip():
        raise BadValue(
            "rules: a rule has a provider, a claim and a value",
            next="write it like provider uni, claim groups, value phys101",
        )
    row = session.get(CourseRuleRow, (course_id, issuer, wanted.claim, wanted.value))
    row = row or CourseRuleRow(
        tenant_id=course_id, issuer=issuer, claim=wanted.claim, value=wanted.value
    )
    row.role = wanted.role
    session.add(row)
    session.flush()
    _record(control, session, actor, "add-course-rule", course_id, wanted)
    # Their roles have their provisioning key as the reason, so that what SCIM takes back is gone.
    members = col(ScimMemberRow.group_id).in_(
        select(ScimGroupRow.id).where(ScimGroupRow.display_name == wanted.value)
    )
    if wanted.claim == "groups":
        _judge_anew(control, session, issuer, members)


def remove_within(
    control: Control, session: Session, actor: Actor, course_id: str, wanted: Rule
) -> None:
    """As `remove`, as a part of a transaction."""
    issuer = next(
        (i for i in _issuers(session, course_id) if name_of(control, i) == wanted.provider), ""
    )
    row = session.get(CourseRuleRow, (course_id, issuer, wanted.claim, wanted.value))
    if row is None:
        return
    session.delete(row)
    session.flush()
    _record(control, session, actor, "remove-course-rule", course_id, wanted)
    _let_go(control, session, actor, course_id, issuer)
    inside = col(ScimMemberRow.person_id).in_(
        select(RoleGrantRow.person_id).where(RoleGrantRow.tenant_id == course_id)
    )
    _judge_anew(control, session, issuer, inside)


def _let_go(control: Control, session: Session, actor: Actor, course_id: str, issuer: str) -> None:
    """With the last rule about a provider, everybody whom its rules let in leaves. While there are
    others, those leave whose groups are known and fit none."""
    left = session.exec(
        select(CourseRuleRow).where(
            CourseRuleRow.tenant_id == course_id, CourseRuleRow.issuer == issuer
        )
    ).all()
    source, known = f"rule:{issuer}", _known_groups(session, issuer)
    inside = session.exec(
        select(PersonRow)
        .join(RoleGrantRow, col(RoleGrantRow.person_id) == PersonRow.id)
        .where(RoleGrantRow.tenant_id == course_id, RoleGrantRow.source == source)
    ).all()
    for person in inside:
        groups = known[person.id][1] if person.id in known else None
        stays = left and (
            groups is None or any(says({"groups": groups}, r.claim, r.value) for r in left)
        )
        if not stays:
            enrolment.leave(
                control, session, course_id, person, source=source, actor=actor.person_id
            )


def _issuers(session: Session, course_id: str) -> list[str]:
    query = select(CourseRuleRow.issuer).where(CourseRuleRow.tenant_id == course_id)
    return list(session.exec(query.distinct()).all())


def _known_groups(session: Session, issuer: str) -> dict[str, tuple[PersonRow, list[str]]]:
    """The groups of people that a provider provisions, which are known without their sign-in."""
    rows = session.exec(
        select(PersonRow, ScimGroupRow.display_name)
        .join(ScimMemberRow, col(ScimMemberRow.person_id) == PersonRow.id)
        .join(ScimGroupRow, col(ScimGroupRow.id) == ScimMemberRow.group_id)
        .join(ServiceKeyRow, col(ServiceKeyRow.id) == ScimGroupRow.key_id)
        .where(ServiceKeyRow.issuer == issuer)
        .order_by(PersonRow.id)
    ).all()
    found: dict[str, tuple[PersonRow, list[str]]] = {}
    for person, group in rows:
        found.setdefault(person.id, (person, []))[1].append(group)
    return found


def _judge_anew(
    control: Control, session: Session, issuer: str, which: ColumnElement[bool]
) -> None:
    """Those people of a provider whom a service provisions, by what it says of them now."""
    for key in session.exec(select(ServiceKeyRow).where(ServiceKeyRow.issuer == issuer)).all():
        people = session.exec(
            select(ScimMemberRow.person_id)
            .join(ScimGroupRow, col(ScimGroupRow.id) == ScimMemberRow.group_id)
            .where(ScimGroupRow.key_id == key.id, which)
            .distinct()
        ).all()
        if people:
            reassess(control, session, key, people)


def _key(rule: Rule) -> tuple[str, str, str]:
    return rule.provider, rule.claim, rule.value


def _record(
    control: Control, session: Session, actor: Actor, action: str, course_id: str, rule: Rule
) -> None:
    audit.record(
        session, control.clock.now(), actor.person_id, action, course_id, course_id,
        {"provider": rule.provider, "claim": rule.claim, "value": rule.value, "role": rule.role},
    )  # fmt: skip
