"""How much of the devices' time each process has lately used, as NVIDIA's driver samples it."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from catalog.clock import Clock
from catalog.discovery.nvml import Nvml, load_pynvml

EVERY = timedelta(seconds=5)
"""The driver is asked at most this often: many look at once."""
_NO_SAMPLES = 6


class GpuUse:
    """Asks NVML; safe from several threads."""

    def __init__(self, clock: Clock, load: Callable[[], Nvml | None] = load_pynvml) -> None:
        self._clock, self._load = clock, load
        self._lock = threading.Lock()
        self._at: datetime | None = None
        self._since: dict[int, int] = {}
        self._found: Mapping[int, int] | None = None

    def by_process(self) -> Mapping[int, int] | None:
        """Percent of a device's multiprocessors by process id, several devices added up; who is
        not in it used none. None where there is no driver to tell. Takes milliseconds."""
        with self._lock:
            now = self._clock.now()
            if self._at is None or not timedelta() <= now - self._at < EVERY:
                self._at, self._found = now, self._ask()
            return self._found

    def _ask(self) -> Mapping[int, int] | None:
        nvml = self._load()
        if nvml is None:
            return None
        try:
            nvml.nvmlInit()
        except nvml.NVMLError:
            return None
        try:
            told = [self._of_device(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
        except nvml.NVMLError:
            return None  # a device that cannot be asked: the inventory says what is wrong with it
        finally:
            self._close(nvml)
        sums: dict[int, int] = {}
        for one in told:
            for pid, percent in one.items():
                sums[pid] = sums.get(pid, 0) + percent
        return sums if told else None

    def _of_device(self, nvml: Nvml, index: int) -> dict[int, int]:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        try:
            samples = nvml.nvmlDeviceGetProcessUtilization(handle, self._since.get(index, 0))
        except nvml.NVMLError as error:
            if getattr(error, "value", None) == _NO_SAMPLES:
                return {}  # nothing ran on it since
            raise
        each: dict[int, list[int]] = {}
        for sample in samples:
            if sample.pid and sample.smUtil <= 100:
                each.setdefault(sample.pid, []).append(sample.smUtil)
        self._since[index] = max((sample.timeStamp for sample in samples), default=0)
        return {pid: round(sum(found) / len(found)) for pid, found in each.items()}

    @staticmethod
    def _close(nvml: Nvml) -> None:
        try:
            nvml.nvmlShutdown()
        except nvml.NVMLError:
            return  # a driver that is gone cannot be closed either
