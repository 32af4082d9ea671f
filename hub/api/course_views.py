"""Courses as the API shows them."""

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from catalog.units import format_credits, format_duration
from hub.api import course_schema as schema
from hub.control_context import Control
from hub.courses import access, groups, hours, lab, limits, rules, terms
from hub.courses.making import Made, summary
from hub.courses.roster import Line, Taken
from hub.courses.wishes import NewCourse
from hub.lifecycle import Status
from hub.people import EACH_PERSON
from hub.policy import Action, Actor
from hub.reserving import Answer
from hub.store import money
from hub.store.course_tables import CourseLinkRow, CourseRow, RosterRow
from hub.store.tables import MembershipRow, PersonRow, TenantRow
from hub.tenant_paths import TenantPaths
from quotas.ledger import AccountKind

SHOWN_PEOPLE = 10
SHOWN_PROBLEMS = 100


def course_view(
    control: Control, session: Session, actor: Actor, course: CourseRow
) -> schema.CourseView:
    """One course as this actor sees it now."""
    id_, now = course.tenant_id, control.clock.now()
    paths, tenant = TenantPaths(session), session.get_one(TenantRow, course.tenant_id)
    parent = session.get_one(TenantRow, tenant.parent_id or id_)
    staff_view = access.may(session, actor, id_, Action.RUN_ROOM)
    manage = access.may(session, actor, id_, Action.MANAGE_COURSE)
    members, staff = _counts(session, id_)
    window = hours.next_window(session, id_, now) if not terms.is_over(course, now) else None
    mine = money.balance(session, money.Owner(id_, actor.person_id), AccountKind.WALLET)
    own = money.balance(session, money.Owner(id_), AccountKind.WALLET)
    return schema.CourseView(
        id=id_, name=tenant.name, parent=paths.of(id_)[1] if tenant.parent_id else "",
        tenant_name=parent.name, term=course.term, first_day=course.first_day,
        last_day=course.last_day, time_zone=course.time_zone, state=terms.state_of(course, now),
        role=actor.roles.get(id_, ""), place=lab.place_of(session, actor, course),
        lab=_lab(control, session, actor, course), offers=course.offers,
        environment=course.environment, material=_material(course, staff=staff_view),
        student=schema.StudentView(
            limits=limits.read(session, id_, EACH_PERSON),
            credits=format_credits(course.student_credits),
        ),
        limits=limits.read(session, id_) if staff_view else {},
        hours=_hours(session, id_), groups=_groups(session, id_) if staff_view else [],
        rules=rule_views(control, session, id_) if manage else [],
        members=members, staff=staff,
        waiting_to_join=_expected(session, id_) if staff_view else 0,
        my_credits=format_credits(mine), course_credits=format_credits(own) if staff_view else "",
        next_hours=schema.NextHours(starts_at=window.starts_at, ends_at=window.ends_at)
        if window else None,
        may=schema.May(manage=manage, run=staff_view), clean_up_days=course.clean_up_days,
        cleans_up_on=terms.clean_up_day(course).isoformat(), cloned_from=course.cloned_from,
        version=course.version,
    )  # fmt: skip


def check_view(made: Made, wanted: NewCourse) -> schema.CourseCheck:
    """What making a course would say."""
    return schema.CourseCheck(
        problems=[
            schema.Problem(field=one.field, message=one.error.message, next=one.error.next)
            for one in made.findings.found
        ],
        roster=roster_check(made.taken) if made.taken is not None else None,
        hours=[_hours_verdict(answer) for answer in made.answers],
        summary=summary(made, wanted),
    )


def roster_check(taken: Taken) -> schema.RosterCheck:
    """What a list would do."""
    return schema.RosterCheck(
        rows=taken.rows, new=taken.new, known=taken.known, same=taken.same, joined=taken.joined,
        encoding=taken.roster.encoding, delimiter=taken.roster.delimiter,
        columns=list(taken.roster.columns), problems=_troubles(taken),
        people=[
            schema.RosterPerson(
                key=entry.key, name=entry.name, email=entry.email, role=entry.role,
                group=entry.group,
            )
            for entry in taken.roster.entries[:SHOWN_PEOPLE]
        ],
    )  # fmt: skip


def roster_done(taken: Taken) -> schema.RosterDone:
    """What a list did."""
    return schema.RosterDone(
        rows=taken.rows, new=taken.new, known=taken.known, same=taken.same, joined=taken.joined,
        problems=_troubles(taken),
    )  # fmt: skip


def entry_view(line: Line) -> schema.RosterEntry:
    row = line.row
    return schema.RosterEntry(
        id=row.id, key=row.key, name=row.name, email=row.email, role=line.role,
        group=row.group_id, state=line.state,  # type: ignore[arg-type]
        login=line.login, source=row.source, joined_at=row.joined_at,
    )  # fmt: skip


def group_view(found: groups.Found) -> schema.GroupView:
    return schema.GroupView(
        id=found.id, name=found.name, student_limits=found.limits, members=found.members
    )


def rule_views(control: Control, session: Session, course_id: str) -> list[schema.RuleView]:
    return [
        schema.RuleView(provider=one.provider, claim=one.claim, value=one.value, role=one.role)
        for one in rules.of_course(control, session, course_id)
    ]


def link_views(
    control: Control, links: Iterable[CourseLinkRow], url: str = ""
) -> list[schema.LinkView]:
    """With the address of one that was made just now."""
    links = list(links)
    with control.store.read() as session:
        logins = dict(
            session.exec(
                select(PersonRow.id, PersonRow.login).where(
                    col(PersonRow.id).in_({link.created_by for link in links})
                )
            ).all()
        )
    return [
        schema.LinkView(
            id=link.id, url=url, group=link.group_id, most=link.most, used=link.used,
            created_by=logins.get(link.created_by, ""), created_at=link.created_at,
            expires_at=link.expires_at, withdrawn_at=link.withdrawn_at,
        )
        for link in links
    ]  # fmt: skip


def _lab(control: Control, session: Session, actor: Actor, course: CourseRow) -> schema.LabView:
    row = lab.live_lab(session, course, actor.person_id)
    offer = control.menu.get().offers.get(course.lab_offer)
    home = session.get_one(PersonRow, actor.person_id).hub_name
    running = row is not None and row.status == Status.RUNNING
    return schema.LabView(
        offer=course.lab_offer, offer_title=offer.spec.title if offer else course.lab_offer,
        set=course.lab_answers, workload=row.id if row else None, status=row.status if row else "",
        url=f"{control.settings.person_url(home)}/user/{home}/{row.id}/lab"
        if row is not None and running else "",
    )  # fmt: skip


def _material(course: CourseRow, *, staff: bool) -> schema.MaterialView:
    return schema.MaterialView(
        url=course.material_url if staff else "", branch=course.material_branch,
        folder=course.material_folder or course.tenant_id if course.material_url else "",
        commit=course.material_commit, at=course.material_at,
        error=course.material_error if staff else "",
    )  # fmt: skip


def _hours(session: Session, course_id: str) -> list[schema.HoursView]:
    return [
        schema.HoursView(
            weekdays=sorted(row.weekdays), starts=row.starts,
            length=format_duration(timedelta(minutes=row.minutes)), places=found.places,
            held=row.count, name=row.name, reservation=row.id,
        )
        for found, row in hours.of_course(session, course_id)
    ]  # fmt: skip


def _groups(session: Session, course_id: str) -> list[schema.GroupView]:
    return [group_view(found) for found in groups.of_course(session, course_id)]


def _counts(session: Session, course_id: str) -> tuple[int, int]:
    """Students and staff who are in."""
    by_role = dict(
        session.exec(
            select(MembershipRow.role, func.count())
            .where(MembershipRow.tenant_id == course_id)
            .group_by(MembershipRow.role)
        ).all()
    )
    students = by_role.pop("member", 0)
    return students, sum(by_role.values())


def _expected(session: Session, course_id: str) -> int:
    return session.exec(
        select(func.count())
        .select_from(RosterRow)
        .where(
            RosterRow.tenant_id == course_id, col(RosterRow.person_id).is_(None),
            col(RosterRow.removed_at).is_(None),
        )
    ).one()  # fmt: skip


def _hours_verdict(answer: Answer) -> schema.HoursVerdict:
    blocked, windows = answer.obstacles, answer.windows
    text = f"{answer.wish.count} places in each of {len(windows)} lab hours"
    if blocked:
        others = len(blocked) - 1
        text = blocked[0].text + (f"; and {others} more" if others else "")
    return schema.HoursVerdict(
        name=answer.wish.name, possible=not blocked, windows=len(windows), text=text,
        first=min((window.starts_at for window in windows), default=None),
        last=max((window.starts_at for window in windows), default=None),
    )  # fmt: skip


def _troubles(taken: Taken) -> list[schema.RosterProblem]:
    return [
        schema.RosterProblem(line=one.line, column=one.column, message=one.text, fatal=one.fatal)
        for one in taken.troubles[:SHOWN_PROBLEMS]
    ]
