"""Two people whose notebooks were forked from one process: nothing of one is seen by the other."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import Api, Visitor, in_kernel, processes_of, server_of
from tests.live import LiveSite, wait_for
from tests.proc import found_in_memory

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="people get users of their own, whose memory is looked at, as root"
)
REFUSED = {"PermissionError", "FileNotFoundError", "ProcessLookupError"}
"""The last two where the system hides what is somebody else's."""


@dataclass
class Notebook:
    """Somebody's, forked, with a kernel that has printed something."""

    site: LiveSite
    login: str
    id: str
    token: str

    @property
    def address(self) -> str:
        return f"{self.site.url}/user/{self.login}/{self.id}"

    @property
    def home(self) -> Path:
        return self.site.spaces / "homes" / self.login

    @property
    def server(self) -> int:
        return server_of(self.id)

    @property
    def shim(self) -> int:
        return psutil.Process(self.server).ppid()

    @property
    def port(self) -> int:
        (found,) = {c.laddr.port for c in _sockets(self.server, "tcp") if c.status == "LISTEN"}
        return found

    def variable(self, name: str) -> str:
        return psutil.Process(self.server).environ()[name]

    def ask(self, code: str, **values: Any) -> Any:
        """What a kernel of it prints, a JSON value."""
        return json.loads(in_kernel(self.address, self.token, code % values))


@dataclass
class Pair:
    site: LiveSite
    admin: Api
    ada: Notebook
    eve: Notebook

    def all_of_ada(self) -> set[int]:
        return processes_of(self.ada.id) | {self.ada.shim}


@pytest.fixture(scope="module")
def site(make_site: Callable[..., LiveSite]) -> LiveSite:
    return make_site().start()


@pytest.fixture(scope="module")
def pair(site: LiveSite) -> Pair:
    admin = Api(site)
    wait_for("a template is ready", lambda: template_of(site))
    ada, eve = (_notebook(site, admin, login) for login in ("ada", "eve"))
    return Pair(site, admin, ada, eve)


def _notebook(site: LiveSite, admin: Api, login: str) -> Notebook:
    visitor = Visitor(site)
    link = admin.post("/invitations", {"tenant": "main", "role": "member"})["url"]
    assert visitor.accept_invitation(link, login).status_code == 200
    started = Api(site, login).run("cpu")
    found = Notebook(site, login, started["id"], visitor.token(login))
    assert is_forked(site, found.server)
    in_kernel(found.address, found.token, "print(1)")
    return found


def template_of(site: LiveSite) -> int:
    """The process from which this control forks; 0 before it is ready."""
    folders = (site.home / "run" / "engine" / "templates").glob(f"{site.pid_of('control')}-*/*/")
    ready = {folder.resolve() for folder in folders if (folder / "ready.json").exists()}
    children = psutil.Process(site.pid_of("control")).children()
    return next((one.pid for one in children if Path(one.cwd()) in ready), 0)


def is_forked(site: LiveSite, server: int) -> bool:
    for run in (site.home / "run" / "engine" / "runs").iterdir():
        started, keeper = run / "started.json", run / "shim.json"
        if started.exists() and json.loads(started.read_bytes())["pid"] == server:
            return json.loads(keeper.read_bytes()).get("forked", False)
    return False


def _sockets(pid: int, kind: str) -> list[Any]:
    return psutil.Process(pid).net_connections(kind)


def test_each_memory_holds_the_own_secrets_alone(pair: Pair) -> None:
    ours = {n.login: n.variable("JUPYTERHUB_API_TOKEN").encode() for n in (pair.ada, pair.eve)}
    assert len(set(ours.values())) == 2
    assert found_in_memory(pair.ada.server, *ours.values()) == {ours["ada"]}
    assert found_in_memory(pair.eve.server, *ours.values()) == {ours["eve"]}
    assert found_in_memory(template_of(pair.site), *ours.values()) == set()
    homes = [str(n.home).encode() for n in (pair.ada, pair.eve)]
    assert found_in_memory(pair.eve.server, *homes) == {homes[1]}


_LOOK = """
import ctypes, json, os
libc = ctypes.CDLL(None, use_errno=True)
def tried(act, *given):
    try:
        if act(*given) == -1: raise OSError(ctypes.get_errno(), "")
    except OSError as error: return type(error).__name__
    return "done"
def read(path): open(path, "rb").read(1)
def vm_read(pid):
    class Part(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
    here = ctypes.create_string_buffer(8)
    mine, theirs = Part(ctypes.addressof(here), 8), Part(4096, 8)
    return libc.process_vm_readv(pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
told = {}
for pid in %(pids)s:
    for name in ("mem", "environ", "maps", "syscall", "stack"):
        told[f"{pid} {name}"] = tried(read, f"/proc/{pid}/{name}")
    for name in ("cwd", "root", "exe"):
        told[f"{pid} {name}"] = tried(os.readlink, f"/proc/{pid}/{name}")
    told[f"{pid} fd"] = tried(os.listdir, f"/proc/{pid}/fd")
    told[f"{pid} signal"] = tried(os.kill, pid, 0)
    told[f"{pid} vm"] = tried(vm_read, pid)
    told[f"{pid} seize"] = tried(libc.ptrace, 0x4206, pid, 0, 0)
print(json.dumps(told))
"""


def test_no_process_of_the_other_can_be_looked_into(pair: Pair) -> None:
    pids = pair.all_of_ada() | {template_of(pair.site), pair.eve.shim}
    told = pair.eve.ask(_LOOK, pids=sorted(pids))
    assert len(told) == 12 * len(pids)
    assert {what: said for what, said in told.items() if said not in REFUSED} == {}


def test_the_list_of_processes_tells_no_secret(pair: Pair) -> None:
    secrets = [
        value.encode()
        for name, value in psutil.Process(pair.ada.server).environ().items()
        if name.endswith(("_TOKEN", "_SECRET")) and value
    ]
    assert secrets
    for pid in pair.all_of_ada():
        said = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/comm").read_bytes()
        assert not [secret for secret in secrets if secret in said]
        assert b"ada" not in said.replace(b"/user/ada/", b"").replace(b"/homes/ada/", b"")


_KNOCK = """
import json, os, socket, urllib.error, urllib.request
def status(address, headers):
    try: return urllib.request.urlopen(urllib.request.Request(address, headers=headers)).status
    except urllib.error.HTTPError as error: return error.code
def connect(name):
    with socket.socket(socket.AF_UNIX) as door:
        try:
            os.chdir(os.path.dirname(name))  # an address has room for 107 bytes
            door.connect(os.path.basename(name))
        except OSError as error: return type(error).__name__
    return "done"
own = %(token)r
tokens = ({}, {"Authorization": "token " + own}, {"Authorization": "token nonsense"})
print(json.dumps([[status(%(address)r, one) for one in tokens], [connect(n) for n in %(named)r]]))
"""


def test_no_socket_of_the_other_lets_somebody_in(pair: Pair) -> None:
    """Its HTTP server, without a token, with a good one of somebody else's, with a wrong one; its
    sockets in the file system, and none in the abstract space, which no file rights guard."""
    named = [c.laddr for pid in pair.all_of_ada() for c in _sockets(pid, "unix") if c.laddr]
    assert not [name for name in named if name.startswith(("@", "\0"))]
    named += map(str, (pair.site.home / "run").rglob("*sock*"))
    assert named
    address = f"http://127.0.0.1:{pair.ada.port}/user/ada/{pair.ada.id}/api/contents"
    http, unix = pair.eve.ask(_KNOCK, address=address, token=pair.eve.token, named=named)
    assert http == [403, 403, 403]
    assert set(unix) <= REFUSED


_OPEN = """
import json
def tried(path):
    try: open(path, "rb").read(1)
    except IsADirectoryError:
        return "folder"
    except OSError as error: return type(error).__name__
    return "read"
print(json.dumps([tried(path) for path in %(paths)r]))
"""
_LEAVE = """
import json, os, tempfile
with tempfile.NamedTemporaryFile(delete=False) as file: file.write(b"mine")
folder = tempfile.mkdtemp()
open(os.path.join(folder, "file"), "w").write("mine")
print(json.dumps([file.name, os.path.join(folder, "file"), json.dumps(os.umask(0o22))]))
"""


def test_no_file_of_the_other_is_read(pair: Pair) -> None:
    """Temporary ones, those that kernels are spoken to with, and the run-time folder."""
    *left, umask = pair.ada.ask(_LEAVE)
    assert umask == "18"
    uid = psutil.Process(pair.ada.server).uids().real
    shared = [
        str(path)
        for top in ("/tmp", "/var/tmp", "/dev/shm")
        for path in Path(top).glob("*")
        if path.lstat().st_uid == uid and path.is_file()
    ]
    own = [str(path) for path in pair.ada.home.rglob("*.json")]
    assert [path for path in own if "kernel-" in path]
    assert set(left) & set(shared)
    told = pair.eve.ask(_OPEN, paths=[*left, *shared, *own])
    assert set(told) <= REFUSED
    for path in left:
        Path(path).unlink()


_DRAW = """
import json, random, secrets, tempfile, uuid
print(json.dumps([random.random(), random.getrandbits(64), next(tempfile._get_candidate_names()),
    uuid.uuid1().hex[16:20], uuid.uuid4().hex, secrets.token_hex()]))
"""


def test_chance_is_everybodys_own(pair: Pair) -> None:
    """Two kernels of one and one of the other: no value comes twice."""
    drawn = [value for n in (pair.ada, pair.ada, pair.eve) for value in n.ask(_DRAW)]
    assert len(set(drawn)) == len(drawn) == 18


def test_control_is_killed_and_what_was_forked_goes_on(pair: Pair) -> None:
    """The next control adopts it, has another template, and forks from that."""
    before, template = (pair.ada.server, pair.eve.server), template_of(pair.site)
    killed = pair.site.kill("control")
    gone = psutil.Process(template)
    wait_for("the template is gone", lambda: not gone.is_running() or gone.status() == "zombie")
    wait_for("another control", lambda: pair.site.pid_of("control") not in {0, killed})
    pair.site.wait_ready()
    assert (pair.ada.server, pair.eve.server) == before
    assert pair.eve.ask("print(2)") == 2
    another = wait_for("another template", lambda: template_of(pair.site))
    assert another != template
    started = pair.admin.run("cpu")
    assert is_forked(pair.site, server_of(started["id"]))
    pair.admin.stop(started["id"])
    assert pair.admin.workload(pair.ada.id)["status"] == "running"
