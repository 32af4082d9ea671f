"""docs/cli.md is a contract: each of its commands is run, and each command is in it."""

import io
import re
import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from typer.main import get_command

from hub.cli.main import app
from hub.environments import Found
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_control import DENIED, FITS, TOKEN, Site, build, served

pytestmark = pytest.mark.slow

DOC = Path(__file__).parents[3] / "docs" / "cli.md"
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
LINE = re.compile(r"\$ perijove (?P<args>.*?)(?:  # exit (?P<code>\d))?")


@dataclass(frozen=True)
class Finding:
    name: str
    level: str
    text: str
    next: str


def documented() -> list[tuple[list[str], int]]:
    """Each command of the page with the exit code that it promises."""
    found: list[tuple[list[str], int]] = []
    for block in CONSOLE.findall(DOC.read_text()):
        for line in block.splitlines():
            match = LINE.fullmatch(line)
            assert match, f"{line!r} is not one command of perijove"
            found.append((shlex.split(match["args"]), int(match["code"] or 0)))
    return found


def run_up(_settings: object, *, keep: bool) -> int:
    return 0 * sys.stdout.write(f"ready, keep={keep}\n")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the supervisor, whose own tests start real processes."""
    status = {"processes": [{"name": "up", "pid": 7, "status": "running"}], "url": "x", "ok": True}
    parts = {
        "supervisor": {"run_up": run_up},
        "status": {"read_status": lambda _settings: status},
        "environments": {
            "make": lambda _settings, name, _file, **_marks: Found(
                name, "3.11", 120, datetime.now(UTC)
            ),
            "take_away": lambda _settings, _name: None,
        },
        "doctor": {"run_checks": lambda _settings: [Finding("disk", "warn", "90 %", "tidy up")]},
        "backup": {
            "backup": lambda _settings, path: (path.write_text("") and path) or path,
            "restore": lambda _settings, _path: "restored",
        },
    }
    for name, content in parts.items():
        module = ModuleType(f"hub.up.{name}")
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("as_json", [False, True], ids=["for-people", "json"])
def test_every_documented_command_does_what_the_page_says(
    site: Site,
    box: list[Site],
    nowhere: Path,
    served_url: str,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    as_json: bool,
) -> None:
    socket = nowhere / "run" / "control.sock"
    socket.parent.mkdir(parents=True)
    with served(build(box), uds=socket):
        for args, code in documented():
            monkeypatch.setattr("sys.stdin", io.StringIO(TOKEN))
            site.verdict = dict(DENIED if "too-large" in args else FITS)
            site.life = ["starting", "running"]
            typed = [
                arg.replace("https://gpu.example.org", served_url).replace("/tmp", str(tmp_path))
                for arg in args
            ]
            if "--follow" in typed:  # it ends while it is followed
                for workload in site.workloads.values():
                    workload["status"] = "stopping"
            ran = run(*typed, *(["--json"] if as_json and "--json" not in typed else []))
            assert ran.code == code, (args, ran)
            if as_json and not {"events", "--follow"} & set(typed):
                assert ran.json is not None
            assert ran.out or code, args


def test_every_command_is_documented() -> None:
    words = {tuple(word for word in args if not word.startswith("-")) for args, _ in documented()}
    tree = get_command(app)
    for name, command in tree.commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", {})
        for path in [(name,), *((name, sub) for sub in below)]:
            if path in {("menu",), ("price",)}:
                continue  # does nothing by itself
            assert any(used[: len(path)] == path for used in words), f"{path} is not in the page"


def test_every_command_takes_json() -> None:
    tree = get_command(app)
    for name, command in tree.commands.items():  # type: ignore[attr-defined]
        for sub in [command, *getattr(command, "commands", {}).values()]:
            options = {option for param in sub.params for option in param.opts}
            groups = getattr(sub, "commands", None) and sub.no_args_is_help
            assert "--json" in options or groups, (name, sub.name)


def test_the_python_of_the_page_runs(
    site: Site, served_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for code in PYTHON.findall(DOC.read_text()):
        exec(compile(code, DOC.name, "exec"), {})  # noqa: S102 (the page of this repository)
    assert capsys.readouterr().out == f"{served_url}/user/ada/w1/\n"
    assert site.workloads["w1"]["target"] == "stopped"
