"""Nodes, devices and shares: what exists and what of it is held."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from catalog.units import WHOLE


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
    parts of one placement that lie on further nodes.
    """

    node: str
    cpu_milli: int
    memory_bytes: int
    shares: tuple[Share, ...] = ()
    apart: str = ""
    others: tuple["Placement", ...] = ()

    @property
    def gpu_milli(self) -> int:
        return sum(share.milli for share in self.shares)


@dataclass(frozen=True, slots=True)
class NodeFree:
    """What is free on a node now: milli-GPU by device id, milli-cores, bytes."""

    node: Node
    cpu_milli: int
    memory_bytes: int
    device_milli: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Capacity:
    """An immutable picture of nodes and what is free on them; taking makes a new picture."""

    nodes: Mapping[str, NodeFree] = field(default_factory=dict[str, NodeFree])

    @classmethod
    def of(cls, nodes: Iterable[Node], held: Iterable[Placement] = ()) -> "Capacity":
        """All of `nodes`, less what `held` holds. A device that is not healthy has nothing free."""
        empty = cls(
            {
                node.name: NodeFree(
                    node,
                    node.cpu_milli,
                    node.memory_bytes,
                    {d.id: WHOLE if d.health is Health.OK else 0 for d in node.devices},
                )
                for node in nodes
            }
        )
        for placement in held:
            empty = empty.take(placement)
        return empty

    def take(self, placement: Placement) -> "Capacity":
        """The picture after `placement` is held. What is unknown here (a node that left) is ignored."""
        return self._moved(placement, -1)

    def give(self, placement: Placement) -> "Capacity":
        """The picture after `placement` is released."""
        return self._moved(placement, +1)

    def _moved(self, placement: Placement, sign: int) -> "Capacity":
        free = self.nodes.get(placement.node)
        if free is None:
            return self
        devices = dict(free.device_milli)
        healthy = {d.id for d in free.node.devices if d.health is Health.OK}
        for share in placement.shares:
            if share.device_id in healthy:
                devices[share.device_id] += sign * share.milli
        moved = replace(
            free,
            cpu_milli=free.cpu_milli + sign * placement.cpu_milli,
            memory_bytes=free.memory_bytes + sign * placement.memory_bytes,
            device_milli=devices,
        )
        return Capacity({**self.nodes, placement.node: moved})
