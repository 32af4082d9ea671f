"""The console of a course: its room, what staff do there, attendance, spending, visits."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response

from catalog.units import MIB, format_credits
from hub import launching, transfers
from hub.api import room_schema, schema
from hub.api.access import ActorArg, ControlArg, does
from hub.api.views import WorkloadViews
from hub.control_context import Control
from hub.courses import attendance, lab, readiness, room, spending, visits
from hub.csv_text import csv_text
from hub.lifecycle import Status
from hub.policy import Action, Actor
from hub.store.ids import new_id

router = APIRouter()
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]
Outcomes = schema.Page[room_schema.OutcomeView]


@router.get("/courses/{course}/room", **does(Action.READ_ROOM))
def look(course: str, control: ControlArg, actor: ActorArg) -> room_schema.RoomView:
    """Everybody of the course and what their labs do, staff first."""
    return _room_view(control, actor, room.look(control, actor, course))


@router.get("/courses/{course}/room/file", response_class=Response, **does(Action.READ_ROOM))
def look_file(course: str, control: ControlArg, actor: ActorArg) -> Response:
    """The same as CSV."""
    view = look(course, control, actor)
    head = ("login", "name", "role", "group", "status", "reason", "lease_ends_at", "memory_mib",
            "gpu_use",
            "credits", "attended")  # fmt: skip
    rows = [[getattr(seat, name) for name in head] for seat in view.people]
    return _csv(f"{course}-room", head, rows)


@router.post("/courses/{course}/room/start", **does(Action.RUN_ROOM))
def start(
    course: str, body: room_schema.RoomBody, control: ControlArg, actor: ActorArg
) -> Outcomes:
    """Open the lab for each of them; for whom it runs already, nothing changes."""
    return _outcomes(room.start(control, actor, course, body.people, lab.open_lab))


@router.post("/courses/{course}/room/stop", **does(Action.RUN_ROOM))
def stop(course: str, body: room_schema.RoomBody, control: ControlArg, actor: ActorArg) -> Outcomes:
    """Ask for the end of what each of them runs in the course; repeat as you like."""
    return _outcomes(room.stop(control, actor, course, body.people))


@router.post("/courses/{course}/room/extend", **does(Action.RUN_ROOM))
def extend(
    course: str, body: room_schema.RoomExtendBody, control: ControlArg, actor: ActorArg,
    idempotency_key: Key = "",
) -> Outcomes:  # fmt: skip
    """A longer lease for each of them, where that delays nobody."""
    key = idempotency_key or new_id("x")
    return _outcomes(room.extend(control, actor, course, body.people, body.by, key))


@router.post("/courses/{course}/room/credits", **does(Action.TRANSFER_CREDITS))
def give_credits(
    course: str, body: room_schema.RoomCreditsBody, control: ControlArg, actor: ActorArg,
    idempotency_key: Key = "",
) -> Outcomes:  # fmt: skip
    """Credits for each of them, from the course's wallet."""
    amount, key = transfers.amount_of(body.credits), idempotency_key or new_id("x")
    return _outcomes(room.give_credits(control, actor, course, body.people, amount, key))


@router.get("/courses/{course}/attendance", **does(Action.READ_ROOM))
def attended(
    course: str, control: ControlArg, actor: ActorArg,
    window: Annotated[str, Query(max_length=80)] = "",
) -> room_schema.AttendanceView:  # fmt: skip
    """Who was in each lab hour so far, and for how many minutes; `window` is the key of one."""
    found = attendance.read(control, actor, course, window)
    return room_schema.AttendanceView(
        sessions=[_session_view(one) for one in found.sessions],
        people=[
            room_schema.AttendanceLine(
                login=member.person.login, name=member.person.display_name, group=member.group,
                minutes=_minutes(found, member.person.id),
            )
            for member in found.students
        ],
    )  # fmt: skip


@router.get("/courses/{course}/attendance/file", response_class=Response, **does(Action.READ_ROOM))
def attended_file(course: str, control: ControlArg, actor: ActorArg) -> Response:
    """The same as CSV: a line for each student, a column with the minutes of each session."""
    view = attended(course, control, actor)
    columns = [f"{one.name} {one.starts_at:%Y-%m-%d %H:%M}" for one in view.sessions]
    rows = [
        [line.login, line.name, line.group, *(line.minutes.get(s.key, 0) for s in view.sessions)]
        for line in view.people
    ]
    return _csv(f"{course}-attendance", ["login", "name", "group", *columns], rows)


@router.get("/courses/{course}/spending", **does(Action.READ_ROOM))
def spent(course: str, control: ControlArg, actor: ActorArg) -> room_schema.SpendingView:
    """The course's credits day by day, and when they are gone if it goes on like this."""
    found = spending.read(control, actor, course)
    return room_schema.SpendingView(
        budget=format_credits(found.budget), spent=format_credits(found.spent),
        held=format_credits(found.held), forecast_empty_on=found.empty_on,
        points=[
            room_schema.SpentDay(
                day=day.day, spent=format_credits(day.spent), left=format_credits(day.left)
            )
            for day in found.days
        ],
    )  # fmt: skip


@router.post("/courses/{course}/visits", status_code=201, **does(Action.ASK_VISIT))
def ask_visit(
    course: str, body: room_schema.VisitBody, control: ControlArg, actor: ActorArg
) -> room_schema.VisitView:
    """Ask a student to let you into their running lab."""
    return _visit_view(control, actor, visits.ask(control, actor, course, body.login, body.reason))


@router.get("/visits", **does(Action.ANSWER_VISIT))
def visits_list(control: ControlArg, actor: ActorArg) -> schema.Page[room_schema.VisitView]:
    """Who asks to look into your lab, and whom you asked: the newest first."""
    found = [_visit_view(control, actor, one) for one in visits.mine(control, actor)]
    return schema.Page(items=found, next=None)


@router.post("/visits/{visit}/answer", **does(Action.ANSWER_VISIT))
def answer_visit(
    visit: str, body: room_schema.AnswerBody, control: ControlArg, actor: ActorArg
) -> room_schema.VisitView:
    """Let them in for an hour, or not; only you can."""
    return _visit_view(control, actor, visits.answer(control, actor, visit, allow=body.allow))


@router.post("/visits/{visit}/end", **does(Action.ANSWER_VISIT))
def end_visit(visit: str, control: ControlArg, actor: ActorArg) -> room_schema.VisitView:
    """End it, from either side; repeat as you like."""
    return _visit_view(control, actor, visits.end(control, actor, visit))


# ---- how it is shown -----------------------------------------------------------------------------


def _room_view(control: Control, actor: Actor, found: room.Room) -> room_schema.RoomView:
    labs = [seat.lab for seat in found.seats if seat.lab]
    with control.store.read() as session:
        here = replace(actor, tenant_id=found.place.course.tenant_id)
        standing = launching.standing_of(control, session, here)
        shown = {view.id: view for view in WorkloadViews(control, session, standing).show(labs)}
        lesson = readiness.next_class(control, session, here.tenant_id, standing.world.running)
    students = [seat for seat in found.seats if seat.member.student]
    return room_schema.RoomView(
        course=found.place.course.tenant_id, name=found.place.name, at=found.at,
        session=_session_view(found.session) if found.session else None,
        ready=_ready_view(readiness.look(control, lesson)) if lesson else None,
        counts=_counts(students),
        people=[_seat_view(found, seat, shown.get(seat.lab.id) if seat.lab else None)
                for seat in found.seats],
    )  # fmt: skip


def _seat_view(
    found: room.Room, seat: room.Seat, lab_view: schema.WorkloadView | None
) -> room_schema.SeatView:
    member, idle = seat.member, None
    if seat.active_at is not None:
        idle = max(0, int((found.at - seat.active_at).total_seconds()))
    waits = lab_view is not None and lab_view.status == Status.QUEUED
    return room_schema.SeatView(
        login=member.person.login, name=member.person.display_name, role=member.role,
        group=member.group, group_name=found.place.groups.get(member.group, ""),
        workload=lab_view.id if lab_view else None,
        status=lab_view.status if lab_view else "away",
        reason=lab_view.reason if lab_view else "",
        position=lab_view.position if lab_view and waits else None,
        starts_at=lab_view.starts_at if lab_view and waits else None,
        share=lab_view.share if lab_view else None,
        memory_mib=seat.seen.memory_bytes // MIB if seat.seen else 0,
        gpu_use=_gpu_use(seat, lab_view),
        memory_limit_mib=lab_view.memory_mib if lab_view else 0,
        idle_s=idle, lease_ends_at=lab_view.lease_ends_at if lab_view else None,
        can_extend=bool(lab_view and lab_view.can_extend),
        credits=format_credits(seat.credits), attended=seat.attended,
    )  # fmt: skip


def _gpu_use(seat: room.Seat, lab_view: schema.WorkloadView | None) -> int | None:
    if seat.seen is None or lab_view is None or lab_view.share.milli == 0:
        return None
    return seat.seen.gpu_percent


def _counts(students: Iterable[room.Seat]) -> room_schema.Counts:
    where = [Status(seat.lab.status) if seat.lab else None for seat in students]
    starting = where.count(Status.STARTING) + where.count(Status.STOPPING)
    return room_schema.Counts(
        running=where.count(Status.RUNNING), starting=starting,
        waiting=where.count(Status.QUEUED) + where.count(Status.OFFERED), away=where.count(None),
    )  # fmt: skip


def _session_view(one: attendance.LabSession) -> room_schema.SessionView:
    return room_schema.SessionView(
        key=one.key, name=one.name, starts_at=one.window.starts_at, ends_at=one.window.ends_at
    )


def _ready_view(found: readiness.Readiness) -> room_schema.ReadyView:
    window = found.lesson.window
    parts = [
        room_schema.ReadyPart(name=part.name, state=part.state.value, text=part.text)
        for part in found.parts
    ]
    return room_schema.ReadyView(
        name=found.lesson.name, starts_at=window.starts_at, ends_at=window.ends_at,
        state=found.state.value, text=found.text, parts=parts,
    )  # fmt: skip


def _minutes(found: attendance.Attendance, person_id: str) -> dict[str, int]:
    """Begun minutes: who was there at all was there for one."""
    return {
        key: max(1, round(there[person_id].total_seconds() / 60))
        for key, there in found.present.items()
        if person_id in there
    }


def _visit_view(control: Control, actor: Actor, visit: visits.Visit) -> room_schema.VisitView:
    row = visit.row
    lapsed = row.state == visits.ASKED and control.clock.now() - row.asked_at > visits.PATIENCE
    asked = row.state == visits.ASKED and not lapsed
    visiting = row.visitor_id == actor.person_id
    return room_schema.VisitView(
        id=row.id, course=row.tenant_id, course_name=visit.course, workload=row.workload_id,
        student=visit.student.login, visitor=visit.visitor.login,
        visitor_name=visit.visitor.display_name, reason=row.reason,
        state="lapsed" if lapsed else row.state,  # type: ignore[arg-type]
        asked_at=row.asked_at, ends_at=row.ends_at, url=visit.url if visiting else "",
        mine_to_answer=asked and row.student_id == actor.person_id,
    )  # fmt: skip


def _outcomes(found: list[room.Outcome]) -> Outcomes:
    items = [
        room_schema.OutcomeView(login=one.login, done=one.done, message=one.message)
        for one in found
    ]
    return schema.Page(items=items, next=None)


def _csv(name: str, head: Iterable[str], rows: Iterable[Iterable[Any]]) -> Response:
    return Response(
        csv_text(head, rows), media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )  # fmt: skip
