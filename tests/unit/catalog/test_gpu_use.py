"""What processes use of NVIDIA devices, through the real pynvml over a library in NVML's place."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from catalog.clock import ManualClock
from catalog.discovery.gpu_use import EVERY, GpuUse

if TYPE_CHECKING:  # pytest loads it as a plugin
    from tests.peers.fake_nvml.fixture import Machine

pytest_plugins = ["tests.peers.fake_nvml.fixture"]

A100 = "device GPU-a 40960 8 NVIDIA A100-SXM4-40GB"
L4 = "device GPU-b 23034 8 NVIDIA L4"


def test_samples_of_a_process_are_averaged_and_devices_add_up(machine: Machine) -> None:
    machine.says(
        A100, L4, "use GPU-a 41 20 1000", "use GPU-a 41 40 2000", "use GPU-b 41 50 1500",
        "use GPU-a 42 7 2000",
    )  # fmt: skip
    assert machine.read()["use"] == {"41": 80, "42": 7}


def test_a_sample_counts_once_and_who_ran_nothing_used_nothing(machine: Machine) -> None:
    machine.says(A100, "use GPU-a 41 20 1000")
    assert machine.read()["use"] == {"41": 20}
    assert machine.read(minutes_later=1)["use"] == {}
    machine.says(A100, "use GPU-a 41 20 1000", "use GPU-a 41 60 3000")
    assert machine.read(minutes_later=1)["use"] == {"41": 60}


def test_the_driver_is_not_asked_again_within_seconds(machine: Machine) -> None:
    machine.says(A100, "use GPU-a 41 20 1000")
    assert machine.read()["use"] == {"41": 20}
    machine.says(A100, "use GPU-a 41 90 2000")
    assert machine.read(minutes_later=EVERY.total_seconds() / 60 / 2)["use"] == {"41": 20}
    assert machine.read(minutes_later=EVERY.total_seconds() / 60)["use"] == {"41": 90}


def test_no_driver_and_a_device_that_cannot_be_asked_tell_nothing(machine: Machine) -> None:
    machine.says(A100, "trouble GPU-a answer 3", "use GPU-a 41 20 1000")
    assert machine.read()["use"] is None
    machine.says("init 9")
    assert machine.read(minutes_later=1)["use"] is None


def test_without_the_library_nothing_is_told_and_a_clock_that_went_back_asks_again() -> None:
    clock, asked = ManualClock(), []

    def load() -> None:
        asked.append(clock.now())

    use = GpuUse(clock, load)
    assert use.by_process() is None
    clock.advance(timedelta(seconds=-60))
    assert use.by_process() is None
    assert len(asked) == 2
