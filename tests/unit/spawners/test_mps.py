"""The MPS daemon of an attempt, with a stand-in for NVIDIA's program that writes down its calls."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.inventory import Device, Mode, Node, Share, Vendor
from spawners.engine import EndCause, Enforcement, Phase
from spawners.local import mps, shim
from spawners.local.engine import LocalEngine
from tests.contract.engines import LocalBench, wait_until

QUARTER = Share("GPU-aaaa", 250, 35840, Mode.MPS)
H200 = Device("GPU-aaaa", Vendor.NVIDIA, "NVIDIA H200", 143360, sharing=Mode.MPS)
DAEMON = """#!/bin/sh
calls={calls}
if [ "$1" = -d ]; then
  env | sort > "$calls/environment"
  setsid sleep 600 >/dev/null 2>&1 </dev/null &
  echo $! > "$calls/pid"
else
  cat >> "$calls/input"
  echo "$CUDA_MPS_PIPE_DIRECTORY" >> "$calls/quit"
  kill "$(cat "$calls/pid")"
fi
"""


class MpsBench(LocalBench):
    """Real processes, a device that is claimed to be NVIDIA's."""

    def fresh_engine(self) -> LocalEngine:
        nodes = [Node("here", 4000, 2**33, (H200,))]
        return LocalEngine(
            self.folder / "state",
            lambda: nodes,
            self.clock,
            cgroup_root=self.folder / "nothing",
            runtime_dir=self.folder / "run",
        )


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "calls"
    folder.mkdir()
    program = tmp_path / "bin" / mps.COMMAND
    program.parent.mkdir()
    program.write_text(DAEMON.format(calls=folder))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[MpsBench]:
    found = MpsBench(tmp_path, tmp_path)
    yield found
    found.close()


def test_the_daemon_carries_the_limits_and_quits_with_the_attempt(
    calls: Path, bench: MpsBench
) -> None:
    bench.engine.launch(bench.spec("a", ["sh", "-c", "env; sleep 600"], shares=[QUARTER]))
    bench.wait_for("a", Phase.UP)
    environment = dict(
        line.split("=", 1) for line in (calls / "environment").read_text().splitlines()
    )
    pipe = environment["CUDA_MPS_PIPE_DIRECTORY"]
    assert environment["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] == "0=35840M"
    assert environment["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "25"
    assert environment["CUDA_VISIBLE_DEVICES"] == "GPU-aaaa"
    assert Path(pipe).stat().st_mode & 0o777 == 0o755
    assert Path(environment["CUDA_MPS_LOG_DIRECTORY"]).stat().st_mode & 0o777 == 0o700
    printed = wait_until(lambda: bench.engine.log("a").decode())
    assert f"CUDA_MPS_PIPE_DIRECTORY={pipe}\n" in printed
    bench.engine.stop("a")
    bench.wait_for("a", Phase.ENDED)
    assert (calls / "input").read_text() == "quit\n"
    assert (calls / "quit").read_text().strip() == pipe
    bench.engine.forget("a")
    assert not Path(pipe).parent.exists()


def test_the_daemon_goes_when_the_shim_is_killed(calls: Path, bench: MpsBench) -> None:
    bench.engine.launch(bench.spec("a", ["sleep", "600"], shares=[QUARTER]))
    bench.wait_for("a", Phase.UP)
    daemon = int((calls / "pid").read_text())
    keeper = bench.folder / "state/runs/a/shim.json"
    os.kill(json.loads(keeper.read_text())["pid"], signal.SIGKILL)
    end = bench.wait_for("a", Phase.ENDED).exit
    assert end
    assert end.cause is EndCause.LOST
    wait_until(lambda: shim.stat_fields(daemon)[:1] in ([], ["Z"]))


def test_a_daemon_that_does_not_start_ends_the_attempt(calls: Path, bench: MpsBench) -> None:
    program = calls.parent / "bin" / mps.COMMAND
    program.write_text("#!/bin/sh\nexit 1\n")
    bench.engine.launch(bench.spec("a", ["sleep", "600"], shares=[QUARTER]))
    end = bench.wait_for("a", Phase.ENDED).exit
    assert end
    assert end.cause is EndCause.NOT_STARTED
    assert "MPS daemon" in end.message


@pytest.mark.skipif(mps.find_command() is not None, reason="NVIDIA's program is installed here")
def test_without_the_program_a_part_is_not_limited_and_that_is_said(bench: MpsBench) -> None:
    limits = bench.engine.limits()
    assert limits.gpu is Enforcement.NONE
    assert any(mps.COMMAND in reason for reason in limits.reasons)
    bench.engine.launch(bench.spec("a", ["sleep", "600"], shares=[QUARTER]))
    assert any(mps.COMMAND in note for note in bench.wait_for("a", Phase.UP).notes)


def test_with_the_program_parts_are_soft(calls: Path, bench: MpsBench) -> None:
    assert bench.engine.limits().gpu is Enforcement.SOFT


def test_a_whole_device_needs_no_daemon(calls: Path, bench: MpsBench) -> None:
    whole = Share("GPU-aaaa", 1000, 143360, Mode.WHOLE)
    bench.engine.launch(bench.spec("a", ["sleep", "600"], shares=[whole]))
    bench.wait_for("a", Phase.UP)
    assert not list(calls.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a folder to a group")
def test_only_the_persons_group_reaches_the_pipes(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        mps.make_places(tmp_path / "run" / "mps-x" / "a", 61234)
    finally:
        os.umask(before)
    found = {
        path: (about.st_mode & 0o777, about.st_uid, about.st_gid)
        for path in ("run", "run/mps-x", "run/mps-x/a", "run/mps-x/a/pipe", "run/mps-x/a/log")
        if (about := (tmp_path / path).stat())
    }
    assert found == {
        "run": (0o711, 0, 0),
        "run/mps-x": (0o711, 0, 0),
        "run/mps-x/a": (0o710, 0, 61234),
        "run/mps-x/a/pipe": (0o755, 0, 0),
        "run/mps-x/a/log": (0o700, 0, 0),
    }


@pytest.mark.gpu
def test_a_real_daemon_starts_and_quits(tmp_path: Path) -> None:
    command = mps.find_command()
    if command is None:
        pytest.skip(f"{mps.COMMAND} is not installed")
    uuid = subprocess.check_output(
        ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"], text=True
    ).split()[0]
    bench = MpsBench(tmp_path, tmp_path)
    share = Share(uuid, 250, 1024, Mode.MPS)
    bench.engine.launch(bench.spec("a", ["sleep", "600"], shares=[share]))
    bench.wait_for("a", Phase.UP)
    pid_file = next((tmp_path / "run").glob("*/a/pipe/nvidia-cuda-mps-control.pid"))
    pid = int(pid_file.read_text())
    bench.engine.stop("a")
    bench.wait_for("a", Phase.ENDED)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    bench.close()
