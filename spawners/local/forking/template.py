"""The template process itself: import, make sure that a fork is safe, then fork for who asks.

==================  ===========  =================================================================
file in its folder  written by   means
==================  ===========  =================================================================
``template.json``   the engine   what to import, and the marks; nothing secret
``ready.json``      this         it answers; what the imports read of the environment
``refused``         this         why nothing can be forked from these modules, in a line
``socket``          this         asked for a fork with the folder of the attempt, its lock attached
==================  ===========  =================================================================

The fork comes before the request is read, so nothing of one person is ever in the memory that the
next is forked from.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from spawners.local.forking import places
from spawners.local.forking.command import Renewal, take_environment
from spawners.local.forking.region import Region
from spawners.local.shim import Shim, announce

MARKER = "PERIJOVE_ATTEMPT"
LOOK_S = 2.0
"""How often it looks whether its folder is still there."""
_ASKED_WITHIN_S = 5.0


class RefusedError(Exception):
    """Nothing can be forked from these modules; the text says why."""


class _Recorded(os._Environ[str]):
    """Notes the names that are looked up while modules are imported."""

    names: set[str] = set()  # noqa: RUF012 (there is one environment)

    def __getitem__(self, key: str) -> str:
        self.names.add(os.fsdecode(key))  # somebody may look one up in bytes, and be told so
        return super().__getitem__(key)


def import_all(modules: list[str], paths: list[str]) -> dict[str, str | None]:
    """Import them as `import a.b` does; answers what they looked up in the environment, and found.

    What is not installed is left out: the command will not find it either. Raises RefusedError for
    what is there and cannot be imported.
    """
    before, plain = list(sys.path), os.environ.__class__
    sys.path[:0] = paths
    os.environ.__class__ = _Recorded
    sys.dont_write_bytecode, writes = True, sys.dont_write_bytecode
    name = ""
    try:
        for name in modules:
            _import(name)
    except BaseException as error:
        raise RefusedError(f"{name} cannot be imported: {error!r}") from error
    finally:
        sys.path[:] = before
        os.environ.__class__ = plain
        sys.dont_write_bytecode = writes
    return {name: os.environ.get(name) for name in sorted(_Recorded.names)}


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise


def demand_safe(known: set[int]) -> None:
    """Raise RefusedError for what no fork may carry over: threads, loops, sockets, open files.

    `known` are the descriptors that are this process's own.
    """
    if len(os.listdir("/proc/self/task")) > 1 or threading.active_count() > 1:
        raise RefusedError("the modules start a thread")
    opened = {int(name) for name in os.listdir("/proc/self/fd")} - known
    # The listing has a descriptor of its own, which is closed by now.
    if left := [fd for fd in opened if os.path.exists(f"/proc/self/fd/{fd}")]:
        held = [os.readlink(f"/proc/self/fd/{fd}") for fd in left]
        raise RefusedError(f"the modules keep {', '.join(held)} open")
    kinds = _kinds_of("asyncio:BaseEventLoop", "tornado.ioloop:IOLoop", "zmq:Context",
                      "sqlite3:Connection", "ssl:SSLSocket")  # fmt: skip
    for one in gc.get_objects():
        if isinstance(one, kinds):
            raise RefusedError(f"the modules make a {type(one).__module__}.{type(one).__name__}")


def _kinds_of(*names: str) -> tuple[type, ...]:
    found = [name.split(":") for name in names]
    loaded = [
        getattr(sys.modules[module], kind, None) for module, kind in found if module in sys.modules
    ]
    return tuple(kind for kind in loaded if isinstance(kind, type))


class Forks:
    """Answers requests until its owner is gone, or its folder."""

    def __init__(
        self, listener: socket.socket, owner: int, region: Region, renewal: Renewal
    ) -> None:
        self._listener = listener
        self._owner = owner
        self._region = region
        self._renewal = renewal
        self._place = os.stat("socket").st_ino

    def run(self) -> None:
        # Nobody waits for those that are forked: the kernel takes them away.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while self._is_wanted():
            ready = select.select([self._listener, self._owner], [], [], LOOK_S)[0]
            if self._owner in ready:
                return
            if ready:
                self._answer()

    def _is_wanted(self) -> bool:
        with contextlib.suppress(OSError):
            return os.stat("socket").st_ino == self._place
        return False

    def _answer(self) -> None:
        with contextlib.suppress(OSError):
            connection = self._listener.accept()[0]
            with connection:
                if os.fork() == 0:
                    self._begin(connection)

    def _begin(self, connection: socket.socket) -> NoReturn:
        """In the child: read who is asked for, and be the keeper of that attempt."""
        try:
            folder, lock = _request(connection)
            os.set_inheritable(lock, False)
            self._listener.close()
            os.close(self._owner)
            keep(folder, connection, self._region, self._renewal)
        except BaseException as error:  # noqa: BLE001 (a forked child must never return)
            with contextlib.suppress(OSError):
                connection.sendall(f"{type(error).__name__}: {error}".encode())
            os._exit(1)
        os._exit(0)


def keep(folder: str, connection: socket.socket, region: Region, renewal: Renewal) -> None:
    """The life of the shim, from the attempt's folder to its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.umask(0o077)
    os.chdir(folder)
    nothing = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.close(nothing)
    with open("run.json", "rb") as file:
        run = json.load(file)
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", MARKER: run["env"][MARKER]}
    take_environment(environment)
    shim = sys.modules[Shim.__module__].__file__
    title = ("perijove-shim", os.path.basename(folder), str(shim), folder)
    region.write(title, environment, "perijove-shim")

    def enter(run: dict[str, Any], error: int) -> None:
        renewal.enter(run, error, region)

    keeper = Shim(os.getcwd(), run, enter)
    announce(forked=True)
    with contextlib.suppress(OSError):
        connection.sendall(b"1")
    connection.close()
    keeper.live()


def _request(connection: socket.socket) -> tuple[str, int]:
    """The attempt's folder and the descriptor of its lock, from this user or root only."""
    connection.settimeout(_ASKED_WITHIN_S)
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    if struct.unpack("3i", raw)[1] not in {0, os.geteuid()}:
        raise PermissionError("another user asks")
    text, [(_, _, fds)], _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
    return text.decode(), array.array("i", fds)[0]


def main(owner: int) -> None:
    """Until nobody needs it any more. A refusal is written down, and is exit code 3."""
    asked = json.loads(Path("template.json").read_text())
    region, folder = Region(), os.getcwd()
    os.chdir("/")
    try:
        reads = import_all(asked["modules"], asked["paths"])
        demand_safe({0, 1, 2, owner})
        marks: dict[str, str] = asked["marks"]
        renewal = Renewal(marks, _found(marks, reads), _loaded(asked["renewal"]))
    except RefusedError as error:
        Path(folder, "refused").write_text(f"{error}\n")
        sys.exit(3)
    # Moved away from the memory that is written next, to which the C library still leads.
    take_environment(dict(os.environ))
    region.write(("perijove-template", sys.argv[0], *asked["modules"]), {}, "perijove-templ")
    os.chdir(folder)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("socket")
    os.chmod("socket", 0o600)
    listener.listen(128)
    Path("ready.new").write_text(json.dumps({"reads": reads}))
    os.replace("ready.new", "ready.json")
    gc.collect()
    gc.freeze()
    Forks(listener, owner, region, renewal).run()


def _loaded(path: str) -> ModuleType:
    """The module in that file, which nothing else can import."""
    spec = spec_from_file_location("spawners.renewal", path)
    if spec is None or spec.loader is None:
        raise RefusedError(f"{path} cannot be imported")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _found(marks: dict[str, str], *own: object) -> list[places.Place]:
    try:
        return places.find(tuple(marks.values()), (marks, vars(os.environ)["_data"], *own))
    except places.UnreachableError as error:
        raise RefusedError(
            f"what was taken from the environment cannot be corrected: {error}"
        ) from error
