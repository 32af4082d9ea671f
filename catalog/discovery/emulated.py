"""Devices that are not there: the same paths run on them, and every screen says so."""

from dataclasses import dataclass

from catalog.inventory import Device, Mode, Vendor


@dataclass(frozen=True, slots=True)
class EmulatedSet:
    """`count` equal devices of `memory_mib` each."""

    count: int = 2
    model: str = "Emulated 24G"
    memory_mib: int = 24576

    def devices(self) -> tuple[Device, ...]:
        """The devices ``emulated-0``, ``emulated-1``, …, always healthy."""
        return tuple(
            Device(
                id=f"emulated-{index}",
                vendor=Vendor.EMULATED,
                model=self.model,
                memory_mib=self.memory_mib,
                index=index,
                sharing=Mode.EMULATED,
            )
            for index in range(self.count)
        )
