"""The life of template processes: safe or refused, renewed, evicted, gone with their owner."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from spawners.engine import Phase, Template
from spawners.local.processes import is_process
from spawners.local.shim import start_time, stat_fields
from spawners.local.templates import IDLE_S, Templates
from tests.contract.engines import ForkedBench, LocalBench, wait_until

pytestmark = pytest.mark.slow

PLAIN = Template(sys.executable, ("json",))


def alive(pid: int) -> bool:
    return stat_fields(pid)[:1] not in ([], ["Z"])


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def templates(tmp_path: Path, clock: Clock) -> Iterator[Templates]:
    found = Templates(tmp_path / "templates", clock)
    yield found
    found.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ForkedBench]:
    found = ForkedBench(tmp_path, Path("/sys/fs/cgroup"))
    yield found
    found.close()


def module(folder: Path, text: str) -> Template:
    folder.mkdir(exist_ok=True)
    (folder / "tried.py").write_text(text)
    return Template(sys.executable, ("tried",), paths=(str(folder),))


def test_it_says_why_nothing_can_be_forked(templates: Templates, tmp_path: Path) -> None:
    assert templates.why_not_ready(PLAIN) == "nobody has asked for it"
    assert templates.wait(PLAIN) == ""
    assert templates.why_not_ready(PLAIN) == ""
    bad = module(tmp_path / "bad", "1/0")
    assert "ZeroDivisionError" in templates.wait(bad)
    assert templates.why_not_ready(bad) == templates.refusal(bad)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
         "thread"),
        ("import asyncio; loop = asyncio.new_event_loop()", "open"),
        ("import socket; s = socket.socket()", "open"),
        ("file = open('/etc/hostname')", "/etc/hostname"),
        ("1/0", "ZeroDivisionError"),
        ("import not_there_at_all", "not_there_at_all"),
        ("raise SystemExit(0)", "SystemExit"),
        ("import os; seen = {os.environ['HOME']: 1}", "key"),
        ("import os, functools; seen = functools.partial(print, os.environ['HOME'])", "partial"),
    ],
)  # fmt: skip
def test_what_no_fork_may_carry_over_is_refused(
    tmp_path: Path, templates: Templates, text: str, reason: str
) -> None:
    template = module(tmp_path / "modules", text)
    assert reason in templates.wait(template)
    assert templates.ready(template) is None
    assert templates.pid(template) == 0


def test_a_refused_one_starts_anew_and_runs_all_the_same(tmp_path: Path) -> None:
    bench = LocalBench(tmp_path, Path("/sys/fs/cgroup"))
    template = module(tmp_path / "modules", "1/0")
    assert bench.engine.templates.wait(template)
    argv = [sys.executable, "-P", "-c", "print('ran')"]
    bench.engine.launch(bench.spec("a", argv, template=template, env={"LANG": "C.UTF-8"}))
    bench.wait_for("a", Phase.ENDED)
    assert bench.engine.log("a") == b"ran\n"
    bench.close()


def test_a_module_that_is_not_installed_is_left_out(templates: Templates) -> None:
    assert templates.wait(Template(sys.executable, ("json", "not_there_at_all.part"))) == ""


def test_a_python_that_is_not_there_is_no_error(templates: Templates) -> None:
    assert templates.ready(Template("/nowhere/python", ("json",))) is None


@pytest.mark.parametrize(
    ("more", "suits"),
    [
        ({}, True),
        ({"HOME": "/x", "TOKEN": "y", "OMP_NUM_THREADS": "8"}, True),
        ({"PYTHONPATH": "/x"}, False),
        ({"PYTHONHASHSEED": "1"}, False),
        ({"LD_PRELOAD": "x.so"}, False),
        ({"LANG": "C"}, False),
        ({"LC_ALL": "de_DE.ISO-8859-1"}, False),
        ({"SEEN_AT_IMPORT": "other"}, False),
        ({"MARKED": ""}, False),
    ],
)
def test_an_environment_that_imports_would_have_seen_is_not_forked(
    tmp_path: Path, templates: Templates, more: dict[str, str], suits: bool
) -> None:
    text = "import os\nseen = os.environ.get('SEEN_AT_IMPORT'), os.environ['MARKED']"
    template = replace(
        module(tmp_path / "modules", text), env={"SEEN_AT_IMPORT": "this"}, marks={"MARKED": "m-m"}
    )
    env = {"LANG": "C.UTF-8", "SEEN_AT_IMPORT": "this", "MARKED": "theirs"}
    assert not templates.suits(template, env)  # there is none yet
    assert templates.wait(template) == ""
    assert templates.suits(template, env | more) is suits


def test_a_dead_one_is_started_anew_and_its_forks_live_on(bench: ForkedBench) -> None:
    bench.launch(bench.listen("a"))
    bench.wait_for("a", Phase.UP)
    first = bench.engine.templates.pid(bench.template)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not alive(first))
    assert bench.engine.templates.wait(bench.template) == ""
    assert bench.engine.templates.pid(bench.template) != first
    bench.launch(bench.listen("b"))
    bench.wait_for("b", Phase.UP)
    assert bench.engine.observe(["a"])[0].phase is Phase.UP


def test_one_that_dies_while_it_is_asked_costs_a_fork_and_nothing_else(bench: ForkedBench) -> None:
    pid = bench.engine.templates.pid(bench.template)
    os.kill(pid, signal.SIGSTOP)
    ask = bench.engine.templates.ready(bench.template)
    assert ask
    ask.unlink()  # nobody answers at this place
    spec = bench.exit_with("a", 5)
    bench.engine.launch(spec)
    end = bench.wait_for("a", Phase.ENDED).exit
    assert end
    assert end.exit_code == 5
    assert not bench.forked("a")


def test_one_that_never_answers_costs_its_patience_and_is_replaced(
    bench: ForkedBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spawners.local.templates.FORK_WITHIN_S", 0.2)
    stuck = bench.engine.templates.pid(bench.template)
    os.kill(stuck, signal.SIGSTOP)
    bench.engine.launch(bench.listen("a"))
    assert not bench.forked("a")
    bench.wait_for("a", Phase.UP)
    assert bench.starts("a") == 1
    assert not alive(stuck)  # and holds the attempt's lock no more
    assert bench.engine.templates.wait(bench.template) == ""
    bench.launch(bench.listen("b"))
    bench.wait_for("b", Phase.UP)


def test_failing_again_and_again_is_tried_less_and_less(
    tmp_path: Path, templates: Templates, clock: Clock
) -> None:
    count = tmp_path / "count"
    text = f"import os\nopen({str(count)!r}, 'a').write('x')\nos.kill(os.getpid(), 9)"
    template = module(tmp_path / "modules", text)

    def tries_after(seconds: float) -> int:
        clock.seconds += seconds
        templates.ready(template)
        wait_until(lambda: not templates.pid(template) or not alive(templates.pid(template)))
        templates.ready(template)  # takes note of the end
        return len(count.read_text())

    assert [tries_after(s) for s in (0, 1, 5, 5, 5)] == [1, 1, 2, 2, 3]


def test_a_changed_installation_replaces_it(tmp_path: Path, templates: Templates) -> None:
    template = module(tmp_path / "modules", "x = 1")
    assert templates.wait(template) == ""
    first = templates.pid(template)
    assert templates.wait(template) == ""
    assert templates.pid(template) == first
    module(tmp_path / "modules", "x = 2")
    assert templates.ready(template) is None
    assert templates.wait(template) == ""
    assert templates.pid(template) != first
    assert not alive(first)


def test_a_refusal_holds_until_the_installation_changes(
    tmp_path: Path, templates: Templates
) -> None:
    template = module(tmp_path / "modules", "1/0")
    assert templates.wait(template)
    templates.ready(template)
    assert templates.pid(template) == 0
    module(tmp_path / "modules", "x = 1")
    assert templates.wait(template) == ""


def test_the_idle_go_and_the_named_stay(templates: Templates, clock: Clock) -> None:
    kept, idle = PLAIN, Template(sys.executable, ("base64",))
    for one in (kept, idle):
        assert templates.wait(one) == ""
    pids = [templates.pid(one) for one in (kept, idle)]
    clock.seconds += IDLE_S + 1
    templates.prepare([kept])
    assert [alive(pid) for pid in pids] == [True, False]


def test_it_ends_with_its_owner_while_what_was_forked_lives_on(tmp_path: Path) -> None:
    port = 0
    owner = f"""
import sys, time
from pathlib import Path
from tests.contract.engines import ForkedBench
from spawners.engine import Phase
bench = ForkedBench(Path({str(tmp_path)!r}), Path("/sys/fs/cgroup"))
bench.launch(bench.listen("a"))
bench.wait_for("a", Phase.UP)
print(bench.engine.templates.pid(bench.template), flush=True)
time.sleep(600)
"""
    del port
    process = subprocess.Popen([sys.executable, "-c", owner], stdout=subprocess.PIPE)
    assert process.stdout
    pid = int(process.stdout.readline())
    began = start_time(pid)
    process.kill()
    process.wait()
    process.stdout.close()
    wait_until(lambda: not is_process(pid, began) or not alive(pid))
    bench = ForkedBench(tmp_path, Path("/sys/fs/cgroup"))
    assert bench.engine.observe(["a"])[0].phase is Phase.UP
    assert len(list((tmp_path / "state" / "templates").iterdir())) == 1  # the dead one's is gone
    bench.close()


def test_it_ends_when_its_socket_is_taken_away(templates: Templates) -> None:
    assert templates.wait(PLAIN) == ""
    place, pid = templates.ready(PLAIN), templates.pid(PLAIN)
    assert place
    place.unlink()
    wait_until(lambda: not alive(pid))


def test_only_its_owner_gets_to_the_socket(templates: Templates) -> None:
    assert templates.wait(PLAIN) == ""
    place = templates.ready(PLAIN)
    assert place
    assert place.stat().st_mode & 0o777 == 0o600
    assert {folder.stat().st_mode & 0o777 for folder in list(place.parents)[:2]} == {0o700}


def test_closed_is_closed(templates: Templates) -> None:
    assert templates.wait(PLAIN) == ""
    pid = templates.pid(PLAIN)
    templates.close()
    assert not alive(pid)
    assert templates.ready(PLAIN) is None


def test_the_record_says_which_way(bench: ForkedBench) -> None:
    bench.launch(bench.listen("a"))
    bench.engine.launch(replace(bench.listen("b"), template=None))
    runs = bench.folder / "state" / "runs"
    said = [json.loads((runs / name / "shim.json").read_bytes()).get("forked") for name in "ab"]
    assert said == [True, None]
