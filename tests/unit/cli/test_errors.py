"""What goes wrong ends in one sentence and the next step, in JSON when asked, never in a trace."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from catalog.errors import (
    BadSetup,
    BadValue,
    Conflict,
    NotFound,
    NotSignedIn,
    Refused,
    Unavailable,
)
from hub.cli.main import main
from hub.cli.output import exit_code
from hub.client import Client
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_control import TOKEN, Site, said

PROGRAM = [sys.executable, "-m", "hub.cli.main"]
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "args",
    [
        ["bogus"],
        ["offers", "--bogus"],
        ["run"],
        ["check", "--offer", "x", "--set", "gpu"],
        ["check", "--offer", "x", "--set", "a=1", "--set", "a=2"],
        ["run", "--offer", "x", "--timeout", "5"],
        ["run", "--offer", "x", "--wait", "--timeout", "soon"],
        ["ps", "--limit", "0"],
        ["quota", "bogus"],
        ["quota", "set", "--dimension", "colour", "--limit", "1"],
        ["token", "--user", "ada", "--expires", "0s"],
        ["restore", "/no/such/file"],
        ["login", "--url", "gpu.example.org", "--token", "x"],
    ],
)
def test_bad_usage_is_two_in_words_and_in_json(site: Site, run: Run, args: list[str]) -> None:
    in_words = run(*args)
    assert (in_words.code, in_words.out) == (2, "")
    assert in_words.err.startswith("perijove: ")
    assert "→" in in_words.err
    in_json = run(*args, "--json")
    assert in_json.code == 2
    assert in_json.json["error"].keys() == {"code", "message", "next"}
    assert all(in_json.json["error"].values())
    assert site.asked == []


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (HTMLResponse("<h1>Hello</h1>"), 5, "not Perijove's API (200, text/html)"),
        (RedirectResponse("/hub/login"), 5, "not Perijove's API (307"),
        (JSONResponse([1, 2]), 5, "not Perijove's API"),
        (JSONResponse({"detail": "Not Found"}, 404), 1, "does not exist (404)"),
        (Response(b"\xff\xfe{", media_type="application/json"), 5, "not Perijove's API"),
        (JSONResponse({"surprise": 1}), 5, "not a list"),
        (JSONResponse({"items": [{"id": 1}], "next": None}), 5, "not what this version expects"),
        (HTMLResponse("oops", 500), 5, "not Perijove's API (500"),
        (said(401, "not-signed-in", "this token has expired"), 5, "this token has expired"),
        (said(403, "forbidden", "only administrators may"), 1, "only administrators may"),
        (said(422, "bad-value", "cpu: negative"), 2, "cpu: negative"),
        (said(409, "conflict", "somebody waits"), 1, "somebody waits"),
        (said(403, "denied", "your quota is used up"), 3, "your quota is used up"),
        (said(429, "busy", "too many tries"), 1, "too many tries"),
    ],
)
def test_answers_that_are_errors_or_garbage(
    site: Site, run: Run, answer: Response, code: int, words: str
) -> None:
    site.trouble = [answer]
    shown = run("offers")
    assert (shown.code, shown.out) == (code, "")
    assert words in shown.err
    assert "→" in shown.err
    assert "Traceback" not in shown.err


def test_a_server_that_is_down(site: Site, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("PERIJOVE_URL", url)
        down = run("offers", "--json")
    assert down.code == 5
    assert down.json["error"]["code"] == "unreachable"
    assert url in down.json["error"]["message"]
    assert "perijove up" in down.json["error"]["next"]


def test_a_restarting_server_is_waited_for(site: Site, run: Run) -> None:
    site.trouble = [HTMLResponse("503 : Service Unavailable", 503) for _ in range(3)]
    assert run("offers").code == 0
    site.trouble = [HTMLResponse("503 : Service Unavailable", 503) for _ in range(9)]
    assert run("offers").code == 5
    assert len(site.trouble) == 5


def test_a_launch_whose_answer_is_lost_is_not_launched_twice(site: Site, run: Run) -> None:
    site.lose_answers = 2
    assert run("run", "--offer", "x", "--json").json["id"] == "w1"
    keys = [h["idempotency-key"] for h in site.headers if "idempotency-key" in h]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert list(site.workloads) == ["w1"]


def test_what_may_not_be_done_twice_is_not_repeated(site: Site, served_url: str) -> None:
    site.add("w1", "lab", "running")
    site.trouble = [HTMLResponse("503 : Service Unavailable", 503)]
    with Client(served_url, TOKEN) as client, pytest.raises(Unavailable, match="not ready"):
        client.extend("w1")
    assert len(site.bodies("POST", "/workloads/w1/extend")) == 1


def test_a_mistake_of_the_program_ends_in_a_sentence(
    site: Site, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("7 / 0")

    monkeypatch.setattr("hub.client.Client.offers", broken)
    bug = run("offers", "--json")
    assert bug.code == 1
    assert "ZeroDivisionError: 7 / 0" in bug.json["error"]["message"]
    assert "PERIJOVE_TRACE=1" in bug.json["error"]["next"]
    assert "Traceback" not in bug.err


def test_a_name_cannot_play_with_the_terminal(site: Site, run: Run) -> None:
    site.add("w1", "\x1b[31m[bold]evil\x1b]0;title\x07\u202e\n\r", "running")
    shown = run("ps").out
    assert "[bold]evil" in shown
    assert not set("\x1b\x07\r\u202e") & set(shown)


def test_exit_codes_follow_the_class_of_an_error() -> None:
    kinds = (Refused, NotSignedIn, Unavailable, BadValue, NotFound, Conflict, BadSetup)
    codes = {kind.__name__: exit_code(kind("x")) for kind in kinds}
    assert codes["Refused"] == 3
    assert codes["NotSignedIn"] == codes["Unavailable"] == 5
    assert codes["BadValue"] == 2
    assert codes["NotFound"] == codes["Conflict"] == codes["BadSetup"] == 1


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == 0
    assert "--offer" in capsys.readouterr().out


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """A shell that runs tests in the background lets them ignore Ctrl-C, and their children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_is_quiet_and_says_what_goes_on(site: Site) -> None:
    site.life = ["queued"] * 10_000
    waiting = subprocess.Popen(
        [*PROGRAM, "run", "--offer", "x", "--wait"],
        cwd=ROOT, env=os.environ.copy(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 30
        while len(site.asked) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=120)
    finally:
        waiting.kill()
    assert waiting.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert "perijove stop w1" in err


def test_a_reader_that_goes_away_is_no_trace(site: Site) -> None:
    for number in range(300):
        site.add(f"w{number}", "lab " * 200, "running")
    read, write = os.pipe()
    os.close(read)
    try:
        gone = subprocess.run(
            [*PROGRAM, "ps", "--limit", "1000", "--json"],
            cwd=ROOT, env=os.environ.copy(), stdout=write, stderr=subprocess.PIPE, check=False,
            timeout=60,
        )  # fmt: skip
    finally:
        os.close(write)
    assert gone.returncode == 1
    assert gone.stderr == b""


def test_a_command_starts_without_the_heavy_libraries() -> None:
    """`perijove offers` must feel instant; what a server needs has no place in its imports."""
    heavy = ["panel", "fastapi", "sqlmodel", "sqlalchemy", "jupyterhub", "tornado", "aiohttp"]
    code = f"import sys, hub.cli.main; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
