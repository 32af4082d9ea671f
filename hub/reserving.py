"""From a wish to a reservation: whether it is possible, what is in the way, and when it would be.

A reservation costs nothing and is bounded by its tenant's ceiling; where there is none, by what the
tenant is guaranteed, and without either only a platform administrator may reserve. Whoever launches
in its window pays like everybody.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from catalog.asks import Ask, demand_possible
from catalog.errors import BadValue, Conflict, Refused
from catalog.placement import NoRoom
from catalog.units import format_duration
from hub import holds, idempotency
from hub.control_context import Control
from hub.policy import Action, Actor, Relation, absent, allowed, relations, require
from hub.reservations import existing_tenant, object_of, tell_all
from hub.store import audit
from hub.store.ids import new_id
from hub.store.tables import ReservationRow
from hub.world import Limits, read_world
from quotas.limits import Dimension, Scope
from quotas.reservations import Booking, Clash, Scene, clashes
from quotas.windows import Rule, Window, demand_sound, windows_of

MOST_PLACES = 500
MOST_OF_A_TENANT = 100
"""Reservations at once, so that nobody makes planning slow by accident."""
MOST_PLACES_IN_ALL = 20_000
"""Places of a reservation times its windows."""
STAFF_MARGIN, STAFF_NO_SHOW = timedelta(hours=1), timedelta(minutes=15)
"""The longest that staff may keep places unused for: the margin; the no-show time also up to half
of the window, and an hour at the most."""
SHORTEST_MARGIN, LONGEST_MARGIN = timedelta(minutes=5), timedelta(days=1)
SHORTEST_NO_SHOW, LONGEST_NO_SHOW = timedelta(minutes=1), timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Wish:
    """A reservation as it is asked for: `count` places like `ask`, at the times of `rule`."""

    tenant_id: str
    name: str
    count: int
    ask: Ask
    rule: Rule
    time_zone: str
    lend_margin: timedelta
    no_show: timedelta
    key: str = ""

    @property
    def fingerprint(self) -> str:
        facts = [repr(part) for part in (
            "reservation", self.tenant_id, self.name, self.count, self.ask,
            self.rule.first_day, self.rule.last_day, self.rule.starts,
            self.rule.length, sorted(self.rule.weekdays), self.time_zone, self.lend_margin,
            self.no_show,
        )]  # fmt: skip
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A window that cannot be held, in words that name nothing that the reader may not see."""

    window: Window
    text: str
    with_: tuple[str, ...]
    nearest: Window | None
    never: bool
    """As it is asked for, it could not be held at any time: it is over a ceiling."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a reservation is possible: its windows, and what is in the way."""

    wish: Wish
    windows: tuple[Window, ...]
    obstacles: tuple[Obstacle, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """All that decides about a wish: two that are equal are judged alike."""

    wanted: tuple[Booking, ...]
    others: tuple[Booking, ...]
    scene: Scene


def check(control: Control, actor: Actor, wish: Wish) -> Answer:
    """What `reserve` would say; nothing is held. Raises BadValue, Forbidden or Refused."""
    now = control.clock.now()
    with control.store.read() as session:
        case = _case_of(control, session, actor, wish, now)
        return _answer(session, actor, wish, case, _judge(case))


def reserve(control: Control, actor: Actor, wish: Wish) -> str:
    """Hold it; the id of the reservation, one for each idempotency key. Raises BadValue for what
    makes no sense, Refused for what can never be held, Conflict with the window and the nearest
    free one for what cannot be held then."""
    now = control.clock.now()
    with control.store.read() as session:
        if earlier := _earlier(session, actor, wish):
            return earlier
        before = _case_of(control, session, actor, wish, now)
    clashes_ = _judge(before)  # may take long, and nobody waits for it
    with control.store.write() as session:
        if earlier := _earlier(session, actor, wish):
            return earlier
        case = _case_of(control, session, actor, wish, now)
        answer = _answer(session, actor, wish, case, clashes_ if case == before else _judge(case))
        if answer.obstacles:
            raise _refusal(answer)
        row = _new_row(session, actor, wish, now)
    tell_all(control)
    return row.id


def answer_within(control: Control, session: Session, actor: Actor, wish: Wish) -> Answer:
    """As `check`, as a part of a transaction of the caller, with what was changed in it."""
    case = _case_of(control, session, actor, wish, control.clock.now())
    return _answer(session, actor, wish, case, _judge(case))


def hold_within(
    control: Control, session: Session, actor: Actor, answer: Answer
) -> ReservationRow:  # fmt: skip
    """Hold what `answer_within` found possible, in the same transaction. Raises as `reserve`."""
    if answer.obstacles:
        raise _refusal(answer)
    return _new_row(session, actor, answer.wish, control.clock.now())


def _case_of(
    control: Control, session: Session, actor: Actor, wish: Wish, now: datetime
) -> _Case:  # fmt: skip
    """Raises for what cannot be held whatever else is."""
    _demand_may(session, actor, wish.tenant_id)
    _demand_sound(session, wish, now)
    limits = Limits(session)
    scopes = limits.tenant_scopes(wish.tenant_id)
    if not actor.platform_admin:
        scopes = _bounded(wish, scopes)
    windows = [window for window in windows_of(wish.rule) if window.starts_at >= now]
    world = read_world(control, session, limits)
    scene = holds.scene_of(control, world.running, now)
    _demand_large_enough(wish, scene)
    wanted = holds.bookings_of(_row_of(wish, "new", actor.person_id, now), scopes, windows)
    reach = max(window.ends_at for window in windows) + timedelta(days=15)
    others = holds.read_bookings(session, limits.tenant_scopes, world.running, now, reach)
    return _Case(tuple(wanted), tuple(others), scene)


def _judge(case: _Case) -> list[Clash]:
    return list(clashes(case.wanted, case.others, case.scene))


def _answer(
    session: Session, actor: Actor, wish: Wish, case: _Case, found: list[Clash]
) -> Answer:  # fmt: skip
    words = _Words(session, actor, wish)
    windows = tuple(booking.window for booking in case.wanted)
    return Answer(wish, windows, tuple(words.obstacle(clash) for clash in found))


def _demand_may(session: Session, actor: Actor, tenant_id: str) -> None:
    """Raises NotFound in the same words for a tenant that there is not and for one that is none of
    the actor's, Forbidden for who may not reserve."""
    target = existing_tenant(session, tenant_id)
    if relations(actor, target) == {Relation.SELF}:
        raise absent(f"tenant {tenant_id[:40]!r}")
    require(actor, Action.RESERVE, target)


def _bounded(wish: Wish, scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """The same, with what is guaranteed as the ceiling where there is no other, so that nobody who
    runs a course holds the whole site. Raises Refused when there is neither, BadValue for staff who
    would keep places unused for long."""
    ask = wish.ask
    what = Dimension.GPU if ask.count or ask.whole_node else Dimension.CPU
    bounded = [
        replace(scope, limits={what: scope.guaranteed[what], **scope.limits})
        if scope.guaranteed.get(what)
        else scope
        for scope in scopes
    ]
    below_root = bounded[:-1] or bounded
    if not any(what in scope.limits for scope in below_root):
        raise Refused(
            f"{scopes[0].label} has neither a limit nor a guarantee of {what.label}, which would bound"
            " what it may hold",
            next="ask an administrator of the site to set one, or to reserve for you",
            code="quota",
        )
    no_show = min(timedelta(hours=1), max(STAFF_NO_SHOW, wish.rule.length / 2))
    _between("lend_margin", wish.lend_margin, SHORTEST_MARGIN, STAFF_MARGIN)
    _between("no_show", wish.no_show, SHORTEST_NO_SHOW, no_show)
    return tuple(bounded)


def _demand_sound(session: Session, wish: Wish, now: datetime) -> None:
    if not 1 <= wish.count <= MOST_PLACES:
        raise BadValue(
            f"count: {wish.count} is not between 1 and {MOST_PLACES}", next="choose how many places"
        )
    demand_sound(wish.rule)
    demand_possible(wish.ask)
    if not (wish.ask.gpu_milli or wish.ask.gpu_memory_mib or wish.ask.whole_node
            or wish.ask.cpu_milli or wish.ask.memory_bytes):  # fmt: skip
        raise BadValue("a place of nothing cannot be held", next="name an offer, or gpu or cpu")
    _between("lend_margin", wish.lend_margin, SHORTEST_MARGIN, LONGEST_MARGIN)
    _between("no_show", wish.no_show, SHORTEST_NO_SHOW, LONGEST_NO_SHOW)
    if all(window.starts_at < now for window in windows_of(wish.rule)):
        last = windows_of(wish.rule)[-1]
        raise BadValue(
            f"first_day: {last.shown(wish.rule.zone)} has begun already", next="choose a later day"
        )
    if (many := wish.count * len(windows_of(wish.rule))) > MOST_PLACES_IN_ALL:
        raise BadValue(
            f"count: {many:,} places in all windows together are more than {MOST_PLACES_IN_ALL:,}",
            next="choose fewer places, or an earlier last day",
        )
    live = [row for row in holds.live_rows(session, now) if row.tenant_id == wish.tenant_id]
    if len(live) >= MOST_OF_A_TENANT:
        raise Conflict(
            f"this tenant has {len(live)} reservations already", next="cancel some that are over"
        )


def _between(name: str, span: timedelta, least: timedelta, most: timedelta) -> None:
    if not least <= span <= most:
        raise BadValue(
            f"{name}: {format_duration(span)} is not between {format_duration(least)} and"
            f" {format_duration(most)}",
            next="write it like 15m or 1h",
        )


def _demand_large_enough(wish: Wish, scene: Scene) -> None:
    """Raise Refused for places of which the site, with nothing on it, has fewer."""
    capacity = scene.capacity
    for number in range(wish.count):
        place = scene.placer.place(wish.ask, capacity)
        if isinstance(place, NoRoom):
            most = f"there is room for {number} at the most" if number else place.text
            raise Refused(
                f"nothing here is large enough for {wish.count} × {unit_text(wish.ask)}: {most}",
                next="choose fewer or smaller places, or other models",
            )  # fmt: skip
        capacity = capacity.take(place)


def unit_text(ask: Ask) -> str:
    """``"1/4 GPU, 2 CPU, 4 GiB"``, ``"whole node"``."""
    text = str(ask)
    if ask.whole_node:
        count = f" with {ask.gpu_text}" if ask.gpu_text else ""
        text = f"whole node{count}"
    return f"{text} on {' or '.join(ask.models)}" if ask.models else text


def _refusal(answer: Answer) -> Conflict | Refused:
    first, more = answer.obstacles[0], len(answer.obstacles) - 1
    text = (
        first.text if not more else f"{first.text}; and {more} more of its windows cannot be held"
    )
    if first.never:
        return Refused(text, next="choose fewer or smaller places, or ask for more", code="quota")
    if first.nearest is None:
        return Conflict(text, next="choose fewer or smaller places, or another day")
    nearest = first.nearest.shown(answer.wish.rule.zone)
    return Conflict(f"{text}; the nearest free window is {nearest}", next="take that one, or fewer")


class _Words:
    """Says why a window cannot be held, to somebody who may not see everything."""

    def __init__(self, session: Session, actor: Actor, wish: Wish) -> None:
        self._session, self._actor, self._wish = session, actor, wish

    def obstacle(self, clash: Clash) -> Obstacle:
        when = clash.window.shown(self._wish.rule.zone)
        if clash.over is not None:
            over, show = clash.over, clash.over.dimension.show
            text = (
                f"{when}: {show(over.wanted)} would be held, and the limit of {over.scope.label}"
                f" is {show(over.limit)}"
            )
            text += f" with {show(over.used)} held already" if over.ever else ""
            return Obstacle(clash.window, text, (), clash.nearest, never=not over.ever)
        names = tuple(dict.fromkeys(self._name(key) for key in clash.by))
        because = " and ".join(names) if names else "work that still runs then"
        verb = "is" if clash.short == 1 else "are"
        text = f"{when}: {clash.short} of {self._wish.count} places {verb} missing, because of {because}"
        return Obstacle(clash.window, text, names, clash.nearest, never=False)

    def _name(self, key: str) -> str:
        row = self._session.get(ReservationRow, key.partition("@")[0])
        if row is None or not allowed(
            self._actor, Action.READ_RESERVATIONS, object_of(self._session, self._actor, row)
        ):
            return "a reservation of others"
        return f"the reservation {row.name!r}"


def _row_of(wish: Wish, id: str, by: str, now: datetime) -> ReservationRow:
    rule = wish.rule
    return ReservationRow(
        id=id, tenant_id=wish.tenant_id, name=wish.name, count=wish.count,
        ask=holds.ask_to_row(wish.ask), time_zone=wish.time_zone,
        first_day=rule.first_day.isoformat(), last_day=rule.last_day.isoformat(),
        starts=f"{rule.starts:%H:%M}", minutes=int(rule.length.total_seconds()) // 60,
        weekdays=sorted(rule.weekdays), lend_margin_s=int(wish.lend_margin.total_seconds()),
        no_show_s=int(wish.no_show.total_seconds()), created_by=by, created_at=now,
    )  # fmt: skip


def _new_row(session: Session, actor: Actor, wish: Wish, now: datetime) -> ReservationRow:
    row = _row_of(wish, new_id("r"), actor.person_id, now)
    session.add(row)
    idempotency.remember(session, actor.person_id, wish.key, wish.fingerprint, row.id, now)
    session.flush()
    audit.record(
        session, now, actor.person_id, "reserve", row.id, row.tenant_id,
        {"count": row.count, "first_day": row.first_day, "last_day": row.last_day},
    )  # fmt: skip
    return row


def _earlier(session: Session, actor: Actor, wish: Wish) -> str:
    return idempotency.answered(session, actor.person_id, wish.key, wish.fingerprint)
