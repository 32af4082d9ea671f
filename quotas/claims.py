"""What the planner sees and what it answers, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from catalog.asks import Ask
from catalog.inventory import Capacity, Placement
from quotas.limits import Dimension, Scope, use_of
from quotas.reservations import Hold
from quotas.tree import Tree
from quotas.verdict import Code


@dataclass(frozen=True, slots=True)
class Claim:
    """What holds a place until `ends_at`: a running attempt, or one that is planned.

    `since` is when it began to hold it, `saved_at` when its work was last saved (a checkpoint): what
    came after would be lost. It is not preempted before `protected_until`. `going` means that it was
    told to go and ends by `ends_at`. `reservation` is the one whose capacity it uses.
    """

    id: str
    placement: Placement
    ask: Ask
    scope_ids: tuple[str, ...]
    ends_at: datetime
    since: datetime | None = None
    saved_at: datetime | None = None
    protected_until: datetime | None = None
    going: bool = False
    reservation: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An ask in the queue. `scopes` are the person's and the tenants' above, inmost first.

    `shares` is what each of them has lately used, as a part of the site (0 and more), outmost
    first: who used less goes first. `again` marks what lost its place through no fault of its own
    and goes before what is new of its class; where it would borrow, behind who would not.
    """

    id: str
    ask: Ask
    scopes: tuple[Scope, ...]
    since: datetime
    shares: tuple[float, ...] = ()
    again: bool = False
    least_milli: int = 0
    """What it takes of GPUs wherever it lies, where its ask alone does not say it."""

    @property
    def wanted(self) -> dict[Dimension, int]:
        """What it counts in each dimension at least, while its place is not known."""
        milli = max(self.ask.gpu_milli, self.least_milli)
        return use_of(self.ask) | {Dimension.GPU: milli}

    @property
    def scope_ids(self) -> tuple[str, ...]:
        return tuple(scope.id for scope in self.scopes)

    @property
    def owner(self) -> str:
        """Whose it is; what nobody owns is its own."""
        return self.scopes[0].id if self.scopes else self.id


@dataclass(frozen=True, slots=True)
class Slot:
    """What the plan gives to a waiting ask. `at` None: never, while things are as they are.

    `victims` are claims that must go for it, told now; `at` is then when their grace ends. `until`
    is when it has to go again, if that is before its time is up: its place is lent. `reservation` is
    the one whose capacity it uses. A `firm` start moves later for nobody of its class.
    """

    at: datetime | None
    placement: Placement | None
    code: Code
    reason: str
    position: int
    victims: tuple[str, ...] = ()
    until: datetime | None = None
    reservation: str = ""
    firm: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site decides about its queue.

    `grace` is the time from being told to go until the end; `patience`, how long somebody waits
    until their start becomes firm; `lend_least`, for how long a held place must still be free to be
    lent at all.
    """

    grace: timedelta = timedelta(minutes=2)
    patience: timedelta = timedelta(minutes=30)
    lend_least: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class World:
    """All that a plan depends on. `capacity` is what exists, with nothing taken off for claims;
    `promised` are the slots of the plan before this one, by id; `holds` is capacity that
    reservations keep for somebody; `tree` tells who is guaranteed what; `recent` is what each scope
    has lately used, by its id, for those that wait without `shares` of their own."""

    capacity: Capacity
    running: tuple[Claim, ...] = ()
    queue: tuple[Waiting, ...] = ()
    promised: Mapping[str, Slot] = field(default_factory=dict[str, Slot])
    holds: tuple[Hold, ...] = ()
    tree: Tree = field(default_factory=Tree)
    recent: Mapping[str, float] = field(default_factory=dict[str, float])
    rules: Rules = Rules()

    def known(self, waiting: Waiting) -> Waiting:
        """The same with its shares."""
        if waiting.shares or not self.recent:
            return waiting
        shares = tuple(self.recent.get(scope.id, 0.0) for scope in reversed(waiting.scopes))
        return replace(waiting, shares=shares)
