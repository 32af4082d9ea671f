"""Where and when one ask can have its place in a profile: the earliest seat, the same seat again, or
one that others have to leave."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heappush

from catalog.asks import Ask
from catalog.fitting import on_node
from catalog.inventory import Capacity, NodeFree, Placement
from catalog.placement import NoRoom, Placer
from quotas.claims import Waiting, World
from quotas.limits import Amounts, first_over, use_of
from quotas.profile import Profile, Span, Unit, Visitor, can_be_lent


@dataclass(frozen=True, slots=True)
class Seat:
    """A place from `at` to `end`. `until` is when it has to be left before the time is up; `units`
    are those of the reservation that it takes, by their number in the profile."""

    at: datetime
    end: datetime
    placement: Placement
    amounts: Amounts
    scope_ids: tuple[str, ...]
    until: datetime | None = None
    reservation: str = ""
    units: tuple[int, ...] = ()

    def enter(self, profile: Profile) -> Profile:
        """The profile with somebody in this seat."""
        return self._moved(profile, 1)

    def leave(self, profile: Profile) -> Profile:
        """The profile as if nobody had entered."""
        return self._moved(profile, -1)

    def _moved(self, profile: Profile, sign: int) -> Profile:
        span = (self.at, self.end)
        for unit in self.units:
            profile = profile.seated(unit, span, sign)
        return profile.taken(self.placement, self.amounts, self.scope_ids, span, sign)


@dataclass(frozen=True, slots=True)
class Room:
    """A node with room for an ask. `until` is when it has to go again; None: it may stay."""

    free: NodeFree
    until: datetime | None = None


class Seats:
    """Finds seats for one plan. Nothing is remembered between two calls."""

    def __init__(self, world: World, placer: Placer, now: datetime) -> None:
        self._world, self._placer, self._now = world, placer, now

    def earliest(self, waiting: Waiting, profile: Profile) -> Seat | None:
        """The first moment at which it fits for as long as it lasts, and where; None: never."""
        ask, wanted = waiting.ask, waiting.wanted
        if first_over(wanted, waiting.scopes, {}) is not None:
            return None
        # A node that has no room has none either until something changes on it.
        due = [(profile.now, name) for name in profile.nodes]
        heapify(due)
        for at in profile.times:
            span = (at, at + ask.duration)
            if self._over(waiting, wanted, span, profile):
                continue
            if seat := self._in_own_unit(waiting, at, profile):
                return seat
            if ask.split and ask.count > 1:
                rooms = {n: Room(f) for n, f in self._picture(waiting, span, profile).items()}
            else:
                rooms = self._rooms(waiting, at, profile, due)
            if rooms and (seat := self._best(waiting, at, rooms, profile)):
                return seat
            for name in rooms:
                heappush(due, (at, name))
        return None

    def again(
        self, waiting: Waiting, placement: Placement, at: datetime, profile: Profile
    ) -> Seat | None:
        """The seat at this very place and time, if it is still free."""
        span = (at, at + waiting.ask.duration)
        if self._over(waiting, use_of(waiting.ask, placement), span, profile):
            return None
        nodes = [part.node for part in placement.parts]
        if not all(node in profile.nodes for node in nodes):
            return None
        free = Capacity({n: profile.free(n, span, Visitor.of(waiting)) for n in nodes})
        if free.has_room(placement):
            return self._seat(waiting, placement, at, profile)
        lent = [self._lent(waiting, node, at, profile) for node in nodes]
        if any(room is None for room in lent):
            return None
        rooms = [room for room in lent if room is not None]
        free = Capacity({room.free.node.name: room.free for room in rooms})
        until = min((room.until for room in rooms if room.until is not None), default=None)
        if not free.has_room(placement):
            return None
        return self._seat(waiting, placement, at, profile, until)

    def after(
        self, waiting: Waiting, at: datetime, nodes: Collection[str], profile: Profile
    ) -> Seat | None:
        """The seat at this moment on these nodes, where the placer likes it best."""
        picture = self._picture(waiting, (at, at + waiting.ask.duration), profile.only(nodes, ()))
        return self._best(waiting, at, {n: Room(free) for n, free in picture.items()}, profile)

    def fits(self, waiting: Waiting, span: Span, profile: Profile) -> bool:
        """Whether it has room between two moments, whatever its limits."""
        picture = self._picture(waiting, span, profile)
        if any(_has_room(waiting.ask, free) for free in picture.values()):
            return True
        if not waiting.ask.split or waiting.ask.count < 2:
            return False
        return not isinstance(self._placer.place(waiting.ask, Capacity(picture)), NoRoom)

    def would_borrow(self, waiting: Waiting, profile: Profile) -> bool:
        """Whether it would use more than what its tenants are guaranteed, as of now."""
        span = (self._now, self._now + datetime.resolution)
        used = profile.most_used(waiting.scope_ids, span)
        return self._world.tree.would_borrow(waiting.scope_ids, waiting.wanted, used)

    # ---- one moment ---------------------------------------------------------------------------

    def _over(self, waiting: Waiting, wanted: Amounts, span: Span, profile: Profile) -> bool:
        return profile.over(wanted, waiting.scopes, span) is not None

    def _rooms(
        self, waiting: Waiting, at: datetime, profile: Profile, due: list[tuple[datetime, str]]
    ) -> dict[str, Room]:
        """All nodes with room from `at` on, those first where it may stay; takes what it has looked
        at out of `due` and puts it back for when it changes."""
        found: dict[str, Room] = {}
        while due and due[0][0] <= at:
            _, name = heappop(due)
            if room := self._room(waiting, name, at, profile):
                found[name] = room
            elif (change := profile.next_change(name, at)) is not None:
                heappush(due, (change, name))
        return found

    def _room(self, waiting: Waiting, node: str, at: datetime, profile: Profile) -> Room | None:
        ask, first = waiting.ask, profile.nodes[node].over(at, at)[0]
        if _hopeless(ask, first):
            return None
        free = profile.free(node, (at, at + ask.duration), Visitor.of(waiting))
        if _has_room(ask, free):
            return Room(free)
        room = self._lent(waiting, node, at, profile)
        return room if room is not None and _has_room(ask, room.free) else None

    def _lent(self, waiting: Waiting, node: str, at: datetime, profile: Profile) -> Room | None:
        """The node with what is lent on it, until it is wanted; None when nothing is, or not for
        long enough."""
        if not can_be_lent(waiting.ask):
            return None
        end, owner = at + waiting.ask.duration, Visitor.of(waiting)
        visitor = Visitor.of(waiting, borrower=True)
        wanted = [
            unit.hold.lent_until
            for unit in profile.units
            if unit.on(node) and owner.minds(unit.hold, at) and not visitor.minds(unit.hold, at)
            if any(s < end and at < e for s, e in unit.kept)
        ]
        rules = self._world.rules
        if not wanted or min(wanted) - at < rules.lend_least:
            return None
        until = min(wanted) + rules.grace
        return Room(profile.free(node, (at, min(end, until)), visitor), until)

    def _best(
        self, waiting: Waiting, at: datetime, rooms: dict[str, Room], profile: Profile
    ) -> Seat | None:
        """Where the placer likes it best; rather where it may stay."""
        span, least = (at, at + waiting.ask.duration), waiting.wanted
        for lent in (False, True):
            free = {n: room.free for n, room in rooms.items() if (room.until is not None) == lent}
            while free:
                place = self._placer.place(waiting.ask, Capacity(free))
                if isinstance(place, NoRoom):
                    break
                wanted = use_of(waiting.ask, place)
                # An ask by memory may take more of a GPU here than its people may have.
                if wanted == least or not self._over(waiting, wanted, span, profile):
                    return self._seat(waiting, place, at, profile, rooms[place.node].until)
                del free[place.node]
        return None

    def _picture(self, waiting: Waiting, span: Span, profile: Profile) -> dict[str, NodeFree]:
        visitor = Visitor.of(waiting)
        return {name: profile.free(name, span, visitor) for name in profile.nodes}

    # ---- reservations -------------------------------------------------------------------------

    def _in_own_unit(self, waiting: Waiting, at: datetime, profile: Profile) -> Seat | None:
        """A place that a reservation keeps for these people goes before all others."""
        visitor = Visitor.of(waiting)
        for number, unit in _own_units(waiting, profile, at + datetime.resolution):
            if not any(s <= at < e for s, e in unit.kept) or len(unit.placement.parts) > 1:
                continue
            part = unit.placement
            if part.node not in profile.nodes:
                continue
            free = profile.free(part.node, (at, at + waiting.ask.duration), visitor)
            if on_node(waiting.ask, kept_alone := free.least(_only(part, free))) is None:
                continue
            place = self._placer.place(waiting.ask, Capacity({part.node: kept_alone}))
            if not isinstance(place, NoRoom):
                return self._seat(waiting, place, at, profile, None, number)
        return None

    def _seat(
        self, waiting: Waiting, place: Placement, at: datetime, profile: Profile,
        until: datetime | None = None, unit: int | None = None,
    ) -> Seat:  # fmt: skip
        end = at + waiting.ask.duration
        end = end if until is None else min(end, until)
        if unit is None:
            own = _own_units(waiting, profile, at + datetime.resolution)
            unit = next((n for n, u in own if _is_in(place, u, at)), None)
        units = self._taken_off(waiting, place, (at, end), profile, unit)
        name = profile.units[units[0]].hold.reservation if units else ""
        # What nobody limits or guarantees need not be followed.
        ids = tuple(s.id for s in waiting.scopes if s.limits or s.id in self._world.tree.tenants)
        return Seat(
            at, end, place, use_of(waiting.ask, place), ids, until, name, tuple(units),
        )  # fmt: skip

    def _taken_off(
        self, waiting: Waiting, place: Placement, span: Span, profile: Profile, unit: int | None
    ) -> list[int]:
        """The units that are not kept any more while this place is taken: the one that it is, and as
        many more as it stands in."""
        units = [] if unit is None else [unit]
        if not profile.units or not self._crowded(place, span, profile, units):
            return units
        devices = {s.device_id for part in place.parts for s in part.shares}
        near = [
            (devices.isdisjoint(s.device_id for p in u.placement.parts for s in p.shares), number)
            for number, u in _own_units(waiting, profile, span[1])
            if number not in units and any(u.on(part.node) for part in place.parts)
        ]
        for _, number in sorted(near):
            units.append(number)
            if not self._crowded(place, span, profile, units):
                break
        return units

    @staticmethod
    def _crowded(place: Placement, span: Span, profile: Profile, units: Sequence[int]) -> bool:
        """Whether the place and all that is kept besides `units` do not go together."""
        for number in units:
            profile = profile.seated(number, span)
        everybody = Visitor(frozenset(), borrower=False)
        return any(
            part.node in profile.nodes
            and not profile.free(part.node, span, everybody).has_room(part)
            for part in place.parts
        )


def _has_room(ask: Ask, free: NodeFree) -> bool:
    return not _hopeless(ask, free) and on_node(ask, free) is not None


def _hopeless(ask: Ask, free: NodeFree) -> bool:
    """Whether a glance is enough to see that there is no room."""
    if free.cpu_milli < ask.cpu_milli or free.memory_bytes < ask.memory_bytes or free.node.closed:
        return True
    parts = ask.parts
    return bool(parts) and (
        sum(milli >= parts[0] for milli in free.device_milli.values()) < len(parts)
    )


def _own_units(waiting: Waiting, profile: Profile, until: datetime) -> list[tuple[int, Unit]]:
    return profile.units_of(Visitor.of(waiting).may_enter, until)


def _is_in(place: Placement, unit: Unit, at: datetime) -> bool:
    """Whether this is a place in what the unit keeps at that time."""
    kept = {s.device_id: s.milli for part in unit.placement.parts for s in part.shares}
    return (
        any(s <= at < e for s, e in unit.kept)
        and unit.on(place.node)
        and all(s.milli <= kept.get(s.device_id, 0) for part in place.parts for s in part.shares)
    )


def _only(part: Placement, free: NodeFree) -> NodeFree:
    """The node as if nothing but the place of `part` was free."""
    nothing = NodeFree(
        free.node, 0, 0, dict.fromkeys(free.device_milli, 0), dict.fromkeys(free.slices, -1),
    )  # fmt: skip
    only = nothing.moved(part, +1)
    return NodeFree(only.node, only.cpu_milli, only.memory_bytes, only.device_milli, only.slices)
