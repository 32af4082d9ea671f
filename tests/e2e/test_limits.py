"""What a notebook may use and what it may see, shown with live notebooks of two people."""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from tests.e2e.conftest import Api, Visitor, groups_left, in_kernel, processes_of
from tests.live import PERIJOVE, ROOT, LiveSite, wait_for

MIB = 2**20
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="people get uids of their own as root")


@dataclass
class Guest:
    """The second person, who came by an invitation."""

    visitor: Visitor
    api: Api
    token: str
    home: Path


@pytest.fixture(scope="module")
def site(make_site: Callable[..., LiveSite]) -> LiveSite:
    return make_site(PERIJOVE_HOME_QUOTA="64Mi").start()


@pytest.fixture(scope="module")
def admin(site: LiveSite) -> Api:
    return Api(site)


@pytest.fixture(scope="module")
def own_token(site: LiveSite) -> str:
    """The administrator's, which may open their notebooks."""
    return Visitor(site).use_admin_link().token("admin")


@pytest.fixture(scope="module")
def guest(site: LiveSite, admin: Api) -> Guest:
    visitor = Visitor(site)
    link = admin.post("/invitations", {"tenant": "main", "role": "member"})["url"]
    assert visitor.accept_invitation(link, "guest").status_code == 200
    home = site.spaces / "homes" / "guest"
    return Guest(visitor, Api(site, "guest"), visitor.token("guest"), home)


@pytest.fixture(autouse=True)
def _nothing_runs_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that fails must not take what the next one needs."""
    yield
    for name in {"admin", "guest"} & set(request.fixturenames):
        api = request.getfixturevalue(name)
        api = api.api if isinstance(api, Guest) else api
        for workload in api.get("/workloads")["items"]:
            api.stop(workload["id"])


def test_a_notebook_can_read_what_it_was_given(site: LiveSite, admin: Api, own_token: str) -> None:
    started = admin.run("gpu-quarter", cpu="1.5", duration="30m")
    code = "import json, os; print(json.dumps({k: v for k, v in os.environ.items()}))"
    seen = json.loads(in_kernel(_address(site, "admin", started), own_token, code))
    assert {name: seen.get(name) for name in _TOLD} == _TOLD
    assert seen["PERIJOVE_WORKLOAD"] == started["id"]
    assert seen["PERIJOVE_LEASE_ENDS_AT"][:16] == started["lease_ends_at"][:16]
    assert Path(seen["HOME"]) == site.spaces / "homes" / "admin"
    assert not {"PERIJOVE_HOME", "PERIJOVE_DATABASE_URL", "PERIJOVE_SMTP_URL"} & set(seen)
    if groups := _limits_of(started["id"]):
        assert groups["memory"] == 512 * MIB
        assert groups["cpu"] == pytest.approx(1.5)
    else:
        assert any("limited" in note for note in started["notes"])
    admin.stop(started["id"])


_TOLD: dict[str, Any] = {
    "PERIJOVE_SHARE_MILLI": "250",
    "PERIJOVE_GPU_MEMORY_MIB": "6144",
    "PERIJOVE_GPU_MODE": "emulated",
    "PERIJOVE_GPU_EMULATED": "1",
    "PERIJOVE_OFFER": "gpu-quarter",
    "PERIJOVE_TENANT": "main",
    "PERIJOVE_CPU_MILLI": "1500",
    "PERIJOVE_MEMORY_BYTES": str(512 * MIB),
    "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25",
}


def test_out_of_memory_is_explained_and_a_larger_one_can_be_launched(
    site: LiveSite, admin: Api, own_token: str
) -> None:
    if not Path("/sys/fs/cgroup/memory").is_dir() and not _v2_memory():
        pytest.skip("no memory controller that this user may use")
    started = admin.run("cpu")
    eat = "hoard = []\nwhile True: hoard.append(bytes(range(256)) * 4096 * 16)"
    with contextlib.suppress(aiohttp.ClientError, AssertionError, TimeoutError):
        in_kernel(_address(site, "admin", started), own_token, eat, within_s=40)
    ended = admin.until(started["id"], "failed", within_s=30)
    assert ended["reason_code"] == "out-of-memory"
    assert ended["reason"] == "it ran out of memory: it used 512 MiB of 512 MiB"
    assert "more memory" in ended["next"]
    assert ended["suggestion"] == {"memory": "1Gi"}
    assert not processes_of(started["id"])
    again = admin.post(f"/workloads/{ended['id']}/relaunch", {"set": ended["suggestion"]})
    again = admin.until(again["id"], "running")
    assert again["memory_mib"] == 1024
    admin.stop(again["id"])
    said = [notice["text"] for notice in admin.get("/notices")["items"]]
    assert any("ran out of memory" in text for text in said)


@needs_root
def test_people_cannot_reach_each_other_nor_the_state(
    site: LiveSite, admin: Api, guest: Guest
) -> None:
    theirs = admin.run("cpu")
    (site.spaces / "homes" / "admin" / "diary.txt").write_text("secret")
    victim = max(processes_of(theirs["id"]))
    mine = guest.api.run("cpu")
    code = _PROBE.format(
        paths=[
            str(site.spaces / "homes" / "admin"),
            str(site.spaces / "homes" / "admin" / "diary.txt"),
            str(site.spaces / "homes"),
            f"/proc/{victim}/environ",
            f"/proc/{victim}/fd",
            f"/proc/{site.pid_of('hub')}/environ",
            str(site.home),
            str(site.home / "secrets" / "pepper"),
            str(site.home / "control.sqlite"),
        ],
        socket=str(site.home / "run" / "control.sock"),
        victim=victim,
        home=str(guest.home),
    )
    found = json.loads(in_kernel(_address(site, "guest", mine), guest.token, code))
    assert found["uid"] >= 200_000
    assert found["uid"] != (site.spaces / "homes" / "admin").stat().st_uid
    assert found["groups"] in ([], [found["uid"]])
    assert found["reached"] == []
    assert found["own home"] == "0o40700"
    guest.api.stop(mine["id"])
    admin.stop(theirs["id"])


_PROBE = """
import json, os, socket
reached = []
for path in {paths}:
    try:
        os.listdir(path) if os.path.isdir(path) or path.endswith(("fd", "homes")) else open(path).read()
        reached.append(path)
    except OSError:
        pass
try:
    socket.socket(socket.AF_UNIX).connect("{socket}")
    reached.append("control's socket")
except OSError:
    pass
try:
    os.kill({victim}, 0)
    reached.append("a signal to the other's server")
except OSError:
    pass
print(json.dumps({{"uid": os.getuid(), "groups": os.getgroups(), "reached": reached,
    "own home": oct(os.stat("{home}").st_mode)}}))
"""


@needs_root
def test_a_token_opens_nobody_elses_notebook(site: LiveSite, admin: Api, guest: Guest) -> None:
    theirs = admin.run("cpu")
    path = f"/user/admin/{theirs['id']}/api/contents"
    assert site.get(path, guest.token)[0] in {403, 404}
    assert guest.api.http.get(f"/workloads/{theirs['id']}").status_code == 404
    assert guest.api.http.post(f"/workloads/{theirs['id']}/stop").status_code == 404
    assert admin.workload(theirs["id"])["status"] == "running"
    admin.stop(theirs["id"])


@needs_root
def test_a_full_home_opens_the_rescue_page_and_costs_nothing(site: LiveSite, guest: Guest) -> None:
    before = Decimal(guest.api.get("/usage")["balance"])
    guest.home.mkdir(exist_ok=True)
    (guest.home / "data").mkdir(exist_ok=True)
    (guest.home / "data" / "big.bin").write_bytes(os.urandom(80 * MIB))
    owner = guest.home.stat()
    for path in (guest.home / "data", guest.home / "data" / "big.bin"):
        os.chown(path, owner.st_uid, owner.st_gid)
    started = guest.api.run("gpu-quarter")
    assert any("full" in note for note in started["notes"]), started
    assert started["share"]["milli"] == 0
    usage = guest.api.get("/usage")
    assert (Decimal(usage["balance"]), Decimal(usage["held"])) == (before, 0)
    offer = next(o for o in guest.api.get("/offers")["items"] if o["id"] == "gpu-quarter")
    assert offer["availability"]["free"] == offer["availability"]["of"]

    page = guest.visitor.http.get(started["url"])
    assert "Your home is full" in page.text
    assert "data/big.bin" in page.text
    form = next(f for f in page.text.split("<form")[1:] if "Yes, delete data/big.bin" in f)
    done = guest.visitor.submit(_only_form(page, form))
    assert "Deleted data/big.bin" in done.text
    assert not (guest.home / "data" / "big.bin").exists()
    ended = guest.api.stop(started["id"])
    assert Decimal(ended["cost"]) == 0
    assert Decimal(guest.api.get("/usage")["balance"]) == before
    again = guest.api.post(f"/workloads/{started['id']}/relaunch")
    again = guest.api.until(again["id"], "running")
    assert again["share"]["milli"] == 250
    assert again["notes"] == started["notes"][: len(again["notes"])] or not any(
        "full" in note for note in again["notes"]
    )
    guest.api.stop(again["id"])


def test_nothing_is_left(site: LiveSite, admin: Api) -> None:
    wait_for("no groups", lambda: groups_left(site) == [], 20)
    assert Decimal(admin.get("/usage")["held"]) == 0


@needs_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
def test_without_root_one_person_only(make_site: Callable[..., LiveSite]) -> None:
    site = make_site()
    uid = 61234
    home = Path(f"/tmp/perijove-{site.port}")
    home.mkdir()
    os.chown(home, uid, uid)
    menu = home / "menu.yaml"
    shutil.copy(site.settings["PERIJOVE_MENU"], menu)
    site.settings = {
        "HOME": str(home), "PERIJOVE_HOME": str(home), "PERIJOVE_SPACES": str(home / "spaces"),
        "PERIJOVE_MENU": str(menu),
    }  # fmt: skip
    # Another user may read this checkout, wherever it lies, and nothing more.
    may = "+dac_read_search"
    person = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
              f"--inh-caps={may}", f"--ambient-caps={may}")  # fmt: skip
    with (site.folder / "up.log").open("ab") as log:
        site.up = subprocess.Popen(
            [*person, PERIJOVE, "up"], env=site.env, cwd=ROOT, stdout=log, stderr=log,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        site.wait_ready()
        api = Api(site)
        refused = api.http.post("/invitations", json={"tenant": "main"})
        assert refused.status_code == 403
        assert "without root" in refused.json()["error"]["message"]
        assert "root" in refused.json()["error"]["next"]
        started = api.run("gpu-quarter")
        assert started["status"] == "running"
        assert {Path(f"/proc/{pid}").stat().st_uid for pid in processes_of(started["id"])} == {uid}
        api.stop(started["id"])
    finally:
        site.stop()
        shutil.copytree(home / "logs", site.folder / "logs")
        shutil.rmtree(home, ignore_errors=True)


def _address(site: LiveSite, login: str, workload: dict[str, Any]) -> str:
    return f"{site.url}/user/{login}/{workload['id']}"


def _v2_memory() -> bool:
    controllers = Path("/sys/fs/cgroup/cgroup.controllers")
    return controllers.exists() and "memory" in controllers.read_text()


def _limits_of(workload_id: str) -> dict[str, float]:
    """Memory in bytes and cores, from the control group of its server; empty without groups."""
    found: dict[str, float] = {}
    for line in Path(f"/proc/{min(processes_of(workload_id))}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "perijove" not in path:
            continue
        root = Path("/sys/fs/cgroup") / controllers / path.lstrip("/")
        if (root / "memory.limit_in_bytes").exists():
            found["memory"] = int((root / "memory.limit_in_bytes").read_text())
        if (root / "memory.max").exists():
            found["memory"] = int((root / "memory.max").read_text())
        if (root / "cpu.cfs_quota_us").exists():
            quota, period = ((root / f"cpu.cfs_{n}_us").read_text() for n in ("quota", "period"))
            found["cpu"] = int(quota) / int(period)
        if (root / "cpu.max").exists():
            quota, period = (root / "cpu.max").read_text().split()
            found["cpu"] = int(quota) / int(period)
    return found


def _only_form(page: Any, form: str) -> Any:
    """The same page with one of its forms alone."""
    return httpx.Response(200, text=f"<form{form}", request=page.request)
