"""Nodes, devices and shares: what exists and what of it is held."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from catalog.units import WHOLE

MIG_SLICES = 8
"""Equal parts of the memory of a device that MIG cuts into seven (A100 and its successors)."""


class Health(StrEnum):
    """Whether a device may be offered."""

    OK = "ok"
    FAILING = "failing"
    GONE = "gone"


class Mode(StrEnum):
    """How a share of a device is made."""

    WHOLE = "whole"
    MIG = "mig"
    MPS = "mps"
    TIME_SLICE = "time-slice"
    EMULATED = "emulated"


class Vendor(StrEnum):
    """Who made a device."""

    NVIDIA = "nvidia"
    AMD = "amd"
    EMULATED = "emulated"


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator; 1000 milli-GPU of it can be held.

    `id` is stable across restarts (NVIDIA: the UUID). `untested` marks a vendor whose code
    nobody has run on hardware yet. `sharing` is how a part of it is made.
    """

    id: str
    vendor: Vendor
    model: str
    memory_mib: int
    index: int = 0
    health: Health = Health.OK
    health_reason: str = ""
    sharing: Mode = Mode.EMULATED
    untested: bool = False

    @property
    def emulated(self) -> bool:
        return self.vendor is Vendor.EMULATED

    def memory_of(self, milli: int) -> int:
        """MiB that a share of `milli` comes with, rounded down."""
        return self.memory_mib * min(milli, WHOLE) // WHOLE


@dataclass(frozen=True, slots=True)
class Node:
    """A server: what it can hand out, and its devices. cpu in milli-cores, memory in bytes.

    `closed` says why nothing new is placed on it (a drain, silence); empty when it is open. What
    runs on a closed node goes on.
    """

    name: str
    cpu_milli: int
    memory_bytes: int
    devices: tuple[Device, ...] = ()
    closed: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """What a workload holds of one device. A MIG instance has a `profile` (``"2g.20gb"``) and the
    first memory slice it takes, `start`."""

    device_id: str
    milli: int
    memory_mib: int
    mode: Mode
    emulated: bool = False
    profile: str = ""
    start: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """A node and the shares on it, with the cpu and memory that come along.

    `apart` is the group of the ask, which no other placement on the node may have. `others` are the
    parts of one placement that lie on further nodes. `whole_node` keeps everybody else off the node.
    """

    node: str
    cpu_milli: int
    memory_bytes: int
    shares: tuple[Share, ...] = ()
    apart: str = ""
    others: tuple["Placement", ...] = ()
    whole_node: bool = False

    @property
    def parts(self) -> tuple["Placement", ...]:
        """One for each node, itself first."""
        return (self, *self.others)

    @property
    def gpu_milli(self) -> int:
        """Of all nodes together."""
        return sum(share.milli for part in self.parts for share in part.shares)


@dataclass(frozen=True, slots=True)
class NodeFree:
    """What is free on a node now: milli-GPU by device id, milli-cores, bytes. What runs on a device
    that is not healthy, or on a closed node, is counted like any other.

    `slices` are the memory slices taken of each MIG device, as bits; `groups` counts the placements
    of each `apart` group; `alone`, those that want nobody else here; `guests`, all.
    """

    node: Node
    cpu_milli: int
    memory_bytes: int
    device_milli: Mapping[str, int]
    slices: Mapping[str, int] = field(default_factory=dict[str, int])
    groups: Mapping[str, int] = field(default_factory=dict[str, int])
    alone: int = 0
    guests: int = 0

    @classmethod
    def empty(cls, node: Node) -> "NodeFree":
        """All of the node."""
        return cls(
            node,
            node.cpu_milli,
            node.memory_bytes,
            {device.id: WHOLE for device in node.devices},
            {device.id: 0 for device in node.devices if device.sharing is Mode.MIG},
        )

    def moved(self, part: Placement, sign: int) -> "NodeFree":
        """After the part of a placement that lies here is taken (-1) or given back (+1). A device
        that left the node is ignored."""
        devices, slices, groups = self.device_milli, self.slices, self.groups
        if part.shares:
            devices, slices = dict(devices), dict(slices)
            for share in part.shares:
                if share.device_id in devices:
                    devices[share.device_id] += sign * share.milli
                if share.device_id in slices:
                    taken, these = slices[share.device_id], slices_of(share)
                    slices[share.device_id] = taken | these if sign < 0 else taken & ~these
        if part.apart:
            count = groups.get(part.apart, 0) - sign
            groups = {name: n for name, n in groups.items() if name != part.apart}
            groups |= {part.apart: count} if count else {}
        return NodeFree(
            self.node,
            self.cpu_milli + sign * part.cpu_milli,
            self.memory_bytes + sign * part.memory_bytes,
            devices,
            slices,
            groups,
            self.alone - sign * part.whole_node,
            self.guests - sign,
        )

    def has_room(self, part: Placement) -> bool:
        """Whether this very part of a placement may begin here now."""
        healthy = {d.id for d in self.node.devices if d.health is Health.OK}
        return (
            not self.node.closed
            and not self.alone
            and not (part.whole_node and self.guests)
            and part.apart not in self.groups
            and self.cpu_milli >= part.cpu_milli
            and self.memory_bytes >= part.memory_bytes
            and all(
                s.device_id in healthy
                and self.device_milli[s.device_id] >= s.milli
                and not self.slices.get(s.device_id, 0) & slices_of(s)
                for s in part.shares
            )
        )

    def least(self, other: "NodeFree") -> "NodeFree":
        """The smaller amount of everything that is free in both."""
        groups = {**self.groups}
        for name, count in other.groups.items():
            groups[name] = max(count, groups.get(name, 0))
        return NodeFree(
            self.node,
            min(self.cpu_milli, other.cpu_milli),
            min(self.memory_bytes, other.memory_bytes),
            {id_: min(m, other.device_milli[id_]) for id_, m in self.device_milli.items()},
            {id_: taken | other.slices[id_] for id_, taken in self.slices.items()},
            groups,
            max(self.alone, other.alone),
            max(self.guests, other.guests),
        )


def slices_of(share: Share) -> int:
    """The memory slices of a MIG instance as bits; 0 for any other share."""
    if not share.profile:
        return 0
    count = MIG_SLICES * share.milli // WHOLE
    return ((1 << count) - 1) << share.start


@dataclass(frozen=True, slots=True)
class Capacity:
    """An immutable picture of nodes and what is free on them; taking makes a new picture."""

    nodes: Mapping[str, NodeFree] = field(default_factory=dict[str, NodeFree])

    @classmethod
    def of(cls, nodes: Iterable[Node], held: Iterable[Placement] = ()) -> "Capacity":
        """All of `nodes`, less what `held` holds."""
        frees = {node.name: NodeFree.empty(node) for node in nodes}
        for placement in held:
            _move(frees, placement, -1)
        return cls(frees)

    def take(self, placement: Placement) -> "Capacity":
        """The picture after `placement` is held. What is unknown here (a node that left) is ignored."""
        return self._moved(placement, -1)

    def give(self, placement: Placement) -> "Capacity":
        """The picture after `placement` is released."""
        return self._moved(placement, +1)

    def has_room(self, placement: Placement) -> bool:
        """Whether this very placement may begin now, on open nodes and healthy devices."""
        return all(
            part.node in self.nodes and self.nodes[part.node].has_room(part)
            for part in placement.parts
        )

    def least(self, other: "Capacity") -> "Capacity":
        """What is free in both pictures of the same nodes."""
        return Capacity(
            {
                name: free if free is other.nodes[name] else free.least(other.nodes[name])
                for name, free in self.nodes.items()
            }
        )

    def _moved(self, placement: Placement, sign: int) -> "Capacity":
        nodes = dict(self.nodes)
        _move(nodes, placement, sign)
        return Capacity(nodes)


def _move(nodes: dict[str, NodeFree], placement: Placement, sign: int) -> None:
    for part in placement.parts:
        free = nodes.get(part.node)
        if free is not None:
            nodes[part.node] = free.moved(part, sign)
