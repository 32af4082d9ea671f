"""The room of a course: who is in, what their labs do, and what staff do for them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from catalog.errors import Conflict, PerijoveError
from hub import activity, people, transfers, workloads
from hub.control_context import Control
from hub.courses import attendance
from hub.courses.people import Member, Place, chosen, members, place_of
from hub.lifecycle import Status
from hub.policy import Action, Actor
from hub.store import audit
from hub.store.tables import AccountRow, AttemptRow, WorkloadRow
from hub.workloads import LIVE
from quotas.ledger import AccountKind
from spawners.engine import Observation

_STATE_ORDER = (Status.RUNNING, Status.STARTING, Status.OFFERED, Status.QUEUED, Status.STOPPING)


@dataclass(frozen=True, slots=True)
class Seat:
    """One member and the lab of theirs that matters most now. `credits` are micro-credits left in
    the course, `seen` what the engine says of the lab."""

    member: Member
    lab: WorkloadRow | None
    credits: int
    attended: bool
    seen: Observation | None = None
    active_at: datetime | None = None
    """When the lab was last at work, or its person in it; None when it does not run or never told."""


@dataclass(frozen=True, slots=True)
class Room:
    """The course as it is at one moment."""

    place: Place
    at: datetime
    session: attendance.LabSession | None
    seats: tuple[Seat, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an act for one person."""

    login: str
    done: bool
    message: str


def look(control: Control, actor: Actor, course_id: str) -> Room:
    """Everybody of the course, staff first. Raises NotFound, Forbidden."""
    now = control.clock.now()
    with control.store.read() as session:
        place = place_of(session, actor, course_id, Action.READ_ROOM)
        everybody = members(session, place)
        labs = live_labs(session, place)
        active = _active(session, labs.values())
        wallets = _wallets(session, course_id)
        on = attendance.current(session, place, now)
        there = attendance.present_in(session, place, [on] if on else [], now)
    seen = _observed(control, labs.values())
    present = there.get(on.key, {}) if on else {}
    seats = (
        Seat(
            member, lab := labs.get(member.person.id), wallets.get(member.person.id, 0),
            attended=member.person.id in present,
            seen=seen.get(lab.attempt_id or "") if lab else None,
            active_at=active.get(lab.id) if lab else None,
        )
        for member in everybody
    )  # fmt: skip
    return Room(place, now, on, tuple(seats))


def live_labs(session: Session, place: Place) -> dict[str, WorkloadRow]:
    """By person id: what they run or wait for in the course, the furthest on first."""
    rows = session.exec(
        select(WorkloadRow)
        .where(col(WorkloadRow.tenant_id).in_(place.tenants), col(WorkloadRow.status).in_(LIVE))
        .order_by(col(WorkloadRow.created_at))
    ).all()
    found: dict[str, WorkloadRow] = {}
    for row in sorted(rows, key=lambda row: _STATE_ORDER.index(Status(row.status))):
        found.setdefault(row.person_id, row)
    return found


def start(
    control: Control, actor: Actor, course_id: str, logins: list[str],
    open_lab: Callable[[Control, Actor, str], WorkloadRow],
) -> list[Outcome]:  # fmt: skip
    """Open the lab for each of them, as if they had pressed the button; what runs goes on.

    `open_lab` is `hub.courses.lab.open_lab`.
    """

    def one(member: Member) -> str:
        theirs = people.actor_of(control, member.person.hub_name)
        row = open_lab(control, theirs, course_id)
        _note(control, actor, "start-for", member, course_id, row.id)
        return "it runs" if row.status == Status.RUNNING else "it starts when its turn comes"

    return _each(control, actor, course_id, logins, one)


def stop(control: Control, actor: Actor, course_id: str, logins: list[str]) -> list[Outcome]:
    """Ask for the end of everything that each of them runs or waits for in the course."""

    def one(member: Member) -> str:
        rows = _labs_of(control, actor, course_id, member)
        for row in rows:
            workloads.stop(control, actor, row.id)
        return "stopped" if rows else "nothing ran"

    return _each(control, actor, course_id, logins, one)


def extend(
    control: Control, actor: Actor, course_id: str, logins: list[str], by: str, key: str
) -> list[Outcome]:
    """A longer lease for what each of them runs, once for each key, where that delays nobody."""

    def one(member: Member) -> str:
        running = [
            row
            for row in _labs_of(control, actor, course_id, member)
            if row.status in {Status.RUNNING, Status.STARTING}
        ]
        if not running:
            raise Conflict("no lab of theirs runs", next="start it first")
        for row in running:
            workloads.extend(control, actor, row.id, by, f"{key}:{row.id}")
        return f"{by} longer"

    return _each(control, actor, course_id, logins, one)


def give_credits(
    control: Control, actor: Actor, course_id: str, logins: list[str], amount: int, key: str
) -> list[Outcome]:
    """`amount` micro-credits of the course's wallet to each of them, once for each key. Who comes
    after the wallet is empty gets nothing, and is named."""

    def one(member: Member) -> str:
        transfers.transfer(
            control, actor, transfers.Party(tenant=course_id),
            transfers.Party(person=member.person.login, course=course_id), amount,
            f"{key}:{member.person.id}",
        )  # fmt: skip
        return "given"

    return _each(control, actor, course_id, logins, one, Action.TRANSFER_CREDITS)


def _each(
    control: Control, actor: Actor, course_id: str, logins: list[str],
    act: Callable[[Member], str], action: Action = Action.RUN_ROOM,
) -> list[Outcome]:  # fmt: skip
    """One after the other: what fails for one is told and stops nobody else's."""
    with control.store.read() as session:
        place = place_of(session, actor, course_id, action)
        wanted = chosen(session, place, logins)
    found: list[Outcome] = []
    for member in wanted:
        try:
            found.append(Outcome(member.person.login, done=True, message=act(member)))
        except PerijoveError as error:
            said = f"{error.message}; {error.next}" if error.next else error.message
            found.append(Outcome(member.person.login, done=False, message=said))
    return found


def _labs_of(
    control: Control, actor: Actor, course_id: str, member: Member
) -> list[WorkloadRow]:  # fmt: skip
    with control.store.read() as session:
        place = place_of(session, actor, course_id, Action.RUN_ROOM)
        rows = session.exec(
            select(WorkloadRow).where(
                WorkloadRow.person_id == member.person.id,
                col(WorkloadRow.tenant_id).in_(place.tenants),
                col(WorkloadRow.status).in_(LIVE),
            )
        )
        return list(rows)


def _wallets(session: Session, course_id: str) -> dict[str, int]:
    rows = session.exec(
        select(AccountRow.person_id, AccountRow.balance).where(
            AccountRow.tenant_id == course_id, AccountRow.kind == AccountKind.WALLET.value
        )
    ).all()
    return dict(rows)


def _active(session: Session, labs: Iterable[WorkloadRow]) -> dict[str, datetime]:
    """By workload id: when what runs was last at work; of a server that never told, nothing."""
    running = {row.attempt_id: row.id for row in labs if row.status == Status.RUNNING}
    found = session.exec(select(AttemptRow).where(col(AttemptRow.id).in_(running)))
    times = {running[one.id]: activity.active_at(one) for one in found if one.heard_at}
    return {name: at for name, at in times.items() if at is not None}


def _observed(control: Control, labs: Iterable[WorkloadRow]) -> dict[str, Observation]:
    """By attempt id: what the engine sees of it now."""
    ids = [row.attempt_id for row in labs if row.attempt_id]
    return {seen.attempt_id: seen for seen in control.engine.observe(ids)} if ids else {}


def _note(
    control: Control, actor: Actor, action: str, member: Member, course_id: str, about: str
) -> None:
    if actor.person_id == member.person.id:
        return
    with control.store.write() as session:
        audit.record(
            session, control.clock.now(), actor.person_id, action, about, course_id,
            {"for": member.person.id},
        )  # fmt: skip
