"""This machine as a node: host, devices and the operator's override put together."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from catalog.clock import Clock
from catalog.discovery.amd import AmdSource
from catalog.discovery.host import Host, read_host
from catalog.discovery.nvidia import NvidiaSource
from catalog.discovery.override import ListedDevice, Override, OverrideFile
from catalog.discovery.source import DeviceSource, Reading
from catalog.inventory import Device, Health, Mode, Node, Vendor
from catalog.units import MIB


class Discovery:
    """Finds out what this machine has, and keeps in mind what it had.

    Safe to call from several threads. Once made, it never raises: what is wrong with a driver
    shows in a device's health or in `warnings`, and a broken edit of the override leaves the last
    good one in force. A device that was seen and vanishes stays in the list as gone.
    """

    def __init__(
        self,
        override: Path | None,
        *,
        clock: Clock,
        nvml: DeviceSource | None = None,
        amd: DeviceSource | None = None,
        host: Callable[[], Host] = read_host,
    ) -> None:
        """`override` names a file that may be missing. Raises BadSetup if it is there and wrong."""
        self._clock = clock
        self._file = OverrideFile(override)
        self._sources = (nvml or NvidiaSource(clock), amd or AmdSource())
        self._host = host
        self._name = host().name
        self._seen: dict[str, Device] = {}
        self._warnings: list[str] | None = None
        self._lock = threading.Lock()

    def nodes(self) -> list[Node]:
        """This machine: one node, its health read anew. The name stays what it was at first."""
        with self._lock:
            override = self._file.current()
            host = self._host()
            warnings = [self._file.warning] if self._file.warning else []
            node = Node(
                name=override.node or self._name,
                cpu_milli=override.cpu or host.cpu_milli,
                memory_bytes=override.memory or host.memory_bytes,
                devices=self._devices(override, warnings),
            )
            self._warnings = warnings
            return [node]

    def warnings(self) -> list[str]:
        """What the operator should know, as of the last `nodes`; the first call makes one."""
        if self._warnings is None:
            self.nodes()
        return list(self._warnings or ())

    def _devices(self, override: Override, warnings: list[str]) -> tuple[Device, ...]:
        if override.devices == "none":
            return ()
        if isinstance(override.devices, list):
            return self._listed(override.devices, warnings)
        found, broken = self._found(warnings)
        if found or broken:
            return found
        if override.emulated_set.count:
            warnings.append("No accelerator was found: the devices offered are emulated.")
        return override.emulated_set.devices()

    def _listed(self, listed: list[ListedDevice], warnings: list[str]) -> tuple[Device, ...]:
        """Exactly the devices of the override; real ones with what their driver says of them."""
        found: dict[str, Device] = {}
        if any(entry.vendor is not Vendor.EMULATED for entry in listed):
            found = {device.id: device for device in self._found(warnings)[0]}
        return tuple(
            _as_listed(entry, found.get(entry.id), index) for index, entry in enumerate(listed)
        )

    def _found(self, warnings: list[str]) -> tuple[tuple[Device, ...], bool]:
        """Devices that are there or were, and whether a driver hides more."""
        readings = [source.read() for source in self._sources]
        for reading in readings:
            warnings.extend(reading.warnings)
        present = {device.id: device for device in _all(readings)}
        missing = {
            id_: self._gone(device) for id_, device in self._seen.items() if id_ not in present
        }
        self._seen = {**present, **missing}
        return tuple(self._seen.values()), any(reading.broken for reading in readings)

    def _gone(self, device: Device) -> Device:
        """The device as gone, with the first reason that was known."""
        if device.health is Health.GONE:
            return device
        reason = f"its driver no longer lists it since {self._clock.now():%Y-%m-%d %H:%M} UTC"
        return replace(device, health=Health.GONE, health_reason=reason)


def _all(readings: Iterable[Reading]) -> Iterable[Device]:
    return (device for reading in readings for device in reading.devices)


def _as_listed(entry: ListedDevice, found: Device | None, index: int) -> Device:
    """The device that an entry of the override stands for.

    Of a real device the file may only take away: memory down to what it says, health for the worse,
    the sharing of parts.
    """
    if entry.vendor is Vendor.EMULATED:
        found = Device(entry.id, Vendor.EMULATED, entry.model, entry.memory // MIB, index)
    elif found is None or found.vendor is not entry.vendor:
        found = Device(
            entry.id,
            entry.vendor,
            entry.model or "unknown",
            entry.memory // MIB,
            index,
            health=Health.GONE,
            health_reason="the inventory file lists it, but no driver does",
            sharing=Mode.TIME_SLICE,
            untested=entry.vendor is Vendor.AMD,
        )
    least = min(found.memory_mib, entry.memory // MIB or found.memory_mib)
    sharing = Mode(entry.sharing) if entry.sharing else found.sharing
    model = entry.model or found.model
    device = replace(found, model=model, memory_mib=least, sharing=sharing)
    if entry.health is Health.OK or device.health is not Health.OK:
        return device
    return replace(device, health=entry.health, health_reason="set so in the inventory file")
