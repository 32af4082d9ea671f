"""The port that each vendor's library stands behind."""

from dataclasses import dataclass
from typing import Protocol

from catalog.inventory import Device


@dataclass(frozen=True, slots=True)
class Reading:
    """What a vendor's library said just now.

    `warnings` are sentences for the operator. `broken` means that hardware is probably there but
    its driver did not answer: then nothing emulated may stand in for it.
    """

    devices: tuple[Device, ...] = ()
    warnings: tuple[str, ...] = ()
    broken: bool = False


class DeviceSource(Protocol):
    """Reads the devices of one vendor."""

    def read(self) -> Reading:
        """Devices with their health as it is now. Never raises, whatever the driver does.

        A device that can no longer be named is left out; `Discovery` remembers it as gone.
        Repeatable; called by one thread at a time.
        """
        ...
