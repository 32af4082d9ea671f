"""What a narrow terminal shows: nothing is cut off, addresses stay whole."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from hub.cli import views
from hub.cli.output import Screen
from hub.client import Client
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_control import TOKEN, Site


@pytest.fixture
def terminal() -> Screen:
    console = Console(force_terminal=True, width=70, file=io.StringIO(), color_system=None)
    return Screen(console, datetime.now(UTC))


def test_a_narrow_terminal_loses_no_word(site: Site, served_url: str, terminal: Screen) -> None:
    site.add("w1", "lab", "running")
    site.add("w2", "night", "queued", reason="wait behind alpha bravo charlie delta echo foxtrot")
    with Client(served_url, TOKEN) as client:
        views.workloads(terminal, client.workloads())
    assert isinstance(terminal.console.file, io.StringIO)
    shown = terminal.console.file.getvalue()
    for word in ("lab", "night", "running", "queued", "alpha", "charlie", "echo", "foxtrot"):
        assert word in shown
    assert f"lab: {served_url}/user/ada/w1/\n" in shown
    assert "…" not in shown


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    site: Site, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert run("offers").code == 0
