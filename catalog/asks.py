"""A portable request for resources."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from catalog.errors import BadValue
from catalog.units import WHOLE, format_bytes, format_cpu, format_gpu


class Priority(StrEnum):
    """Classes of the queue, the most urgent first."""

    REAL_TIME = "real-time"
    STANDARD = "standard"
    BEST_EFFORT = "best-effort"

    @property
    def rank(self) -> int:
        """0 is served first."""
        return list(Priority).index(self)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a workload needs: milli-cores, bytes, milli-GPU, for at most `duration`.

    `gpu_milli` is the sum of `gpu_count` equal shares of as many devices; with one share, above
    1000, it is whole devices and a multiple of 1000. `gpu_memory_mib` asks for each share by
    memory instead: then `gpu_milli` is 0 and each model takes what of it has that memory.
    `whole_node` asks for all devices of a node that nobody else uses. `models` and `vendors`, empty,
    allow all. Two asks of one `apart` group never share a node (replicas of an endpoint).
    `split` lets the shares lie on several nodes; else all lie on one.
    """

    cpu_milli: int
    memory_bytes: int
    gpu_milli: int = 0
    duration: timedelta = timedelta(hours=1)
    models: tuple[str, ...] = ()
    priority: Priority = Priority.STANDARD
    preemptible: bool = False
    gpu_count: int = 1
    gpu_memory_mib: int = 0
    vendors: tuple[str, ...] = ()
    whole_node: bool = False
    apart: str = ""
    split: bool = False

    @property
    def parts(self) -> tuple[int, ...]:
        """Milli-GPU wanted of each device: ``(250,)``, ``(1000, 1000)`` or ``()``."""
        if not self.gpu_milli:
            return ()
        if self.gpu_count > 1:
            return (self.gpu_milli // self.gpu_count,) * self.gpu_count
        if self.gpu_milli <= WHOLE:
            return (self.gpu_milli,)
        return (WHOLE,) * (self.gpu_milli // WHOLE)

    @property
    def count(self) -> int:
        """How many devices it wants a share of."""
        return self.gpu_count if self.gpu_memory_mib else len(self.parts)

    @property
    def gpu_text(self) -> str:
        """``"1/4 GPU"``, ``"2 × 1/2 GPU"``, ``"16 GiB of GPU memory"``; empty without."""
        if not self.count:
            return ""
        if self.gpu_memory_mib:
            one = f"{format_bytes(self.gpu_memory_mib << 20)} of GPU memory"
            return one if self.gpu_count == 1 else f"{self.gpu_count} × {one}"
        if self.gpu_count > 1 and self.parts[0] != WHOLE:
            return f"{self.gpu_count} × {format_gpu(self.parts[0])}"
        return format_gpu(self.gpu_milli)

    def __str__(self) -> str:
        gpu = f"{self.gpu_text}, " if self.gpu_text else ""
        return f"{gpu}{format_cpu(self.cpu_milli)}, {format_bytes(self.memory_bytes)}"


def demand_possible(ask: Ask) -> Ask:
    """The ask, if its numbers can mean something. Raises BadValue naming what cannot."""
    for name, value in (
        ("cpu", ask.cpu_milli), ("memory", ask.memory_bytes), ("gpu", ask.gpu_milli),
        ("gpu_memory", ask.gpu_memory_mib),
    ):  # fmt: skip
        if value < 0:
            raise BadValue(f"{name}: {value} is negative", next="ask for nothing, or for more")
    if ask.duration <= timedelta():
        raise BadValue("duration: it is not longer than nothing", next="write it like 2h or 45m")
    if ask.gpu_count < 1:
        raise BadValue(f"gpu_count: {ask.gpu_count} shares cannot be made", next="use 1 or more")
    if ask.gpu_milli and ask.gpu_memory_mib:
        raise BadValue(
            "gpu and gpu_memory are two ways to say the same", next="give one of the two"
        )
    if ask.gpu_count > 1 and not (ask.gpu_milli or ask.gpu_memory_mib):
        raise BadValue(
            f"gpu_count: {ask.gpu_count} shares of nothing", next="give gpu or gpu_memory as well"
        )
    share, uneven = divmod(ask.gpu_milli, ask.gpu_count)
    if uneven or (share > WHOLE and (ask.gpu_count > 1 or share % WHOLE)):
        raise BadValue(
            f"gpu: {share / WHOLE:g} is more than one device and not whole",
            next="ask for a part of one device, or for whole ones",
        )
    if ask.whole_node and (ask.gpu_memory_mib or any(part != WHOLE for part in ask.parts)):
        raise BadValue(
            "whole_node: a node of one's own comes with whole devices",
            next="ask for its number of devices as gpu, or leave gpu out",
        )
    return ask
