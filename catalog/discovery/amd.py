"""AMD devices through `amdsmi`, which comes with ROCm and is no dependency of ours.

Written from AMD's documentation; nobody has run it on hardware yet, and every device says so.
"""

import importlib
from collections.abc import Callable
from typing import Any

from catalog.discovery.source import Reading
from catalog.inventory import Device, Health, Mode, Vendor
from catalog.units import MIB

UNTESTED = "AMD support is untested on hardware."


class AmdSource:
    """Reads AMD devices. Without the library there are none, and no complaint."""

    def __init__(self, load: Callable[[], Any] | None = None) -> None:
        self._load = load or load_amdsmi

    def read(self) -> Reading:
        """See `DeviceSource.read`. The library is opened and closed in each reading."""
        amdsmi = self._load()
        if amdsmi is None:
            return Reading()
        try:
            return _reading(amdsmi)
        except Exception as error:  # noqa: BLE001 (untested library: whatever it raises, the rest runs on)
            warning = f"The AMD driver does not answer: {error or type(error).__name__}."
            return Reading(warnings=(warning, UNTESTED), broken=True)


def load_amdsmi() -> Any:
    """The `amdsmi` module, or None where it is not installed or cannot load its library."""
    try:
        return importlib.import_module("amdsmi")
    except Exception:  # noqa: BLE001 (its import opens a C library and raises what that raises)
        return None


def _reading(amdsmi: Any) -> Reading:
    amdsmi.amdsmi_init()
    try:
        handles = amdsmi.amdsmi_get_processor_handles()
        devices = tuple(_device(amdsmi, handle, index) for index, handle in enumerate(handles))
    finally:
        amdsmi.amdsmi_shut_down()
    return Reading(devices, (UNTESTED,) if devices else ())


def _device(amdsmi: Any, handle: Any, index: int) -> Device:
    total = int(amdsmi.amdsmi_get_gpu_memory_total(handle, amdsmi.AmdSmiMemoryType.VRAM))
    errors = _uncorrected_errors(amdsmi, handle)
    return Device(
        id=str(amdsmi.amdsmi_get_gpu_device_uuid(handle)),
        vendor=Vendor.AMD,
        model=str(amdsmi.amdsmi_get_gpu_asic_info(handle)["market_name"]),
        memory_mib=total // MIB,
        index=index,
        health=Health.FAILING if errors else Health.OK,
        health_reason=f"{errors} uncorrected memory errors since its last reset" if errors else "",
        sharing=Mode.TIME_SLICE,
        untested=True,
    )


def _uncorrected_errors(amdsmi: Any, handle: Any) -> int:
    try:
        return int(amdsmi.amdsmi_get_gpu_total_ecc_count(handle)["uncorrectable_count"])
    except amdsmi.AmdSmiException:
        return 0  # a device without ECC has no counter
