"""A portable request for resources."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

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
        if self.gpu_count > 1:
            return (self.gpu_milli // self.gpu_count,) * self.gpu_count
        if self.gpu_milli <= WHOLE:
            return (self.gpu_milli,) if self.gpu_milli else ()
        return (WHOLE,) * (self.gpu_milli // WHOLE)

    def __str__(self) -> str:
        gpu = f"{format_gpu(self.gpu_milli)}, " if self.gpu_milli else ""
        return f"{gpu}{format_cpu(self.cpu_milli)}, {format_bytes(self.memory_bytes)}"
