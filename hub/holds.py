"""What reservations keep, as the planner sees it: rows, the clock and what runs now.

Nothing here is remembered but the places found last (`Control.held`), so that they do not wander:
the state of a window is what the clock and the rows say.
"""

import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from catalog.asks import Ask, Priority
from catalog.errors import BadValue
from catalog.offers import Quantity
from hub.bus import Hint
from hub.control_context import Control
from hub.policy import absent
from hub.store.ids import new_id
from hub.store.tables import (
    AttemptRow,
    NoticeRow,
    ReservationRow,
    TenantRow,
    WindowRow,
    WorkloadRow,
)
from hub.tenant_paths import TenantPaths
from quotas.claims import Claim
from quotas.limits import Scope
from quotas.profile import can_be_lent
from quotas.reservations import (
    Booking,
    Hold,
    Mark,
    Scene,
    Use,
    arrange,
    holds_of,
    still_hold,
    units_used,
)
from quotas.windows import LONGEST, Rule, Window, windows_of

log = logging.getLogger("perijove.reservations")

ScopesOf = Callable[[str], tuple[Scope, ...]]
"""The scopes of a tenant and of those above it, inmost first, by its id."""

LEAST_AHEAD = timedelta(days=7)
"""How far ahead the planner sees windows; further where the menu has longer leases."""
LOOK_BACK = timedelta(days=1)
"""For how long after its end a window may still get its mark, if control was away."""
NO_SHOW = "no-show"
_WHEN = "%Y%m%dT%H%MZ"


# ---- names and rows ------------------------------------------------------------------------------


def key_of(reservation_id: str, starts_at: datetime) -> str:
    """``"r-7k2m9q4t1x@20260202T0800Z"``: one window of one reservation."""
    return f"{reservation_id}@{name_of(starts_at)}"


def name_of(starts_at: datetime) -> str:
    """``"20260202T0800Z"``: a window by its beginning in UTC; in a path nothing needs a quote."""
    return starts_at.astimezone(UTC).strftime(_WHEN)


def beginning_of(name: str) -> datetime:
    """The beginning that a name or any RFC 3339 time says. Raises NotFound."""
    try:
        at = datetime.fromisoformat(name.strip())
    except ValueError:
        raise absent(f"window {name[:40]!r}") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def zone_of(name: str) -> ZoneInfo:
    """Raises BadValue for a zone that nobody knows."""
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise BadValue(
            f"time_zone: there is no {name[:40]!r}", next="write it like Europe/Berlin, or UTC"
        ) from error


def ask_to_row(ask: Ask) -> dict[str, Any]:
    """What is held, without for how long: that is the window's."""
    facts = asdict(ask) | {"priority": ask.priority.value}
    del facts["duration"]
    return {name: list(v) if isinstance(v, tuple) else v for name, v in facts.items()}


def ask_of_row(row: ReservationRow) -> Ask:
    known = {field.name for field in fields(Ask)}
    facts: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in row.ask.items()
        if name in known
    }
    facts["priority"] = Priority(facts.get("priority", Priority.STANDARD))
    return Ask(**facts, duration=timedelta(minutes=row.minutes))


def rule_of(row: ReservationRow) -> Rule:
    """A zone that the machine no longer knows is read as UTC, so that the rest is planned."""
    try:
        zone = zone_of(row.time_zone)
    except BadValue:
        log.warning("time-zone-unknown reservation=%s zone=%s", row.id, row.time_zone)
        zone = ZoneInfo("UTC")
    return Rule(
        date.fromisoformat(row.first_day), date.fromisoformat(row.last_day),
        time.fromisoformat(row.starts), timedelta(minutes=row.minutes), zone,
        frozenset(row.weekdays),
    )  # fmt: skip


_windows = functools.lru_cache(maxsize=4096)(windows_of)


def windows_of_row(row: ReservationRow) -> list[Window]:
    """All its windows. One that had begun when it was asked for was never held."""
    return [window for window in _windows(rule_of(row)) if window.starts_at >= row.created_at]


def bookings_of(
    row: ReservationRow, scopes: tuple[Scope, ...], windows: Iterable[Window],
    marks: Mapping[str, Mark] | None = None, taken: Mapping[str, int] | None = None,
) -> list[Booking]:  # fmt: skip
    """Windows of one reservation as the core sees them."""
    ask, found = ask_of_row(row), []
    for window in windows:
        key = key_of(row.id, window.starts_at)
        found.append(
            Booking(
                key, scopes, ask, row.count, window,
                window.starts_at - timedelta(seconds=row.lend_margin_s),
                window.starts_at + timedelta(seconds=row.no_show_s),
                (taken or {}).get(key, 0), (marks or {}).get(key, Mark()),
            )
        )  # fmt: skip
    return found


# ---- what is read --------------------------------------------------------------------------------


def live_rows(session: Session, since: datetime) -> list[ReservationRow]:
    """Reservations that are not cancelled and may have a window that ends after a moment."""
    # A day more on account of time zones.
    first = (since - LONGEST - timedelta(days=1)).date().isoformat()
    query = (
        select(ReservationRow)
        .where(col(ReservationRow.cancelled_at).is_(None), ReservationRow.last_day >= first)
        .order_by(ReservationRow.created_at, ReservationRow.id)  # type: ignore[arg-type]
    )
    return list(session.exec(query))


def read_bookings(
    session: Session, scopes_of: ScopesOf, claims: Iterable[Claim], now: datetime, until: datetime
) -> list[Booking]:
    """Every window that keeps anything from anybody between now and a moment."""
    span = Window(now, until)
    due = [
        (row, [w for w in windows_of_row(row) if w.overlaps(span)])
        for row in live_rows(session, now)
    ]
    due = [(row, windows) for row, windows in due if windows]
    marks = read_marks(session, due, now)
    in_use = taken_of((row for row, _ in due), claims)
    return [
        booking
        for row, windows in due
        for booking in bookings_of(row, scopes_of(row.tenant_id), windows, marks, in_use)
        if booking.holds(now)
    ]


Due = Iterable[tuple[ReservationRow, list[Window]]]


def read_marks(session: Session, due: Due, now: datetime) -> dict[str, Mark]:
    """By key. People came when an attempt began that uses the window, whether or not that was
    written down; only what a person gave up stays so whatever the clock says."""
    due = list(due)
    if not due:
        return {}
    came = came_to(
        session, (key_of(r.id, w.starts_at) for r, ws in due for w in ws if w.starts_at <= now)
    )
    marks = {key: Mark(at) for key, at in came.items()}
    rows = session.exec(
        select(WindowRow).where(col(WindowRow.reservation_id).in_([row.id for row, _ in due]))
    )
    for row in rows:
        key = key_of(row.reservation_id, row.starts_at)
        given_up = row.released_at is not None and row.release_reason != NO_SHOW
        marks[key] = Mark(row.first_used_at or came.get(key), given_up)
    return marks


def came_to(session: Session, keys: Iterable[str]) -> dict[str, datetime]:
    """When people first were there in a window, by key. Who came early and left before it began
    was not there."""
    rows = session.exec(
        select(AttemptRow.reservation, AttemptRow.created_at, AttemptRow.released_at).where(
            col(AttemptRow.reservation).in_(list(keys))
        )
    )
    came: dict[str, datetime] = {}
    for key, created_at, released_at in rows:
        starts_at = beginning_of(key.partition("@")[2])
        if released_at is None or released_at > starts_at:
            there = max(created_at, starts_at)
            came[key] = min(there, came.get(key, there))
    return came


def taken_of(rows: Iterable[ReservationRow], claims: Iterable[Claim]) -> dict[str, int]:
    """How many of its places each window's members use now, by key."""
    units = {row.id: ask_of_row(row) for row in rows}
    found: dict[str, int] = {}
    for claim in claims:
        unit = units.get(claim.reservation.partition("@")[0])
        if unit is not None:
            used = units_used(claim.placement, claim.ask, unit)
            found[claim.reservation] = found.get(claim.reservation, 0) + used
    return found


def scene_of(control: Control, claims: Iterable[Claim], now: datetime) -> Scene:
    """Where held places are looked for: all that exists, and what runs for as long as it may."""
    uses = tuple(
        Use(
            claim.placement,
            Window(now, max(claim.ends_at, now + datetime.resolution)),
            lent=can_be_lent(claim.ask) and not claim.reservation and not claim.going,
            scope_ids=claim.scope_ids,
        )
        for claim in claims
    )
    return Scene(control.capacity, uses, control.placer, now)


def read_holds(
    control: Control, session: Session, scopes_of: ScopesOf, claims: Iterable[Claim]
) -> tuple[Hold, ...]:
    """All that is held now or will be within sight, less what members use."""
    now, claims = control.clock.now(), list(claims)
    if not live_rows(session, now):  # on most sites, most of the time
        control.held = {}
        return ()
    until = now + ahead(control, session)
    bookings = read_bookings(session, scopes_of, claims, now, until)
    control.held = arrange(bookings, scene_of(control, claims, now), control.held)
    return holds_of(bookings, control.held)


def ahead(control: Control, session: Session) -> timedelta:
    """Twice as far as the longest lease reaches: what is planned late must see them too."""
    offers = control.menu.get().offers.values()
    most = max((offer.fields[Quantity.DURATION].most for offer in offers), default=0)
    queued = session.exec(
        select(WorkloadRow.duration_s)
        .where(WorkloadRow.status == "queued")
        .order_by(col(WorkloadRow.duration_s).desc())
        .limit(1)
    ).first()
    return max(LEAST_AHEAD, 2 * timedelta(seconds=max(most, queued or 0)))


def in_the_way(
    control: Control, held: Iterable[Hold], running: Iterable[Claim], extra: Window, now: datetime
) -> Hold | None:
    """The first that would find no place any more if these ran, one of them for `extra` longer than
    it was to. Only what overlaps that time, if through others, can change its place."""
    span, around = extra, list[Hold]()
    rest = sorted(held, key=lambda hold: hold.starts_at)
    while near := [h for h in rest if Window(h.starts_at, h.ends_at).overlaps(span)]:
        around += near
        rest = [hold for hold in rest if hold not in near]
        span = Window(
            min(span.starts_at, *(h.starts_at for h in near)),
            max(span.ends_at, *(h.ends_at for h in near)),
        )
    if not around or still_hold(around, scene_of(control, running, now)):
        return None
    return around[0]


# ---- time passing --------------------------------------------------------------------------------


def keep(control: Control) -> None:
    """Write down who came and what nobody came for, once each; safe to repeat at any time.

    Nothing depends on it but the history and the notice: the planner judges by the clock.
    """
    now = control.clock.now()
    with control.store.read() as session:
        due = list(_due(session, now))
    for row, window in due:
        _write_down(control, row, window, now)
    if due:
        control.wake()


def _due(session: Session, now: datetime) -> Iterable[tuple[ReservationRow, Window]]:
    """Windows that began of which something is not written down yet."""
    begun = [
        (row, window)
        for row in live_rows(session, now - LOOK_BACK)
        for window in windows_of_row(row)
        if window.starts_at <= now < window.ends_at + LOOK_BACK
    ]
    came = came_to(session, (key_of(row.id, window.starts_at) for row, window in begun))
    for row, window in begun:
        seen = session.get(WindowRow, (row.id, window.starts_at))
        if seen is not None and seen.first_used_at is not None:
            continue
        late = now >= window.starts_at + timedelta(seconds=row.no_show_s)
        given_up = seen is not None and seen.released_at is not None
        if key_of(row.id, window.starts_at) in came or (late and not given_up):
            yield row, window


def _write_down(control: Control, row: ReservationRow, window: Window, now: datetime) -> None:
    key = key_of(row.id, window.starts_at)
    with control.store.write() as session:
        seen = session.get(WindowRow, (row.id, window.starts_at)) or WindowRow(
            reservation_id=row.id, starts_at=window.starts_at, ends_at=window.ends_at
        )
        if came := came_to(session, [key]).get(key):
            seen.first_used_at = came
            if seen.release_reason == NO_SHOW:  # the clock had jumped ahead
                seen.released_at, seen.release_reason = None, ""
        elif seen.released_at is None:
            seen.released_at, seen.release_reason = now, NO_SHOW
            if now < window.ends_at:  # else there is nothing left that anybody could do
                _tell_no_show(session, row, window, now)
        session.add(seen)
    control.bus.tell(Hint("notices", row.created_by))


def _tell_no_show(session: Session, row: ReservationRow, window: Window, now: datetime) -> None:
    when = window.shown(rule_of(row).zone)
    if _somebody_works(session, row.tenant_id, window.starts_at):
        why = f"who is here came before {when}, on places of their own"
    else:
        why = f"nobody came to {when}"
    tenant = session.get_one(TenantRow, row.tenant_id).name
    text = (
        f"{row.name} of {tenant}: {why}, so the places that were held are given up. Who comes now"
        " waits their turn like everybody."
    )
    session.add(
        NoticeRow(
            id=new_id("n"), person_id=row.created_by, tenant_id=row.tenant_id,
            kind="window-released", text=text, at=now, mail_due=True,
        )
    )  # fmt: skip


def _somebody_works(session: Session, tenant_id: str, since: datetime) -> bool:
    """Whether anything of the tenant, or of one below it, has held a place since before a moment."""
    paths = TenantPaths(session)
    working = session.exec(
        select(AttemptRow.tenant_id)
        .where(col(AttemptRow.released_at).is_(None), AttemptRow.created_at < since)
        .distinct()
    )
    return any(tenant_id in paths.of(one) for one in working)
