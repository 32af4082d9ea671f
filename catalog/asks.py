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

    `gpu_milli` below 1000 is a part of one device; above, it is whole devices and a multiple of
    1000. `models` empty allows every model.
    """

    cpu_milli: int
    memory_bytes: int
    gpu_milli: int = 0
    duration: timedelta = timedelta(hours=1)
    models: tuple[str, ...] = ()
    priority: Priority = Priority.STANDARD
    preemptible: bool = False

    @property
    def parts(self) -> tuple[int, ...]:
        """Milli-GPU wanted of each device: ``(250,)``, ``(1000, 1000)`` or ``()``."""
        if self.gpu_milli <= WHOLE:
            return (self.gpu_milli,) if self.gpu_milli else ()
        return (WHOLE,) * (self.gpu_milli // WHOLE)

    def __str__(self) -> str:
        gpu = f"{format_gpu(self.gpu_milli)}, " if self.gpu_milli else ""
        return f"{gpu}{format_cpu(self.cpu_milli)}, {format_bytes(self.memory_bytes)}"
