"""A process that has imported what a Python kernel imports, and forks one for each that is wanted.

Run as ``python …/kernel_zygote.py FD PADDING`` in the server's own environment; FD is a socket of
packets to the server. It has one thread and no ZeroMQ context. A fork replaces its environment,
folder, chance and signals, and then is what ``python -m ipykernel_launcher -f FILE`` would be.

============================================  ====================================================
packet to it                                  packets from it
============================================  ====================================================
(none)                                        ``{"ready": true}`` once all is imported
``{"id", "argv", "env", "cwd"}``              ``{"id", "pid"}`` or ``{"id", "refused": why}``
(none)                                        ``{"id", "ended": exit status}``, negative by a signal
============================================  ====================================================

It ends when the server closes the socket, and the kernels with it, as they do with a server; and
when nothing was asked of it for a quarter of an hour and no kernel is left.
"""
# Kernels' packages are in the notebooks' environment only.
# pyright: reportMissingImports=false

import contextlib
import ctypes
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MODULES = (
    "ipykernel.kernelapp",
    # What a kernel imports only when it begins: `sys.modules` of one, less that of the former.
    "IPython.core.completerlib", "IPython.core.debugger", "IPython.core.logger",
    "IPython.core.oinspect", "IPython.extensions.storemagic", "IPython.utils.wildcard",
    "faulthandler", "ipykernel.debugger", "pdb", "psutil", "pwd", "resource", "runpy", "sqlite3",
    "tornado.platform.asyncio", "tornado.queues",
)  # fmt: skip
PRELOAD = "PERIJOVE_PRELOAD"
"""Names a variable: further modules to import, by commas."""
LARGEST = 256 * 1024
"""Bytes of a packet."""
_INLINE = "module://matplotlib_inline.backend_inline"
_GPUS = ("/dev/nvidia", "/dev/kfd", "/dev/dri/")
_IDLE_S = 15 * 60.0
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LIBC = ctypes.CDLL(None)
_PR_SET_NAME = 15


def import_all(modules: Iterable[str], wished: Iterable[str]) -> None:
    """Import `modules`, and of `wished` what can be; the others are told on stderr."""
    for name in modules:
        importlib.import_module(name)
    for name in wished:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 (a module may raise anything)
            sys.stderr.write(f"perijove: {name} is not imported ahead: {error!r}\n")


def stamps() -> dict[str, tuple[int, int]]:
    """When each file was changed that a module was imported from, and each folder of `sys.path`."""
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    found: dict[str, tuple[int, int]] = {}
    for path in {path for path in [*files, *sys.path] if path}:
        with contextlib.suppress(OSError):
            seen = Path(path).stat()
            found[path] = (seen.st_mtime_ns, seen.st_size)
    return found


def unfit() -> str:
    """Why this process cannot be forked after all that it imported; empty when it can.

    Threads that libraries start without Python are not looked at: those that compute end them before
    a fork, OpenBLAS for one, or start them when they are first used.
    """
    if threading.active_count() > 1:
        return "a module has started a thread"
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(fd.readlink()).startswith(_GPUS):
                return "a module holds a GPU"
    return ""


class Zygote:
    """Answers one server, on `door`."""

    def __init__(self, door: socket.socket, idle_s: float = _IDLE_S) -> None:
        self._door, self._idle_s = door, idle_s
        self._ids: dict[int, str] = {}
        self._stamps = stamps()
        self._wake, self._wake_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def serve(self) -> dict[str, Any] | None:
        """None when it is of no use any more. In a fork: what was asked for."""
        for ignored in _IGNORED:  # meant for the server, which says by the socket when it ends
            signal.signal(ignored, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        self._say(ready=True)
        while True:
            ready = select.select([self._door, self._wake], [], [], self._idle_s)[0]
            if not ready and not self._ids:
                return None
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap()
            if self._door in ready:
                packet = self._heard()
                if not packet:
                    return None
                if asked := self._answer(json.loads(packet)):
                    return asked

    def _heard(self) -> bytes:
        """Nothing when the server has ended, if with something of ours unread."""
        try:
            return self._door.recv(LARGEST)
        except ConnectionResetError:
            return b""

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """In the fork: what it shall become."""
        if stamps() != self._stamps:
            self._say(id=asked["id"], refused="what is installed has changed")
            return None
        error, error_end = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            os.close(error)
            self._leave(asked["cwd"], error_end)
            return asked
        os.close(error_end)
        with os.fdopen(error, "rb") as file:
            why = file.read().decode(errors="replace")
        if why:
            os.waitpid(pid, 0)
            self._say(id=asked["id"], refused=why)
        else:
            self._ids[pid] = asked["id"]
            self._say(id=asked["id"], pid=pid)
        return None

    def _leave(self, cwd: str | None, error: int) -> None:
        """In the fork: a process of its own. Ends it where that fails."""
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (*_IGNORED, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._door.close()
            os.close(self._wake)
            os.close(self._wake_end)
            if cwd:
                os.chdir(cwd)
        except OSError as problem:
            os.write(error, str(problem).encode())
            os._exit(1)
        os.close(error)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if known := self._ids.pop(found[0], None):
                    self._say(id=known, ended=os.waitstatus_to_exitcode(found[1]))

    def _say(self, **facts: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # its end is seen at the next look
            self._door.send(json.dumps(facts).encode())


def take_environment(env: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Have `env`, and what the imports made of `before`, as they would have made it of `env`."""
    made = dict(os.environ)
    changed = [name for name in {*before, *made} if before.get(name) != made.get(name)]
    os.environ.clear()
    os.environ.update(env)
    for name in changed:
        if env.get(name) != before.get(name):
            continue
        if name in made:
            os.environ[name] = made[name]
        else:
            os.environ.pop(name, None)
    os.environ["JPY_PARENT_PID"] = str(os.getppid())  # with it, a kernel ends


def become(asked: dict[str, Any]) -> None:
    """Be the kernel; returns when it has ended."""
    argv: list[str] = asked["argv"]
    launcher = importlib.util.find_spec("ipykernel_launcher")
    sys.argv = [launcher.origin if launcher and launcher.origin else "", *argv[3:]]
    sys.orig_argv = list(argv)
    entitle(argv)
    from ipykernel.kernelapp import IPKernelApp

    # By itself its class has what was there when it was imported.
    IPKernelApp.launch_instance(parent_handle=os.getppid())


def entitle(argv: list[str]) -> None:
    """What ``ps`` shows: the kernel reads it where this process's own arguments lie."""
    fields = Path("/proc/self/stat").read_text(errors="replace").rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    words = b"".join(os.fsencode(word) + b"\0" for word in argv)
    if len(words) <= end - start:
        ctypes.memmove(start, words.ljust(end - start, b"\0"), end - start)
    _LIBC.prctl(_PR_SET_NAME, b"python", 0, 0, 0)


def main(fd: int) -> None:
    """Until it is of no use any more; in a fork, until the kernel has ended."""
    from renewal import generators, renew  # it lies beside this file

    sys.path.pop(0)  # their folder
    del sys.modules["renewal"]  # a kernel imports a person's own of that name
    before = dict(os.environ)
    # As a kernel has it from its first moment, so that matplotlib takes it when it is imported.
    os.environ.setdefault("MPLBACKEND", _INLINE)
    wished = [name.strip() for name in os.environ.get(PRELOAD, "").split(",") if name.strip()]
    import_all(MODULES, wished)
    if why := unfit():
        sys.exit(f"perijove: kernels are not forked: {why}")
    made = generators()
    sys.stdout.flush()
    zygote = Zygote(socket.socket(fileno=fd))
    gc.collect()
    gc.freeze()  # what is collected would have to be copied
    asked = zygote.serve()
    if asked is not None:
        take_environment(asked["env"], before)
        renew(made)
        importlib.invalidate_caches()  # a look at what is installed now
        become(asked)


if __name__ == "__main__":
    main(int(sys.argv[1]))
