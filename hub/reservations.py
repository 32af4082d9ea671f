"""What people do with reservations: look, cancel, give up a window. (Making one: `hub.reserving`.)"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from sqlmodel import Session, col, select

from catalog.errors import BadValue, Conflict, NotFound
from hub import holds
from hub.bus import Hint
from hub.control_context import Control
from hub.policy import Action, Actor, Object, absent, allowed, require, tenant_object
from hub.store import audit
from hub.store.tables import PersonRow, ReservationRow, TenantRow, WindowRow
from hub.tenant_paths import TenantPaths
from hub.world import Limits, read_world
from quotas.reservations import Booking, Mark, WindowState

MARKS_AT_ONCE = 50
"""Reservations, each of at most a year of days, whose windows are asked about in one query: a
database takes so many values and no more."""


@dataclass(frozen=True, slots=True)
class Look:
    """One window as it is now: `held` places that are still kept, `short` that have none now."""

    booking: Booking
    state: WindowState
    reason: str
    held: int
    short: int


@dataclass(frozen=True, slots=True)
class Found:
    """A reservation with what is shown beside it."""

    row: ReservationRow
    tenant_name: str
    created_by: str
    looks: tuple[Look, ...]
    may_change: bool


# ---- looking -------------------------------------------------------------------------------------


def existing_tenant(session: Session, tenant_id: str) -> Object:
    """A tenant as the policy sees it. Raises NotFound."""
    if session.get(TenantRow, tenant_id) is None:
        raise absent(f"tenant {tenant_id[:40]!r}")
    return tenant_object(TenantPaths(session).of(tenant_id))


def object_of(
    session: Session, actor: Actor, row: ReservationRow, paths: TenantPaths | None = None
) -> Object:
    """A reservation as the policy sees it: it is theirs for whom it is held."""
    paths = paths or TenantPaths(session)
    own = {actor.tenant_id, *actor.tenants}
    theirs = any(row.tenant_id in paths.of(tenant) for tenant in own)
    path = paths.of(row.tenant_id)
    return Object(actor.person_id if theirs else "", path, f"reservation {row.id!r}")


def find(control: Control, actor: Actor, reservation_id: str, action: Action) -> ReservationRow:
    """Raises NotFound or Forbidden."""
    with control.store.read() as session:
        row = session.get(ReservationRow, reservation_id)
        if row is None:
            raise absent(f"reservation {reservation_id[:40]!r}")
        target = object_of(session, actor, row)
        if action is not Action.READ_RESERVATIONS:
            if not allowed(actor, Action.READ_RESERVATIONS, target):
                raise absent(f"reservation {row.id!r}")
            target = replace(target, person_id=None)
        require(actor, action, target)
    return row


def show(control: Control, actor: Actor, reservation_id: str) -> Found:
    """One reservation with all its windows."""
    row = find(control, actor, reservation_id, Action.READ_RESERVATIONS)
    with control.store.read() as session:
        return _found(control, session, actor, [row])[0]


@dataclass(frozen=True, slots=True)
class Page:
    """Reservations, and where the next page begins; None at the end."""

    items: list[Found]
    next: str | None


def page(control: Control, actor: Actor, state: str, *, cursor: str, limit: int) -> Page:
    """Those that the actor may see, the newest first; `state` is active, ended or all."""
    now = control.clock.now()
    with control.store.read() as session:
        query = select(ReservationRow).order_by(
            col(ReservationRow.created_at).desc(), col(ReservationRow.id).desc()
        )
        if cursor:
            last = session.get(ReservationRow, cursor)
            if last is None:
                raise BadValue(
                    "cursor: there is no such place in the list", next="start without a cursor"
                )
            query = query.where(
                (col(ReservationRow.created_at) < last.created_at)
                | (
                    (col(ReservationRow.created_at) == last.created_at)
                    & (col(ReservationRow.id) < last.id)
                )
            )
        rows, paths = list[ReservationRow](), TenantPaths(session)
        for row in session.exec(query):
            if state != "all" and (state == "active") != _active(row, now):
                continue
            about = object_of(session, actor, row, paths)
            if not allowed(actor, Action.READ_RESERVATIONS, about):
                continue
            if len(rows) == limit:
                return Page(_found(control, session, actor, rows), rows[-1].id)
            rows.append(row)
        return Page(_found(control, session, actor, rows), None)


def _active(row: ReservationRow, now: datetime) -> bool:
    windows = holds.windows_of_row(row)
    return row.cancelled_at is None and bool(windows) and windows[-1].ends_at > now


def _found(
    control: Control, session: Session, actor: Actor, rows: list[ReservationRow]
) -> list[Found]:
    now, limits = control.clock.now(), Limits(session)
    world = read_world(control, session, limits)
    sight = now + holds.ahead(control, session)
    due, paths = [(row, holds.windows_of_row(row)) for row in rows], TenantPaths(session)
    marks: dict[str, Mark] = {}
    for first in range(0, len(due), MARKS_AT_ONCE):
        marks |= holds.read_marks(session, due[first : first + MARKS_AT_ONCE], now)
    taken = holds.taken_of(rows, world.running)
    held = {hold.reservation: len(hold.placements) for hold in world.holds}
    reasons = _given_up(session, rows)
    names = dict(session.exec(select(TenantRow.id, TenantRow.name)).all())
    found: list[Found] = []
    for row, windows in due:
        bookings = holds.bookings_of(
            row, limits.tenant_scopes(row.tenant_id), windows, marks, taken
        )
        if row.cancelled_at is not None:
            bookings = [_cancelled(booking, row.cancelled_at) for booking in bookings]
        person = session.get(PersonRow, row.created_by)
        looks = tuple(
            _look(
                row, booking, reasons.get(booking.key, "it was cancelled" if row.cancelled_at else ""),
                held if booking.window.starts_at < sight else None, now,
            )
            for booking in bookings
        )  # fmt: skip
        found.append(
            Found(
                row, names.get(row.tenant_id, row.tenant_id), person.login if person else "",
                looks, may_change=allowed(actor, Action.RESERVE, tenant_object(paths.of(row.tenant_id))),
            )
        )  # fmt: skip
    return found


def _given_up(session: Session, rows: list[ReservationRow]) -> dict[str, str]:
    """By whom windows were given up, in words, by key."""
    marks = session.exec(
        select(WindowRow).where(
            col(WindowRow.reservation_id).in_([row.id for row in rows]),
            col(WindowRow.released_at).is_not(None),
            WindowRow.release_reason != holds.NO_SHOW,
        )
    )
    return {holds.key_of(m.reservation_id, m.starts_at): m.release_reason for m in marks}


def _cancelled(booking: Booking, at: datetime) -> Booking:
    """A window of a cancelled reservation: what was over before stays as it was."""
    if booking.window.ends_at <= at:
        return booking
    return replace(booking, mark=replace(booking.mark, given_up=True))


def _look(
    row: ReservationRow,
    booking: Booking,
    given_up: str,
    held: Mapping[str, int] | None,
    now: datetime,
) -> Look:
    """`held` by key; None of a window that is too far ahead to have places yet."""
    state = booking.state(now)
    kept = booking.wanted if booking.holds(now) else 0
    found = kept if held is None else min(kept, held.get(booking.key, 0))
    return Look(booking, state, _reason(row, booking, state, given_up), found, kept - found)


def _reason(row: ReservationRow, booking: Booking, state: WindowState, given_up: str) -> str:
    zone = holds.rule_of(row).zone
    clock = "%H:%M %Z"
    match state:
        case WindowState.UPCOMING:
            until = booking.lent_until.astimezone(zone)
            return f"lent until {until:%a} {until.day} {until:%b %H:%M %Z} to work that can be told to go"
        case WindowState.CLEARING:
            return "about to begin: what its places were lent to has been told to go"
        case WindowState.OPEN:
            until = min(booking.no_show_at, booking.window.ends_at).astimezone(zone)
            return f"held until {until:{clock}}, and given up then if nobody comes"
        case WindowState.USED:
            return f"{min(booking.taken, booking.count)} of {booking.count} places are in use"
        case WindowState.RELEASED:
            return given_up or "nobody came, so its places were given up"
        case WindowState.OVER:
            came = booking.mark.first_used_at is not None
            return "people came" if came else given_up or "nobody came"
        case _:
            assert_never(state)


# ---- changing ------------------------------------------------------------------------------------


def cancel(control: Control, actor: Actor, reservation_id: str) -> Found:
    """Hold nothing of it any more; what runs goes on. Cancelling again changes nothing."""
    find(control, actor, reservation_id, Action.RESERVE)
    now = control.clock.now()
    with control.store.write() as session:
        row = session.get_one(ReservationRow, reservation_id)
        if row.cancelled_at is None:
            row.cancelled_at = now
            session.add(row)
            audit.record(session, now, actor.person_id, "cancel-reservation", row.id, row.tenant_id)
    tell_all(control)
    return show(control, actor, reservation_id)


def release(control: Control, actor: Actor, reservation_id: str, start: str) -> Found:
    """Give up one window, ahead or begun; what runs goes on. Raises Conflict when it is over."""
    row = find(control, actor, reservation_id, Action.RESERVE)
    now, starts_at = control.clock.now(), holds.beginning_of(start)
    window = next((w for w in holds.windows_of_row(row) if w.starts_at == starts_at), None)
    if window is None:
        raise NotFound(
            f"reservation {row.id!r} has no window that begins at {start[:40]}",
            next=f"`perijove reservation show {row.id}` lists them",
        )
    if window.ends_at <= now:
        raise Conflict(f"{window.shown(holds.rule_of(row).zone)} is over", next="choose another")
    with control.store.write() as session:
        seen = session.get(WindowRow, (row.id, starts_at)) or WindowRow(
            reservation_id=row.id, starts_at=starts_at, ends_at=window.ends_at
        )
        if seen.released_at is None or seen.release_reason == holds.NO_SHOW:
            seen.released_at, seen.release_reason = now, f"given up by {actor.login}"
            session.add(seen)
            audit.record(
                session, now, actor.person_id, "release-window", row.id, row.tenant_id,
                {"starts_at": starts_at.isoformat()},
            )  # fmt: skip
    tell_all(control)
    return show(control, actor, reservation_id)


def tell_all(control: Control) -> None:
    """What is free has changed for everybody."""
    control.bus.tell(Hint("offers"))
    control.wake()
