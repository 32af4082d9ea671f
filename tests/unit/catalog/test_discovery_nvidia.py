"""NVIDIA devices through the real pynvml, over a C library that answers in NVML's place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # pytest loads it as a plugin
    from tests.peers.fake_nvml.fixture import Machine

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.peers.fake_nvml.fixture"]

A100 = "device GPU-a 40960 8 NVIDIA A100-SXM4-40GB"
L4 = "device GPU-b 23034 8 NVIDIA L4"
P100 = "device GPU-c 16384 6 Tesla P100-PCIE-16GB"


def health(reading: dict[str, Any], uuid: str) -> tuple[str, str]:
    device = reading["devices"][uuid]
    return device["health"], device["health_reason"]


def test_two_devices_are_found_as_the_driver_describes_them(machine: Machine) -> None:
    machine.says(A100, L4)
    reading = machine.read()
    assert reading["warnings"] == []
    assert reading["devices"] == {
        uuid: {
            "id": uuid,
            "vendor": "nvidia",
            "model": model,
            "memory_mib": memory,
            "index": index,
            "health": "ok",
            "health_reason": "",
            "sharing": "time-slice",
            "untested": False,
        }
        for uuid, model, memory, index in (
            ("GPU-a", "A100-SXM4-40GB", 40960, 0),
            ("GPU-b", "L4", 23034, 1),
        )
    }


def test_sharing_is_mps_where_the_device_and_the_machine_can(machine: Machine) -> None:
    machine.has_mps()
    machine.says(A100, P100)
    devices = machine.read()["devices"]
    assert devices["GPU-a"]["sharing"] == "mps"
    assert devices["GPU-c"]["sharing"] == "time-slice"


@pytest.mark.parametrize(
    ("trouble", "state", "words"),
    [
        ("mig 1", "failing", "MIG mode is on; not offered yet"),
        ("ecc 2", "failing", "2 uncorrected memory errors"),
        ("pages 1", "failing", "needs a reset"),
        ("pending 1", "failing", "needs a reset"),
        ("remap 1", "failing", "needs a repair"),
    ],
)
def test_what_the_driver_holds_against_a_device_is_its_reason(
    machine: Machine, trouble: str, state: str, words: str
) -> None:
    machine.says(A100, L4, f"trouble GPU-a {trouble}")
    reading = machine.read()
    assert health(reading, "GPU-a")[0] == state
    assert words in health(reading, "GPU-a")[1]
    assert health(reading, "GPU-b") == ("ok", "")
    machine.says(A100, L4)
    assert health(machine.read(), "GPU-a") == ("ok", "")


def test_a_lost_device_is_gone_and_comes_back_when_it_answers_again(machine: Machine) -> None:
    machine.says(A100, L4)
    machine.read()
    machine.says(A100, L4, "trouble GPU-b answer 15")
    for _ in range(2):
        lost = machine.read()
        assert health(lost, "GPU-b")[0] == "gone"
        assert "fallen off the bus" in health(lost, "GPU-b")[1]
        assert health(lost, "GPU-a") == ("ok", "")
    machine.says(A100, L4)
    machine.read()
    assert health(machine.read(), "GPU-b") == ("ok", "")


def test_a_device_with_another_error_is_failing_in_the_drivers_words(machine: Machine) -> None:
    machine.says(A100)
    machine.read()
    machine.says(A100, "trouble GPU-a answer 999")
    assert health(machine.read(), "GPU-a") == ("failing", "the driver says: Unknown Error")


def test_an_xid_condemns_one_device_for_good_and_says_when(machine: Machine) -> None:
    machine.says(A100, L4)
    assert health(machine.read(), "GPU-b") == ("ok", "")
    machine.says(A100, L4, "xid 1 GPU-b 79")
    first = health(machine.read(minutes_later=5), "GPU-b")
    assert first == ("failing", "XID 79 at 2026-01-05 09:05 UTC: it has fallen off the bus")
    later = machine.read(minutes_later=60)
    assert health(later, "GPU-b") == first
    assert health(later, "GPU-a") == ("ok", "")


def test_an_xid_that_a_program_caused_condemns_nothing(machine: Machine) -> None:
    machine.says(A100)
    machine.read()
    machine.says(A100, "xid 1 GPU-a 13", "xid 2 GPU-a 31")
    assert health(machine.read(), "GPU-a") == ("ok", "")


def test_xids_are_heard_while_another_device_is_lost(machine: Machine) -> None:
    machine.says(A100, L4)
    machine.read()
    machine.says(A100, L4, "trouble GPU-a answer 15")
    machine.read()
    machine.says(A100, L4, "trouble GPU-a answer 15", "xid 1 GPU-b 48")
    reading = machine.read()
    assert health(reading, "GPU-a")[0] == "gone"
    assert "XID 48" in health(reading, "GPU-b")[1]


def test_a_device_that_vanishes_is_remembered_as_gone_since_then(machine: Machine) -> None:
    machine.says(A100, L4)
    machine.read()
    machine.says(A100)
    for minutes in (10, 10):
        reading = machine.read(minutes_later=minutes)
        assert health(reading, "GPU-a") == ("ok", "")
        assert health(reading, "GPU-b")[0] == "gone"
    machine.says(A100, L4, "trouble GPU-a answer 15")
    machine.read()
    assert health(machine.read(), "GPU-b") == ("ok", "")


def test_a_driver_that_stops_answering_leaves_its_devices_gone(machine: Machine) -> None:
    machine.says(A100)
    machine.read()
    machine.says("init 18")
    machine.read()
    reading = machine.read(minutes_later=1)
    assert health(reading, "GPU-a")[0] == "gone"
    assert "version mismatch" in reading["warnings"][0]


def test_nothing_emulated_stands_in_for_a_broken_driver(machine: Machine) -> None:
    machine.says("init 18")
    reading = machine.read()
    assert reading["devices"] == {}
    assert "reboot" in reading["warnings"][0]


def test_a_device_that_never_answered_is_a_warning_and_hides_no_other(machine: Machine) -> None:
    machine.says(A100, L4, "trouble GPU-a answer 15")
    reading = machine.read()
    assert list(reading["devices"]) == ["GPU-b"]
    assert reading["warnings"] == ["NVIDIA device 0 does not answer: GPU is lost"]


def test_a_machine_with_the_library_but_no_driver_emulates_and_says_so(machine: Machine) -> None:
    machine.says("init 9")
    reading = machine.read()
    assert list(reading["devices"]) == ["emulated-0", "emulated-1"]
    assert len(reading["warnings"]) == 2
