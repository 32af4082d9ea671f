"""Making a course: all of it in one transaction, or nothing."""

from dataclasses import dataclass

from sqlmodel import Session

from catalog.errors import BadValue, Conflict
from catalog.units import format_credits, parse_credits
from hub import environments, guarantees, transfers
from hub.control_context import Control
from hub.courses import (
    enrolment,
    groups,
    hours,
    limits,
    material_source,
    roster,
    rules,
    terms,
)  # fmt: skip
from hub.courses.findings import Findings
from hub.courses.roster import Taken
from hub.courses.terms import Term
from hub.courses.wishes import Material, NewCourse, Written
from hub.memberships import MANUAL
from hub.policy import Action, Actor, Object, Relation, absent, relations, require
from hub.reservations import tell_all
from hub.reserving import Answer
from hub.store import audit
from hub.store.course_tables import CourseRow
from hub.store.tables import PersonRow, TenantRow
from hub.tenant_paths import COURSE, TenantPaths
from hub.tenants import demand_id, demand_name
from quotas import ledger

LONGEST_TEXT = 200


@dataclass(slots=True)
class Made:
    """A course as it would be, or is: what was found wrong, and what came of its parts."""

    findings: Findings
    taken: Taken | None = None
    answers: tuple[Answer, ...] = ()
    students: int = 0
    owed: int = 0
    """Micro-credits that its students are to be given in all."""


class _Undone(Exception):
    """Ends a transaction of which nothing is to be kept."""


def create(control: Control, actor: Actor, wanted: NewCourse) -> str:
    """Make a course; its id. Raises the first thing that is wrong, in words; nothing is made then.

    Who makes it becomes its instructor.
    """
    with control.store.write() as session:
        made = make_within(control, session, actor, wanted)
        made.findings.demand_none()
    tell_all(control)
    return wanted.id


def check(control: Control, actor: Actor, wanted: NewCourse) -> Made:
    """What `create` would say, all of it. Nothing is made."""
    made = Made(Findings())
    try:
        with control.store.write() as session:
            made = make_within(control, session, actor, wanted)
            raise _Undone
    except _Undone:
        return made


def make_within(
    control: Control, session: Session, actor: Actor, wanted: NewCourse, *, cloned_from: str = "",
    carried: bool = False,
) -> Made:  # fmt: skip
    """As `create`, as a part of a transaction: everything that belongs to it, as far as it can be
    made. Raises for who may not, and for what leaves nothing to go on with."""
    _demand_may(session, actor, wanted.parent)
    findings = Findings()
    made = Made(findings)
    zone = wanted.time_zone or control.settings.time_zone
    with findings.at("id"):
        demand_id(wanted.id)
        if session.get(TenantRow, wanted.id) is not None:
            raise Conflict(f"there is a tenant {wanted.id!r} already", next="choose another id")
    with findings.at("name"):
        demand_name(wanted.name)
    term = _term(control, wanted.first_day, wanted.last_day, zone, findings)
    if term is None or any(found.field == "id" for found in findings.found):
        return made
    course = _rows(control, session, actor, wanted, term, cloned_from)
    settle_lab(control, session, actor, course, findings)
    if wanted.environment and not cloned_from:  # a clone's staff may choose another one
        with findings.at("environment"):
            environments.demand(control.settings, wanted.environment)
    with findings.at("material"):
        set_material(control, course, wanted.material)
    with findings.at("limits"):
        limits.set_own(
            control, session, actor, course.tenant_id,
            limits.parse("limits", wanted.limits, person=False), carried=carried,
        )  # fmt: skip
    set_student(
        control, session, actor, course, wanted.student_limits, wanted.student_credits, findings
    )
    with findings.at("credits"):
        move_credits(control, session, actor, course.tenant_id, wanted.credits)
    groups.replace_all(control, session, actor, course.tenant_id, wanted.groups, findings)
    with findings.at("rules"):
        rules.replace_all(control, session, actor, course.tenant_id, wanted.rules)
    _let_in(control, session, actor, course, wanted, made)
    made.answers = tuple(hours.replace_all(control, session, actor, course, wanted.hours, findings))
    with findings.at("limits"):
        guarantees.demand_sound(session)
    made.students = hours.students(session, course.tenant_id)
    made.owed = made.students * course.student_credits
    audit.record(
        session, control.clock.now(), actor.person_id, "add-course", course.tenant_id,
        wanted.parent, {"name": wanted.name, "cloned_from": cloned_from},
    )  # fmt: skip
    return made


def _demand_may(session: Session, actor: Actor, parent: str) -> None:
    """Raises NotFound in the same words for a tenant that there is not and for one that is none of
    theirs, Forbidden for who may not add a course there, BadValue below a course."""
    paths = TenantPaths(session)
    target = Object(None, paths.of(parent), f"tenant {parent[:40]!r}")
    known = session.get(TenantRow, parent) is not None
    if not known or relations(actor, target) == {Relation.SELF}:
        raise absent(target.name)
    require(actor, Action.ADD_COURSE, target)
    if paths.course_of(parent):
        raise BadValue(
            "parent: a course cannot be below another course", next="name a tenant above it"
        )


def _term(
    control: Control, first_day: str, last_day: str, zone: str, findings: Findings
) -> Term | None:
    """None when it is wrong; a new term that is over already is wrong too."""
    with findings.at(""):
        term = terms.parse_term(first_day, last_day, zone)
        demand_ahead(control, term)
        return term
    return None


def demand_ahead(control: Control, term: Term) -> None:
    today = control.clock.now().astimezone(terms.zone_of(term.time_zone)).date()
    if term.last < today:
        raise BadValue(
            f"last_day: {term.last} is over already", next="choose the days of the coming term"
        )


def _rows(
    control: Control, session: Session, actor: Actor, wanted: NewCourse, term: Term,
    cloned_from: str,
) -> CourseRow:  # fmt: skip
    """The tenant, the course, and its first instructor."""
    now = control.clock.now()
    session.add(
        TenantRow(
            id=wanted.id, parent_id=wanted.parent, name=wanted.name[:80], kind=COURSE,
            created_at=now,
        )
    )  # fmt: skip
    session.flush()
    course = CourseRow(
        tenant_id=wanted.id, term=wanted.term[:LONGEST_TEXT], first_day=term.first.isoformat(),
        last_day=term.last.isoformat(), time_zone=term.time_zone, lab_offer=wanted.lab.offer,
        lab_answers=dict(wanted.lab.set), offers=list(dict.fromkeys(wanted.offers)),
        environment=wanted.environment[:LONGEST_TEXT], clean_up_days=wanted.clean_up_days,
        cloned_from=cloned_from, created_by=actor.person_id, created_at=now,
    )  # fmt: skip
    session.add(course)
    session.flush()
    person = session.get(PersonRow, actor.person_id)
    if person is not None:
        enrolment.enrol(
            control, session, wanted.id, person, role="instructor", source=MANUAL,
            actor=actor.person_id,
        )  # fmt: skip
    return course


def settle_lab(
    control: Control, session: Session, actor: Actor, course: CourseRow, findings: Findings
) -> None:
    """Whether the course's people will see its offers, and the lab's answers are sound."""
    menu, seen = control.menu.get(), {course.tenant_id}
    with findings.at("lab"):
        offer = menu.get(course.lab_offer, seen | actor.tenants)
        menu.get(course.lab_offer, seen)  # its students have no other tenant for sure
        offer.answer(course.lab_answers)
        if course.offers and course.lab_offer not in course.offers:
            raise BadValue(
                f"{course.lab_offer} is not among the offers of the course",
                next="add it to them, or allow the whole menu",
            )
    with findings.at("offers"):
        for offer_id in course.offers:
            menu.get(offer_id, seen)
    session.add(course)


def set_material(control: Control, course: CourseRow, wanted: Material) -> None:
    """Raises BadValue or Refused for an address from which nothing may be fetched."""
    changed = (course.material_url, course.material_branch) != (
        wanted.url.strip(),
        wanted.branch.strip(),
    )
    if wanted.url.strip():
        allowed = material_source.Allowed.parse(
            control.settings.git_hosts, control.settings.materials
        )
        material_source.parse_source(wanted.url.strip(), wanted.branch.strip(), allowed)
    elif wanted.branch.strip():
        raise BadValue(
            "material.branch: there is no repository", next="give its address, or leave it out"
        )
    course.material_url, course.material_branch = wanted.url.strip(), wanted.branch.strip()
    course.material_folder = material_source.check_folder(wanted.folder)
    if changed:
        course.material_commit, course.material_error, course.material_at = "", "", None


def set_student(
    control: Control, session: Session, actor: Actor, course: CourseRow, written: Written,
    credits_: str, findings: Findings,
) -> None:  # fmt: skip
    with findings.at("student.limits"):
        amounts = limits.parse("student.limits", written, person=True)
        limits.set_each(control, session, actor, course.tenant_id, amounts, "student.limits")
    with findings.at("student.credits"):
        amount = parse_credits(credits_ or "0")
        if not 0 <= amount <= ledger.MOST // 1000:
            raise BadValue(
                f"{credits_[:25]} credits for each is not possible", next="write it like 10"
            )
        course.student_credits = amount
        session.add(course)


def move_credits(
    control: Control, session: Session, actor: Actor, course_id: str, text: str
) -> None:
    """From the wallet of the tenant above into the course's. Raises Forbidden for who does not
    administer that tenant, Refused when it has less."""
    if not text.strip() or not parse_credits(text):
        return
    parent = TenantPaths(session).of(course_id)[1]
    transfers.transfer_within(
        control, session, actor, transfers.Party(tenant=parent), transfers.Party(tenant=course_id),
        transfers.amount_of(text), "",
    )  # fmt: skip


def _let_in(
    control: Control, session: Session, actor: Actor, course: CourseRow, wanted: NewCourse,
    made: Made,
) -> None:  # fmt: skip
    if wanted.people is None:
        return
    with made.findings.at("roster"):
        made.taken = roster.look_at(control, session, course, wanted.people)
        roster.take(control, session, actor, course, wanted.people)


def summary(made: Made, wanted: NewCourse) -> list[str]:
    """What making it would do, in short sentences."""
    said = [f"{made.students} student{'' if made.students == 1 else 's'} on the roster"]
    if made.owed:
        each = format_credits(made.owed // max(1, made.students))
        said.append(f"{each} credits for each: {format_credits(made.owed)} in all")
        if parse_credits(wanted.credits or "0") < made.owed:
            short = made.owed - parse_credits(wanted.credits or "0")
            said.append(
                f"the course would have {format_credits(short)} credits too few for all of them"
            )
    said.extend(
        f"{answer.wish.count} places are held in {len(answer.windows)} lab hours"
        if not answer.obstacles
        else f"{len(answer.obstacles)} of {len(answer.windows)} lab hours cannot be held"
        for answer in made.answers
    )
    return said
