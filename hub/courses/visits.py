"""Staff look into a student's server: asked for, agreed to by the student, for an hour, on record.

A visit goes through the Hub's own shares, so the visitor comes as themselves and the student's
server knows who they are. It needs each person's notebooks on a subdomain of their own: on one
address the student's code could act as its visitor.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from catalog.errors import BadValue, Conflict, Forbidden
from hub.bus import Hint
from hub.closing import in_thread
from hub.control_context import Control
from hub.courses.people import chosen, place_of
from hub.courses.room import live_labs
from hub.hub_api import HubApi
from hub.lifecycle import Status
from hub.policy import Action, Actor, Object, absent, require
from hub.store import audit
from hub.store.course_tables import VisitRow
from hub.store.ids import new_id
from hub.store.tables import NoticeRow, PersonRow, TenantRow, WorkloadRow
from hub.tenant_paths import TenantPaths

LENGTH = timedelta(hours=1)
"""How long an agreed visit lasts."""
PATIENCE = timedelta(minutes=15)
"""How long a student may think about it."""
ASKED, GRANTED, DENIED, ENDED = "asked", "granted", "denied", "ended"


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit with who is who. `url` opens the server while the visit lasts, empty else."""

    row: VisitRow
    student: PersonRow
    visitor: PersonRow
    course: str
    url: str


def ask(control: Control, actor: Actor, course_id: str, login: str, reason: str) -> Visit:
    """Ask a student of the course to open the server that runs. Asking again while it is open or
    unanswered gives the same visit. Raises Conflict where nothing runs, or where this site cannot
    keep the visitor safe."""
    if not (control.settings.subdomains or control.settings.trust_everyone):
        raise Conflict(
            "on this site a student's code could act as whoever opens their server",
            next="an administrator can set PERIJOVE_SUBDOMAINS, see the handbook",
        )
    if len(reason) > 200:
        raise BadValue("reason: it has more than 200 characters", next="say it shorter")
    now = control.clock.now()
    with control.store.write() as session:
        place = place_of(session, actor, course_id, Action.ASK_VISIT)
        (member,) = chosen(session, place, [login])
        if member.person.id == actor.person_id:
            raise BadValue("login: it is your own server", next="open it from the menu")
        lab = live_labs(session, place).get(member.person.id)
        if lab is None or lab.status != Status.RUNNING:
            raise Conflict("no lab of theirs runs", next="start it for them first")
        row = _open_one(session, lab.id, actor.person_id, now)
        if row is None:
            row = VisitRow(
                id=new_id("v"), workload_id=lab.id, tenant_id=course_id,
                student_id=member.person.id, visitor_id=actor.person_id, reason=reason.strip(),
                asked_at=now,
            )  # fmt: skip
            session.add(row)
            _tell(
                session, row, now, f"{actor.login} asks to look into your lab"
                + (f": {row.reason}" if row.reason else ""),
            )  # fmt: skip
            _record(session, row, actor, "ask-visit", now)
        found = _show(session, row)
    control.bus.tell(Hint("notices", found.student.id))
    return found


def answer(control: Control, actor: Actor, visit_id: str, *, allow: bool) -> Visit:
    """The student's word; only theirs counts, and an answered visit is answered. Answering the same
    again changes nothing."""
    now = control.clock.now()
    with control.store.write() as session:
        row = _find(session, actor, visit_id)
        require(actor, Action.ANSWER_VISIT, _object(session, row))
        if actor.person_id != row.student_id:
            # The policy lets a platform administrator do everything; not consent for somebody else.
            raise Forbidden("only they can answer", next="wait for their answer")
        wanted = GRANTED if allow else DENIED
        if row.state == ASKED and now - row.asked_at > PATIENCE:
            raise Conflict("this question has lapsed", next="they can ask again")
        if row.state not in {ASKED, wanted}:
            raise Conflict(f"this visit is {row.state} already", next="they can ask again")
        if row.state == ASKED:
            row.state, row.answered_at = wanted, now
            row.ends_at = now + LENGTH if allow else now
            session.add(row)
            _record(session, row, actor, "allow-visit" if allow else "refuse-visit", now)
        found = _show(session, row)
    control.wake()
    control.bus.tell(Hint("visits", found.visitor.id))
    return found


def end(control: Control, actor: Actor, visit_id: str) -> Visit:
    """Either of the two ends it; safe to repeat."""
    now = control.clock.now()
    with control.store.write() as session:
        row = _find(session, actor, visit_id)
        if row.state in {ASKED, GRANTED}:
            row.state, row.ends_at = ENDED, now
            session.add(row)
            _record(session, row, actor, "end-visit", now)
        found = _show(session, row)
    control.wake()
    return found


def mine(control: Control, actor: Actor) -> list[Visit]:
    """What I am asked, and what I asked for, that still matters: the newest first."""
    now = control.clock.now()
    with control.store.read() as session:
        rows = session.exec(
            select(VisitRow)
            .where(
                (col(VisitRow.student_id) == actor.person_id)
                | (col(VisitRow.visitor_id) == actor.person_id),
                col(VisitRow.asked_at) > now - PATIENCE - LENGTH,
            )
            .order_by(col(VisitRow.asked_at).desc())
            .limit(50)
        ).all()
        return [_show(session, row) for row in rows]


async def keep(control: Control, hub: HubApi) -> None:
    """Open at the Hub what was agreed to, and close what is over; safe to repeat after a crash.
    Raises Unavailable while the Hub is away."""
    for visit in await in_thread(_due, control):
        wanted, row = visit.row.state == GRANTED, visit.row
        act = hub.share if wanted else hub.unshare
        await act(visit.student.hub_name, row.workload_id, visit.visitor.hub_name)
        await in_thread(_done, control, row.id, wanted)
        control.bus.tell(Hint("visits", visit.visitor.id))


def _due(control: Control) -> list[Visit]:
    """Those whose door at the Hub is not as it should be. What is over is ended on the way."""
    now = control.clock.now()
    at_work = (col(VisitRow.state) == GRANTED) | col(VisitRow.shared)
    with control.store.read() as session:
        rows = session.exec(select(VisitRow).where(at_work)).all()
        over = [row.id for row in rows if row.state == GRANTED and _over(session, row, now)]
    if over:
        with control.store.write() as session:
            for id_ in over:
                row = session.get_one(VisitRow, id_)
                row.state = ENDED
                session.add(row)
    if not rows:
        return []
    with control.store.read() as session:
        rows = session.exec(select(VisitRow).where(at_work)).all()
        return [_show(session, row) for row in rows if row.shared != (row.state == GRANTED)]


def _done(control: Control, visit_id: str, shared: bool) -> None:  # noqa: FBT001 (as the row has it)
    with control.store.write() as session:
        row = session.get_one(VisitRow, visit_id)
        row.shared, row.ended_at = shared, None if shared else control.clock.now()
        session.add(row)


def _over(session: Session, row: VisitRow, now: datetime) -> bool:
    lab = session.get(WorkloadRow, row.workload_id)
    return lab is None or lab.status != Status.RUNNING or (row.ends_at or now) <= now


def _open_one(
    session: Session, workload_id: str, visitor_id: str, now: datetime
) -> VisitRow | None:
    rows = session.exec(
        select(VisitRow).where(
            VisitRow.workload_id == workload_id,
            VisitRow.visitor_id == visitor_id,
            col(VisitRow.state).in_([ASKED, GRANTED]),
        )
    ).all()
    return next((r for r in rows if r.state == GRANTED or now - r.asked_at <= PATIENCE), None)


def _find(session: Session, actor: Actor, visit_id: str) -> VisitRow:
    row = session.get(VisitRow, visit_id)
    if row is None or actor.person_id not in {row.student_id, row.visitor_id}:
        raise absent(f"visit {visit_id[:40]!r}")
    return row


def _object(session: Session, row: VisitRow) -> Object:
    path = TenantPaths(session).of(row.tenant_id)
    return Object(row.student_id, path, f"visit {row.id!r}")


def _show(session: Session, row: VisitRow) -> Visit:
    student = session.get_one(PersonRow, row.student_id)
    visitor = session.get_one(PersonRow, row.visitor_id)
    course = session.get_one(TenantRow, row.tenant_id).name
    open_now = row.state == GRANTED and row.shared
    url = f"/user/{student.hub_name}/{row.workload_id}/lab" if open_now else ""
    return Visit(row, student, visitor, course, url)


def _tell(session: Session, row: VisitRow, now: datetime, text: str) -> None:
    session.add(
        NoticeRow(
            id=new_id("n"), person_id=row.student_id, tenant_id=row.tenant_id, kind="visit",
            workload_id=row.workload_id, text=text, at=now,
        )
    )  # fmt: skip


def _record(session: Session, row: VisitRow, actor: Actor, action: str, now: datetime) -> None:
    audit.record(
        session, now, actor.person_id, action, row.workload_id, row.tenant_id,
        {"visit": row.id, "student": row.student_id, "visitor": row.visitor_id,
         "reason": row.reason},
    )  # fmt: skip
