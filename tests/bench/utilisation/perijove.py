"""The product's own engine on the simulated campus: its planner, placer, reservations and fair share.

What the Hub does with rows of its store is done here with values; every decision is the engine's.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from catalog.allocator import Allocator
from catalog.asks import Ask, Priority
from catalog.inventory import Capacity, Device, Health, Mode, Node, Placement, Vendor
from catalog.mix import History
from catalog.units import GIB, MIB
from quotas.admission import Claim, Planner, Rules, Slot, Waiting, World, in_order
from quotas.limits import Scope
from quotas.profile import can_be_lent
from quotas.reservations import Booking, Hold, Mark, Places, Scene, Use, arrange, holds_of
from quotas.windows import Window
from tests.bench.utilisation.campus import DAY, HOUR, Campus, Lab
from tests.bench.utilisation.demand import LAB, Demand, Request
from tests.bench.utilisation.simulation import Job, Run, Site, Start, Tell

EPOCH = datetime(2026, 2, 2, tzinfo=UTC)
"""A Monday."""
LEND_MARGIN, NO_SHOW = 15, 15
"""Minutes: the defaults of a reservation."""
PROTECTED = 10
"""Minutes that a run is left alone at first."""
AHEAD = 26 * HOUR
"""How far ahead windows are seen: further than any time limit reaches. (The Hub looks further.)"""
PAUSE = 10
"""Minutes between two plans, unless somebody at a keyboard has come. (The Hub plans at once.)"""
DEPTH = 24
"""How many of the queue are planned, in its own order; those behind wait. (The Hub plans all.)"""
HALF_LIFE = 7 * DAY
RULES = Rules()
_CPU, _MEMORY = 8, 32 * GIB // 1000
"""milli-cores and bytes for each milli-GPU; nodes have twice that, so neither is ever short."""
_MODELS = {"A100": 40960, "L40S": 46068}
"""Memory in MiB."""
_PRIORITY = {
    LAB: Priority.REAL_TIME,
    "notebook": Priority.REAL_TIME,
    "best-effort": Priority.BEST_EFFORT,
}


class Perijove:
    """Labs are reserved for the whole roster and lent out until shortly before; people at a keyboard
    are real-time, jobs standard, best-effort work is what it says."""

    name = "perijove"

    def __init__(self, demand: Demand) -> None:
        self._labs = demand.campus.labs
        self._turns = {
            at
            for lab in self._labs
            for at in (lab.begins - LEND_MARGIN, lab.begins, lab.begins + NO_SHOW, lab.ends)
        }
        self._planned = -PAUSE
        self._site = _Inventory(demand.campus)
        self._use = _RecentUse(len(demand.campus.devices) * 1000)
        self._placer, self._history, self._seen = Allocator(), History(), set[str]()
        self._places: dict[str, Placement] = {}
        self._under: dict[str, str] = {}
        self._came: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        self._promised: Mapping[str, Slot] = {}
        self._held: Places = {}
        self._next: int | None = None
        self.plans = 0

    def wakes(self, now: int) -> Iterable[int]:
        if now == 0:
            yield from self._turns
        if self._next is not None:
            yield self._next
            self._next = None

    def decide(self, site: Site, now: int) -> Iterator[Start | Tell]:
        self._use.pass_time(site.running.values(), now)
        for gone in [key for key in self._places if key not in site.running]:
            del self._places[gone], self._under[gone], self._ends[gone]
        if not self._urgent(site, now) and now - self._planned < PAUSE:
            self._next = self._planned + PAUSE
            return
        self._learn(site, anew=now // DAY > self._planned // DAY)
        self._planned = now
        planner = Planner(self._world(site, now), self._placer, moment(now))
        self.plans += 1
        told: set[str] = set()
        for recall in planner.recalls.values():
            if recall.told_at <= moment(now):
                told.add(recall.claim)
                yield Tell(recall.claim, minute_of(recall.gone_at))
        self._promised = planner.slots
        later: list[int] = []
        for key, slot in self._promised.items():
            for victim in slot.victims:
                if victim not in told:
                    told.add(victim)
                    yield Tell(victim, minute_of(moment(now) + RULES.grace))
            if slot.at is None or slot.placement is None:
                continue
            if slot.at == moment(now):
                yield self._start(key, site.waiting[key], slot, slot.placement, now)
            else:
                later.append(max(now + 1, minute_of(slot.at)))
        self._next = min(later, default=None)

    def _start(self, key: str, job: Job, slot: Slot, placement: Placement, now: int) -> Start:
        self._places[key], self._under[key] = placement, slot.reservation
        # What lies on lent places is recalled by the planner when they are wanted.
        self._ends[key] = now + job.limit
        if slot.reservation:
            self._came.setdefault(slot.reservation, now)
        return Start(key, tuple((s.device_id, s.milli) for s in placement.shares))

    def _learn(self, site: Site, *, anew: bool) -> None:
        """What is asked for, so that the placer expects more of the same; `anew` once a day."""
        for key, job in site.waiting.items():
            if key not in self._seen:
                self._seen.add(key)
                self._history.saw(ask_of(job))
        if anew:
            self._placer.learn(self._history.mix())

    def _urgent(self, site: Site, now: int) -> bool:
        """Whether a lab begins or ends, a student waits, or somebody has just come to a keyboard;
        the rest is batched."""
        return now in self._turns or any(
            job.request.kind == LAB or (job.request.kind == "notebook" and job.waits_since == now)
            for job in site.waiting.values()
        )

    def _world(self, site: Site, now: int) -> World:
        capacity = self._site.capacity(site.down)
        claims = tuple(self._claim(job, job.run, now) for job in site.running.values() if job.run)
        return World(
            capacity,
            claims,
            tuple(in_order(self._waiting(job) for job in site.waiting.values())[:DEPTH]),
            self._promised,
            self._holds(capacity, claims, now),
            rules=RULES,
        )

    def _claim(self, job: Job, run: Run, now: int) -> Claim:
        request, saves = job.request, job.request.saves
        saved = run.began + ((now - run.began) // saves * saves if saves else 0)
        return Claim(
            request.id, self._places[request.id], ask_of(job), _scope_ids(request),
            moment(self._ends[request.id] if run.leaves is None else run.leaves),
            since=moment(run.began), saved_at=moment(saved),
            protected_until=moment(run.began + PROTECTED), going=run.leaves is not None,
            reservation=self._under[request.id],
        )  # fmt: skip

    def _waiting(self, job: Job) -> Waiting:
        request = job.request
        scopes = tuple(
            Scope(scope, "you" if scope.startswith("person:") else scope)
            for scope in _scope_ids(request)
        )
        return Waiting(
            request.id, ask_of(job), scopes, moment(job.waits_since),
            self._use.shares(request), job.again,
        )  # fmt: skip

    def _holds(self, capacity: Capacity, claims: tuple[Claim, ...], now: int) -> tuple[Hold, ...]:
        taken = Counter(claim.reservation for claim in claims)
        bookings = [
            self._booking(lab, taken[lab.id])
            for lab in self._labs
            if lab.ends > now and lab.begins < now + AHEAD
        ]
        bookings = [booking for booking in bookings if booking.holds(moment(now))]
        uses = tuple(
            Use(
                claim.placement,
                Window(moment(now), max(claim.ends_at, moment(now + 1))),
                lent=can_be_lent(claim.ask) and not claim.going,
            )
            for claim in claims
        )
        scene = Scene(capacity, uses, self._placer, moment(now))
        self._held = arrange(bookings, scene, self._held)
        return holds_of(bookings, self._held)

    def _booking(self, lab: Lab, taken: int) -> Booking:
        came = self._came.get(lab.id)
        ask = _ask(lab.milli, 1, "", lab.ends - lab.begins, Priority.REAL_TIME)
        return Booking(
            lab.id, (Scope(f"tenant:{lab.course}", lab.course),), ask, lab.students,
            Window(moment(lab.begins), moment(lab.ends)), moment(lab.begins - LEND_MARGIN),
            moment(lab.begins + NO_SHOW), taken, Mark(None if came is None else moment(came)),
        )  # fmt: skip


class _Inventory:
    """The campus as the catalog sees it."""

    def __init__(self, campus: Campus) -> None:
        self._campus = campus
        self._known: dict[frozenset[str], Capacity] = {}

    def capacity(self, down: Iterable[str]) -> Capacity:
        """All that exists; the devices in `down` are not healthy."""
        gone = frozenset(down)
        if gone not in self._known:
            self._known[gone] = Capacity.of(
                Node(
                    machine.name, 2 * _CPU * 1000 * len(machine.devices),
                    2 * _MEMORY * 1000 * len(machine.devices),
                    tuple(
                        Device(
                            d, Vendor.NVIDIA, machine.model, _MODELS.get(machine.model, 81920),
                            index, Health.GONE if d in gone else Health.OK, sharing=Mode.MPS,
                        )
                        for index, d in enumerate(machine.devices)
                    ),
                )
                for machine in self._campus.machines
            )  # fmt: skip
        return self._known[gone]


class _RecentUse:
    """What each scope lately used, as a part of the site, with a half-life."""

    def __init__(self, site_milli: int) -> None:
        self._site, self._now = site_milli, 0
        self._used: dict[str, float] = {}

    def pass_time(self, running: Iterable[Job], now: int) -> None:
        decay = 0.5 ** ((now - self._now) / HALF_LIFE)
        rates = Counter[str]()
        for job in running:
            for scope in _scope_ids(job.request):
                rates[scope] += job.request.total_milli
        for scope in {*self._used, *rates}:
            before = self._used.get(scope, 0.0) * decay
            self._used[scope] = before + rates[scope] / self._site * (1 - decay)
        self._now = now

    def shares(self, request: Request) -> tuple[float, ...]:
        """Outmost first."""
        return tuple(
            round(self._used.get(scope, 0.0), 3) for scope in reversed(_scope_ids(request))
        )


def moment(minute: int) -> datetime:
    return EPOCH + timedelta(minutes=minute)


def minute_of(at: datetime) -> int:
    """The first whole minute that is not before `at`."""
    return -((EPOCH - at) // timedelta(minutes=1))


def ask_of(job: Job) -> Ask:
    request = job.request
    minutes = job.request.until - job.waits_since if request.until else job.limit
    return _ask(
        request.milli, request.count, request.model, max(1, minutes),
        _PRIORITY.get(request.kind, Priority.STANDARD), preemptible=request.preemptible,
    )  # fmt: skip


def _ask(
    milli: int, count: int, model: str, minutes: int, priority: Priority, *,
    preemptible: bool = False,
) -> Ask:  # fmt: skip
    total = milli * count
    return Ask(
        total * _CPU, total * _MEMORY // MIB * MIB, total, timedelta(minutes=minutes),
        (model,) if model else (), priority, preemptible, count,
    )  # fmt: skip


def _scope_ids(request: Request) -> tuple[str, ...]:
    return f"person:{request.person}", f"tenant:{request.owner}"
