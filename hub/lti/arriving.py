"""Somebody comes from a learning system, proved: who that is here, which course it is, where to."""

from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session

from catalog.errors import AccountClosed, Forbidden
from hub import identities, memberships, people
from hub.arrivals import arrive
from hub.control_context import Control
from hub.courses import enrolment
from hub.identities import Vouched
from hub.lti import contexts, lists
from hub.lti.messages import Launch
from hub.lti.platforms import Platform
from hub.lti.rosters import Member
from hub.policy import ROOT_TENANT
from hub.settings import PORTAL_PREFIX
from hub.store import audit
from hub.store.access_tables import LtiContextRow
from hub.store.course_tables import CourseRow
from hub.store.ids import new_id
from hub.store.tables import IdentityRow, PersonRow, TenantRow

STAFF = frozenset({"assistant", "instructor", "admin", "platform-admin"})


@dataclass(frozen=True, slots=True)
class Arrived:
    """What comes next. ``in``: they are `hub_name` and go to `to`. ``who``: they are new here; ask
    again with `add`. ``pick``: they choose a course for a link. `context` is the row's id."""

    next: Literal["in", "who", "pick"]
    hub_name: str = ""
    to: str = ""
    context: str = ""


def launch_in(control: Control, platform: Platform, launch: Launch, *, add: bool) -> Arrived:
    """Let somebody in by a verified launch. `add`: an account may be made for who has none.

    Raises Forbidden in words for whoever has nothing to look for here, AccountClosed. Nothing is
    made then but the note of the course that the launch came from.
    """
    with control.store.write() as session:
        contexts.remember(control, session, launch)
    with control.store.write() as session:
        row = contexts.find(session, launch)
        course = contexts.course_of(session, row)
        person = _known(control, session, platform, launch)
        _demand_business(session, platform, launch, course, person)
        if person is None and not add:
            return Arrived("who")
        person = person or _newcomer(control, session, platform, launch, course)
        _enter(control, session, platform, launch, person, course)
        if row is not None and launch.role == "instructor":
            contexts.note_teacher(control, session, row, person.id)
        audit.record(
            session, control.clock.now(), person.id, "sign-in", platform.source,
            person.tenant_id, {"context": row.id if row else ""},
        )  # fmt: skip
        return _next(session, launch, person, row, course)


def link_to(control: Control, platform: Platform, launch: Launch, hub_name: str) -> None:
    """The learning system's word is a second way into the account of somebody who is signed in.

    Raises Conflict when it leads to another account already: two are never merged.
    """
    identities.link(control, hub_name, _vouched(platform, launch))


def _known(
    control: Control, session: Session, platform: Platform, launch: Launch
) -> PersonRow | None:
    """The person of this identity; their account is opened again if this platform had closed it."""
    issuer = platform.identity_issuer
    found = identities.identity_of(session, issuer, launch.subject)
    if found is None:
        return None
    person = session.get_one(PersonRow, found.person_id)
    if not people.reopen(control, session, person, issuer, by=identities.closed_by(issuer)):
        raise AccountClosed
    return person


def _demand_business(
    session: Session, platform: Platform, launch: Launch, course: CourseRow | None,
    person: PersonRow | None,
) -> None:  # fmt: skip
    """Raise Forbidden unless there is something here for them."""
    if launch.linking is not None and launch.role != "instructor":
        raise Forbidden(
            "links to courses are made by instructors",
            next="ask the instructor of this course to do it",
        )
    if course is not None:
        _demand_course(session, platform, launch, course, person)
        return
    if launch.role == "instructor":
        if person is None and not _home(session, platform):
            raise Forbidden(
                "this course is not linked to a course here yet, and you have no account here",
                next="sign in here first, in this browser, then open the link again; or ask an"
                " administrator of this site",
            )
        return
    if launch.context is not None or (person is None and not _home(session, platform)):
        raise Forbidden(
            "this course is not ready here yet",
            next="tell your instructor: it is linked when they open this link themselves",
        )


def _demand_course(
    session: Session, platform: Platform, launch: Launch, course: CourseRow,
    person: PersonRow | None,
) -> None:  # fmt: skip
    name = session.get_one(TenantRow, course.tenant_id).name
    if course.cleaned_at is not None:
        raise Forbidden(f"the course {name!r} is over", next="ask its instructor for the new one")
    if launch.course and launch.course != course.tenant_id and launch.linking is None:
        raise Forbidden(
            "this link was made for another course, likely an earlier one that was copied",
            next=f"the instructor makes a new link, to {name!r}",
        )
    if not launch.role:
        raise Forbidden(
            f"{platform.title} does not say that you learn or teach in this course",
            next="ask its instructor to enrol you there",
        )
    line = lists.line_of(session, platform, course.tenant_id, launch.subject)
    if lists.removed_by(session, course.tenant_id, line, person):
        raise Forbidden(
            f"the staff of {name!r} took you off its list here",
            next="ask its instructor to let you in again",
        )


def _newcomer(
    control: Control, session: Session, platform: Platform, launch: Launch,
    course: CourseRow | None,
) -> PersonRow:  # fmt: skip
    """An account of their own. Where the platform has no home for its people, the course is one:
    they are nothing outside of it."""
    hub_name = new_id("u")
    person = people.add_person(
        control, session, hub_name, hub_name, launch.name, launch.email,
        _home(session, platform) or (course.tenant_id if course else ROOT_TENANT), "",
        actor=platform.identity_issuer, source=platform.source, starter=False,
    )  # fmt: skip
    session.add(
        IdentityRow(
            id=new_id("i"), person_id=person.id, issuer=platform.identity_issuer,
            subject=launch.subject, created_at=control.clock.now(),
        )
    )  # fmt: skip
    session.flush()
    return person


def _enter(
    control: Control, session: Session, platform: Platform, launch: Launch, person: PersonRow,
    course: CourseRow | None,
) -> None:  # fmt: skip
    """Name and places: of this course, of others whose rosters wait for them, and their home."""
    person.display_name = launch.name or person.display_name
    person.email = person.email or launch.email
    session.add(person)
    if _home(session, platform):
        role = platform.teachers if launch.role == "instructor" else "member"
        _give_home(control, session, platform, person, role)
    arrive(
        control, session, person, platform.identity_issuer, {},
        roster=(platform.source, launch.subject),
    )  # fmt: skip
    if course is None:
        return
    member = Member(launch.subject, launch.name, launch.email, launch.role)
    before = lists.line_of(session, platform, course.tenant_id, launch.subject)
    line = lists.write_line(control, session, platform, course.tenant_id, before, member)
    line.person_id = person.id
    session.flush()
    enrolment.enrol(
        control, session, course.tenant_id, person, role=launch.role, source=platform.source,
        group_id=line.group_id, actor=platform.identity_issuer,
    )  # fmt: skip


def _home(session: Session, platform: Platform) -> str:
    """The tenant of its people; empty where the file names none, or one that is gone."""
    return platform.home if session.get(TenantRow, platform.home) is not None else ""


def _give_home(
    control: Control, session: Session, platform: Platform, person: PersonRow, role: str
) -> None:
    """A teacher of one course stays one when they learn in another."""
    if memberships.role_in(session, person.id, platform.home) == "instructor":
        return
    memberships.give(session, person.id, platform.home, platform.source, role, control.clock.now())


def _next(
    session: Session, launch: Launch, person: PersonRow, row: LtiContextRow | None,
    course: CourseRow | None,
) -> Arrived:  # fmt: skip
    context = row.id if row else ""
    if launch.linking is not None:
        return Arrived("pick", person.hub_name, context=context)
    if course is not None:
        staff = memberships.role_in(session, person.id, course.tenant_id) in STAFF
        to = f"{PORTAL_PREFIX}/courses/{course.tenant_id}" + ("" if staff else "/open")
        return Arrived("in", person.hub_name, to, context)
    if row is not None and launch.role == "instructor":
        return Arrived("in", person.hub_name, f"/hub/lti/link?context={row.id}", context)
    return Arrived("in", person.hub_name, f"{PORTAL_PREFIX}/", context)


def _vouched(platform: Platform, launch: Launch) -> Vouched:
    return Vouched(platform.identity_issuer, launch.subject, launch.name, launch.email)
