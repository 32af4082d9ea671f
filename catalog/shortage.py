"""Why an ask has no room: the smallest set of dimensions whose relief alone would give it some.

Each candidate set is verified by relaxing exactly these dimensions and fitting the ask again, so the
reason is never a guess. It is looked for in three pictures, and told of the first in which the ask
does not fit: everything that exists, empty and in service (then it never fits); what is in service,
empty (then something must come back); what is free now.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import combinations

from catalog.asks import Ask
from catalog.fitting import (
    allowed,
    emptied,
    fits,
    in_service,
    milli_of,
    on_node,
    open_to,
    share_on,
    shares_on,
)
from catalog.inventory import Capacity, Device, Health, Mode, NodeFree
from catalog.mig import profiles_of
from catalog.units import WHOLE, format_bytes, format_cpu, format_gpu


class Shortage(StrEnum):
    """Which dimension keeps an ask from its place."""

    GPU = "gpu"
    CPU = "cpu"
    MEMORY = "memory"
    MODEL = "model"
    APART = "apart"
    """Every node that has room runs another one of its group."""
    NODE = "node"
    """There is enough, but not on one node, or not on a node of its own."""
    SERVICE = "service"
    """What has room is closed or not healthy."""


def relaxed(ask: Ask, capacity: Capacity, dimensions: Iterable[Shortage]) -> tuple[Ask, Capacity]:
    """The ask and the picture with these dimensions out of the way."""
    for dimension in dimensions:
        match dimension:
            case Shortage.GPU:
                ask = replace(ask, gpu_milli=0, gpu_memory_mib=0, gpu_count=1)
            case Shortage.CPU:
                ask = replace(ask, cpu_milli=0)
            case Shortage.MEMORY:
                ask = replace(ask, memory_bytes=0)
            case Shortage.MODEL:
                ask = replace(ask, models=(), vendors=())
            case Shortage.APART:
                ask = replace(ask, apart="")
            case Shortage.NODE:
                ask = replace(ask, whole_node=False, split=True)
                capacity = _with(capacity, alone=0)
            case Shortage.SERVICE:
                capacity = Capacity(
                    {
                        name: replace(free, node=in_service(free.node))
                        for name, free in capacity.nodes.items()
                    }
                )
    return ask, capacity


def _with(capacity: Capacity, *, alone: int) -> Capacity:
    return Capacity(
        {
            name: free if free.alone == alone else replace(free, alone=alone)
            for name, free in capacity.nodes.items()
        }
    )


@dataclass(frozen=True)
class NoRoom:
    """An ask does not fit: what is short, and in words. Worked out when somebody asks."""

    ask: Ask
    capacity: Capacity

    @cached_property
    def ever(self) -> bool:
        """Whether it would fit on the same nodes if nothing else ran and all were in service."""
        return fits(self.ask, self._all)

    @cached_property
    def out(self) -> bool:
        """Whether it waits for something to come back into service."""
        return self.ever and not fits(self.ask, emptied(self.capacity))

    @cached_property
    def picture(self) -> Capacity:
        """The first of the three in which it does not fit."""
        if not self.ever:
            return self._all
        return emptied(self.capacity) if self.out else self.capacity

    @cached_property
    def minimal(self) -> tuple[Shortage, ...]:
        """The smallest set of dimensions whose relief would make it fit; of several, the one that
        says most."""
        order = self._order()
        for size in range(1, len(order) + 1):
            for dimensions in combinations(order, size):
                if fits(*relaxed(self.ask, self.picture, dimensions)):
                    return dimensions
        return (Shortage.NODE,)  # there is no node at all

    @property
    def shortage(self) -> Shortage:
        """The first of `minimal`."""
        return self.minimal[0]

    @cached_property
    def text(self) -> str:
        """In words for a person."""
        if not self.picture.nodes:
            return "there is no machine here"
        return " and ".join(self._words(dimension) for dimension in self.minimal)

    @property
    def _all(self) -> Capacity:
        return Capacity.of(in_service(free.node) for free in self.capacity.nodes.values())

    def _order(self) -> tuple[Shortage, ...]:
        """What says most goes first; a model that does not exist says more than all."""
        if self.out:
            return (Shortage.SERVICE,)
        order = [Shortage.CPU, Shortage.MEMORY, Shortage.APART, Shortage.NODE, Shortage.GPU]
        devices = [d for free in self.picture.nodes.values() for d in free.node.devices]
        missing = self.ask.count and not any(allowed(self.ask, device) for device in devices)
        rest = [Shortage.SERVICE, Shortage.MODEL]
        return (Shortage.MODEL, *order) if missing and devices else (*order, *rest)

    def _words(self, dimension: Shortage) -> str:
        match dimension:
            case Shortage.CPU:
                most = max(self.with_the_rest(Shortage.CPU), key=lambda free: free.cpu_milli)
                return f"{self._there_is} {format_cpu(max(0, most.cpu_milli))} {self._with_rest}"
            case Shortage.MEMORY:
                most = max(self.with_the_rest(Shortage.MEMORY), key=lambda free: free.memory_bytes)
                memory = format_bytes(max(0, most.memory_bytes))
                return f"{self._there_is} {memory} of memory {self._with_rest}"
            case Shortage.MODEL:
                return f"there is no {_kinds(self.ask)} here"
            case Shortage.APART:
                return "every node with room runs another of its replicas"
            case Shortage.NODE:
                return self._why_node()
            case Shortage.SERVICE:
                return self._why_service()
            case Shortage.GPU:
                return self._why_gpu()

    def with_the_rest(self, dimension: Shortage) -> list[NodeFree]:
        """The nodes that have all of what is wanted but this, and the others that are short."""
        others = [one for one in self.minimal if one is not dimension]
        ask, picture = relaxed(self.ask, self.picture, [*others, dimension])
        nodes = [free for free in picture.nodes.values() if on_node(ask, free) is not None]
        return nodes or list(picture.nodes.values())

    @property
    def _there_is(self) -> str:
        return "free now is at most" if self.ever else "there is at most"

    @property
    def _with_rest(self) -> str:
        return "on a node that has the rest"

    def _why_node(self) -> str:
        ask = self.ask
        if ask.whole_node:
            return self._why_whole_node()
        if ask.count > 1:
            most = max(len(shares_on(ask, free)) for free in self.picture.nodes.values())
            free = f"at most {most} {'is' if most == 1 else 'are'} free on one"
            end = free if self.ever else f"no node has more than {most}"
            return f"{ask.gpu_text} are wanted on one node, and {end}"
        return "the node with room is given to somebody as a whole"

    def _why_whole_node(self) -> str:
        size = f" with {_gpus(self.ask.count)}" if self.ask.count else ""
        missing = "something runs on each of them" if self.ever else "there is none"
        return f"a whole node{size} is wanted, and {missing}"

    def _why_service(self) -> str:
        """What of the places that would do is closed or broken, each with its reason."""
        ask, found = self.ask, list[str]()
        for _, free in sorted(self._all.nodes.items()):
            node = self.capacity.nodes[free.node.name].node
            if on_node(ask, free) is None and not (ask.split and shares_on(ask, free)):
                continue
            if node.closed:
                found.append(f"node {node.name} is closed: {node.closed}")
            found += [
                f"{device.id} is {device.health}"
                + (f" ({device.health_reason})" if device.health_reason else "")
                for device in node.devices
                if device.health is not Health.OK and milli_of(ask, device)
            ]
        shown = "; ".join(found[:3])
        more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
        none = ask.count and not any(
            device.health is Health.OK and not free.node.closed
            for free in self.capacity.nodes.values()
            for device in free.node.devices
        )
        begin = "there is no working GPU here" if none else "it waits for what is out of service"
        return f"{begin}: {shown}{more}"

    def _why_gpu(self) -> str:
        frees = list(self.picture.nodes.values())
        devices = [(free, d) for free in frees for d in free.node.devices]
        working = [(free, d) for free, d in devices if d.health is Health.OK]
        if not working:
            return "there is no GPU here" if not devices else "there is no working GPU here"
        if self.ask.whole_node:
            return self._why_whole_node()
        wanted = _wanted(self.ask)
        if not self.ever:
            return f"{wanted}{self._why_never([device for _, device in working])}"
        usable = [(free, d) for free, d in working if milli_of(self.ask, d) is not None]
        best = max((free.device_milli[d.id] for free, d in usable), default=0)
        if self.ask.count > 1:
            able = sum(share_on(self.ask, d, free) is not None for free, d in usable)
            return f"{self.ask.count} free GPUs are wanted, {able} are free"
        if best and any(d.sharing is Mode.MIG for _, d in usable):
            return f"{wanted}, and no device has the memory slices for it free side by side"
        if not best:
            return f"{wanted}, all are in use"
        return f"{wanted}, at most {format_gpu(best)} is free on one device"

    def _why_never(self, devices: list[Device]) -> str:
        ask = self.ask
        suited = [device for device in devices if allowed(ask, device)]
        able = [device for device in suited if milli_of(ask, device) is not None]
        if not able:
            largest = max((device.memory_mib for device in suited), default=0)
            if ask.gpu_memory_mib > largest:
                return f" and no device has more than {format_bytes(largest << 20)}"
            if all(d.sharing is Mode.MIG and not _profiles(d) for d in suited):
                return " and the devices here cannot be cut by MIG"
            return " and the devices here are given only whole"
        most = max(
            sum(milli_of(ask, device) is not None for device in free.node.devices)
            for free in self.picture.nodes.values()
            if open_to(ask, free)
        )
        return f" and no node has more than {_gpus(most)}"


def _profiles(device: Device) -> bool:
    return bool(profiles_of(device.model, device.memory_mib))


def _gpus(count: int) -> str:
    return format_gpu(count * WHOLE)


def _kinds(ask: Ask) -> str:
    """``"H200 or A100"``; by vendor where no model is named."""
    return " or ".join(ask.models or ask.vendors)


def _wanted(ask: Ask) -> str:
    on = f" on {_kinds(ask)}" if ask.models or ask.vendors else ""
    many = ask.count > 1 and not ask.gpu_memory_mib
    return f"{ask.gpu_text}{on} {'are' if many else 'is'} wanted"
