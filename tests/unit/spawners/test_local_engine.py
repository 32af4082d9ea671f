"""The local engine where it is more than the contract: crashes, limits, users, secrets."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spawners.engine import EndCause, Enforcement, Exit, PermanentError, Phase
from spawners.local import shim
from tests.contract.engines import LISTEN, LocalBench, free_port, wait_until
from tests.leftovers import groups_of

CGROUPS = Path("/sys/fs/cgroup")
SOMEBODY = 61234
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LocalBench]:
    found = LocalBench(tmp_path, CGROUPS)
    yield found
    found.close()


def run_folder(bench: LocalBench, attempt_id: str) -> Path:
    return bench.folder / "state" / "runs" / attempt_id


def record(bench: LocalBench, attempt_id: str, name: str) -> dict[str, int]:
    path = run_folder(bench, attempt_id) / name
    return wait_until(lambda: json.loads(path.read_bytes()) if path.exists() else None)


def end_of(bench: LocalBench, attempt_id: str) -> Exit:
    end = bench.wait_for(attempt_id, Phase.ENDED).exit
    assert end
    return end


def is_alive(pid: int) -> bool:
    return shim.stat_fields(pid)[:1] not in ([], ["Z"])


def ended_output(bench: LocalBench, attempt_id: str) -> str:
    end_of(bench, attempt_id)
    return bench.engine.log(attempt_id).decode()


def groups_left(bench: LocalBench) -> list[Path]:
    return groups_of(bench.folder / "state" / "runs")


class TestCrashes:
    def test_killing_the_shim_leaves_no_process_and_no_secret(self, bench: LocalBench) -> None:
        port = free_port()
        code = (
            "import os,subprocess;"
            "p=subprocess.Popen(['sleep','600'],start_new_session=True);print(p.pid,flush=True);"
        )
        bench.engine.launch(bench.python("a", code + LISTEN.format(port=port), port=port))
        bench.wait_for("a", Phase.UP)
        child, keeper = record(bench, "a", "started.json"), record(bench, "a", "shim.json")
        stray = int(wait_until(lambda: bench.engine.log("a").strip()))
        os.kill(keeper["pid"], signal.SIGKILL)
        end = end_of(bench, "a")
        assert end.cause is EndCause.LOST
        assert "killed" in end.message
        assert not is_alive(child["pid"])
        assert not is_alive(stray)
        assert not (run_folder(bench, "a") / "run.json").exists()
        assert end_of(bench, "a") == end

    def test_the_same_without_control_groups(self, tmp_path: Path) -> None:
        bench = LocalBench(tmp_path, tmp_path / "nothing")
        bench.engine.launch(bench.spec("a", ["sh", "-c", "setsid sleep 600 & echo $!; sleep 600"]))
        stray = int(wait_until(lambda: bench.engine.log("a").strip()))
        os.kill(record(bench, "a", "shim.json")["pid"], signal.SIGKILL)
        assert end_of(bench, "a").cause is EndCause.LOST
        assert not is_alive(stray)

    def test_a_crash_before_the_shim_is_as_if_nothing_had_been(self, bench: LocalBench) -> None:
        folder = run_folder(bench, "a")
        folder.mkdir()
        for name in ("lock", "deadline", "attempt.json", "run.json"):
            (folder / name).write_text("half")
        assert bench.engine.observe() == []
        assert not folder.exists()

    def test_a_launch_finishes_what_a_crash_began(self, bench: LocalBench) -> None:
        folder = run_folder(bench, "a")
        folder.mkdir()
        (folder / "run.json").write_text("half")
        (folder / "stop").write_text("0")
        bench.engine.launch(bench.listen("a"))
        assert bench.wait_for("a", Phase.UP)

    def test_a_new_engine_object_adopts_what_runs(self, bench: LocalBench) -> None:
        bench.engine.launch(bench.listen("a"))
        before = bench.wait_for("a", Phase.UP)
        bench.engine = bench.fresh_engine()
        after = bench.engine.observe()[0]
        assert (after.phase, after.url, after.started_at) == (
            Phase.UP,
            before.url,
            before.started_at,
        )
        bench.engine.launch(bench.listen("a"))
        assert bench.starts("a") == 1
        bench.engine.stop("a")
        assert end_of(bench, "a").cause is EndCause.STOPPED

    def test_the_deadline_holds_with_no_engine(self, bench: LocalBench) -> None:
        bench.engine.launch(bench.listen("a", lease_s=0.5))
        path = run_folder(bench, "a") / "exit.json"
        found = wait_until(lambda: json.loads(path.read_bytes()) if path.exists() else None)
        assert found["cause"] == "deadline"

    def test_it_outlives_the_process_that_launched_it(self, bench: LocalBench) -> None:
        spec = bench.listen("a")
        code = f"""
from datetime import UTC, datetime
from pathlib import Path
from catalog.clock import SystemClock
from spawners.engine import LaunchSpec
from spawners.local.engine import LocalEngine
engine = LocalEngine(Path({str(bench.folder / "state")!r}), lambda: [], SystemClock())
engine.launch(LaunchSpec("a", {list(spec.argv)!r}, {{}}, "/", {spec.port}, 500, 2**28,
    datetime.fromtimestamp({spec.deadline.timestamp()}, UTC)))
import os; os.kill(os.getpid(), 9)
"""
        subprocess.run([sys.executable, "-c", code], check=False)
        assert bench.wait_for("a", Phase.UP)

    def test_many_launches_at_once_start_one(self, bench: LocalBench) -> None:
        spec = bench.listen("a")
        engines = [bench.fresh_engine() for _ in range(8)]
        threads = [threading.Thread(target=engine.launch, args=(spec,)) for engine in engines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        bench.wait_for("a", Phase.UP)
        assert bench.starts("a") == 1

    @pytest.mark.parametrize("name", ["attempt.json", "started.json"])
    def test_a_damaged_file_of_a_live_attempt_ends_it_as_lost(
        self, bench: LocalBench, name: str
    ) -> None:
        bench.engine.launch(bench.listen("a"))
        bench.wait_for("a", Phase.UP)
        child = record(bench, "a", "started.json")["pid"]
        (run_folder(bench, "a") / name).write_text("{")
        end = end_of(bench, "a")
        assert end.cause is EndCause.LOST
        assert "damaged" in end.message
        assert not is_alive(child)

    def test_a_damaged_end_is_lost_and_named(self, bench: LocalBench) -> None:
        bench.engine.launch(bench.exit_with("a", 0))
        end_of(bench, "a")
        (run_folder(bench, "a") / "exit.json").write_text("[]")
        end = end_of(bench, "a")
        assert end.cause is EndCause.LOST
        assert "exit.json" in end.message

    def test_a_restart_of_the_machine_is_told_apart(self, bench: LocalBench) -> None:
        bench.engine.launch(bench.listen("a"))
        bench.wait_for("a", Phase.UP)
        keeper = record(bench, "a", "shim.json")
        path = run_folder(bench, "a") / "shim.json"
        path.write_text(json.dumps({**keeper, "boot": "another"}))
        os.kill(keeper["pid"], signal.SIGKILL)
        assert "restarted" in end_of(bench, "a").message

    def test_a_pid_that_is_somebody_elses_now_is_left_alone(self, bench: LocalBench) -> None:
        bench.engine.launch(bench.listen("a"))
        bench.wait_for("a", Phase.UP)
        path = run_folder(bench, "a") / "shim.json"
        keeper = record(bench, "a", "shim.json")
        stranger = subprocess.Popen(["sleep", "600"])
        path.write_text(json.dumps({**keeper, "pid": stranger.pid}))
        bench.engine.stop("a")
        assert end_of(bench, "a").cause is EndCause.STOPPED
        assert stranger.poll() is None
        stranger.kill()
        stranger.wait()

    def test_nothing_is_left_of_what_is_forgotten(self, bench: LocalBench) -> None:
        bench.engine.launch(bench.exit_with("a", 0))
        end_of(bench, "a")
        bench.engine.forget("a")
        assert list((bench.folder / "state" / "runs").iterdir()) == []

    def test_a_full_disk_is_named_and_nothing_runs(self, tmp_path: Path) -> None:
        if (
            os.geteuid()
            or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)], check=False
            ).returncode
        ):
            pytest.skip("cannot mount a small disk here")
        try:
            bench = LocalBench(tmp_path, CGROUPS)
            (tmp_path / "filler").write_bytes(b"x" * 40 * 1024)
            big = bench.spec("a", ["sleep", "600"], env={"A": "y" * 100_000})
            with pytest.raises(PermanentError, match=r"run\.json: No space left"):
                bench.engine.launch(big)
            assert bench.engine.observe() == []
            assert shim.read_text(str(run_folder(bench, "a") / "run.json")) is None
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)


class TestEnds:
    def test_a_command_that_does_not_exist_never_started(self, bench: LocalBench) -> None:
        bench.engine.launch(bench.spec("a", ["/nowhere/at/all"]))
        end = end_of(bench, "a")
        assert end.cause is EndCause.NOT_STARTED
        assert end.message == "could not run /nowhere/at/all: No such file or directory"

    def test_nor_one_in_a_folder_that_does_not_exist(self, bench: LocalBench) -> None:
        bench.engine.launch(bench.spec("a", ["true"], cwd="/nowhere"))
        assert end_of(bench, "a").message.startswith("could not enter the folder /nowhere")

    def test_a_stop_before_the_command_starts_it_never(
        self, bench: LocalBench, tmp_path: Path
    ) -> None:
        """The shim alone, with the stop already there."""
        folder = tmp_path / "run"
        folder.mkdir()
        mark = tmp_path / "ran"
        run = {
            "argv": ["touch", str(mark)], "env": {}, "cwd": "/", "uid": None, "gid": None,
            "groups": [], "deadline": time.time() + 60, "grace_s": 1,
        }  # fmt: skip
        (folder / "run.json").write_text(json.dumps(run))
        (folder / "stop").write_text("1")
        with (folder / "lock").open("w") as lock:
            command = [sys.executable, "-I", "-S", shim.__file__, str(folder), str(lock.fileno())]
            subprocess.run(command, pass_fds=(lock.fileno(),), check=True, timeout=20)
        exit_file = folder / "exit.json"
        wait_until(exit_file.exists)
        assert json.loads(exit_file.read_bytes())["cause"] == "stopped"
        assert not mark.exists()
        assert not (folder / "run.json").exists()

    def test_killed_from_outside_is_lost_with_the_signal(self, bench: LocalBench) -> None:
        bench.engine.launch(bench.spec("a", ["sh", "-c", "kill -9 $$"]))
        end = end_of(bench, "a")
        assert (end.cause, end.exit_code) == (EndCause.LOST, -9)
        assert "signal 9" in end.message

    def test_descendants_end_with_the_command(self, bench: LocalBench) -> None:
        bench.engine.launch(bench.spec("a", ["sh", "-c", "setsid sleep 600 & echo $!"]))
        assert not is_alive(int(ended_output(bench, "a")))

    def test_what_ignores_the_stop_is_killed_with_its_descendants(self, tmp_path: Path) -> None:
        bench = LocalBench(tmp_path, tmp_path / "nothing")
        code = "trap '' TERM; setsid sleep 600 & echo $!; wait; sleep 600"
        bench.engine.launch(bench.spec("a", ["sh", "-c", code]))
        stray = int(wait_until(lambda: bench.engine.log("a").strip()))
        bench.engine.stop("a", 0.2)
        assert end_of(bench, "a").cause is EndCause.STOPPED
        assert not is_alive(stray)

    def test_output_is_bounded(self, bench: LocalBench) -> None:
        bench.engine.launch(bench.spec("a", ["sh", "-c", "yes | head -c 45000000; echo the end"]))
        end_of(bench, "a")
        kept = sum(path.stat().st_size for path in run_folder(bench, "a").glob("log*"))
        assert 10 * 2**20 <= kept <= 20 * 2**20
        assert bench.engine.log("a").endswith(b"the end\n")
        assert len(bench.engine.log("a", 1000)) == 1000


class TestReadiness:
    def test_another_process_on_the_port_is_not_this_attempt(self, bench: LocalBench) -> None:
        spec = bench.spec("a", ["sleep", "600"], port=free_port())
        other = subprocess.Popen([sys.executable, "-c", LISTEN.format(port=spec.port)])
        try:
            bench.engine.launch(spec)
            seen = wait_until(
                lambda: next((o for o in bench.engine.observe(["a"]) if o.notes), None)
            )
            assert seen.phase is Phase.STARTING
            assert f"another process listens on port {spec.port}" in seen.notes
        finally:
            other.kill()
            other.wait()

    def test_looking_at_many_is_cheap(self, bench: LocalBench) -> None:
        for number in range(5):
            bench.engine.launch(bench.spec(f"a{number}", ["sleep", "600"], port=free_port()))
        began = time.perf_counter()
        for _ in range(20):
            bench.engine.observe()
        assert (time.perf_counter() - began) / 100 < 0.02


class TestLimits:
    @pytest.fixture(autouse=True)
    def _only_where_memory_is_limited(self, bench: LocalBench) -> None:
        if bench.engine.limits().memory is not Enforcement.HARD:
            pytest.skip("this machine has no usable memory control group")

    def test_running_out_of_memory_is_recognised_and_measured(self, bench: LocalBench) -> None:
        code = "import time;x=bytearray(300*2**20);time.sleep(600)"
        bench.engine.launch(bench.python("a", code, memory_bytes=64 * 2**20))
        end = end_of(bench, "a")
        assert end.cause is EndCause.OUT_OF_MEMORY
        assert 60 * 2**20 <= end.memory_peak_bytes <= 64 * 2**20

    def test_also_when_only_a_child_is_killed(self, bench: LocalBench) -> None:
        code = (
            "import subprocess,sys,time;"
            "subprocess.run([sys.executable,'-c','x=bytearray(300*2**20)']);time.sleep(600)"
        )
        bench.engine.launch(bench.python("a", code, memory_bytes=64 * 2**20))
        assert end_of(bench, "a").cause is EndCause.OUT_OF_MEMORY

    def test_memory_in_use_is_seen(self, bench: LocalBench) -> None:
        code = "import time;x=bytearray(50*2**20);print('x',flush=True);time.sleep(600)"
        bench.engine.launch(bench.python("a", code))
        wait_until(lambda: bench.engine.log("a"))
        assert bench.engine.observe(["a"])[0].memory_bytes > 50 * 2**20

    def test_the_group_is_gone_at_the_end(self, bench: LocalBench) -> None:
        bench.engine.launch(bench.listen("a"))
        bench.wait_for("a", Phase.UP)
        assert {path.name for path in groups_left(bench)} == {"a"}
        bench.engine.stop("a")
        end_of(bench, "a")
        bench.engine.forget("a")
        assert groups_left(bench) == []


class TestEnvironment:
    def test_nothing_of_the_parent_leaks(
        self, bench: LocalBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_OF_THE_ENGINE", "x")
        with (bench.folder / "open").open("w") as opened:
            os.set_inheritable(opened.fileno(), True)
            spec = bench.spec("a", ["sh", "-c", "env; ls /proc/self/fd | wc -l; umask; id -u"])
            bench.engine.launch(spec)
            printed = ended_output(bench, "a")
        assert "SECRET_OF_THE_ENGINE" not in printed
        names = {line.split("=")[0] for line in printed.splitlines() if "=" in line}
        assert {name for name in names if not name.startswith("PERIJOVE_")} <= {
            "PATH", "PWD", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
            "ROCR_VISIBLE_DEVICES", "SHLVL", "_", "OLDPWD",
        }  # fmt: skip
        assert printed.splitlines()[-3:-1] == ["4", "0022"]

    def test_signals_are_as_a_shell_has_them(self, bench: LocalBench) -> None:
        bench.engine.launch(bench.spec("a", ["grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"]))
        # Signals 32 and 33 are the C library's own: no program can set them, and none needs to.
        own = 0b11 << 31
        masks = [int(line.split()[1], 16) for line in ended_output(bench, "a").splitlines()]
        assert [mask & ~own for mask in masks] == [0, 0]

    def test_secrets_are_private_and_soon_gone(self, bench: LocalBench) -> None:
        bench.engine.launch(bench.listen("a"))
        bench.wait_for("a", Phase.UP)
        folder = run_folder(bench, "a")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not (folder / "run.json").exists()
        assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in folder.iterdir())

    def test_an_id_cannot_be_a_path(self, bench: LocalBench) -> None:
        with pytest.raises(PermanentError, match="cannot name an attempt"):
            bench.engine.launch(bench.spec("../a", ["true"]))
        assert bench.engine.observe(["../a", "..", ""]) == []


@root_only
class TestUsers:
    @pytest.fixture
    def homes(self, tmp_path: Path) -> Path:
        base = tmp_path / "homes"
        base.mkdir()
        for name, uid in (("mine", SOMEBODY), ("theirs", SOMEBODY + 1)):
            (base / name).mkdir(mode=0o700)
            os.chown(base / name, uid, uid)
        # The folders above, which pytest makes private.
        for above in (base, *base.parents):
            if above.stat().st_uid == os.geteuid() and above != Path("/"):
                above.chmod(above.stat().st_mode | 0o011)
        return base

    def run_as_somebody(self, bench: LocalBench, homes: Path, script: str) -> str:
        bench.engine.launch(
            bench.spec("a", ["sh", "-c", script], cwd=str(homes / "mine"), uid=SOMEBODY)
        )
        return ended_output(bench, "a")

    def test_the_command_is_that_user_and_nothing_else(
        self, bench: LocalBench, homes: Path
    ) -> None:
        script = "id -u; id -g; id -G; grep NoNewPrivs /proc/self/status; touch here && echo ok"
        printed = self.run_as_somebody(bench, homes, script).split()
        assert printed == [str(SOMEBODY)] * 3 + ["NoNewPrivs:", "1", "ok"]
        assert (homes / "mine" / "here").stat().st_uid == SOMEBODY

    def test_it_reads_its_own_proc(self, bench: LocalBench, homes: Path) -> None:
        assert "PATH=" in self.run_as_somebody(bench, homes, "tr '\\0' '\\n' </proc/$$/environ")

    def test_it_reaches_no_other_home_and_no_run_file(self, bench: LocalBench, homes: Path) -> None:
        secret = run_folder(bench, "b") / "run.json"
        secret.parent.mkdir()
        secret.write_text("secret")
        script = f"ls {homes / 'theirs'}; cat {secret}; ls {bench.folder}/state"
        printed = self.run_as_somebody(bench, homes, script)
        assert printed.lower().count("denied") == 3
        assert "secret\n" not in printed

    def test_it_cannot_end_its_keeper(self, bench: LocalBench, homes: Path) -> None:
        assert "not permitted" in self.run_as_somebody(bench, homes, "kill -9 $PPID").lower()

    def test_it_cannot_leave_its_groups(self, bench: LocalBench, homes: Path) -> None:
        if bench.engine.limits().memory is not Enforcement.HARD:
            pytest.skip("this machine has no usable memory control group")
        script = (
            "for f in /sys/fs/cgroup/memory /sys/fs/cgroup; do echo $$ >$f/cgroup.procs; done;"
            "cat /proc/self/cgroup"
        )
        printed = self.run_as_somebody(bench, homes, script)
        assert any(line.endswith("/a") for line in printed.splitlines() if "perijove/" in line)

    def test_a_listener_of_another_user_comes_up(self, bench: LocalBench) -> None:
        port = free_port()
        python = Path("/usr/bin/python3")
        if not python.exists():
            pytest.skip("no Python that another user can run")
        argv = [str(python), "-I", "-S", "-c", LISTEN.format(port=port)]
        bench.engine.launch(bench.spec("a", argv, port=port, uid=SOMEBODY))
        assert bench.wait_for("a", Phase.UP)


def test_a_deadline_in_the_past_starts_nothing(bench: LocalBench) -> None:
    spec = bench.spec("a", ["true"], lease_s=-1)
    assert spec.deadline < datetime.now(UTC) + timedelta()
    bench.engine.launch(spec)
    assert end_of(bench, "a").cause is EndCause.DEADLINE


BURN = """
import os, time
if os.fork():
    time.sleep(600)
else:
    if os.fork():
        os._exit(0)
    while time.process_time() < 0.5: pass
    time.sleep(600)
"""


def test_processor_time_counts_what_a_command_leaves_behind(tmp_path: Path) -> None:
    """Without control groups: the child of a child that has ended is still the attempt's."""
    bench = LocalBench(tmp_path, tmp_path / "none")
    try:
        bench.launch(bench.spec("a", [sys.executable, "-c", BURN]))
        used = lambda: bench.engine.processor_s(["a"]).get("a", 0.0)  # noqa: E731
        # Less than it burns: user and system time are told in whole ticks, each rounded down.
        assert wait_until(lambda: used() >= 0.4)
    finally:
        bench.close()
