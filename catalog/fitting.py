"""What an ask would take: on one device, on one node, over several. No choice between nodes yet.

Everything that can take an ask is found here, so that whoever chooses refuses nothing that fits.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from catalog.asks import Ask
from catalog.inventory import Capacity, Device, Health, Mode, Node, NodeFree, Placement, Share
from catalog.mig import instance, profiles_of, smallest
from catalog.units import WHOLE


def allowed(ask: Ask, device: Device) -> bool:
    """Whether a device of this kind will do, healthy or not."""
    return (not ask.models or device.model in ask.models) and (
        not ask.vendors or device.vendor in ask.vendors
    )


def milli_of(ask: Ask, device: Device) -> int | None:
    """What each share of `ask` takes of a device of this kind; None when such a device can never
    give it. By memory, rounded up; by MIG, the smallest instance that holds it."""
    if not ask.count or not allowed(ask, device):
        return None
    if ask.gpu_memory_mib > device.memory_mib:
        return None
    wanted = ask.parts[0] if ask.parts else -(-ask.gpu_memory_mib * WHOLE // device.memory_mib)
    if wanted > WHOLE or (wanted < WHOLE and device.sharing is Mode.WHOLE):
        return None
    if device.sharing is Mode.MIG:
        fitting = smallest(profiles_of(device.model, device.memory_mib), wanted)
        return fitting[0].milli if fitting else None
    return wanted


def share_on(ask: Ask, device: Device, free: NodeFree) -> Share | None:
    """The share that `device` would give to `ask` now; None when it cannot."""
    milli = milli_of(ask, device)
    if milli is None or device.health is not Health.OK or free.device_milli[device.id] < milli:
        return None
    if device.sharing is not Mode.MIG:
        return share_of(device, milli)
    profiles = profiles_of(device.model, device.memory_mib)
    made = instance(profiles, free.slices[device.id], milli)
    if made is None:
        return None
    mode = Mode.EMULATED if device.emulated else Mode.MIG
    memory = device.memory_of(milli)
    return Share(device.id, milli, memory, mode, device.emulated, made.profile.name, made.start)


def share_of(device: Device, milli: int) -> Share:
    """The share of `milli` that `device` would give, in the mode that it shares in."""
    real = Mode.WHOLE if milli == WHOLE else device.sharing
    mode = Mode.EMULATED if device.emulated else real
    return Share(device.id, milli, device.memory_of(milli), mode, device.emulated)


def shares_on(ask: Ask, free: NodeFree) -> list[Share]:
    """One share of each device that has room, those first that they fill the most."""
    found = [
        (free.device_milli[device.id] - share.milli, device.index, device.id, share)
        for device in free.node.devices
        if (share := share_on(ask, device, free)) is not None
    ]
    return [row[3] for row in sorted(found, key=lambda row: row[:3])]


def open_to(ask: Ask, free: NodeFree) -> bool:
    """Whether the node takes the ask at all, however much of it is free."""
    if free.node.closed or free.alone or (ask.whole_node and free.guests):
        return False
    return not (ask.apart and ask.apart in free.groups)


def on_node(ask: Ask, free: NodeFree) -> Placement | None:
    """The whole ask on this node; None when it does not fit now."""
    if not open_to(ask, free):
        return None
    if free.cpu_milli < ask.cpu_milli or free.memory_bytes < ask.memory_bytes:
        return None
    shares = shares_on(ask, free) if ask.count else []
    if ask.whole_node:
        whole = whole_shares(ask, free)
        if whole is None or ask.count not in (0, len(whole)):
            return None
        shares = whole
    elif len(shares) < ask.count:
        return None
    taken = shares if ask.whole_node else shares[: ask.count]
    return place_on(ask, free, taken)


def place_on(ask: Ask, free: NodeFree, shares: Iterable[Share]) -> Placement:
    """The whole ask on this node with these shares."""
    return _part(ask, free, ask.cpu_milli, ask.memory_bytes, shares)


def whole_shares(ask: Ask, free: NodeFree) -> list[Share] | None:
    """All devices of a node that nobody uses, if they are healthy and of the kinds asked for."""
    devices = free.node.devices
    wanted = all(d.health is Health.OK and allowed(ask, d) for d in devices)
    if not devices or not wanted or any(m != WHOLE for m in free.device_milli.values()):
        return None
    everything = Ask(0, 0, WHOLE, models=ask.models, vendors=ask.vendors)
    found = [share_on(everything, device, free) for device in devices]
    return [share for share in found if share is not None] if None not in found else None


@dataclass(frozen=True, slots=True)
class Room:
    """How many shares of an ask, each with its part of cpu and memory, a node can take."""

    free: NodeFree
    shares: tuple[Share, ...]


def over_nodes(ask: Ask, capacity: Capacity) -> Placement | None:
    """The shares of an ask on as few nodes as they need, each with an equal part of cpu and memory;
    None when they do not fit. Whole nodes stay whole."""
    cpu, memory = -(-ask.cpu_milli // ask.count), -(-ask.memory_bytes // ask.count)
    rooms = sorted(
        _rooms(ask, capacity, cpu, memory), key=lambda r: (-len(r.shares), r.free.node.name)
    )
    chosen = _exactly(rooms, ask.count) if ask.whole_node else _at_least(rooms, ask.count)
    if chosen is None:
        return None
    parts: list[Placement] = []
    left_cpu, left_memory = ask.cpu_milli, ask.memory_bytes
    for room in chosen:
        part_cpu = min(left_cpu, cpu * len(room.shares))
        part_memory = min(left_memory, memory * len(room.shares))
        left_cpu, left_memory = left_cpu - part_cpu, left_memory - part_memory
        parts.append(_part(ask, room.free, part_cpu, part_memory, room.shares))
    first, *others = parts
    return Placement(
        first.node, first.cpu_milli, first.memory_bytes, first.shares, first.apart,
        tuple(others), first.whole_node,
    )  # fmt: skip


def _rooms(ask: Ask, capacity: Capacity, cpu: int, memory: int) -> Iterator[Room]:
    for free in capacity.nodes.values():
        if not open_to(ask, free):
            continue
        if ask.whole_node:
            whole = whole_shares(ask, free) or []
            fitting = free.cpu_milli >= cpu * len(whole) and free.memory_bytes >= memory * len(
                whole
            )
            if whole and fitting:
                yield Room(free, tuple(whole))
            continue
        most = min(
            free.cpu_milli // cpu if cpu else ask.count,
            free.memory_bytes // memory if memory else ask.count,
        )
        shares = shares_on(ask, free)[: max(0, most)]
        if shares:
            yield Room(free, tuple(shares))


def _at_least(rooms: Iterable[Room], count: int) -> list[Room] | None:
    """The roomiest first, and of the last only what is needed."""
    chosen: list[Room] = []
    for room in rooms:
        taken = room.shares[:count]
        chosen.append(Room(room.free, taken))
        count -= len(taken)
        if not count:
            return chosen
    return None


def _exactly(rooms: Iterable[Room], count: int) -> list[Room] | None:
    """Whole nodes that have `count` devices together."""
    reached: dict[int, list[Room]] = {0: []}
    for room in rooms:
        for have, so_far in list(reached.items()):
            total = have + len(room.shares)
            if total <= count and total not in reached:
                reached[total] = [*so_far, room]
        if count in reached:
            return reached[count]
    return None


def _part(ask: Ask, free: NodeFree, cpu: int, memory: int, shares: Iterable[Share]) -> Placement:
    return Placement(
        free.node.name, cpu, memory, tuple(shares), ask.apart, whole_node=ask.whole_node
    )


def fits(ask: Ask, capacity: Capacity) -> bool:
    """Whether the ask has room anywhere now."""
    if any(on_node(ask, free) is not None for free in capacity.nodes.values()):
        return True
    return ask.split and ask.count > 1 and over_nodes(ask, capacity) is not None


def emptied(capacity: Capacity) -> Capacity:
    """The same nodes, open or closed as they are, with nothing on them."""
    return Capacity.of(free.node for free in capacity.nodes.values())


def in_service(node: Node) -> Node:
    """The node as it was opened and all its devices healthy."""
    devices = tuple(replace(d, health=Health.OK, health_reason="") for d in node.devices)
    return replace(node, devices=devices, closed="")
