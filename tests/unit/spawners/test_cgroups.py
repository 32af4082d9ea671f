"""Control groups on trees of either version, made of plain files; the real one is elsewhere."""

from pathlib import Path

import pytest

from spawners.engine import Enforcement, PermanentError
from spawners.local.cgroups import V2, Group, detect

MIB = 2**20


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory hugetlb pids\n")
    return tmp_path


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    for folder, file in (
        ("memory", "memory.limit_in_bytes"),
        ("cpu,cpuacct", "cpu.shares"),
        ("pids", "cgroup.procs"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_text("")
    return tmp_path


def written(path: Path) -> dict[str, str]:
    return {entry.name: entry.read_text() for entry in path.iterdir() if entry.is_file()}


def test_v2_writes_every_limit(v2: Path) -> None:
    cgroups = detect(v2)
    assert (cgroups.cpu, cgroups.memory, cgroups.reasons) == (
        Enforcement.HARD,
        Enforcement.HARD,
        (),
    )
    group = cgroups.create("one", "a", cpu_milli=1500, memory_bytes=64 * MIB)
    assert group.paths == (v2 / "perijove/one/a",)
    assert written(group.paths[0]) == {
        "memory.max": str(64 * MIB),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "cpu.max": "150000 100000",
        "pids.max": "4096",
    }
    for above in (".", "perijove", "perijove/one"):
        assert (v2 / above / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_v2_reads_what_was_used(v2: Path) -> None:
    group = detect(v2).create("one", "a", 1000, MIB)
    path = group.paths[0]
    (path / "memory.peak").write_text("4096\n")
    (path / "memory.current").write_text("2048\n")
    (path / "memory.events").write_text("low 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 1\n")
    (path / "cgroup.procs").write_text("12\n13\n")
    assert (group.peak_bytes(), group.memory_bytes(), group.oom_kills()) == (4096, 2048, 3)
    assert group.pids() == {12, 13}
    assert group.kill_file == path / "cgroup.kill"


def test_v1_writes_every_limit(v1: Path) -> None:
    group = detect(v1).create("one", "a", cpu_milli=250, memory_bytes=64 * MIB)
    memory, cpu, pids = group.paths
    assert written(memory) == {
        "memory.limit_in_bytes": str(64 * MIB),
        "memory.memsw.limit_in_bytes": str(64 * MIB),
    }
    assert written(cpu) == {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "25000"}
    assert written(pids) == {"pids.max": "4096"}
    assert cpu == v1 / "cpu,cpuacct/perijove/one/a"


def test_v1_reads_what_was_used(v1: Path) -> None:
    group = detect(v1).create("one", "a", 1000, MIB)
    (group.paths[0] / "memory.max_usage_in_bytes").write_text("4096\n")
    (group.paths[0] / "memory.usage_in_bytes").write_text("2048\n")
    (group.paths[0] / "memory.oom_control").write_text("oom_kill_disable 0\noom_kill 2\n")
    assert (group.peak_bytes(), group.memory_bytes(), group.oom_kills()) == (4096, 2048, 2)


def test_a_mixed_machine_uses_the_version_that_has_memory(v1: Path) -> None:
    (v1 / "unified").mkdir()
    (v1 / "unified" / "cgroup.controllers").write_text("hugetlb\n")
    assert detect(v1).group("one", "a").paths[0] == v1 / "memory/perijove/one/a"
    (v1 / "unified" / "cgroup.controllers").write_text("memory cpu\n")
    assert detect(v1).group("one", "a").paths == (v1 / "unified/perijove/one/a",)


def test_a_missing_controller_is_said(v1: Path) -> None:
    (v1 / "cpu,cpuacct/cpu.shares").unlink()
    cgroups = detect(v1)
    assert (cgroups.cpu, cgroups.memory) == (Enforcement.NONE, Enforcement.HARD)
    assert cgroups.reasons == ("cpu is not limited: cgroup v1 has no cpu controller here",)


@pytest.mark.parametrize("missing", [True, False])
def test_without_controllers_nothing_is_made_and_the_reason_is_said(
    tmp_path: Path, missing: bool
) -> None:
    root = tmp_path / "nowhere" if missing else tmp_path
    cgroups = detect(root)
    assert (cgroups.cpu, cgroups.memory) == (Enforcement.NONE, Enforcement.NONE)
    assert str(root) in cgroups.reasons[0]
    assert cgroups.create("one", "a", 1000, MIB) == Group()
    assert not list(tmp_path.iterdir())


def test_a_tree_where_nothing_can_be_made_is_said(v2: Path) -> None:
    (v2 / "perijove").write_text("in the way")
    assert "no group can be made" in detect(v2).reasons[0]


def test_zero_is_no_limit(v2: Path) -> None:
    assert written(detect(v2).create("one", "a", 0, 0).paths[0]) == {"pids.max": "4096"}


def test_creating_again_changes_nothing(v2: Path) -> None:
    cgroups = detect(v2)
    assert cgroups.create("one", "a", 1000, MIB) == cgroups.create("one", "a", 1000, MIB)


def test_a_failure_names_the_file(v2: Path) -> None:
    cgroups = detect(v2)
    (v2 / "perijove/one/a/memory.max").mkdir(parents=True)
    with pytest.raises(PermanentError, match=r"memory\.max"):
        cgroups.create("one", "a", 1000, MIB)


def test_siblings_do_not_meet_and_empty_parents_go(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.limit_in_bytes").write_text("")
    cgroups = detect(tmp_path)
    one = cgroups.create("one", "a", 0, 0)
    two = cgroups.create("two", "a", 0, 0)
    assert one.paths != two.paths
    one.remove()
    assert not (tmp_path / "memory/perijove/one").exists()
    assert two.paths[0].is_dir()
    two.remove()
    two.remove()
    assert not (tmp_path / "memory/perijove").exists()


def test_reading_a_group_that_is_gone_is_zero(v2: Path) -> None:
    group = detect(v2).group("one", "a")
    assert (group.peak_bytes(), group.memory_bytes(), group.oom_kills()) == (0, 0, 0)
    assert group.pids() == set()


@pytest.mark.parametrize("gone", ["perijove", "perijove/one"])
def test_parents_that_another_end_removes_meanwhile_are_made_again(
    v2: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    cgroups = detect(v2)
    hand_down, removed = V2.hand_down, []

    def removed_first(self: V2, path: Path) -> None:
        if path == v2 / gone and not removed:
            path.rmdir()
            removed.append(path)
        hand_down(self, path)

    monkeypatch.setattr(V2, "hand_down", removed_first)
    group = cgroups.create("one", "a", 1000, MIB)
    assert removed
    assert written(group.paths[0])["memory.max"] == str(MIB)


def test_a_tree_that_two_engines_try_at_once_is_usable(
    v2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other's trial is there between the look and the making."""
    is_dir = Path.is_dir

    def made_after(path: Path) -> bool:
        there = is_dir(path)
        if path == v2 / "perijove" and not there:
            path.mkdir()
        return there

    monkeypatch.setattr(Path, "is_dir", made_after)
    assert isinstance(detect(v2), V2)
