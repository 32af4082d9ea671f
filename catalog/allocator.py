"""The placer of the product: what fits is decided by `catalog.fitting`, where it goes by `catalog.fleet`.

One fleet is kept and brought up to each picture it is asked about; only nodes whose `NodeFree` is
another object are touched, so that thousands of nodes cost little. It may be used by several threads.
"""

from collections.abc import Mapping
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from catalog.asks import Ask
from catalog.fitting import on_node, over_nodes, place_on, share_on
from catalog.fleet import Fleet, Spot
from catalog.inventory import Capacity, Device, Health, Mode, Node, NodeFree, Placement
from catalog.mix import Mix
from catalog.shortage import NoRoom


class Allocator:
    """Puts an ask where it takes the least from what is expected to be asked for.

    Nothing that fits is refused. The same picture gives the same answer, for the same mix and the
    same site: what is scarce is judged by all nodes that were ever in a picture, so that a picture
    of a few nodes is answered like one of all in which the others are full.
    """

    def __init__(self, mix: Mix | None = None) -> None:
        self._mix = mix or Mix.prior()
        self._lock = Lock()
        self._seen = _Seen({}, self._mix)

    def learn(self, mix: Mix) -> None:
        """From now on expect `mix`."""
        with self._lock:
            self._mix = mix
            self._seen.fleet.learn(mix)

    def place(self, ask: Ask, capacity: Capacity) -> Placement | NoRoom:
        """All on one node, unless the ask lets itself be split and no node has room for it all."""
        with self._lock:
            place = self._on_one(ask, capacity)
        if place is None and ask.split and ask.count > 1:
            place = over_nodes(ask, capacity)
        return NoRoom(ask, capacity) if place is None else place

    def _on_one(self, ask: Ask, capacity: Capacity) -> Placement | None:
        if not capacity.nodes:
            return None
        if not self._seen.update(capacity):
            nodes = self._seen.nodes | {name: free.node for name, free in capacity.nodes.items()}
            self._seen = _Seen(nodes, self._mix)
            self._seen.update(capacity)
        return self._seen.place(ask)


class _Seen:
    """A fleet, and the picture that it shows now."""

    def __init__(self, nodes: Mapping[str, Node], mix: Mix) -> None:
        self._nodes = [nodes[name] for name in sorted(nodes)]
        self.fleet = Fleet(self._nodes, mix)
        self._index = {node.name: at for at, node in enumerate(self._nodes)}
        self._shown: list[NodeFree | None] = [None] * len(self._nodes)
        self._here = np.zeros(len(self._nodes), dtype=np.bool_)
        self._open = np.ones(len(self._nodes), dtype=np.bool_)
        self._empty = np.ones(len(self._nodes), dtype=np.bool_)
        self._grouped: set[int] = set()

    @property
    def nodes(self) -> dict[str, Node]:
        return {node.name: node for node in self._nodes}

    def update(self, capacity: Capacity) -> bool:
        """Show this picture. False when it has nodes that are not known, or have other devices: then
        a new fleet is needed."""
        places: list[int] = []
        for name, free in capacity.nodes.items():
            at = self._index.get(name)
            if at is None:
                return False
            places.append(at)
            if free is self._shown[at]:
                continue
            if free.node is not self._nodes[at]:
                if not _alike(free.node, self._nodes[at]):
                    return False
                self._nodes[at] = free.node
            self._show(at, free)
        self._here[:] = False
        self._here[places] = True
        return True

    def _show(self, at: int, free: NodeFree) -> None:
        self._shown[at] = free
        milli = [
            free.device_milli[device.id] if device.health is Health.OK else 0
            for device in free.node.devices
        ]
        self.fleet.set(at, free.cpu_milli, free.memory_bytes, milli)
        self._open[at] = not free.node.closed and not free.alone
        self._empty[at] = not free.guests
        if free.groups:
            self._grouped.add(at)
        else:
            self._grouped.discard(at)

    def place(self, ask: Ask) -> Placement | None:
        """Where the fleet would have it. It does not know where MIG instances may begin: what it
        finds on paper only is left out, and it is asked again."""
        allowed = self._allowed(ask)
        while (spot := self.fleet.best(self.fleet.demand(ask, allowed))) is not None:
            free = self._shown[spot.node]
            place = free and (self._at(ask, free, spot) or on_node(ask, free))
            if place:
                return place
            allowed[spot.node] = False
        return None

    def _allowed(self, ask: Ask) -> NDArray[np.bool_]:
        allowed = self._here & self._open
        if ask.whole_node:
            allowed &= self._empty
        for at in self._grouped if ask.apart else ():
            shown = self._shown[at]
            allowed[at] &= shown is not None and ask.apart not in shown.groups
        return allowed

    @staticmethod
    def _at(ask: Ask, free: NodeFree, spot: Spot) -> Placement | None:
        """The ask on these very devices; None where they cannot give it."""
        if ask.whole_node:
            return None
        devices = [free.node.devices[at] for at in spot.devices]
        shares = [share_on(ask, device, free) for device in devices]
        if None in shares:
            return None
        return place_on(ask, free, [share for share in shares if share is not None])


def _alike(one: Node, other: Node) -> bool:
    """Whether two readings of a node differ in nothing but health, doors and what is free."""
    return (one.name, [*map(_kind, one.devices)]) == (other.name, [*map(_kind, other.devices)])


def _kind(device: Device) -> tuple[str, str, str, int, Mode]:
    return device.id, device.vendor, device.model, device.memory_mib, device.sharing
