import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hub.cli import waiting, workloads
from hub.cli.main import main
from hub.client import Patience
from hub.client.transport import Transport
from tests.unit.cli.fake_control import TOKEN, Site, build, served


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture(scope="session")
def box() -> list[Site]:
    return [Site()]


@pytest.fixture(scope="session")
def served_url(box: list[Site]) -> Iterator[str]:
    with served(build(box)) as url:
        yield url


@pytest.fixture
def site(box: list[Site], served_url: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A fresh fake control, and an environment in which ada is signed in there."""
    box[0] = Site()
    monkeypatch.setenv("PERIJOVE_URL", served_url)
    monkeypatch.setenv("PERIJOVE_TOKEN", TOKEN)
    return box[0]


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment in which nothing is known; returns its PERIJOVE_HOME, which is empty."""
    for name in ("PERIJOVE_URL", "PERIJOVE_TOKEN", "PERIJOVE_PORT", "PERIJOVE_PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PERIJOVE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting in this process takes no time: the fake moves at each look."""
    monkeypatch.setattr(Transport, "rest", lambda *_: None)
    monkeypatch.setattr(waiting, "Patience", partial(Patience, pause=lambda _: None))
    monkeypatch.setattr(workloads, "FOLLOW_EVERY_S", 0)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the program in this process."""

    def run(*args: str) -> Ran:
        capsys.readouterr()
        code = main(args)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run
