"""Each mistake of an operator or a caller: one clear error that names the place, nothing lost."""

import contextlib
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import SMALL_MENU, Api, problems, processes_of
from tests.leftovers import attempts_left
from tests.live import PERIJOVE, LiveSite, wait_for

MenuOf = Callable[[], Path]
HUGE = """
  - id: huge
    kind: notebook
    title: More than there is
    price_per_hour: 0.01
    fields:
      gpu: {default: 1, min: 1, max: 512}
      cpu: {default: 1, min: 1, max: 900}
      memory: {default: 1Gi, min: 1Gi, max: 60Ti}
      duration: {fixed: 1h}
"""


def refusal(site: LiveSite, within_s: float = 60) -> str:
    """`up` ends by itself with what it says, and leaves no process behind."""
    done = site.run("up", timeout_s=within_s)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert "next: " in said
    told = json.loads(site.run("status", "--json").stdout)["processes"]
    assert {p["status"] for p in told} == {"stopped"}
    return said


def ctrl_c(site: LiveSite) -> None:
    assert site.up
    site.up.send_signal(signal.SIGINT)
    assert site.up.wait(60) == 0


# ---- a running site ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(make_site: Callable[..., LiveSite]) -> LiveSite:
    live = make_site()
    menu_of(live).write_text(SMALL_MENU + HUGE)
    return live.start()


@pytest.fixture(scope="module")
def api(site: LiveSite) -> Api:
    return Api(site)


def menu_of(site: LiveSite) -> Path:
    return Path(site.settings["PERIJOVE_MENU"])


MISTAKES = {
    "unknown field": ("price_per_hour: 0.05", "price_per_hour: 0.05\n    colour: red", "colour"),
    "unknown quantity": (
        "cpu: {default: 0.5",
        "disk: {fixed: 1}\n      cpu: {default: 0.5",
        "disk",
    ),
    "negative": ("cpu: {default: 0.5, min: 0.5", "cpu: {default: 0.5, min: -1", "cpu"),
    "absurd": ("max: 8Gi", "max: 900000Ti", "memory"),
    "negative price": ("price_per_hour: 0.05", "price_per_hour: -1", "price_per_hour"),
    "duplicate id": ("id: gpu-quarter", "id: cpu", "cpu"),
    "not a list": ("offers:", "offers: {a: 1}\nold:", "offers"),
    "no YAML": ("offers:", "offers: [}", "line"),
    "a tag": ("offers:", "offers: !!python/object/apply:os.system ['true']\nx:", "python"),
    "empty": (SMALL_MENU + HUGE, "", "offers"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_menu_keeps_the_last_good_one(
    site: LiveSite, api: Api, mistake: str
) -> None:
    before, after, place = MISTAKES[mistake]
    good = SMALL_MENU + HUGE
    file = menu_of(site)
    offers = [o["id"] for o in api.get("/offers")["items"]]
    file.write_text(good.replace(before, after, 1))
    try:
        done = site.run("menu", "reload", "--json")
        assert done.returncode == 1
        error = json.loads(done.stdout)["error"]
        assert str(file) in error["message"]
        assert place in error["message"]
        assert error["next"]
        assert [o["id"] for o in api.get("/offers")["items"]] == offers
        warnings = " ".join(api.get("/me")["site"]["warnings"])
        assert place in warnings
        assert file.name in warnings
    finally:
        file.write_text(good)
    assert site.run("menu", "reload").returncode == 0
    assert "menu" not in " ".join(api.get("/me")["site"]["warnings"])


@pytest.mark.parametrize(("field", "value"), [("cpu", "900"), ("memory", "60Ti"), ("gpu", "512")])
def test_more_than_any_node_has_is_denied_in_words(site: LiveSite, field: str, value: str) -> None:
    told = site.run("check", "--offer", "huge", "--set", f"{field}={value}", "--json")
    assert told.returncode == 3
    verdict = json.loads(told.stdout)
    assert verdict["verdict"] == "denied"
    assert verdict["reason"]
    done = site.run("run", "--offer", "huge", "--set", f"{field}={value}", "--wait", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["message"] == verdict["reason"]
    assert not [w for w in site.cli("ps", "--all")["items"] if w["offer"] == "huge"]


@pytest.mark.parametrize("body", ["[]", "5", "null", '"cpu"', "{", "\x00", "", "[" * 90_000])
def test_json_that_is_no_object(api: Api, body: str) -> None:
    answer = api.http.post("/workloads", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    _one_error(answer)


def test_a_body_of_50_mb_is_refused_early(site: LiveSite, api: Api) -> None:
    begun = time.monotonic()
    for body in (b'{"offer": "' + b"x" * 50_000_000 + b'"}', (b"x" * 65536 for _ in range(800))):
        answer = api.http.post("/workloads", content=body)
        assert (answer.status_code, _one_error(answer)["code"]) == (413, "too-large")
    assert time.monotonic() - begun < 20
    assert site.get("/services/control/healthz")[0] == 200
    assert api.get("/me")["person"]["login"] == "admin"


@pytest.mark.parametrize("token", ["x", "token", "pj_a_b", "a" * 9000, "0" * 32])
def test_a_garbage_token(site: LiveSite, token: str) -> None:
    answer = httpx.get(
        f"{site.url}/services/control/v1/me", headers={"Authorization": f"token {token}"}
    )
    assert answer.status_code in {401, 431}
    if answer.status_code == 401:
        assert _one_error(answer)["code"] == "not-signed-in"
    env = {**site.env, "PERIJOVE_TOKEN": token, "PERIJOVE_URL": site.url}
    done = subprocess.run(
        [PERIJOVE, "ps", "--json"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 5, done.stdout
    assert json.loads(done.stdout)["error"]["next"]


@pytest.mark.parametrize("key", ["k" * 201, "é", "a b", "';--", "0"])
def test_a_garbage_idempotency_key(api: Api, key: str) -> None:
    headers: Any = {"Idempotency-Key": key.encode()}
    answers = [
        api.http.post("/workloads", json={"offer": "cpu", "set": {}}, headers=headers)
        for _ in range(2)
    ]
    assert {a.status_code for a in answers} <= {201, 400, 422}
    made = {a.json()["id"] for a in answers if a.status_code == 201}
    assert len(made) <= 1  # once for each key, or not at all
    for answer in answers:
        if answer.status_code != 201:
            _one_error(answer)
    for workload in made:
        api.stop(workload)


def test_addresses_that_are_no_workload(api: Api) -> None:
    for name in ("x", "w-0", "..%2f..%2fetc", "%00", "é", "w-" + "a" * 3000, "' OR 1=1"):
        answer = api.http.get(f"/workloads/{name}")
        assert answer.status_code in {400, 404, 414, 422}, (name, answer.status_code)


def test_nothing_was_lost(site: LiveSite, api: Api) -> None:
    assert problems(site) == []
    usage = api.get("/usage")
    assert Decimal(usage["held"]) == 0
    assert Decimal(usage["balance"]) + Decimal(usage["spent"]) == 100


# ---- the command line against something else -----------------------------------------------------


@pytest.fixture(params=["html", "json", "teapot", "silence"])
def stranger(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that is not Perijove."""
    answers = {
        "html": (200, "text/html", b"<h1>Welcome to nginx</h1>"),
        "json": (200, "application/json", b'["something else"]'),
        "teapot": (418, "text/plain", b"short and stout"),
        "silence": (0, "", b""),
    }
    status, kind, body = answers[request.param]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if status:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 (the library's name)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize("command", [("offers",), ("run", "--offer", "cpu"), ("ps",)])
def test_the_command_line_against_another_server(stranger: str, command: tuple[str, ...]) -> None:
    env = {**os.environ, "PERIJOVE_URL": stranger, "PERIJOVE_TOKEN": "t"}
    done = subprocess.run(
        [PERIJOVE, *command, "--json"], env=env, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 5, done.stdout + done.stderr
    error = json.loads(done.stdout)["error"]
    assert stranger.removeprefix("http://") in error["message"]
    assert error["next"]
    assert "Traceback" not in done.stderr


# ---- set-up that cannot work ---------------------------------------------------------------------


def test_a_menu_with_a_mistake_at_the_first_start(make_site: Callable[..., LiveSite]) -> None:
    site = make_site()
    menu_of(site).write_text(SMALL_MENU.replace("id: gpu-quarter", "id: cpu"))
    said = refusal(site)
    assert str(menu_of(site)) in said
    assert "cpu" in said
    menu_of(site).write_text(SMALL_MENU)
    site.start()
    assert site.is_ready()


def test_a_port_in_use(make_site: Callable[..., LiveSite]) -> None:
    site = make_site()
    with socket.create_server(("127.0.0.1", site.port)):
        said = refusal(site)
    assert f"port {site.port} is in use" in said
    assert re.search(r"PERIJOVE_PORT=\d+", said)


@pytest.mark.parametrize("home", ["/proc/nowhere", "/dev/null/x", "{folder}/file/home"])
def test_a_home_that_cannot_be_made(make_site: Callable[..., LiveSite], home: str) -> None:
    site = make_site()
    (site.folder / "file").write_text("")
    home = home.format(folder=site.folder)
    site.settings = {**site.settings, "PERIJOVE_HOME": home}
    done = site.run("up")
    assert done.returncode == 1
    assert home in done.stderr
    assert "next: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_database_is_named_and_left_as_it_is(make_site: Callable[..., LiveSite]) -> None:
    site = make_site().start()
    ctrl_c(site)
    database = site.home / "control.sqlite"
    sound = database.read_bytes()
    for broken in (sound[:1024] + os.urandom(len(sound) - 1024), b"x"):
        for extra in site.home.glob("control.sqlite-*"):
            extra.unlink()
        database.write_bytes(broken)
        said = refusal(site)
        assert str(database) in said
        assert "perijove restore" in said
        assert database.read_bytes() == broken
    database.write_bytes(sound)
    site.start()
    assert problems(site) == []


def test_a_damaged_database_of_the_hub_is_put_aside(make_site: Callable[..., LiveSite]) -> None:
    site = make_site().start("--keep")
    api = Api(site)
    started = api.run("cpu")
    ctrl_c(site)
    database = site.home / "hub" / "hub.sqlite"
    broken = database.read_bytes()[:2048] + os.urandom(8192)
    for file in database.parent.glob("hub.sqlite*"):
        file.unlink()
    database.write_bytes(broken)
    site.start()
    api = Api(site)
    kept = [f for f in database.parent.glob("hub.sqlite*") if f.read_bytes() == broken]
    assert len(kept) == 1
    address = f"/user/admin/{started['id']}/api"
    wait_for("the notebook is found again", lambda: site.get(address)[0] == 200, 40)
    assert problems(site) == []
    assert api.stop(started["id"])["status"] == "stopped"


# ---- a full disk ---------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 48 MiB; skips where this user may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("needs to mount a small file system: run as root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    return filler


def test_a_full_disk_is_said_and_nothing_is_lost(
    make_site: Callable[..., LiveSite], small_disk: Path
) -> None:
    site = make_site()
    site.settings = {**site.settings, "PERIJOVE_HOME": str(small_disk / "h")}
    filler = fill(small_disk)
    done = site.run("up")
    assert done.returncode == 1
    assert str(small_disk) in done.stderr
    assert "space" in done.stderr
    assert "Traceback" not in done.stderr
    filler.unlink()

    site.start()
    api = Api(site)
    started = api.run("gpu-quarter")
    filler = fill(small_disk)
    refused = api.http.post("/workloads", json={"offer": "cpu", "set": {}})
    assert refused.status_code == 503
    assert "disk" in _one_error(refused)["message"]
    assert api.http.get("/offers").status_code in {200, 503}
    assert processes_of(started["id"])
    assert site.get(f"/user/admin/{started['id']}/api")[0] == 200
    filler.unlink()
    wait_for("all is well again", site.is_ready, 60)
    assert problems(site) == []
    assert api.stop(started["id"])["status"] == "stopped"
    assert Decimal(api.get("/usage")["held"]) == 0
    ctrl_c(site)
    assert attempts_left(site) == set()


def _one_error(answer: httpx.Response) -> dict[str, str]:
    error = answer.json()["error"]
    assert {"code", "message", "next"} <= set(error)
    assert error["message"]
    assert error["next"]
    assert "Traceback" not in error["message"]
    return error
