"""NVIDIA devices through NVML, with their health.

The library stays open between readings: only then does the driver hand over the XID events that
happened in the meantime. After a reading that met a broken device it is opened anew, because the
list of devices is made when the library is opened.
"""

import ctypes
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from catalog.clock import Clock
from catalog.discovery.nvml import Handle, Nvml, load_pynvml
from catalog.discovery.source import Reading
from catalog.inventory import Device, Health, Mode, Vendor
from catalog.units import MIB

T = TypeVar("T")

FAILING_XIDS = {
    48: "an uncorrectable memory error (double-bit ECC)",
    62: "its power controller halted",
    64: "a broken memory row could not be taken out of use",
    74: "an NVLink failed",
    79: "it has fallen off the bus",
    94: "an uncorrectable memory error, contained to one program",
    95: "an uncorrectable memory error that was not contained",
    119: "its system processor (GSP) did not answer in time",
    120: "its system processor (GSP) failed",
    140: "an uncorrectable memory error (unrecovered ECC)",
    143: "it could not be initialised",
}
"""XIDs after which a device needs a reset, a reboot or a repair (NVIDIA, "Xid Errors", the
catalogue). XID 63, a row taken out of use, is left to the row remapper's own report; the XIDs that
a person's program causes (13, 31, 43, 45) say nothing about the device."""

_GPU_IS_LOST, _LIBRARY_NOT_FOUND, _DRIVER_NOT_LOADED, _TIMEOUT = 15, 12, 9, 10
_UNANSWERABLE = frozenset({3, 4, 13, 21})
"""Not supported, no permission, function not found, no data: the question has no answer here,
which says nothing about the health of the device."""
_MPS_SINCE = (7, 0)
"""Compute capability from which MPS isolates the memory of its clients (Volta)."""
_XID_EVENT = 0x8
_UNCORRECTED, _VOLATILE = 1, 0
_EVENTS_PER_READING = 256


@dataclass(slots=True)
class _Session:
    """One opening of the library."""

    events: Handle | None
    known: dict[int, Device] = field(default_factory=dict[int, Device])
    by_address: dict[int, str] = field(default_factory=dict[int, str])
    stale: bool = False


class NvidiaSource:
    """Reads NVIDIA devices. Without the library or the driver there are none, and no complaint.

    An XID that condemns a device is remembered for the life of this object: a device can be reset
    only while nothing has it open, so a reset comes with a restart.
    """

    def __init__(self, clock: Clock, load: Callable[[], Nvml | None] | None = None) -> None:
        self._clock = clock
        self._nvml = (load or load_pynvml)()
        self._session: _Session | None = None
        self._condemned: dict[str, str] = {}

    def read(self) -> Reading:
        """See `DeviceSource.read`. Takes milliseconds, or seconds where the library is opened
        and the driver does not stay loaded (persistence mode off)."""
        if self._nvml is None:
            return Reading()
        try:
            session = self._open(self._nvml)
            self._drain(self._nvml, session)
            return self._list(self._nvml, session)
        except self._nvml.NVMLError as error:
            self._close(self._nvml)
            return _unanswered(error)

    def _open(self, nvml: Nvml) -> _Session:
        if self._session is not None and self._session.stale:
            self._drain(nvml, self._session)
            self._close(nvml)
        if self._session is None:
            nvml.nvmlInit()
            self._session = _Session(_optional(nvml, nvml.nvmlEventSetCreate))
        return self._session

    def _close(self, nvml: Nvml) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        try:
            if session.events is not None:
                nvml.nvmlEventSetFree(session.events)
            nvml.nvmlShutdown()
        except nvml.NVMLError:
            return  # a driver that is gone cannot be closed either; the next opening tells

    def _drain(self, nvml: Nvml, session: _Session) -> None:
        """Take the XID events that happened since the last reading."""
        if session.events is None:
            return
        for _ in range(_EVENTS_PER_READING):
            try:
                event = nvml.nvmlEventSetWait(session.events, 0)
            except nvml.NVMLError as error:
                session.stale = session.stale or _code(error) != _TIMEOUT
                return
            uuid = session.by_address.get(_address(event.device))
            reason = FAILING_XIDS.get(event.eventData)
            if uuid is not None and reason is not None:
                when = f"{self._clock.now():%Y-%m-%d %H:%M} UTC"
                self._condemned[uuid] = f"XID {event.eventData} at {when}: {reason}"

    def _list(self, nvml: Nvml, session: _Session) -> Reading:
        devices: list[Device] = []
        warnings: list[str] = []
        for index in range(nvml.nvmlDeviceGetCount()):
            try:
                devices.append(self._device(nvml, session, index))
            except nvml.NVMLError as error:
                session.stale = True
                known = session.known.get(index)
                if known is None:
                    warnings.append(f"NVIDIA device {index} does not answer: {error}")
                else:
                    devices.append(_broken(known, error))
        return Reading(tuple(devices), tuple(warnings), broken=bool(warnings))

    def _device(self, nvml: Nvml, session: _Session, index: int) -> Device:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        device = Device(
            id=nvml.nvmlDeviceGetUUID(handle),
            vendor=Vendor.NVIDIA,
            model=_readable(nvml.nvmlDeviceGetName(handle)),
            memory_mib=nvml.nvmlDeviceGetMemoryInfo(handle).total // MIB,
            index=index,
            sharing=_sharing(nvml, handle),
        )
        if index not in session.known:
            session.by_address[_address(handle)] = device.id
            self._listen(nvml, session, handle)
        session.known[index] = device
        reason = self._condemned.get(device.id) or _complaint(nvml, handle)
        return replace(device, health=Health.FAILING, health_reason=reason) if reason else device

    @staticmethod
    def _listen(nvml: Nvml, session: _Session, handle: Handle) -> None:
        events = session.events
        if events is not None:
            _optional(nvml, lambda: nvml.nvmlDeviceRegisterEvents(handle, _XID_EVENT, events))


def _complaint(nvml: Nvml, handle: Handle) -> str:
    """What the driver holds against a device that answers; empty when it is well."""
    mig = _optional(nvml, lambda: nvml.nvmlDeviceGetMigMode(handle))
    if mig and mig[0]:
        return "MIG mode is on; not offered yet"
    rows = _optional(nvml, lambda: nvml.nvmlDeviceGetRemappedRows(handle))
    if rows and rows[3]:
        return "a broken memory row could not be taken out of use; the device needs a repair"
    if rows and rows[2]:
        return "a memory row is to be taken out of use; the device needs a reset"
    if _optional(nvml, lambda: nvml.nvmlDeviceGetRetiredPagesPendingStatus(handle)):
        return "memory pages are to be taken out of use; the device needs a reset"
    errors = _optional(
        nvml, lambda: nvml.nvmlDeviceGetTotalEccErrors(handle, _UNCORRECTED, _VOLATILE)
    )
    return f"{errors} uncorrected memory errors since its last reset" if errors else ""


def _broken(device: Device, error: Exception) -> Device:
    """A device that was known and now answers with an error."""
    if _code(error) == _GPU_IS_LOST:
        reason = "the driver has lost it: it has fallen off the bus or stopped answering"
        return replace(device, health=Health.GONE, health_reason=reason)
    return replace(device, health=Health.FAILING, health_reason=f"the driver says: {error}")


def _unanswered(error: Exception) -> Reading:
    """The library could not be opened, or could not even count."""
    code = _code(error)
    if code == _LIBRARY_NOT_FOUND:
        return Reading()
    if code == _DRIVER_NOT_LOADED:
        return Reading(warnings=("The NVIDIA library is here, but its driver is not loaded.",))
    warning = (
        f"The NVIDIA driver does not answer: {error}. Run nvidia-smi; after an update of the "
        "driver the machine needs a reboot."
    )
    return Reading(warnings=(warning,), broken=True)


def _sharing(nvml: Nvml, handle: Handle) -> Mode:
    capability = _optional(nvml, lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle))
    able = capability is not None and capability >= _MPS_SINCE
    return Mode.MPS if able and shutil.which("nvidia-cuda-mps-control") else Mode.TIME_SLICE


def _optional(nvml: Nvml, ask: Callable[[], T]) -> T | None:
    """The answer, or None where this device, driver or user cannot be asked that."""
    try:
        return ask()
    except nvml.NVMLError as error:
        if _code(error) in _UNANSWERABLE:
            return None
        raise


def _code(error: Exception) -> int:
    value: object = getattr(error, "value", None)
    return value if isinstance(value, int) else 999


def _address(handle: Handle) -> int:
    """What makes two handles the same: NVML hands out a pointer, wrapped anew each time."""
    return ctypes.cast(cast("Any", handle), ctypes.c_void_p).value or 0


def _readable(name: str) -> str:
    return name.removeprefix("NVIDIA ").strip() or "NVIDIA device"
