# ruff: noqa: N802, N815 (the names are NVML's)
"""The part of `pynvml` that discovery uses, with types: the package has none of its own."""

import importlib
from typing import Any, Protocol, cast


class Handle(Protocol):
    """An opaque pointer of NVML."""


class Memory(Protocol):
    total: int


class Event(Protocol):
    device: Handle
    eventData: int


class Sample(Protocol):
    """How much one process used of a device's multiprocessors up to a moment (µs of the driver)."""

    pid: int
    timeStamp: int
    smUtil: int


class Nvml(Protocol):
    """The functions of NVML; each raises `NVMLError`, whose `value` is NVML's code."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Handle: ...
    def nvmlDeviceGetUUID(self, handle: Handle) -> str: ...
    def nvmlDeviceGetName(self, handle: Handle) -> str: ...
    def nvmlDeviceGetMemoryInfo(self, handle: Handle) -> Memory: ...
    def nvmlDeviceGetCudaComputeCapability(self, handle: Handle) -> tuple[int, int]: ...
    def nvmlDeviceGetMigMode(self, handle: Handle) -> list[int]: ...
    def nvmlDeviceGetTotalEccErrors(self, handle: Handle, kind: int, counter: int) -> int: ...
    def nvmlDeviceGetRetiredPagesPendingStatus(self, handle: Handle) -> int: ...
    def nvmlDeviceGetRemappedRows(self, handle: Handle) -> tuple[int, int, int, int]: ...
    def nvmlDeviceGetProcessUtilization(self, handle: Handle, since: int) -> list[Sample]: ...
    def nvmlEventSetCreate(self) -> Handle: ...
    def nvmlEventSetFree(self, events: Handle) -> None: ...
    def nvmlDeviceRegisterEvents(self, handle: Handle, kinds: int, events: Handle) -> None: ...
    def nvmlEventSetWait(self, events: Handle, timeout_ms: int) -> Event: ...


def load_pynvml() -> Nvml | None:
    """The `pynvml` module, or None where it is not installed."""
    try:
        module: Any = importlib.import_module("pynvml")
    except ImportError:
        return None
    return cast("Nvml", module)
