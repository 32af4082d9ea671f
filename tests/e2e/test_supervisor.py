"""`perijove up` with the real proxy and small servers in place of hub, control and portal."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from hub.settings import PACKAGE_ROOT, Settings
from hub.up.backup import backup, restore
from hub.up.ports import choose_port
from hub.up.processes import identify
from hub.up.programs import NAMES, node_binary, proxy_script
from hub.up.status import read_status

pytestmark = [
    pytest.mark.alone,  # it says how long things take
    pytest.mark.e2e,
    pytest.mark.skipif(
        node_binary() is None or not proxy_script(Settings()).exists(),
        reason="needs the proxy: make up installs it",
    ),
]

STAND_IN = Path(__file__).with_name("stand_in.py")


class Up:
    """A running `up`, and what it said so far."""

    def __init__(self, env: dict[str, str], arguments: tuple[str, ...], words: Path) -> None:
        self._words = words
        with words.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(STAND_IN), "up", *arguments],
                env=env,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self.process.pid

    @property
    def said(self) -> str:
        return self._words.read_text()

    def finish(self, number: int | None = None) -> tuple[int, str]:
        """Wait for its end, after the signal if there is one."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(timeout=60), self.said


class Site:
    """A home, and the `up` processes that a test starts on it."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home, port=choose_port())
        self.ups: list[Up] = []

    def up(self, *arguments: str, **more: str) -> Up:
        env = {**self.settings.child_env(), **more, "PYTHONPATH": str(PACKAGE_ROOT)}
        words = self.settings.home.with_name(f"said-{len(self.ups)}")
        self.ups.append(Up(env, arguments, words))
        return self.ups[-1]

    def ready(self) -> dict[str, int]:
        """Wait until all is well; returns pids by name."""
        until(lambda: self.status()["ok"], "everything to run")
        return self.pids()

    def status(self) -> dict[str, Any]:
        # A fresh copy: the ports may have been chosen since.
        return read_status(Settings(home=self.settings.home, port=self.settings.port))

    def pids(self) -> dict[str, int]:
        return {process["name"]: process["pid"] for process in self.status()["processes"]}

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.settings.url}{path}", timeout=5, trust_env=False)

    def end(self) -> None:
        recorded = self.settings.run_dir / "processes.json"
        for up in self.ups:
            with contextlib.suppress(subprocess.TimeoutExpired):
                up.finish(signal.SIGTERM)
            up.process.kill()
        with contextlib.suppress(OSError, ValueError):
            for entry in json.loads(recorded.read_text())["processes"]:
                with contextlib.suppress(psutil.Error):
                    psutil.Process(entry["pid"]).kill()


def until(true: Callable[[], object], what: str, within_s: float = 60) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, f"waited {within_s} s for {what}"
        time.sleep(0.05)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "h")
    yield made
    made.end()


def test_first_start_shows_the_address_and_the_link_and_ctrl_c_stops_everything(site: Site) -> None:
    up = site.up()
    pids = site.ready()
    until(lambda: "Ctrl-C" in up.said, "the banner")
    assert pids["up"] == up.pid
    assert oct(site.settings.home.stat().st_mode)[-3:] == "700"
    assert {oct(p.stat().st_mode)[-3:] for p in (site.settings.home / "secrets").iterdir()} == {
        "600"
    }
    code, said = up.finish(signal.SIGINT)
    assert code == 0
    assert f"ready at  {site.settings.url}" in said
    assert "/hub/welcome?t=1" in said
    assert "emulated" in said
    assert (site.settings.home / "drained").read_text() == "yes"
    assert not any(identify(pid) for pid in pids.values())
    assert {p["status"] for p in site.status()["processes"]} == {"stopped"}


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_process_comes_back_and_its_routes_too(site: Site, name: str) -> None:
    site.up()
    before = site.ready()
    os.kill(before[name], signal.SIGKILL)
    until(lambda: site.pids()[name] not in {None, before[name]}, f"a new {name}")
    until(lambda: site.status()["ok"], "all to run again")
    assert site.get("/services/portal/").status_code == 200
    after = site.pids()
    assert {n for n in after if after[n] != before[n]} == {name}
    zombies = [c for c in psutil.Process(after["up"]).children() if c.status() == "zombie"]
    assert zombies == []


def test_while_a_part_restarts_people_see_a_page_that_says_so(site: Site) -> None:
    site.up()
    site.ready()
    (site.settings.home / "ill-hub").write_text("1\nno luck")
    os.kill(site.pids()["hub"], signal.SIGKILL)
    until(lambda: site.get("/").status_code == 503, "the error page")
    assert "Just a moment" in site.get("/").text
    (site.settings.home / "ill-hub").unlink()
    site.ready()


def test_up_killed_with_9_leaves_all_serving_and_the_next_adopts_them(site: Site) -> None:
    first = site.up()
    before = site.ready()
    first.finish(signal.SIGKILL)
    assert site.get("/services/control/healthz").status_code == 200
    assert site.status()["ok"] is False
    second = site.up("--keep")
    after = site.ready()
    assert {n for n in after if after[n] != before[n]} == {"up"}
    until(lambda: "Ctrl-C" in second.said, "the banner")
    os.kill(after["portal"], signal.SIGKILL)
    until(lambda: site.pids()["portal"] not in {None, after["portal"]}, "a new portal")
    site.ready()
    code, said = second.finish(signal.SIGTERM)
    assert code == 0
    assert "Adopted" in said
    assert "notebooks keep running" in said
    assert not (site.settings.home / "drained").exists()
    assert not any(identify(pid) for n, pid in before.items() if n != "up")


def test_processes_of_other_settings_are_replaced(site: Site) -> None:
    first = site.up()
    before = site.ready()
    first.finish(signal.SIGKILL)
    site.up(PERIJOVE_STARTER_CREDITS="7")
    until(lambda: site.pids()["hub"] not in {None, before["hub"]}, "a new hub")
    after = site.ready()
    # The proxy does not care for credits, but its environment is that of the product.
    assert set(after.values()).isdisjoint(before.values())


def test_a_pid_that_is_somebody_elses_now_is_left_alone(site: Site) -> None:
    first = site.up()
    before = site.ready()
    first.finish(signal.SIGKILL)
    stranger = subprocess.Popen(["sleep", "60"])
    book = site.settings.run_dir / "processes.json"
    content = json.loads(book.read_text())
    for entry in content["processes"]:
        if entry["name"] == "portal":
            entry["pid"] = stranger.pid
    book.write_text(json.dumps(content))
    try:
        site.up()
        after = site.ready()
        assert stranger.poll() is None
        # The portal that no record names any more was found and ended.
        assert after["portal"] not in {stranger.pid, before["portal"]}
        assert not identify(before["portal"])
    finally:
        stranger.kill()
        stranger.wait()


def test_a_second_up_names_the_first(site: Site) -> None:
    first = site.up()
    site.ready()
    second = site.up()
    code, said = second.finish()
    assert code == 1
    assert f"pid {first.pid}" in said
    assert site.settings.url in said
    assert site.status()["ok"]


def test_a_public_port_in_use_is_one_clear_error(site: Site) -> None:
    with socket.create_server(("127.0.0.1", site.settings.port)):
        up = site.up()
        code, said = up.finish()
    assert code == 1
    assert f"port {site.settings.port} is in use" in said
    assert f"(pid {os.getpid()})" in said
    assert "PERIJOVE_PORT=" in said
    assert "Traceback" not in said


def test_an_inner_port_that_was_taken_is_chosen_anew(site: Site) -> None:
    first = site.up()
    site.ready()
    first.finish(signal.SIGINT)
    taken = json.loads((site.settings.run_dir / "ports.json").read_text())["portal"]
    with socket.create_server(("127.0.0.1", taken)):
        second = site.up()
        site.ready()
        until(lambda: "Ctrl-C" in second.said, "the banner")
        code, said = second.finish(signal.SIGINT)
    assert code == 0
    assert f"port {taken} of portal was taken" in said


@pytest.mark.parametrize("name", ["hub", "control", "portal"])
def test_a_setup_error_is_shown_and_ends_up(site: Site, name: str) -> None:
    site.settings.home.mkdir()
    error = {
        "error": {"code": "bad-setup", "message": "the database is damaged", "next": "restore"}
    }
    (site.settings.home / f"ill-{name}").write_text(f"78\nnoise\n{json.dumps(error)}")
    up = site.up()
    code, said = up.finish()
    assert code == 1
    assert f"{name}: the database is damaged" in said
    assert "next: restore" in said
    assert site.pids() == dict.fromkeys(("up", *NAMES))


def test_a_process_that_cannot_stay_up_is_called_failing_with_its_last_words(site: Site) -> None:
    site.settings.home.mkdir()
    (site.settings.home / "ill-portal").write_text("3\nno module named courage")
    up = site.up()

    def failing() -> bool:
        return {"name": "portal", "status": "failing"}.items() <= site.status()["processes"][
            4
        ].items()

    until(failing, "the portal to be called failing")
    code, said = up.finish(signal.SIGINT)
    assert code == 0
    assert said.count("no module named courage") >= 1
    assert said.count("portal is in trouble") == 1


def test_restore_while_running_swaps_and_starts_again(site: Site, tmp_path: Path) -> None:
    site.up()
    before = site.ready()
    database = site.settings.home / "control.sqlite"
    with contextlib.closing(sqlite3.connect(database)) as made:
        made.execute("CREATE TABLE t (x)")
        made.execute("INSERT INTO t VALUES ('then')")
        made.commit()
    saved = backup(site.settings, tmp_path / "b.tar.gz")
    with contextlib.closing(sqlite3.connect(database)) as made:
        made.execute("UPDATE t SET x = 'now'")
        made.commit()
    restore(site.settings, saved)
    with contextlib.closing(sqlite3.connect(database)) as made:
        assert made.execute("SELECT x FROM t").fetchall() == [("then",)]
    after = site.ready()
    assert after["up"] == before["up"]
    assert after["control"] != before["control"]
    kept = next(site.settings.home.glob("before-restore-*"))
    with contextlib.closing(sqlite3.connect(kept / "control.sqlite")) as made:
        assert made.execute("SELECT x FROM t").fetchall() == [("now",)]
