"""Why an ask waits, in full: what is short, and which class of work holds it.

`catalog.shortage` finds what is short; here it is told who has it. Nobody is named: work is told
by its class, a reservation of somebody else is "a reservation".
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from catalog.alternatives import Nearby
from catalog.asks import Priority
from catalog.fitting import milli_of
from catalog.inventory import Device, Health, Node, Placement
from catalog.offers import Answer
from catalog.placement import NoRoom, Shortage
from catalog.units import WHOLE, format_bytes, format_cpu
from quotas.claims import Claim
from quotas.verdict import Fits, Verdict


class Holder(StrEnum):
    """Who has what is short."""

    REAL_TIME = "real-time work"
    STANDARD = "standard work"
    BEST_EFFORT = "best-effort work"
    RESERVATION = "a reservation"
    CLOSED = "a closed node"
    BROKEN = "a broken device"

    @classmethod
    def of(cls, priority: Priority) -> "Holder":
        return cls(f"{priority} work")


@dataclass(frozen=True, slots=True)
class Held:
    """How much of a dimension somebody has: milli-GPU, milli-cores, bytes or nodes."""

    by: Holder
    amount: int


def why(no_room: NoRoom, claims: Iterable[Claim], kept: Iterable[Placement] = ()) -> str:
    """The reason in words, with who holds it: ``"1 GPU on A100 is wanted, all are in use: of 4 A100,
    3 are held by standard work and 1 by a reservation"``. `claims` is what runs, `kept` what
    reservations keep from the one who asks."""
    told = who_holds(no_room, claims, kept)
    return f"{no_room.text}: {told}" if told else no_room.text


def who_holds(no_room: NoRoom, claims: Iterable[Claim], kept: Iterable[Placement] = ()) -> str:
    """``"of 4 A100, 3 are held by standard work and 1 by a reservation"``; empty where nobody holds
    it: then it is not there, or out of service."""
    if not no_room.ever or no_room.out:
        return ""
    claims, kept = list(claims), list(kept)
    told = [_told(no_room, dimension, claims, kept) for dimension in no_room.minimal]
    return "; ".join(filter(None, told))


def held(
    no_room: NoRoom, dimension: Shortage, claims: Iterable[Claim], kept: Iterable[Placement] = ()
) -> tuple[Held, ...]:
    """Who has what the ask is short of, the most first."""
    amounts: dict[Holder, int] = {}
    for holder, amount in _amounts(no_room, dimension, claims, kept):
        amounts[holder] = amounts.get(holder, 0) + amount
    found = [Held(holder, amount) for holder, amount in amounts.items() if amount]
    return tuple(sorted(found, key=lambda one: (-one.amount, one.by)))


def _told(
    no_room: NoRoom, dimension: Shortage, claims: Sequence[Claim], kept: Sequence[Placement]
) -> str:
    holders = held(no_room, dimension, claims, kept)
    if not holders:
        return ""
    first, *more = (
        f"{_amount(dimension, one.amount, no_room)} "
        f"{'is' if _is_one(dimension, one.amount, no_room) else 'are'} held by {one.by}"
        for one in holders
    )
    # "3 are held by standard work and 1 by a reservation"
    rest = [said.replace(" is held by", " by").replace(" are held by", " by") for said in more]
    listed = f"{', '.join([first, *rest[:-1]])} and {rest[-1]}" if rest else first
    return f"of {_total(no_room, dimension)}, {listed}"


def _by_node(no_room: NoRoom, dimension: Shortage) -> bool:
    return dimension is Shortage.NODE and no_room.ask.whole_node


def _is_one(dimension: Shortage, amount: int, no_room: NoRoom) -> bool:
    if dimension in {Shortage.CPU, Shortage.MEMORY}:
        return dimension is Shortage.MEMORY or amount == WHOLE
    return amount == (1 if _by_node(no_room, dimension) else WHOLE)


def _amount(dimension: Shortage, amount: int, no_room: NoRoom) -> str:
    if dimension is Shortage.CPU:
        return format_cpu(amount)
    if dimension is Shortage.MEMORY:
        return format_bytes(amount)
    return str(amount) if _by_node(no_room, dimension) else f"{amount / WHOLE:g}"


def _total(no_room: NoRoom, dimension: Shortage) -> str:
    if dimension is Shortage.CPU:
        cpu = sum(free.node.cpu_milli for free in no_room.with_the_rest(dimension))
        return f"the {format_cpu(cpu)} there"
    if dimension is Shortage.MEMORY:
        memory = sum(free.node.memory_bytes for free in no_room.with_the_rest(dimension))
        return f"the {format_bytes(memory)} there"
    if _by_node(no_room, dimension):
        count = sum(1 for _ in _suited_nodes(no_room))
        return f"{count} such node" + ("" if count == 1 else "s")
    devices = [device for _, device in _suited(no_room)]
    models = {device.model for device in devices}
    if len(models) == 1:
        return f"{len(devices)} {models.pop()}"
    return f"{len(devices)} GPU" + ("" if len(devices) == 1 else "s")


def _suited(no_room: NoRoom) -> Iterator[tuple[Node, Device]]:
    """Every device that could serve the ask, in service or not."""
    for free in no_room.capacity.nodes.values():
        for device in free.node.devices:
            if milli_of(no_room.ask, device) is not None:
                yield free.node, device


def _suited_nodes(no_room: NoRoom) -> Iterator[Node]:
    """Every node whose devices would do as a whole."""
    for free in no_room.capacity.nodes.values():
        devices = free.node.devices
        able = [d for d in devices if not no_room.ask.count or milli_of(no_room.ask, d) is not None]
        if devices and len(able) == len(devices) and no_room.ask.count in (0, len(devices)):
            yield free.node


def _amounts(
    no_room: NoRoom, dimension: Shortage, claims: Iterable[Claim], kept: Iterable[Placement]
) -> Iterator[tuple[Holder, int]]:
    holdings = [
        (Holder.of(claim.ask.priority), part) for claim in claims for part in claim.placement.parts
    ] + [(Holder.RESERVATION, part) for placement in kept for part in placement.parts]
    match dimension:
        case Shortage.CPU | Shortage.MEMORY:
            nodes = {free.node.name for free in no_room.with_the_rest(dimension)}
            for holder, part in holdings:
                if part.node in nodes:
                    cpu = dimension is Shortage.CPU
                    yield holder, part.cpu_milli if cpu else part.memory_bytes
        case Shortage.GPU | Shortage.NODE if not _by_node(no_room, dimension):
            yield from _of_devices(no_room, holdings)
        case Shortage.NODE | Shortage.GPU:
            yield from _of_nodes(no_room, holdings)
        case Shortage.MODEL | Shortage.APART | Shortage.SERVICE:
            return


def _of_devices(
    no_room: NoRoom, holdings: Sequence[tuple[Holder, Placement]]
) -> Iterator[tuple[Holder, int]]:
    """What nobody holds of a closed node or a broken device is held by that."""
    suited = {device.id: (node, device) for node, device in _suited(no_room)}
    left = dict.fromkeys(suited, WHOLE)
    for holder, part in holdings:
        for share in part.shares:
            if share.device_id in suited and suited[share.device_id][0].name == part.node:
                left[share.device_id] -= share.milli
                yield holder, share.milli
    for id_, (node, device) in suited.items():
        if device.health is not Health.OK:
            yield Holder.BROKEN, max(0, left[id_])
        elif node.closed:
            yield Holder.CLOSED, max(0, left[id_])


def _of_nodes(
    no_room: NoRoom, holdings: Sequence[tuple[Holder, Placement]]
) -> Iterator[tuple[Holder, int]]:
    """Each node once, for the most urgent that is on it."""
    order = list(Holder)
    for node in _suited_nodes(no_room):
        here = [holder for holder, part in holdings if part.node == node.name]
        if here:
            yield min(here, key=order.index), 1
        elif node.closed:
            yield Holder.CLOSED, 1
        elif any(device.health is not Health.OK for device in node.devices):
            yield Holder.BROKEN, 1


def starting_now(near: Nearby, judge: Callable[[Answer], Verdict], most: int = 3) -> list[Answer]:
    """What of it is judged to start now: of each ladder the first that does, one other offer of
    each kind, then more of these."""

    def starts(answer: Answer) -> bool:
        return isinstance(judge(answer), Fits)

    ladders = (first for ladder in near.ladders if (first := _first(ladder, starts)))
    others = [filter(starts, kind) for kind in near.others]
    firsts = (first for kind in others if (first := next(kind, None)))
    found = list[Answer]()
    for answer in chain(ladders, firsts, *others):
        if len(found) >= most:
            break
        found.append(answer)
    return found


def _first(ladder: Sequence[Answer], starts: Callable[[Answer], bool]) -> Answer | None:
    """The first that starts, found by halving: who asks for less starts where more would."""
    if not ladder or not starts(ladder[-1]):
        return None
    low, high = 0, len(ladder) - 1
    while low < high:
        middle = (low + high) // 2
        if starts(ladder[middle]):
            high = middle
        else:
            low = middle + 1
    return ladder[high]
