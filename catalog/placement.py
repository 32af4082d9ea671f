"""Where an ask would run: the door of the allocator, and its simple form, best fit."""

from collections.abc import Iterable
from typing import Protocol

from catalog.asks import Ask
from catalog.fitting import on_node, over_nodes, share_of
from catalog.inventory import Capacity, NodeFree, Placement
from catalog.shortage import NoRoom, Shortage

__all__ = ["BestFit", "NoRoom", "Placer", "Shortage", "count_that_fit", "share_of"]


class Placer(Protocol):
    """Picks a place in a picture of what is free. Pure: the same picture gives the same answer."""

    def place(self, ask: Ask, capacity: Capacity) -> Placement | NoRoom: ...


class BestFit:
    """Fills the fullest device and node that still has room, so that large gaps stay whole."""

    def place(self, ask: Ask, capacity: Capacity) -> Placement | NoRoom:
        """All on one node, unless the ask lets itself be split and no node has room for it all."""
        found = [
            (free, place)
            for free in capacity.nodes.values()
            if (place := on_node(ask, free)) is not None
        ]
        if found:
            return self._best(found)
        if ask.split and ask.count > 1 and (place := over_nodes(ask, capacity)):
            return place
        return NoRoom(ask, capacity)

    @staticmethod
    def _best(found: Iterable[tuple[NodeFree, Placement]]) -> Placement:
        return min(found, key=lambda one: (*_leftover(*one), one[1].node))[1]


def _leftover(free: NodeFree, place: Placement) -> tuple[int, int]:
    touched = sum(free.device_milli[share.device_id] - share.milli for share in place.shares)
    return touched, sum(free.device_milli.values())


def count_that_fit(ask: Ask, capacity: Capacity, placer: Placer, limit: int = 64) -> int:
    """How many copies of `ask` would fit now, counted up to `limit`."""
    for count in range(limit):
        placement = placer.place(ask, capacity)
        if isinstance(placement, NoRoom):
            return count
        capacity = capacity.take(placement)
    return limit
