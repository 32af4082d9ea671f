"""The server's end of a kernel zygote: whether it can be asked, what it said, the kernels it forked."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .kernel_zygote import LARGEST

PROGRAM = Path(__file__).with_name("kernel_zygote.py")
FORK_WITHIN_S = 3.0
READY_WITHIN_S = 10.0
"""How long a kernel waits for one that has just begun: it imports what the kernel would import, so
that this takes no longer than a start would."""
REAP_S = 0.1
_PADDING = 2048
"""Room for what ``ps`` shows of a kernel."""
_EACH_KERNELS = "JPY_"
"""What Jupyter adds for each kernel: its session, its parent."""
_UNKNOWN = 1
"""The exit status of a kernel that nobody saw end."""


class Forked:
    """A forked kernel: what the provisioner uses of a `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, zygote: "Zygote", pid: int) -> None:
        self._zygote = zygote
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        if self.returncode is None:
            self._zygote.listen()
        if self.returncode is None and not self._zygote.alive and not _lives(self.pid):
            self.returncode = _UNKNOWN
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:  # noqa: ARG002 (Popen has it)
        """The provisioner waits by looking; this is only asked of one that has ended."""
        return self.poll()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Zygote:
    """The server's end of one zygote process. Its environment is that of the server when it began.
    Made in the server's loop, which hears what it says."""

    def __init__(self) -> None:
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._door, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LARGEST)
        self._door.setblocking(False)
        self._env = dict(os.environ)
        self._ready = False
        self._begun = asyncio.Event()
        self._running: dict[str, Forked] = {}
        self._waiting: dict[str, asyncio.Future[Forked | str]] = {}
        self.alive = True
        self._trusted = True
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(PROGRAM), str(theirs.fileno()), "-" * _PADDING],
                pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._door, self.listen)

    @property
    def worn_out(self) -> bool:
        """It forks nothing any more: it is gone, was too slow, or refused."""
        self.listen()
        return not (self.alive and self._trusted)

    def listen(self) -> None:
        """Take note of everything that it has said. Never waits."""
        while self.alive:
            try:
                packet = self._door.recv(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if packet:
                self._note(json.loads(packet))
            else:
                self._end()

    async def suits(self, env: Mapping[str, str]) -> bool:
        """Whether a fork can become a process with this environment: its imports had the same, but
        for what Jupyter itself tells each kernel, and it is ready within 10 s."""
        names = {name for name in {*env, *self._env} if not name.startswith(_EACH_KERNELS)}
        if self.worn_out or any(env.get(name) != self._env.get(name) for name in names):
            return False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._begun.wait(), READY_WITHIN_S)
        return self._ready and not self.worn_out

    async def fork(self, argv: list[str], env: Mapping[str, str], cwd: object) -> Forked | str:
        """A kernel that begins, or why there is none; within 3 s."""
        id = uuid.uuid4().hex
        waiting = self._waiting[id] = asyncio.get_running_loop().create_future()
        try:
            asked = {"id": id, "argv": argv, "env": dict(env), "cwd": cwd and str(cwd)}
            self._door.send(json.dumps(asked).encode())
            answer = await asyncio.wait_for(waiting, FORK_WITHIN_S)
        except (OSError, TimeoutError) as error:
            answer = f"it does not answer: {error!r}"
        finally:
            del self._waiting[id]
        self._trusted = isinstance(answer, Forked)
        return answer

    def _note(self, said: dict[str, Any]) -> None:
        id = said.get("id", "")
        if "ready" in said:
            self._ready = True
            self._begun.set()
        elif "ended" in said:
            if forked := self._running.pop(id, None):
                forked.returncode = said["ended"]
        elif id not in self._waiting:
            # Nobody waits any more, and another one runs in its place.
            if "pid" in said:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(said["pid"], signal.SIGKILL)
        elif not self._waiting[id].done():
            if "pid" in said:
                self._running[id] = Forked(self, said["pid"])
            self._waiting[id].set_result(self._running.get(id) or said["refused"])

    def _end(self) -> None:
        """It is gone; the kernels that it forked end by themselves."""
        self.alive = False
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.remove_reader(self._door)
            self._loop.call_soon(self._reap)
        self._door.close()
        self._begun.set()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result("it has ended")

    def _reap(self) -> None:
        """Its socket is closed a moment before it has ended."""
        if self._process.poll() is None:
            self._loop.call_later(REAP_S, self._reap)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):  # gone, or its number is another user's now
        return False
    return True
