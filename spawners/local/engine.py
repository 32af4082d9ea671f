"""The local engine: each attempt is a process of this machine under a shim of its own.

Nothing of an attempt is kept in memory: folders, locks and control groups tell all, so a new
engine object on the same state folder adopts what runs.
"""

import contextlib
import hashlib
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGTERM, Signals
from typing import Any

from catalog.clock import Clock
from catalog.inventory import Node, Vendor
from spawners.engine import (
    EndCause,
    Enforcement,
    Exit,
    LaunchSpec,
    Limits,
    Observation,
    PermanentError,
    Phase,
    Template,
    TemporaryError,
)
from spawners.local import mps, processes, shim, templates, work
from spawners.local.cgroups import Group, detect
from spawners.local.gpu import render_gpu_environment
from spawners.local.runfolder import DamagedError, RunFolder, cannot

log = logging.getLogger("perijove.engine")

SHIM = Path(shim.__file__)
DEADLINE_GRACE_S = 10.0
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class LocalEngine:
    """`spawners.engine.Engine` on this machine.

    `state_dir` is made 0700 and holds one folder an attempt; two engine objects, in one process
    or in two, may share it. `discover` reads nodes and devices anew. `name` is in the names of
    control groups only. `runtime_dir` holds MPS pipes, which a person's own user must reach.
    `gpu_use` says what each process uses of the devices, as `catalog.discovery.gpu_use` does.
    """

    def __init__(
        self,
        state_dir: Path,
        discover: Callable[[], list[Node]],
        clock: Clock,
        *,
        cgroup_root: Path = Path("/sys/fs/cgroup"),
        name: str = "perijove",
        runtime_dir: Path | None = None,
        gpu_use: Callable[[], Mapping[int, int] | None] = lambda: None,
    ) -> None:
        self._runs = state_dir.resolve() / "runs"
        self._discover = discover
        self._gpu_use = gpu_use
        self._clock = clock
        self._instance = hashlib.sha256(f"{name}:{self._runs}".encode()).hexdigest()[:12]
        top = runtime_dir or (state_dir if os.geteuid() else Path("/run/perijove"))
        self._mps_top = top / f"mps-{self._instance}"
        self._seen_up: set[str] = set()
        self.templates = templates.Templates(state_dir.resolve() / "templates")
        for folder in (self._runs.parent, self._runs):
            RunFolder(folder).make()
        # After the folder above it: removing a group's parents must not race the first launch.
        self._cgroups = detect(cgroup_root)

    def launch(self, spec: LaunchSpec) -> Observation:
        """As promised by the protocol; takes about 30 ms, the shim's start; forked about 10 ms."""
        if not _ID.fullmatch(spec.attempt_id):
            raise PermanentError(f"{spec.attempt_id!r} cannot name an attempt: use a-z, 0-9, - _")
        folder = self._folder(spec.attempt_id)
        with self._claimed(folder) as lock:
            if lock is not None and not (folder.has("shim.json") or folder.has("exit.json")):
                self._begin(spec, folder, lock)
        seen = self._look(spec.attempt_id)
        return seen or Observation(spec.attempt_id, Phase.STARTING, _url(spec.port))

    def observe(self, attempt_ids: Sequence[str] | None = None) -> list[Observation]:
        """About 0.1 ms an attempt. Settles what a crash left: kills remains, records LOST."""
        names = self._known() if attempt_ids is None else attempt_ids
        return [seen for name in names if (seen := self._look(name))]

    def stop(self, attempt_id: str, grace_s: float = 10.0) -> None:
        folder = self._live(attempt_id)
        if folder is None:
            return
        with contextlib.suppress(PermanentError, TemporaryError):
            # On a full disk the signal alone asks for the end, with the default grace.
            folder.write("stop", str(grace_s))
        self._signal_shim(folder, SIGTERM)

    def extend(self, attempt_id: str, deadline: datetime) -> None:
        """Raises PermanentError when the new deadline cannot be written; the old one then holds."""
        if folder := self._live(attempt_id):
            folder.write("deadline", str(deadline.timestamp()))

    def forget(self, attempt_id: str) -> None:
        seen = self._look(attempt_id)
        if seen is None or seen.phase is not Phase.ENDED:
            return
        folder = self._folder(attempt_id)
        # Its last word is written a moment before the shim is gone.
        give_up = time.monotonic() + 2
        while folder.path.is_dir() and time.monotonic() < give_up:
            with folder.exclusive() as lock:
                if lock is not None:
                    self._clean(attempt_id)
                    folder.remove()
                    self._seen_up.discard(attempt_id)
                    return
            time.sleep(0.005)

    def prepare(self, templates: Sequence[Template]) -> None:
        self.templates.prepare(templates)

    def why_not_prepared(self, template: Template) -> str:
        return self.templates.why_not_ready(template)

    def close(self) -> None:
        """End what this object keeps running for itself, its template processes; no attempt."""
        self.templates.close()

    def processor_s(self, attempt_ids: Sequence[str]) -> dict[str, float]:
        """A file an attempt; without control groups one look at all processes of the machine."""
        found: dict[str, float] = {}
        roots: dict[str, int] = {}
        for name in filter(_ID.fullmatch, attempt_ids):
            if self._folder(name).has("exit.json"):
                continue
            used = work.of_group(self._group(name))
            if used is not None:
                found[name] = used
                continue
            # Its keeper is the parent of what its processes leave behind.
            with contextlib.suppress(DamagedError, KeyError, TypeError, ValueError):
                keeper = self._folder(name).read("shim.json") or {}
                if processes.is_process(pid := int(keeper["pid"]), int(keeper["start"])):
                    roots[name] = pid
        return found | (work.of_families(roots) if roots else {})

    def inventory(self) -> list[Node]:
        return self._discover()

    def limits(self) -> Limits:
        gpu, reason = self._gpu_enforcement()
        reasons = (*self._cgroups.reasons, *([reason] if reason else []))
        return Limits(self._cgroups.cpu, self._cgroups.memory, gpu, reasons)

    def log(self, attempt_id: str, last_bytes: int = 65536) -> bytes:
        """The end of what the attempt printed; empty when it is unknown or printed nothing."""
        found = b""
        if not _ID.fullmatch(attempt_id):
            return found
        for name in ("log", "log.1"):
            with (
                contextlib.suppress(OSError),
                (self._folder(attempt_id).path / name).open("rb") as f,
            ):
                f.seek(-min(last_bytes - len(found), f.seek(0, os.SEEK_END)), os.SEEK_END)
                found = f.read() + found
        return found

    # ---- starting ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def _claimed(self, folder: RunFolder) -> Iterator[int | None]:
        """The lock of the folder; None once another launch of the same attempt has come through."""
        give_up = time.monotonic() + 5
        while True:
            folder.make()
            with folder.exclusive() as lock:
                if lock is not None or folder.has("shim.json") or time.monotonic() > give_up:
                    yield lock
                    return
            time.sleep(0.005)

    def _begin(self, spec: LaunchSpec, folder: RunFolder, lock: int) -> None:
        """Start the shim, or leave nothing. What an earlier crash left here is overwritten."""
        try:
            folder.clear()
            run = self._prepare(spec, folder)
            folder.write_record("run.json", run)
            if not self._fork_shim(spec, run, folder, lock):
                self._start_shim(folder, lock, self._marker(spec.attempt_id))
        except BaseException:
            self._sweep(spec.attempt_id)
            self._clean(spec.attempt_id)
            folder.remove()
            raise

    def _prepare(self, spec: LaunchSpec, folder: RunFolder) -> dict[str, Any]:
        """Make all that is needed outside the process; answers what the shim is to run."""
        needs_mps, command = mps.needs_mps(spec.shares), mps.find_command()
        places = self._mps_top / spec.attempt_id if needs_mps and command else None
        notes = list(self._cgroups.reasons)
        if needs_mps and not command:
            notes.append(_NO_MPS)
        record = {"port": spec.port, "notes": notes, "mps": places is not None}
        folder.write_record("attempt.json", record)
        folder.write("deadline", str(spec.deadline.timestamp()))
        group = self._cgroups.create(
            self._instance, spec.attempt_id, spec.cpu_milli, spec.memory_bytes
        )
        run = self._run_of(spec, group, self._environment(spec, places))
        if places and command:
            mps.make_places(places, spec.uid if spec.gid is None else spec.gid)
            marker = (processes.MARKER, self._marker(spec.attempt_id))
            run["mps"] = mps.plan_daemon(spec.shares, places, command, marker).as_run()
        return run

    def _environment(self, spec: LaunchSpec, places: Path | None) -> dict[str, str]:
        nodes = self._discover() if spec.shares else []
        devices = [device for node in nodes for device in node.devices]
        return {
            **spec.env,
            **render_gpu_environment(spec.shares, devices, places),
            processes.MARKER: self._marker(spec.attempt_id),
        }

    def _run_of(
        self, spec: LaunchSpec, group: Group, environment: Mapping[str, str]
    ) -> dict[str, Any]:
        return {
            "argv": list(spec.argv),
            "env": dict(environment),
            "cwd": spec.cwd,
            "uid": spec.uid,
            "gid": spec.gid,
            "groups": [str(path) for path in group.paths],
            "kill_file": group.kill_file and str(group.kill_file),
            "peak_file": group.peak_file and str(group.peak_file),
            "oom_file": group.oom_file and str(group.oom_file),
            "deadline": spec.deadline.timestamp(),
            "grace_s": DEADLINE_GRACE_S,
        }

    def _fork_shim(
        self, spec: LaunchSpec, run: Mapping[str, Any], folder: RunFolder, lock: int
    ) -> bool:
        """The same from a template, where one is ready that suits; whether ``shim.json`` is there."""
        template, argv = spec.template, run["argv"]
        if template is None or argv[:3] != [template.python, "-P", "-c"]:
            return False
        place = self.templates.ready(template)
        if place is None or not self.templates.suits(template, run["env"]):
            return False
        try:
            reason = templates.ask(place, folder.path, lock)
        except OSError as error:
            reason = f"the template does not answer: {error}"
            self.templates.give_up(template, place)
        if not reason or folder.has("shim.json"):
            return True
        log.warning("attempt %s is not forked: %s", spec.attempt_id, reason)
        return False

    def _start_shim(self, folder: RunFolder, lock: int, marker: str) -> None:
        """Returns once ``shim.json`` is there; the lock then lives as long as the shim."""
        command = [sys.executable, "-I", "-S", str(SHIM), str(folder.path), str(lock)]
        try:
            code = subprocess.run(
                command,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", processes.MARKER: marker},
                cwd="/",
                pass_fds=(lock,),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=15,
                check=False,
            ).returncode
        except OSError as error:
            raise cannot("start", SHIM, error) from error
        except subprocess.TimeoutExpired as error:
            raise TemporaryError("the keeper of the attempt did not start within 15 s") from error
        if code:
            raise TemporaryError(f"the keeper of the attempt did not start (exit code {code})")

    # ---- looking ----------------------------------------------------------------------------

    def _known(self) -> list[str]:
        return sorted(entry.name for entry in self._runs.iterdir() if _ID.fullmatch(entry.name))

    def _look(self, attempt_id: str) -> Observation | None:
        if not _ID.fullmatch(attempt_id) or not self._folder(attempt_id).path.is_dir():
            return None
        try:
            return self._closer_look(attempt_id, self._folder(attempt_id))
        except (OSError, PermanentError, TemporaryError) as error:
            # It could not be looked at, which tells nothing about it: the next look will.
            return Observation(attempt_id, Phase.STARTING, notes=(str(error),))

    def _closer_look(self, attempt_id: str, folder: RunFolder) -> Observation | None:
        if folder.has("exit.json"):
            return self._ended(attempt_id, folder)
        if not folder.is_locked():
            return self._settle(attempt_id, folder)
        try:
            return self._live_look(attempt_id, folder)
        except DamagedError as damage:
            # Without its files nobody can steer it: end it, and say so.
            self._sweep(attempt_id)
            return self._settle(attempt_id, folder, str(damage))

    def _gpu_percent(self, group: Group) -> int | None:
        used, pids = self._gpu_use(), group.pids()
        # Without control groups it is not known whose processes they are.
        return sum(used.get(pid, 0) for pid in pids) if used is not None and pids else None

    def _live_look(self, attempt_id: str, folder: RunFolder) -> Observation:
        record, started = folder.read("attempt.json"), folder.read("started.json")
        if record is None or started is None:
            return Observation(attempt_id, Phase.STARTING)
        try:
            port, notes = int(record["port"]), tuple(str(note) for note in record["notes"])
            at, pid = datetime.fromtimestamp(started["at"], UTC), int(started["pid"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DamagedError(f"a file in {folder.path} is damaged") from error
        group = self._group(attempt_id)
        phase, note = self._phase(attempt_id, port, group, pid)
        return Observation(
            attempt_id=attempt_id,
            phase=phase,
            url=_url(port),
            started_at=at,
            memory_bytes=group.memory_bytes(),
            gpu_percent=self._gpu_percent(group),
            notes=(*notes, note) if note else notes,
        )

    def _phase(self, attempt_id: str, port: int, group: Group, pid: int) -> tuple[Phase, str]:
        """UP stays: a server too busy to accept is not starting again. Port 0 listens nowhere."""
        if attempt_id in self._seen_up or not port:
            return Phase.UP, ""
        if not processes.answers(port):
            return Phase.STARTING, ""
        # Mostly it is the command itself; the others are looked for among all of the machine.
        if not processes.listens(port, (pid,)) and not processes.listens(
            port, group.pids() or shim.descendants(pid)
        ):
            return Phase.STARTING, f"another process listens on port {port}"
        self._seen_up.add(attempt_id)
        return Phase.UP, ""

    def _ended(self, attempt_id: str, folder: RunFolder) -> Observation:
        url, notes = "", tuple[str, ...]()
        with contextlib.suppress(DamagedError, KeyError, TypeError, ValueError):
            record = folder.read("attempt.json") or {}
            url, notes = _url(int(record["port"])), tuple(str(note) for note in record["notes"])
        started_at = None
        with contextlib.suppress(DamagedError, KeyError, TypeError, ValueError, OverflowError):
            started = folder.read("started.json") or {}
            started_at = datetime.fromtimestamp(started["at"], UTC)
        end = self._exit(folder)
        return Observation(attempt_id, Phase.ENDED, url, started_at, exit=end, notes=notes)

    def _exit(self, folder: RunFolder) -> Exit:
        try:
            record = folder.read("exit.json") or {}
            return Exit(
                cause=EndCause(record["cause"]),
                ended_at=datetime.fromtimestamp(record["ended_at"], UTC),
                exit_code=record["exit_code"],
                memory_peak_bytes=int(record["memory_peak_bytes"]),
                message=str(record["message"]),
            )
        except (DamagedError, KeyError, TypeError, ValueError, OverflowError):
            text = f"how it ended is not known: {folder.path / 'exit.json'} is damaged"
            return Exit(EndCause.LOST, self._clock.now(), message=text)

    # ---- settling what a crash left -----------------------------------------------------------

    def _settle(self, attempt_id: str, folder: RunFolder, why: str = "") -> Observation | None:
        """Bring an attempt without a shim to its end; None when it had never begun."""
        with contextlib.ExitStack() as stack:
            lock = stack.enter_context(folder.exclusive())
            if lock is None:
                return Observation(attempt_id, Phase.STARTING)
            if folder.has("exit.json"):
                return self._ended(attempt_id, folder)
            if not folder.has("shim.json"):
                self._clean(attempt_id)
                folder.remove()
                return None
            return self._lose(attempt_id, folder, why)

    def _lose(self, attempt_id: str, folder: RunFolder, why: str) -> Observation:
        if left := self._sweep(attempt_id):
            note = f"waits for {len(left)} processes that cannot be ended yet"
            return Observation(attempt_id, Phase.STARTING, notes=(note,))
        record: dict[str, Any] = {
            "cause": EndCause.LOST.value,
            "exit_code": None,
            "memory_peak_bytes": self._group(attempt_id).peak_bytes(),
            "ended_at": self._clock.now().timestamp(),
            "message": why or _why_lost(folder),
        }
        folder.drop_secrets()
        folder.write_exit(record)
        self._clean(attempt_id)
        if not folder.has("exit.json"):
            end = Exit(EndCause.LOST, self._clock.now(), message=record["message"])
            return Observation(attempt_id, Phase.ENDED, exit=end)
        return self._ended(attempt_id, folder)

    def _sweep(self, attempt_id: str, within_s: float = 2.0) -> set[int]:
        """KILL every process of the attempt, its shim included; answers what is left."""
        last = time.monotonic() + within_s
        group, marker = self._group(attempt_id), self._marker(attempt_id)
        while left := _alive(group.pids() | processes.marked(marker)):
            if group.kill_file:
                shim.kill_group(str(group.kill_file))
            processes.kill(left)
            if time.monotonic() > last:
                return left
            time.sleep(0.01)
        return set()

    def _clean(self, attempt_id: str) -> None:
        """Remove the group and the MPS daemon of an attempt without processes. Repeatable."""
        mps.quit_daemon(self._mps_top / attempt_id)
        processes.kill(processes.marked(self._marker(attempt_id)))
        self._group(attempt_id).remove()

    # ---- names ------------------------------------------------------------------------------

    def _folder(self, attempt_id: str) -> RunFolder:
        return RunFolder(self._runs / attempt_id)

    def _group(self, attempt_id: str) -> Group:
        return self._cgroups.group(self._instance, attempt_id)

    def _marker(self, attempt_id: str) -> str:
        return f"{self._instance}/{attempt_id}"

    def _live(self, attempt_id: str) -> RunFolder | None:
        folder = self._folder(attempt_id)
        known = _ID.fullmatch(attempt_id) and not folder.has("exit.json")
        return folder if known and folder.is_locked() else None

    def _signal_shim(self, folder: RunFolder, number: Signals) -> None:
        with contextlib.suppress(DamagedError, KeyError, TypeError, ValueError):
            keeper = folder.read("shim.json") or {}
            processes.signal_process(int(keeper["pid"]), int(keeper["start"]), number)

    def _gpu_enforcement(self) -> tuple[Enforcement, str]:
        devices = [device for node in self._discover() for device in node.devices]
        if not devices:
            return Enforcement.NONE, ""
        if all(device.emulated for device in devices):
            return Enforcement.NONE, "GPU shares are emulated: there is no accelerator to limit"
        if any(device.vendor is Vendor.AMD for device in devices):
            return Enforcement.NONE, "parts of AMD devices are accounted for, not limited"
        if mps.find_command() is None:
            return Enforcement.NONE, _NO_MPS
        return Enforcement.SOFT, "MPS limits GPU shares of programs that do not evade it"


_NO_MPS = f"parts of NVIDIA devices are not limited: {mps.COMMAND} is not installed"


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}" if port else ""


def _alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if shim.stat_fields(pid)[:1] not in ([], ["Z"])}


def _why_lost(folder: RunFolder) -> str:
    with contextlib.suppress(DamagedError):
        boot = (folder.read("shim.json") or {}).get("boot")
        if boot and boot != (shim.read_text("/proc/sys/kernel/random/boot_id") or "").strip():
            return "the machine restarted while this was running"
    return "the process that kept this attempt was killed; all that it had started was ended"
