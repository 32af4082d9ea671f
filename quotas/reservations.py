"""Capacity held for somebody during a window of time.

What is held is a number of places like one ask. Where they are is not promised: they are found
anew among what will be free then, and moved away from a device that fails and a node that closes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from catalog.asks import Ask
from catalog.inventory import Capacity, Placement
from catalog.placement import NoRoom, Placer
from catalog.units import WHOLE
from quotas.limits import Dimension, Over, Scope, add_to, first_over
from quotas.windows import Window


@dataclass(frozen=True, slots=True)
class Hold:
    """What one reservation still keeps for one window: places that nobody has taken yet.

    Only asks with `scope_id` among their scopes may use them. Others may, until `lent_until`, if
    they are preemptible (they are told to go in time), or if they end before `starts_at`.
    """

    reservation: str
    scope_id: str
    placements: tuple[Placement, ...]
    starts_at: datetime
    ends_at: datetime
    lent_until: datetime
    ask: Ask | None = None
    """What each of the places is like."""


class WindowState(StrEnum):
    """How far a window has come."""

    UPCOMING = "upcoming"
    """Ahead; its places are lent to preemptible work."""
    CLEARING = "clearing"
    """About to begin: what its places were lent to is told to go."""
    OPEN = "open"
    """Held, and nobody has come yet."""
    USED = "used"
    """Held, and people came."""
    RELEASED = "released"
    """Given up by a person, or because nobody came."""
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Mark:
    """What was written down about a window: when people first came, when somebody gave it up."""

    first_used_at: datetime | None = None
    given_up: bool = False


@dataclass(frozen=True, slots=True)
class Booking:
    """One window of a reservation: `count` places like `ask`, `taken` of them in use by members.

    `scopes` are its tenant and those above, inmost first. Nobody needs to have come before
    `no_show_at`; after it, with nobody there, it is given up.
    """

    key: str
    scopes: tuple[Scope, ...]
    ask: Ask
    count: int
    window: Window
    lent_until: datetime
    no_show_at: datetime
    taken: int = 0
    mark: Mark = Mark()

    @property
    def wanted(self) -> int:
        """How many places are still to be held."""
        return max(0, self.count - self.taken)

    def state(self, now: datetime) -> WindowState:
        """By the clock and what was written down alone: a clock that jumps, or a control that was
        away, finds the state that the time says."""
        if now >= self.window.ends_at:
            return WindowState.OVER
        if self.mark.given_up:
            return WindowState.RELEASED
        if now < self.window.starts_at:
            return WindowState.CLEARING if now >= self.lent_until else WindowState.UPCOMING
        if self.mark.first_used_at is not None or self.taken:
            return WindowState.USED
        return WindowState.RELEASED if now >= self.no_show_at else WindowState.OPEN

    def holds(self, now: datetime) -> bool:
        """Whether it keeps anything from anybody, now or later."""
        return self.state(now) not in {WindowState.RELEASED, WindowState.OVER}


@dataclass(frozen=True, slots=True)
class Use:
    """A place that is taken during a window of time. One that is `lent` can be had back, but not
    for the people of its own scopes."""

    placement: Placement
    window: Window
    lent: bool = False
    scope_ids: tuple[str, ...] = ()

    def can_go_for(self, scope_id: str) -> bool:
        return self.lent and scope_id not in self.scope_ids


@dataclass(frozen=True, slots=True)
class Scene:
    """Where places are looked for: all that exists, what runs on it, and how a place is picked."""

    capacity: Capacity
    uses: tuple[Use, ...]
    placer: Placer
    now: datetime

    def free(self, window: Window, taken: Iterable[Use], back_to: str = "") -> Capacity:
        """The least that is free at any time of `window`; so is what the scope `back_to` can have
        back."""
        begins = max(window.starts_at, self.now)
        seen = Window(begins, window.ends_at)
        uses = [
            use
            for use in (*self.uses, *taken)
            if use.window.overlaps(seen) and not (back_to and use.can_go_for(back_to))
        ]
        moments = {begins} | {u.window.starts_at for u in uses if u.window.starts_at > begins}
        least: Capacity | None = None
        for at in sorted(moments):
            free = self.capacity
            for use in uses:
                if use.window.starts_at <= at < use.window.ends_at:
                    free = free.take(use.placement)
            least = free if least is None else least.least(free)
        return least or self.capacity


Places = Mapping[str, tuple[Placement, ...]]
"""By key of a booking."""


def arrange(bookings: Iterable[Booking], scene: Scene, kept: Places | None = None) -> Places:
    """Places for all that each booking wants, by its key; fewer where there is no room.

    No two share anything at the same time, and none is where something runs that stays. Larger ones
    come first. Places `kept` from before stay where that is possible, so that they do not wander.
    """
    found: dict[str, tuple[Placement, ...]] = {}
    for group in _groups(bookings):
        places = _place(group, scene, kept or {})
        if kept and missing(group, places):
            anew = _place(group, scene, {})
            places = min(places, anew, key=lambda tried: missing(group, tried))
        found |= places
    return found


def missing(bookings: Iterable[Booking], places: Places) -> int:
    """How many places were not found."""
    return sum(booking.wanted - len(places[booking.key]) for booking in bookings)


def holds_of(bookings: Iterable[Booking], places: Places) -> tuple[Hold, ...]:
    """What the planner keeps free. Where members have taken all, only that the window is theirs."""
    return tuple(
        Hold(
            booking.key, booking.scopes[0].id, places.get(booking.key, ()), booking.window.starts_at,
            booking.window.ends_at, booking.lent_until, booking.ask,
        )
        for booking in bookings
        if places.get(booking.key) or booking.taken
    )  # fmt: skip


def still_hold(holds: Iterable[Hold], scene: Scene) -> bool:
    """Whether all that is held could be held in a scene that has changed, if elsewhere."""
    bookings = [
        Booking(
            hold.reservation, (Scope(hold.scope_id, ""),), hold.ask, len(hold.placements),
            Window(hold.starts_at, hold.ends_at), hold.lent_until, hold.ends_at,
        )
        for hold in holds
        if hold.ask is not None
    ]  # fmt: skip
    kept = {hold.reservation: hold.placements for hold in holds}
    return not missing(bookings, arrange(bookings, scene, kept))


def same_kind(ask: Ask, unit: Ask) -> bool:
    """Whether an ask may be in places like `unit`: a whole node, GPUs, or neither."""
    if unit.whole_node:
        return ask.whole_node
    gpus = bool(ask.gpu_milli or ask.gpu_memory_mib or ask.whole_node)
    return gpus == bool(unit.gpu_milli or unit.gpu_memory_mib)


def units_used(placement: Placement, ask: Ask, unit: Ask) -> int:
    """How many held places like `unit` a member's placement stands for; 0: it is of another kind.
    Of places with a share of a GPU, its GPUs count; of others, its cpu and memory."""
    if unit.whole_node:
        return 1 if ask.whole_node else 0
    gpu = placement.gpu_milli
    if bool(gpu) != bool(unit.gpu_milli or unit.gpu_memory_mib):
        return 0
    if gpu:
        return max(1, -(-gpu // unit.gpu_milli)) if unit.gpu_milli else 1
    return max(
        1,
        -(-ask.cpu_milli // max(1, unit.cpu_milli)),
        -(-ask.memory_bytes // max(1, unit.memory_bytes)),
    )


@dataclass(frozen=True, slots=True)
class Clash:
    """A window that cannot be held: `short` places are missing, because of the bookings `by` (keys)
    or, without any, of what runs then. `nearest` is the nearest free window of the same length.
    `over` is the tenant's limit that it would pass instead."""

    window: Window
    short: int = 0
    by: tuple[str, ...] = ()
    nearest: Window | None = None
    over: Over | None = None


NEAREST_FOR = 5
"""Of the windows that cannot be held, for so many the nearest free one is looked for."""


def clashes(wanted: Sequence[Booking], others: Sequence[Booking], scene: Scene) -> list[Clash]:
    """The windows of a new reservation that cannot be held, in their order, and why.

    A window cannot be held when not all of its places are found, or when another booking would
    lose one that it has. The first few come with the nearest free window.
    """
    found: list[Clash] = []
    held, judge = list(others), _Judge(scene)
    for booking in wanted:
        around = _around(booking, held)
        short, over = judge.against(booking, around)
        if not (short or over):
            held.append(booking)
            continue
        by = tuple(other.key for other in around if other.window.overlaps(booking.window))
        nearest = None
        if len(found) < NEAREST_FOR and (over is None or over.ever):
            rest = [*others, *(own for own in wanted if own.key != booking.key)]
            nearest = nearest_free(booking, rest, scene, judge=judge)
        found.append(Clash(booking.window, min(short, booking.wanted), by, nearest, over))
    return found


def nearest_free(
    booking: Booking, others: Sequence[Booking], scene: Scene,
    within: timedelta = timedelta(days=14), judge: "_Judge | None" = None,
) -> Window | None:  # fmt: skip
    """The free window of the same length whose beginning is nearest, earlier or later, in whole
    minutes and not in the past; None if there is none `within`. What is free changes only where
    something ends, or where it begins a length later."""
    judge = judge or _Judge(scene)
    wanted, length = booking.window.starts_at, booking.window.ends_at - booking.window.starts_at
    taken = [use.window for use in scene.uses] + [other.window for other in others]
    moments = {wanted, _minute_after(scene.now)}
    moments |= {_minute_after(window.ends_at) for window in taken}
    moments |= {_minute_of(window.starts_at - length) for window in taken}
    for at in sorted(moments, key=lambda at: (abs(at - wanted), at)):
        if at < scene.now or abs(at - wanted) > within:
            continue
        moved = replace(booking, window=Window(at, at + length))
        around = _around(moved, others)
        if not judge.hopeless(moved, around) and judge.against(moved, around) == (0, None):
            return moved.window
    return None


class _Judge:
    """Whether one more booking can be held; what is asked again and again is worked out once."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._total = sum(len(free.node.devices) for free in scene.capacity.nodes.values()) * WHOLE
        self._missing: dict[frozenset[str], int] = {}

    def against(self, booking: Booking, around: Sequence[Booking]) -> tuple[int, Over | None]:
        """How many places would be missing for it, its own or others', and the limit of its tenants
        that it would pass."""
        together = [*around, booking]
        places = arrange(together, self._scene)
        short = missing(together, places) - self._missing_of(around)
        return max(0, short), _over(booking, around, places)

    def _missing_of(self, around: Sequence[Booking]) -> int:
        keys = frozenset(other.key for other in around)
        if keys not in self._missing:
            self._missing[keys] = missing(around, arrange(around, self._scene))
        return self._missing[keys]

    def hopeless(self, booking: Booking, around: Sequence[Booking]) -> bool:
        """Whether all GPUs of the site together are too few, without looking for any place."""
        window = booking.window
        if self._missing_of(around):
            return False  # nobody loses what was not there
        begins = [o.window.starts_at for o in around if o.window.overlaps(window)]
        for at in {window.starts_at, *(max(at, window.starts_at) for at in begins)}:
            wanted = booking.ask.gpu_milli * booking.wanted
            for other in around:
                if other.window.starts_at <= at < other.window.ends_at:
                    wanted += other.ask.gpu_milli * other.wanted
            if wanted > self._total:
                return True
        return False


def _over(booking: Booking, around: Sequence[Booking], places: Places) -> Over | None:
    """The first limit of its tenants that all that is held at once would pass."""
    moments = {booking.window.starts_at} | {o.window.starts_at for o in around}
    for at in sorted(moments):
        if not booking.window.starts_at <= at < booking.window.ends_at:
            continue
        used: dict[str, dict[Dimension, int]] = {}
        for other in around:
            if other.window.starts_at <= at < other.window.ends_at:
                for scope in other.scopes:
                    add_to(used.setdefault(scope.id, {}), _held_by(other, places))
        if over := first_over(_held_by(booking, places), booking.scopes, used):
            return over
    return None


def _held_by(booking: Booking, places: Places) -> dict[Dimension, int]:
    """What a booking counts in each dimension, by the places that were found for it."""
    parts = [part for place in places[booking.key] for part in place.parts]
    return {
        Dimension.GPU: sum(place.gpu_milli for place in places[booking.key]),
        Dimension.CPU: sum(part.cpu_milli for part in parts),
        Dimension.MEMORY: sum(part.memory_bytes for part in parts),
        Dimension.WORKLOADS: booking.count,
    }


def _groups(bookings: Iterable[Booking]) -> Iterator[list[Booking]]:
    """Those that overlap, if only through others between them."""
    group: list[Booking] = []
    ends: datetime | None = None
    for booking in sorted(bookings, key=lambda b: (b.window, b.key)):
        if group and ends is not None and booking.window.starts_at >= ends:
            yield group
            group, ends = [], None
        group.append(booking)
        ends = booking.window.ends_at if ends is None else max(ends, booking.window.ends_at)
    if group:
        yield group


def _around(booking: Booking, others: Sequence[Booking]) -> list[Booking]:
    """Those whose places and whose own depend on each other."""
    for group in _groups([*others, booking]):
        if booking in group:
            return [other for other in group if other is not booking]
    return []


def _place(
    group: Sequence[Booking], scene: Scene, kept: Places
) -> dict[str, tuple[Placement, ...]]:
    ordered = sorted(group, key=_smallest_last)
    places = {booking.key: list[Placement]() for booking in group}
    taken: list[Use] = []

    def take(booking: Booking, placement: Placement) -> None:
        places[booking.key].append(placement)
        taken.append(Use(placement, booking.window))

    for booking in ordered:
        free = scene.free(booking.window, taken, booking.scopes[0].id)
        for placement in kept.get(booking.key, ())[: booking.wanted]:
            if free.has_room(placement):
                free = free.take(placement)
                take(booking, placement)
    for booking in ordered:
        # Rather where nobody has to go; else where what was lent comes back.
        for back_to in ("", booking.scopes[0].id):
            free = scene.free(booking.window, taken, back_to)
            while len(places[booking.key]) < booking.wanted:
                placement = scene.placer.place(booking.ask, free)
                if isinstance(placement, NoRoom):
                    break
                free = free.take(placement)
                take(booking, placement)
    return {key: tuple(found) for key, found in places.items()}


def _smallest_last(booking: Booking) -> tuple[bool, int, int, int, datetime, str]:
    """Of equal ones the first to begin comes first: so placed, intervals need the fewest places."""
    ask = booking.ask
    return (
        not ask.whole_node, -ask.gpu_milli or -ask.gpu_memory_mib, -ask.cpu_milli,
        -ask.memory_bytes, booking.window.starts_at, booking.key,
    )  # fmt: skip


def _minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _minute_after(at: datetime) -> datetime:
    floor = _minute_of(at)
    return floor if floor == at else floor + timedelta(minutes=1)
