"""The template processes of a local engine: started ahead, asked for forks, replaced when they age.

Each is one process (`spawners.local.forking`) for one installation: interpreter, packages, modules.
It ends when this process ends, whatever the reason; what was forked from it does not.
"""

import array
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blueprints.notebook import JUPYTER_CONFIG
from spawners.engine import Template
from spawners.local import forking
from spawners.local.processes import is_process
from spawners.local.shim import start_time

PROGRAM = Path(forking.__file__).parent / "__main__.py"
_RENEWAL = JUPYTER_CONFIG / "server" / "perijove_inside" / "renewal.py"
"""What kernels are renewed by, too."""
IDLE_S = 15 * 60.0
FORK_WITHIN_S = 5.0
"""How long a fork may take until the caller does without it."""
_START_WITHIN_S = 60.0
_RETRY_FIRST_S, _RETRY_LAST_S = 5.0, 300.0
_PADDING = 32 * 1024
"""Room for what ``ps`` and ``/proc/PID/environ`` show of an attempt; see `forking.region`."""
_MARKS = {
    "HOME": "/perijove-template-home",
    "USER": "perijove-template-user",
    "LOGNAME": "perijove-template-logname",
}
"""What imports find instead of a person's values; each fork puts the person's own in their place."""
_OWN = {"PATH", "LANG", "SHELL", "FORK_PADDING"}
"""Names that may differ: a fork has the person's, and what imports do with them does not last."""
_INTERPRETERS = ("PYTHON", "LD_", "MALLOC_", "GLIBC_")
"""Variables that a process takes to heart as it starts: no fork can take them over later."""
_PLAIN = {
    "LANG": "C.UTF-8", "SHELL": "/bin/bash",
    # A library that computes starts its threads when it is imported, and none may run at a fork.
    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}  # fmt: skip
_OWN |= {name for name in _PLAIN if name.endswith("_NUM_THREADS")}


@dataclass(slots=True)
class _Running:
    """A template process, and the pipe by whose end it sees that its owner is gone."""

    process: subprocess.Popen[bytes]
    owner: int
    folder: Path
    key: str
    began: float
    reads: Mapping[str, str | None] | None = None

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        """Repeatable; returns when it is gone."""
        if self.owner >= 0:
            os.close(self.owner)
            self.owner = -1
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(slots=True)
class _Wanted:
    """One template as it was asked for, and the process that serves it now."""

    template: Template
    used_at: float
    running: _Running | None = None
    refused: dict[str, str] = field(default_factory=dict[str, str])
    """Why nothing can be forked, by the key of the installation."""
    failures: int = 0
    not_before: float = 0.0


class Templates:
    """Every template process of one engine object; safe to use from several threads.

    `folder` is made 0700. `now` is seconds of a clock that never goes back.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._top = folder
        self._mine = folder / f"{os.getpid()}-{start_time(os.getpid())}-{uuid.uuid4().hex[:8]}"
        self._now = now
        self._lock = threading.RLock()
        self._wanted: dict[str, _Wanted] = {}
        self._closed = False

    def ready(self, template: Template) -> Path | None:
        """The socket to be asked for a fork, or None: there is none yet, and one is being started
        unless that is known to fail. Never waits."""
        with self._lock:
            wanted = self._want(template)
            wanted.used_at = self._now()
            running = self._look_after(wanted)
            return running.folder / "socket" if running and running.reads is not None else None

    def suits(self, template: Template, env: Mapping[str, str]) -> bool:
        """Whether a fork of a ready template can become a process with this environment: imports saw
        nothing of it that differs, and the interpreter itself is not steered by it."""
        with self._lock:
            running = self._want(template).running
            reads = running.reads if running else None
        if reads is None:
            return False
        names = {name for name in {*env, *template.env} if name.startswith(_INTERPRETERS)}
        names |= set(reads) - _OWN - set(_MARKS) - set(template.marks)
        seen = _PLAIN | dict(template.env)
        same = all(env.get(name) == seen.get(name) for name in names)
        return same and _is_utf8(env) and all(env.get(name) for name in template.marks)

    def prepare(self, templates: Sequence[Template]) -> None:
        """Have these ready soon; end what nobody named or used for 15 minutes, and what is not
        installed like that any more. Never waits for a start."""
        with self._lock:
            for template in templates:
                wanted = self._want(template)
                wanted.used_at = self._now()
                self._look_after(wanted)
            for name, wanted in list(self._wanted.items()):
                if self._now() - wanted.used_at > IDLE_S:
                    self._drop(wanted)
                    del self._wanted[name]

    def give_up(self, template: Template, place: Path) -> None:
        """The one whose socket is at `place` does not answer: it ends, and another is started."""
        with self._lock:
            wanted = self._want(template)
            running = wanted.running
            if running is not None and running.folder == place.parent:
                self._note_end(wanted, running, replaced=False)

    def why_not_ready(self, template: Template) -> str:
        """Empty when it can be forked from now; else why not. Starts and changes nothing."""
        with self._lock:
            wanted = self._wanted.get(_name_of(template))
            if wanted is None:
                return "nobody has asked for it"
            if wanted.refused:
                return next(iter(wanted.refused.values()))
            running = wanted.running
            ready = (
                running is not None and running.alive and (running.folder / "ready.json").exists()
            )
            return "" if ready else "it is being started"

    def wait(self, template: Template, within_s: float = _START_WITHIN_S) -> str:
        """Until it is ready: empty. Otherwise why it is not."""
        last = time.monotonic() + within_s
        while time.monotonic() < last:
            if self.ready(template):
                return ""
            if reason := self.refusal(template):
                return reason
            time.sleep(0.01)
        return f"no template was ready within {within_s:g} s"

    def refusal(self, template: Template) -> str:
        """Why nothing can be forked from this installation; empty while nothing is known."""
        with self._lock:
            return next(iter(self._want(template).refused.values()), "")

    def pid(self, template: Template) -> int:
        """Of the process that serves now; 0 when there is none."""
        with self._lock:
            running = self._want(template).running
            return running.process.pid if running else 0

    def close(self) -> None:
        """End all; what was forked goes on. Afterwards nothing is ready, ever."""
        with self._lock:
            self._closed = True
            for wanted in self._wanted.values():
                self._drop(wanted)
            shutil.rmtree(self._mine, ignore_errors=True)

    # ---- one template -------------------------------------------------------------------------

    def _want(self, template: Template) -> _Wanted:
        name = _name_of(template)
        return self._wanted.setdefault(name, _Wanted(template, self._now()))

    def _look_after(self, wanted: _Wanted) -> _Running | None:
        """Take note of what became of it, and start or replace it where that is due."""
        if self._closed:
            return None
        try:
            key = _key_of(wanted.template)
        except OSError:
            self._drop(wanted)  # the installation is gone
            return None
        running = wanted.running
        if running is not None and (running.key != key or not running.alive or self._late(running)):
            self._note_end(wanted, running, replaced=running.key != key)
        elif running is not None and running.reads is None:
            self._note_ready(wanted, running)
        if wanted.refused and key not in wanted.refused:
            wanted.refused, wanted.failures, wanted.not_before = {}, 0, 0.0
        due = self._now() >= wanted.not_before and key not in wanted.refused
        if wanted.running is None and due:
            wanted.running = self._start(wanted, key)
        return wanted.running

    def _late(self, running: _Running) -> bool:
        return running.reads is None and self._now() - running.began > _START_WITHIN_S

    def _note_ready(self, wanted: _Wanted, running: _Running) -> None:
        with contextlib.suppress(OSError, ValueError, KeyError):
            running.reads = json.loads((running.folder / "ready.json").read_bytes())["reads"]
            wanted.failures = 0

    def _note_end(self, wanted: _Wanted, running: _Running, *, replaced: bool) -> None:
        """It is no good any more. A refusal is final for this installation; anything else is tried
        again, each time later."""
        if not replaced:
            with contextlib.suppress(OSError):
                reason = (running.folder / "refused").read_text().strip()
                wanted.refused = {running.key: reason}
            wanted.failures += 1
            pause = min(_RETRY_LAST_S, _RETRY_FIRST_S * 2 ** (wanted.failures - 1))
            # One that has served starts again at once.
            wanted.not_before = self._now() + (pause if running.reads is None else 0)
        self._drop(wanted)

    def _drop(self, wanted: _Wanted) -> None:
        if wanted.running is not None:
            wanted.running.end()
            wanted.running = None

    def _start(self, wanted: _Wanted, key: str) -> _Running | None:
        self._make_folder()
        template, folder = wanted.template, self._mine / uuid.uuid4().hex[:8]
        folder.mkdir(mode=0o700)
        marks = _MARKS | dict(template.marks)
        asked = {
            "modules": template.modules, "paths": template.paths, "marks": marks,
            "renewal": str(_RENEWAL),
        }  # fmt: skip
        (folder / "template.json").write_text(json.dumps(asked))
        bin_folder = str(Path(template.python).parent)
        env = {"PATH": bin_folder, **_PLAIN, **template.env, **marks}
        env["FORK_PADDING"] = "-" * _PADDING
        theirs, ours = os.pipe2(os.O_CLOEXEC)
        command = [template.python, "-P", str(PROGRAM), str(theirs), "-" * 2048]
        try:
            with (folder / "log").open("wb") as output:
                process = subprocess.Popen(
                    command, env=env, cwd=folder, pass_fds=(theirs,), start_new_session=True,
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                )  # fmt: skip
        except OSError as error:
            os.close(ours)
            wanted.refused = {key: f"{template.python} cannot be run: {error.strerror}"}
            return None
        finally:
            os.close(theirs)
        return _Running(process, ours, folder, key, self._now())

    def _make_folder(self) -> None:
        """With what others left who are gone taken away."""
        self._mine.mkdir(mode=0o700, parents=True, exist_ok=True)
        for other in self._top.iterdir():
            pid, _, rest = other.name.partition("-")
            start = rest.partition("-")[0]
            known = pid.isdecimal() and start.isdecimal()
            if other != self._mine and not (known and is_process(int(pid), int(start))):
                shutil.rmtree(other, ignore_errors=True)


def ask(place: Path, folder: Path, lock: int) -> str:
    """Have the attempt in `folder` begun by the template at `place`; it then holds `lock`.

    Empty once ``shim.json`` is there, else why not. Takes a few milliseconds, at most 5 s. Raises
    OSError when the template does not answer; it then has to end, for it may hold the lock.
    """
    with contextlib.ExitStack() as stack:
        door = stack.enter_context(socket.socket(socket.AF_UNIX))
        door.settimeout(FORK_WITHIN_S)
        door.connect(stack.enter_context(_short(place)))
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [lock]))
        door.sendmsg([str(folder).encode()], [rights])
        said = door.recv(4096)
    if said == b"1":
        return ""
    return said.decode(errors="replace") or "the template could not fork"


@contextlib.contextmanager
def _short(place: Path) -> Iterator[str]:
    """An address of the socket that fits: the system takes 107 bytes at most."""
    folder = os.open(place.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{place.name}"
    finally:
        os.close(folder)


def _is_utf8(env: Mapping[str, str]) -> bool:
    """A Python that is not told so by its environment has other encodings from its first moment."""
    said = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or "C"
    return said.lower().replace("-", "").endswith("utf8")


def _name_of(template: Template) -> str:
    told = [
        template.python,
        template.modules,
        sorted(template.env.items()),
        template.paths,
        sorted(template.marks.items()),
    ]
    return json.dumps(told)


def _key_of(template: Template) -> str:
    """Changes with what is installed. Raises OSError when it is not there at all."""
    python = Path(template.python)
    prefix = python.parent.parent
    told = [_name_of(template), str(python.resolve()), str(python.stat().st_mtime_ns)]
    with contextlib.suppress(OSError):
        told.append((prefix / "perijove-env.json").read_text())
    told += [str(place.stat().st_mtime_ns) for place in prefix.glob("lib/python3*/site-packages")]
    for path in template.paths:
        told += [f"{one}:{one.read_bytes()!r}" for one in sorted(Path(path).rglob("*.py"))]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
