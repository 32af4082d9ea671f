"""Whatever is killed, at any moment: notebooks run on, nothing leaks, nothing is paid for twice.

One site; the order of the tests is that of a bad day.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.conftest import (
    Api,
    groups_left,
    problems,
    processes_of,
    server_of,
)
from tests.leftovers import attempts_left
from tests.live import LiveSite, overload, wait_for

pytestmark = pytest.mark.alone  # it says how long things take, while all is killed
PROCESSES = ("proxy", "hub", "control", "portal")
BACK_WITHIN_S = 3.0
"""Promised for the proxy."""


@dataclass
class Room:
    """Two notebooks that run through the whole day, and one whose minute is soon over."""

    site: LiveSite
    api: Api
    ids: tuple[str, ...]
    pids: dict[str, int]
    short: dict[str, Any]

    def all_answer(self) -> bool:
        return all(self.site.get(f"/user/admin/{i}/api", timeout_s=3)[0] == 200 for i in self.ids)

    def statement(self) -> tuple[Decimal, list[str]]:
        """All credits there are, and every movement of those that stay."""
        usage = self.api.get("/usage", limit="200")
        parts = (Decimal(usage[part]) for part in ("balance", "held", "spent"))
        whole = sum(parts, start=Decimal(0))
        return whole, [i["id"] for i in usage["items"] if i["workload"] in self.ids]

    def check(self, before: tuple[Decimal, list[str]]) -> None:
        """Everything is well again, and as it was."""
        self.site.wait_ready()
        wait_for("the notebooks answer", self.all_answer, 20)
        assert {i: server_of(i) for i in self.ids} == self.pids
        assert [self.api.workload(i)["status"] for i in self.ids] == ["running"] * len(self.ids)
        assert self.statement() == before
        assert problems(self.site) == []


@pytest.fixture(scope="module")
def site(make_site: Callable[..., LiveSite]) -> LiveSite:
    return make_site().start()


@pytest.fixture(scope="module")
def room(site: LiveSite) -> Room:
    api = Api(site)
    short = api.launch("cpu", duration="1m")
    quarter = site.cli("run", "--offer", "gpu-quarter", "--wait")
    cpu = site.cli("run", "--offer", "cpu", "--wait")
    ids = (quarter["id"], cpu["id"])
    short = api.until(short["id"], "running")
    return Room(site, api, ids, {i: server_of(i) for i in ids}, short)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_comes_back_and_notebooks_do_not_notice(room: Room, name: str) -> None:
    before = room.statement()
    killed_at, pid = time.monotonic(), room.site.kill(name)
    if name == "proxy":
        wait_for("another proxy", lambda: room.site.pid_of(name) not in {0, pid}, every_s=0.005)
        wait_for("it is back", lambda: room.all_answer() and _portal_answers(room.site), 30)
        assert time.monotonic() - killed_at <= BACK_WITHIN_S * overload()
    wait_for(f"another {name}", lambda: room.site.pid_of(name) not in {0, pid}, 30)
    room.check(before)


def test_up_killed_status_tells_and_the_next_up_adopts(room: Room) -> None:
    before = room.statement()
    room.site.kill("up")
    assert room.site.up
    room.site.up.wait()
    told = room.site.run("status", "--json")
    assert told.returncode == 1
    statuses = {p["name"]: p["status"] for p in json.loads(told.stdout)["processes"]}
    assert statuses == {"up": "stopped"} | dict.fromkeys(PROCESSES, "running")
    assert room.all_answer()
    _up_again(room.site)
    room.check(before)


def test_all_killed_at_once_and_the_next_up_finds_the_notebooks(room: Room) -> None:
    before = room.statement()
    _kill_everything(room.site)
    assert all(processes_of(i) for i in room.ids)
    told = room.site.run("status", "--json")
    assert told.returncode == 1
    assert {p["status"] for p in json.loads(told.stdout)["processes"]} == {"stopped"}
    _up_again(room.site)
    room.check(before)


def test_a_lost_database_of_the_hub_costs_nothing_but_sign_ins(room: Room) -> None:
    before = room.statement()
    _kill_everything(room.site)
    for file in (room.site.home / "hub").glob("hub.sqlite*"):
        file.unlink()
    _up_again(room.site)
    room.api = Api(room.site)  # tokens were the Hub's
    wait_for("the Hub finds the notebooks again", room.all_answer, 40)
    room.check(before)


def test_a_lease_ends_on_time_while_control_stands_still(room: Room) -> None:
    if not processes_of(room.short["id"]):  # a slow machine: its time was up before
        room.short = room.api.run("cpu", duration="1m")
    before = room.statement()
    ends_at = _seconds(room.short["lease_ends_at"])
    pid = room.site.pid_of("control")
    os.kill(pid, signal.SIGSTOP)
    try:
        left = max(0.0, ends_at - time.time())
        wait_for("the lease ended", lambda: not processes_of(room.short["id"]), left + 15)
        assert time.time() >= ends_at - 1
    finally:
        os.kill(pid, signal.SIGCONT)
    ended = room.api.until(room.short["id"], "stopped", "failed")
    assert (ended["status"], ended["reason_code"]) == ("stopped", "lease-ended")
    assert abs(_seconds(ended["ended_at"]) - ends_at) < 12
    room.check(before)


@pytest.mark.parametrize("delay_s", [0.0, 0.4, 1.0, 2.0])
@pytest.mark.parametrize("name", ["control", "hub"])
def test_killed_during_a_start_it_comes_up_or_is_refunded(
    room: Room, name: str, delay_s: float
) -> None:
    pid = room.site.pid_of(name)
    before = room.statement()
    launched = room.api.launch("gpu-quarter")
    time.sleep(delay_s)
    os.kill(pid, signal.SIGKILL)
    ended = room.api.until(launched["id"], "running", "failed", within_s=90)
    if ended["status"] == "running":
        address = f"/user/admin/{ended['id']}/api"
        wait_for("it answers", lambda: room.site.get(address)[0] == 200, 20)
        ended = room.api.stop(launched["id"])
        assert ended["status"] == "stopped"
    else:
        assert Decimal(ended["cost"]) == 0
        assert ended["reason"]
    assert not processes_of(launched["id"])
    room.check(before)
    usage = room.api.get("/usage", limit="200")
    kinds = [i["kind"] for i in usage["items"] if i["workload"] == launched["id"]]
    assert kinds.count("hold") == 1
    assert kinds.count("settle") <= 1
    assert len(set(kinds)) == len(kinds)


def test_nothing_is_left_of_what_ended(room: Room) -> None:
    wait_for("only the two have groups", lambda: _attempts(groups_left(room.site)) == 2, 20)
    offer = next(o for o in room.api.get("/offers")["items"] if o["id"] == "gpu-quarter")
    assert offer["availability"]["free"] == offer["availability"]["of"] - 1
    usage = room.api.get("/usage")
    held = [Decimal(room.api.workload(i)["held"]) for i in room.ids]
    assert Decimal(usage["held"]) == sum(held)


def test_keep_leaves_notebooks_and_the_next_up_adopts_them(room: Room) -> None:
    before = room.statement()
    room.site.kill("up")
    assert room.site.up
    room.site.up.wait()
    _up_again(room.site, "--keep")
    _interrupt(room.site)
    told = json.loads(room.site.run("status", "--json").stdout)["processes"]
    assert {p["status"] for p in told} == {"stopped"}
    _up_again(room.site)
    room.check(before)


def _interrupt(site: LiveSite) -> None:
    assert site.up
    site.up.send_signal(signal.SIGINT)
    assert site.up.wait(60) == 0


def test_a_second_up_on_the_same_data_says_so(room: Room) -> None:
    done = room.site.run("up")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert f"pid {room.site.pid_of('up')}" in said
    assert "Traceback" not in said
    assert room.site.is_ready()


def test_ctrl_c_stops_notebooks_and_settles(room: Room) -> None:
    _interrupt(room.site)
    assert not any(processes_of(i) for i in room.ids)
    assert attempts_left(room.site) == set()
    assert groups_left(room.site) == []
    _up_again(room.site)
    api = Api(room.site)
    for workload_id in room.ids:
        ended = api.workload(workload_id)
        assert (ended["status"], ended["reason_code"]) == ("stopped", "site-stopped")
        assert Decimal(ended["held"]) == 0
    usage = api.get("/usage", limit="200")
    assert Decimal(usage["held"]) == 0
    assert Decimal(usage["balance"]) + Decimal(usage["spent"]) == 100
    quarter = [i["kind"] for i in usage["items"] if i["workload"] == room.ids[0]]
    assert quarter.count("settle") == 1
    assert problems(room.site) == []


def _up_again(site: LiveSite, *args: str) -> None:
    """A new `up`, once it has taken over what runs and says that all is ready."""
    log = site.folder / "up.log"
    said = len(log.read_text())
    site.start(*args)
    wait_for("it says so", lambda: "Ctrl-C" in log.read_text()[said:], 60)
    assert site.run("status").returncode == 0


def _kill_everything(site: LiveSite) -> None:
    told = json.loads(site.run("status", "--json").stdout)["processes"]
    for process in sorted(told, key=lambda p: p["name"] != "up"):  # `up` first: it would restart
        os.kill(process["pid"], signal.SIGKILL)
    assert site.up
    site.up.wait()


def _portal_answers(site: LiveSite) -> bool:
    return site.get("/services/portal/healthz", timeout_s=2)[0] == 200


def _attempts(groups: list[Any]) -> int:
    return len({group.name for group in groups})


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
