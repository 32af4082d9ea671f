"""Reservations: ask whether one is possible, reserve, look, cancel, give up a window."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query

from catalog.asks import Ask
from catalog.errors import BadValue
from catalog.units import format_duration, parse_bytes, parse_duration, parse_milli
from hub import holds, reservations, reserving
from hub.api import schema
from hub.api.access import ActorArg, ControlArg, does
from hub.control_context import Control
from hub.policy import Action, Actor
from hub.reservations import Found, Look
from hub.reserving import Answer, Wish
from quotas.reservations import WindowState
from quotas.windows import WEEKDAYS, Rule, Window

router = APIRouter()

ABSURD = 2**60
"""No site has so many milli-cores, milli-GPU or bytes."""
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]


@router.get("/reservations", **does(Action.READ_RESERVATIONS))
def listing(
    control: ControlArg, actor: ActorArg,
    state: Literal["active", "ended", "all"] = "active",
    cursor: Annotated[str, Query(max_length=40)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> schema.Page[schema.ReservationView]:  # fmt: skip
    """Reservations that you may use or administer, the newest first, each with its next window."""
    page = reservations.page(control, actor, state, cursor=cursor, limit=limit)
    now = control.clock.now()
    return schema.Page(
        items=[reservation_view(found, now, next_only=True) for found in page.items], next=page.next
    )


@router.post("/reservations/check", **does(Action.RESERVE))
def check(
    body: schema.ReservationBody, control: ControlArg, actor: ActorArg
) -> schema.ReservationCheck:
    """What reserving would say: every window, and what is in the way. Nothing is held."""
    return check_view(reserving.check(control, actor, wish_of(control, actor, body)))


@router.post("/reservations", status_code=201, **does(Action.RESERVE))
def reserve(
    body: schema.ReservationBody, control: ControlArg, actor: ActorArg, idempotency_key: Key = ""
) -> schema.ReservationView:
    """Hold capacity. All windows are held, or none: a conflict names the window and the nearest
    free one. The same `Idempotency-Key` gives the same reservation."""
    made = reserving.reserve(control, actor, wish_of(control, actor, body, idempotency_key))
    return reservation_view(reservations.show(control, actor, made), control.clock.now())


@router.get("/reservations/{reservation_id}", **does(Action.READ_RESERVATIONS))
def one(reservation_id: str, control: ControlArg, actor: ActorArg) -> schema.ReservationView:
    """One reservation with all its windows."""
    found = reservations.show(control, actor, reservation_id)
    return reservation_view(found, control.clock.now())


@router.delete("/reservations/{reservation_id}", **does(Action.RESERVE))
def cancel(reservation_id: str, control: ControlArg, actor: ActorArg) -> schema.ReservationView:
    """Hold nothing of it any more. What runs goes on; repeat as you like."""
    found = reservations.cancel(control, actor, reservation_id)
    return reservation_view(found, control.clock.now())


@router.post("/reservations/{reservation_id}/windows/{start}/release", **does(Action.RESERVE))
def release(
    reservation_id: str, start: str, control: ControlArg, actor: ActorArg
) -> schema.ReservationView:
    """Give up one window, ahead or begun. What runs goes on; repeat as you like."""
    found = reservations.release(control, actor, reservation_id, start)
    return reservation_view(found, control.clock.now())


# ---- what people write ---------------------------------------------------------------------------


def wish_of(control: Control, actor: Actor, body: schema.ReservationBody, key: str = "") -> Wish:
    """Parsed. Raises BadValue naming the field."""
    rule = _rule(body)
    return Wish(
        tenant_id=body.tenant or actor.tenant_id, name=body.name or "Reservation",
        count=body.count, ask=_ask(control, actor, body, rule.length), rule=rule,
        time_zone=body.time_zone, lend_margin=_span("lend_margin", body.lend_margin),
        no_show=_span("no_show", body.no_show), key=key,
    )  # fmt: skip


def _rule(body: schema.ReservationBody) -> Rule:
    first = _day("first_day", body.first_day)
    return Rule(
        first, _day("last_day", body.last_day) if body.last_day else first,
        _time(body.starts), _span("length", body.length), holds.zone_of(body.time_zone),
        frozenset(WEEKDAYS.index(day) for day in body.weekdays),
    )  # fmt: skip


def _ask(control: Control, actor: Actor, body: schema.ReservationBody, length: timedelta) -> Ask:
    """What each place is like, for as long as a window."""
    plain = bool(body.cpu or body.memory or body.gpu or body.gpu_count != 1)
    if (body.offer or body.set) and (plain or body.models or body.whole_node):
        raise BadValue(
            "offer: it says all that a place has", next="leave cpu, memory, gpu and models out"
        )
    if body.whole_node and plain:
        raise BadValue(
            "whole_node: it has all that a node has", next="leave cpu, memory and gpu out"
        )
    if body.offer or body.set:
        ask = control.menu.get().get(body.offer, actor.tenants).answer(body.set).ask
        return replace(ask, duration=length)
    if body.whole_node:
        return Ask(0, 0, duration=length, models=tuple(body.models), whole_node=True)
    return Ask(
        _quantity("cpu", body.cpu, parse_milli), _quantity("memory", body.memory, parse_bytes),
        _quantity("gpu", body.gpu, parse_milli) * body.gpu_count, length, tuple(body.models),
        gpu_count=body.gpu_count,
    )  # fmt: skip


def _quantity(name: str, text: str, parse: Callable[[str], int]) -> int:
    if not text:
        return 0
    try:
        amount = parse(text)
    except BadValue as error:
        raise BadValue(f"{name}: {error.message}", next=error.next) from error
    if amount >= ABSURD:
        raise BadValue(f"{name}: {text} is absurd", next="use a smaller number")
    return amount


def _span(name: str, text: str) -> timedelta:
    try:
        return parse_duration(text)
    except (BadValue, OverflowError) as error:
        raise BadValue(
            f"{name}: {text!r} is not a duration", next="write it like 2h, 45m or 1d"
        ) from error


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadValue(f"{name}: {text!r} is not a day", next="write it like 2026-02-28") from error


def _time(text: str) -> time:
    try:
        at = time.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is not None or at.second:
        raise BadValue(f"starts: {text!r} is not a time of day", next="write it like 09:00")
    return at


# ---- what is shown -------------------------------------------------------------------------------


def reservation_view(
    found: Found, now: datetime, *, next_only: bool = False
) -> schema.ReservationView:
    """A reservation; with `next_only`, of its windows the one that is on or comes next."""
    row, zone = found.row, holds.rule_of(found.row).zone
    ahead = [look for look in found.looks if look.booking.window.ends_at > now]
    live = [look for look in ahead if look.state is not WindowState.RELEASED] or ahead
    ask = holds.ask_of_row(row)
    return schema.ReservationView(
        id=row.id, tenant=row.tenant_id, tenant_name=found.tenant_name, name=row.name,
        count=row.count, unit=reserving.unit_text(ask), gpu_milli=ask.gpu_milli,
        time_zone=row.time_zone, first_day=row.first_day, last_day=row.last_day,
        weekdays=[WEEKDAYS[day] for day in row.weekdays], starts=row.starts,
        length=format_duration(timedelta(minutes=row.minutes)),
        lend_margin=format_duration(timedelta(seconds=row.lend_margin_s)),
        no_show=format_duration(timedelta(seconds=row.no_show_s)), created_by=found.created_by,
        created_at=row.created_at, cancelled_at=row.cancelled_at, can_change=found.may_change,
        windows=[_held_window(look, zone) for look in (live[:1] if next_only else found.looks)],
        ahead=len(ahead),
    )  # fmt: skip


def check_view(answer: Answer) -> schema.ReservationCheck:
    """What reserving would say."""
    wish, zone = answer.wish, answer.wish.rule.zone
    return schema.ReservationCheck(
        possible=not answer.obstacles, count=wish.count, unit=reserving.unit_text(wish.ask),
        windows=[_window(window, zone) for window in answer.windows],
        conflicts=[
            schema.ReservationConflict(
                window=_window(obstacle.window, zone), text=obstacle.text,
                reservations=list(obstacle.with_),
                nearest=_window(obstacle.nearest, zone) if obstacle.nearest else None,
            )
            for obstacle in answer.obstacles
        ],
    )  # fmt: skip


def _window(window: Window, zone: tzinfo) -> schema.PlainWindow:
    return schema.PlainWindow(
        id=holds.name_of(window.starts_at), starts_at=window.starts_at, ends_at=window.ends_at,
        text=window.shown(zone),
    )  # fmt: skip


def _held_window(look: Look, zone: tzinfo) -> schema.HeldWindow:
    booking = look.booking
    return schema.HeldWindow(
        **_window(booking.window, zone).model_dump(), state=look.state, reason=look.reason,
        lent_until=booking.lent_until, held=look.held, used=booking.taken, short=look.short,
    )  # fmt: skip
