"""Where an ask would run. The simple form: best fit, behind the interface of the real allocator."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from catalog.asks import Ask
from catalog.inventory import Capacity, Device, Health, Mode, NodeFree, Placement, Share
from catalog.units import WHOLE, format_bytes, format_cpu, format_gpu


class Shortage(StrEnum):
    """Which dimension keeps an ask from its place."""

    GPU = "gpu"
    CPU = "cpu"
    MEMORY = "memory"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class NoRoom:
    """An ask does not fit: what is short, and in words. `ever` tells whether it would fit on the
    same nodes if nothing else ran."""

    shortage: Shortage
    text: str
    ever: bool = True


class Placer(Protocol):
    """Picks a place in a picture of what is free. Pure: the same picture gives the same answer."""

    def place(self, ask: Ask, capacity: Capacity) -> Placement | NoRoom: ...


class BestFit:
    """Fills the fullest device and node that still has room, so that large gaps stay whole."""

    def place(self, ask: Ask, capacity: Capacity) -> Placement | NoRoom:
        """All shares of an ask on one node; parts of one device are never split."""
        candidates = [
            (self._leftover(free, shares), free.node.name, shares)
            for free in capacity.nodes.values()
            if free.cpu_milli >= ask.cpu_milli and free.memory_bytes >= ask.memory_bytes
            if (shares := self._shares(ask, free)) is not None
        ]
        if not candidates:
            return self._why(ask, capacity)
        _, node, shares = min(candidates)
        return Placement(node, ask.cpu_milli, ask.memory_bytes, tuple(shares))

    @staticmethod
    def _leftover(free: NodeFree, shares: list[Share]) -> tuple[int, int]:
        touched = sum(free.device_milli[share.device_id] - share.milli for share in shares)
        return touched, sum(free.device_milli.values())

    @staticmethod
    def _shares(ask: Ask, free: NodeFree) -> list[Share] | None:
        chosen: list[Share] = []
        left = dict(free.device_milli)
        for part in ask.parts:
            fitting = [
                (left[device.id], device.index, device.id, device)
                for device in free.node.devices
                if left[device.id] >= part and _usable(device, ask)
            ]
            if not fitting:
                return None
            device = min(fitting, key=lambda row: row[:3])[3]
            left[device.id] -= part
            chosen.append(share_of(device, part))
        return chosen

    def _why(self, ask: Ask, capacity: Capacity) -> NoRoom:
        empty = Capacity.of(free.node for free in capacity.nodes.values())
        ever = any(
            free.cpu_milli >= ask.cpu_milli
            and free.memory_bytes >= ask.memory_bytes
            and self._shares(ask, free) is not None
            for free in empty.nodes.values()
        )
        frees = capacity.nodes if ever else empty.nodes
        with_gpu = [free for free in frees.values() if self._shares(ask, free) is not None]
        if not with_gpu:
            return self._why_gpu(ask, list(frees.values()), ever=ever)
        most_cpu = max(free.cpu_milli for free in with_gpu)
        if most_cpu < ask.cpu_milli:
            return NoRoom(
                Shortage.CPU,
                f"{_there_is(ever)} {format_cpu(max(0, most_cpu))} on a node that has the rest",
                ever,
            )
        most_memory = max(free.memory_bytes for free in with_gpu)
        return NoRoom(
            Shortage.MEMORY,
            f"{_there_is(ever)} {format_bytes(max(0, most_memory))} of memory"
            " on a node that has the rest",
            ever,
        )

    @staticmethod
    def _why_gpu(ask: Ask, frees: list[NodeFree], *, ever: bool) -> NoRoom:
        devices = [d for free in frees for d in free.node.devices if d.health is Health.OK]
        wanted = format_gpu(ask.gpu_milli)
        if not devices:
            return NoRoom(Shortage.GPU, "there is no working GPU here", ever)
        if ask.models and not any(device.model in ask.models for device in devices):
            return NoRoom(Shortage.MODEL, f"there is no {' or '.join(ask.models)} here", ever)
        if not ever:
            most = max(sum(d.health is Health.OK for d in free.node.devices) for free in frees)
            return NoRoom(
                Shortage.GPU, f"{wanted} is wanted and no node has more than {most} GPUs", ever
            )
        best = max(max(free.device_milli.values(), default=0) for free in frees)
        if len(ask.parts) > 1:
            whole = sum(m == WHOLE for free in frees for m in free.device_milli.values())
            return NoRoom(
                Shortage.GPU, f"{len(ask.parts)} free GPUs are wanted, {whole} are free", ever
            )
        free_now = f"at most {format_gpu(best)} is free on one device" if best else "all are in use"
        return NoRoom(Shortage.GPU, f"{wanted} is wanted, {free_now}", ever)


def share_of(device: Device, milli: int) -> Share:
    """The share of `milli` that `device` would give, in the mode that it shares in."""
    real = Mode.WHOLE if milli == WHOLE else device.sharing
    mode = Mode.EMULATED if device.emulated else real
    return Share(device.id, milli, device.memory_of(milli), mode, device.emulated)


def count_that_fit(ask: Ask, capacity: Capacity, placer: Placer, limit: int = 64) -> int:
    """How many copies of `ask` would fit now, counted up to `limit`."""
    for count in range(limit):
        placement = placer.place(ask, capacity)
        if isinstance(placement, NoRoom):
            return count
        capacity = capacity.take(placement)
    return limit


def _usable(device: Device, ask: Ask) -> bool:
    return device.health is Health.OK and (not ask.models or device.model in ask.models)


def _there_is(ever: bool) -> str:  # noqa: FBT001 (a word for a state, private)
    return "there is at most" if not ever else "free now is at most"
