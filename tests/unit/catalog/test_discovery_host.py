"""What of cpu and memory is handed out, on real and on written-down machines."""

import os
from pathlib import Path

import pytest

from catalog.discovery.host import (
    ControlGroups,
    cpu_to_hand_out,
    memory_to_hand_out,
    read_host,
)
from catalog.units import GIB, MIB


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n", encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("cores_milli", "handed_out"),
    [(2000, 9000), (1000, 3000), (500, 1500), (64000, 381000), (1, 6)],
)
def test_half_a_core_is_kept_and_the_rest_promised_six_times(
    cores_milli: int, handed_out: int
) -> None:
    assert cpu_to_hand_out(cores_milli) == handed_out


@pytest.mark.parametrize(
    ("total", "kept"),
    [
        (24 * GIB, 24 * GIB // 10),
        (4 * GIB, GIB),
        (GIB, GIB // 2),
        (1024 * GIB, 8 * GIB),
    ],
)
def test_a_tenth_of_the_memory_is_kept_within_bounds(total: int, kept: int) -> None:
    assert memory_to_hand_out(total) == total - kept


def test_a_small_machine_holds_four_half_core_notebooks() -> None:
    assert cpu_to_hand_out(2000) >= 4 * 500


def test_version_2_takes_the_lowest_limit_of_the_group_and_its_ancestors(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/team/lab",
            "sys/fs/cgroup/team/lab/cpu.max": "max 100000",
            "sys/fs/cgroup/team/cpu.max": "150000 100000",
            "sys/fs/cgroup/team/lab/memory.max": str(3 * GIB),
            "sys/fs/cgroup/team/memory.max": "max",
        },
    )
    assert ControlGroups(root).cpu_milli() == 1500
    assert ControlGroups(root).memory_bytes() == 3 * GIB


def test_version_1_and_a_hybrid_mount_are_read_too(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/box\n2:cpu,cpuacct:/box\n0::/",
            "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "200000",
            "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": str(512 * MIB),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/unified/cgroup.procs": "",
        },
    )
    assert ControlGroups(root).cpu_milli() == 2000
    assert ControlGroups(root).memory_bytes() == 512 * MIB


def test_in_a_container_the_mounted_root_counts(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/docker/abc",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2 * GIB),
        },
    )
    assert ControlGroups(root).memory_bytes() == 2 * GIB


@pytest.mark.parametrize("text", ["max", "-1", "", "garbage", "0"])
def test_what_is_no_number_is_no_limit(tmp_path: Path, text: str) -> None:
    root = write(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": text, "a": "b"})
    assert ControlGroups(root).memory_bytes() is None
    assert ControlGroups(root).cpu_milli() is None


def test_a_machine_without_control_groups_has_no_limits(tmp_path: Path) -> None:
    assert ControlGroups(tmp_path).cpu_milli() is None
    assert ControlGroups(tmp_path).memory_bytes() is None


def test_a_limit_lowers_what_the_host_hands_out(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/",
            "sys/fs/cgroup/memory.max": str(256 * MIB),
            "sys/fs/cgroup/cpu.max": "20000 100000",
        },
    )
    host = read_host(root)
    assert host.memory_bytes == 128 * MIB
    assert host.cpu_milli == 600


def test_this_machine_has_a_name_cpu_and_memory() -> None:
    host = read_host()
    assert host.name
    assert 0 < host.cpu_milli <= len(os.sched_getaffinity(0)) * 6000
    assert host.memory_bytes > 0
