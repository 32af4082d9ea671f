"""This machine as a node: host, devices and the inventory file together."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from catalog.asks import Ask
from catalog.clock import ManualClock
from catalog.discovery import Discovery, Reading
from catalog.discovery.amd import AmdSource, load_amdsmi
from catalog.discovery.host import Host
from catalog.discovery.nvidia import NvidiaSource
from catalog.errors import BadSetup
from catalog.inventory import Capacity, Device, Health, Mode, Vendor
from catalog.placement import BestFit, NoRoom
from catalog.units import GIB

HOST = Host("lab", 6000, 20 * GIB)
CARD = Device("GPU-a", Vendor.NVIDIA, "L4", 23034, sharing=Mode.MPS)


class Said:
    """A source that says what it was last given."""

    def __init__(self, *devices: Device, broken: bool = False) -> None:
        self.reading = Reading(devices, broken=broken)

    def read(self) -> Reading:
        return self.reading


def discovery(override: Path | None = None, **sources: Any) -> Discovery:
    given = {"nvml": Said(), "amd": Said(), "host": lambda: HOST} | sources
    return Discovery(override, clock=ManualClock(), **given)


def devices(found: Discovery) -> tuple[Device, ...]:
    (node,) = found.nodes()
    return node.devices


def inventory_file(folder: Path, text: str) -> Path:
    path = folder / "inventory.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_machine_without_accelerators_gets_two_emulated_ones_and_says_so() -> None:
    found = discovery()
    assert [(d.id, d.model, d.memory_mib, d.emulated, d.sharing) for d in devices(found)] == [
        ("emulated-0", "Emulated 24G", 24576, True, Mode.EMULATED),
        ("emulated-1", "Emulated 24G", 24576, True, Mode.EMULATED),
    ]
    assert any("emulated" in warning for warning in found.warnings())


def test_a_real_device_leaves_no_room_for_emulated_ones_even_when_it_is_gone() -> None:
    source = Said(CARD)
    found = discovery(nvml=source)
    assert devices(found) == (CARD,)
    source.reading = Reading()
    (gone,) = devices(found)
    assert gone.health is Health.GONE
    assert "2026-01-05 09:00 UTC" in gone.health_reason
    assert isinstance(BestFit().place(Ask(0, 0, 250), Capacity.of(found.nodes())), NoRoom)


def test_warnings_can_be_asked_for_first() -> None:
    assert discovery().warnings() != []
    assert discovery(nvml=Said(CARD)).warnings() == []


def test_the_name_stays_while_the_process_lives() -> None:
    names = iter(["before", "after", "later"])
    found = discovery(host=lambda: Host(next(names), 1, 1))
    assert [found.nodes()[0].name, found.nodes()[0].name] == ["before", "before"]


def test_the_file_has_the_last_word_on_name_cpu_and_memory(tmp_path: Path) -> None:
    path = inventory_file(tmp_path, "node: mars\ncpu: 1/2\nmemory: 2Gi\ndevices: none\n")
    (node,) = discovery(path, nvml=Said(CARD)).nodes()
    assert (node.name, node.cpu_milli, node.memory_bytes) == ("mars", 500, 2 * GIB)
    assert node.devices == ()


def test_the_file_shapes_the_emulated_set_and_zero_means_none(tmp_path: Path) -> None:
    path = inventory_file(tmp_path, "emulated: {count: 3, model: Toy, memory: 1Gi}\n")
    found = discovery(path)
    assert [(d.id, d.model, d.memory_mib) for d in devices(found)] == [
        (f"emulated-{n}", "Toy", 1024) for n in range(3)
    ]
    path.write_text("emulated: {count: 0}\n", encoding="utf-8")
    assert devices(found) == ()
    assert found.warnings() == []


def test_a_listed_device_can_be_withdrawn_and_shrunk_but_never_grown(tmp_path: Path) -> None:
    path = inventory_file(
        tmp_path,
        "devices:\n"
        "  - {id: GPU-a, vendor: nvidia, memory: 8Gi, health: failing}\n"
        "  - {id: GPU-b, vendor: nvidia, memory: 80Gi}\n"
        "  - {id: GPU-x, vendor: nvidia, model: L4}\n"
        "  - {id: toy, model: Toy, memory: 4Gi}\n",
    )
    second = Device("GPU-b", Vendor.NVIDIA, "L4", 23034, 1, sharing=Mode.MPS)
    a, b, x, toy = devices(discovery(path, nvml=Said(CARD, second)))
    assert (a.memory_mib, a.health, a.sharing) == (8192, Health.FAILING, Mode.MPS)
    assert a.health_reason == "set so in the inventory file"
    assert b == second
    assert (x.health, x.model) == (Health.GONE, "L4")
    assert (toy.emulated, toy.memory_mib, toy.health) == (True, 4096, Health.OK)


def test_the_file_says_how_a_device_may_be_shared(tmp_path: Path) -> None:
    path = inventory_file(
        tmp_path,
        "devices:\n"
        "  - {id: GPU-a, vendor: nvidia, sharing: whole}\n"
        "  - {id: toy, model: H200, memory: 141Gi, sharing: mig}\n",
    )
    real, toy = devices(discovery(path, nvml=Said(CARD)))
    assert (real.sharing, toy.sharing, toy.emulated) == (Mode.WHOLE, Mode.MIG, True)


def test_the_driver_is_believed_when_it_is_worse_than_the_file(tmp_path: Path) -> None:
    path = inventory_file(tmp_path, "devices: [{id: GPU-a, vendor: nvidia, health: ok}]\n")
    lost = Device("GPU-a", Vendor.NVIDIA, "L4", 1, health=Health.GONE, health_reason="lost")
    (device,) = devices(discovery(path, nvml=Said(lost)))
    assert (device.health, device.health_reason) == (Health.GONE, "lost")


def test_a_wrong_file_stops_the_start_and_later_only_warns(tmp_path: Path) -> None:
    path = inventory_file(tmp_path, "cpu: none\n")
    with pytest.raises(BadSetup, match="cpu"):
        discovery(path)
    path.write_text("cpu: 3\n", encoding="utf-8")
    found = discovery(path)
    path.write_text("cpu: many\n", encoding="utf-8")
    assert found.nodes()[0].cpu_milli == 3000
    assert any(str(path) in warning for warning in found.warnings())


def test_without_pynvml_there_are_no_nvidia_devices_and_no_complaint() -> None:
    source = NvidiaSource(ManualClock(), load=lambda: None)
    assert source.read() == Reading()


class Smi(SimpleNamespace):
    """What AMD documents of its library."""

    AmdSmiMemoryType = SimpleNamespace(VRAM="vram")

    class AmdSmiException(Exception):
        pass

    def __init__(self, errors: int | None = 0, *, broken: bool = False) -> None:
        super().__init__()
        self.errors = errors
        self.broken = broken
        self.open = 0

    def amdsmi_init(self) -> None:
        self.open += 1

    def amdsmi_shut_down(self) -> None:
        self.open -= 1

    def amdsmi_get_processor_handles(self) -> list[str]:
        if self.broken:
            raise OSError("no such device")
        return ["first"]

    def amdsmi_get_gpu_memory_total(self, handle: str, kind: str) -> int:
        return 64 * GIB

    def amdsmi_get_gpu_device_uuid(self, handle: str) -> str:
        return f"uuid-{handle}"

    def amdsmi_get_gpu_asic_info(self, handle: str) -> dict[str, str]:
        return {"market_name": "Instinct MI210"}

    def amdsmi_get_gpu_total_ecc_count(self, handle: str) -> dict[str, int]:
        if self.errors is None:
            raise self.AmdSmiException
        return {"uncorrectable_count": self.errors}


@pytest.mark.parametrize(
    ("errors", "health"), [(0, Health.OK), (None, Health.OK), (3, Health.FAILING)]
)
def test_amd_devices_are_marked_untested(errors: int | None, health: Health) -> None:
    smi = Smi(errors)
    found = discovery(amd=AmdSource(lambda: smi))
    (device,) = devices(found)
    assert (device.id, device.model, device.memory_mib) == ("uuid-first", "Instinct MI210", 65536)
    assert (device.untested, device.sharing, device.health) == (True, Mode.TIME_SLICE, health)
    assert found.warnings() == ["AMD support is untested on hardware."]
    assert smi.open == 0


def test_an_amd_library_that_fails_is_a_warning_and_no_emulation() -> None:
    smi = Smi(broken=True)
    found = discovery(amd=AmdSource(lambda: smi))
    assert devices(found) == ()
    assert "does not answer" in found.warnings()[0]
    assert smi.open == 0


def test_an_amdsmi_that_cannot_be_imported_counts_as_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "amdsmi.py").write_text("raise OSError('no libamd_smi.so')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "amdsmi", raising=False)
    assert load_amdsmi() is None
