"""A restore replaces everything: at a terminal it asks first, in a script it does not."""

import io
from pathlib import Path

import pytest
from pytest import MonkeyPatch  # noqa: PT013 (a type)

from hub.cli.main import main
from hub.cli.output import DONE, INTERRUPTED


@pytest.fixture
def restored(monkeypatch: MonkeyPatch, tmp_path: Path) -> list[Path]:
    done: list[Path] = []
    monkeypatch.setattr("hub.up.backup.restore", lambda _settings, path: done.append(path) or "ok")
    (tmp_path / "b.tar.gz").touch()
    monkeypatch.chdir(tmp_path)
    return done


@pytest.mark.parametrize(
    ("terminal", "args", "answer", "code", "count"),
    [
        (True, [], "n\n", INTERRUPTED, 0),
        (True, [], "y\n", DONE, 1),
        (True, ["--yes"], "", DONE, 1),
        (False, [], "", DONE, 1),
    ],
)
def test_restore_asks_at_a_terminal(
    restored: list[Path], monkeypatch: MonkeyPatch, terminal: bool, args: list[str], answer: str,
    code: int, count: int,
) -> None:  # fmt: skip
    keyboard = io.StringIO(answer)
    keyboard.isatty = lambda: terminal
    monkeypatch.setattr("sys.stdin", keyboard)
    assert main(["restore", "b.tar.gz", *args]) == code
    assert len(restored) == count
