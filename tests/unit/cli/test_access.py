"""Where the command line goes and as whom: environment, saved sign-in, local door."""

import io
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.errors import BadSetup, NotSignedIn
from hub.client.access import find_access
from hub.client.credentials import (
    Credentials,
    credentials_file,
    load_credentials,
    save_credentials,
)
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_control import TOKEN, Site, build, served


@pytest.fixture
def at_home(
    nowhere: Path, box: list[Site], served_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A Perijove that runs from PERIJOVE_HOME, its socket open; nobody is signed in."""
    box[0] = Site()
    monkeypatch.setenv("PERIJOVE_PUBLIC_URL", served_url)
    socket = nowhere / "run" / "control.sock"
    socket.parent.mkdir(parents=True)
    with served(build(box), uds=socket):
        yield nowhere


def test_login_checks_the_token_and_keeps_it_private(
    site: Site, served_url: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PERIJOVE_URL")
    monkeypatch.delenv("PERIJOVE_TOKEN")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TOKEN}\n"))
    signed_in = run("login", "--url", f"{served_url}/")
    assert signed_in.out == f"signed in at {served_url} as ada\n"
    path = credentials_file()
    assert json.loads(path.read_text()) == {"url": served_url, "token": TOKEN}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert run("whoami").code == 0
    assert run("logout", "--json").json == {"forgotten": True}
    assert run("whoami").code == 5


def test_a_refused_token_is_not_saved(site: Site, run: Run) -> None:
    assert run("login", "--token", "wrong").code == 5
    assert not credentials_file().exists()


def test_an_empty_token_is_bad_usage(site: Site, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    refused = run("login", "--json")
    assert refused.code == 2
    assert "/hub/token" in refused.json["error"]["next"]


def test_a_saved_token_goes_to_its_own_address_only(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_credentials(Credentials("https://a.example.org", "secret"))
    assert find_access().token == "secret"
    monkeypatch.setenv("PERIJOVE_URL", "https://b.example.org")
    with pytest.raises(NotSignedIn, match=r"b\.example\.org"):
        find_access()


def test_a_token_of_the_environment_never_goes_to_the_saved_address(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_credentials(Credentials("https://a.example.org", "secret"))
    monkeypatch.setenv("PERIJOVE_TOKEN", "from-the-environment")
    monkeypatch.setenv("PERIJOVE_PORT", "8123")
    access = find_access()
    assert (access.url, access.token) == ("http://127.0.0.1:8123", "from-the-environment")


@pytest.mark.parametrize("text", ["", "[]", '{"url": "x"}', "{"])
def test_a_broken_saved_sign_in_is_named(nowhere: Path, text: str) -> None:
    credentials_file().parent.mkdir(parents=True)
    credentials_file().write_text(text)
    with pytest.raises(BadSetup, match=r"credentials\.json"):
        load_credentials()


def test_nobody_signed_in_and_nothing_here(nowhere: Path, run: Run) -> None:
    lost = run("offers", "--json")
    assert lost.code == 5
    assert lost.json["error"]["code"] == "not-signed-in"
    assert "perijove up" in lost.json["error"]["next"]


def test_on_the_same_machine_it_acts_as_the_administrator(
    at_home: Path, box: list[Site], run: Run
) -> None:
    assert run("offers").code == 0
    assert run("offers").code == 0
    assert [body["login"] for body in box[0].minted] == ["admin"]
    kept = at_home / "run" / "cli-token"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert kept.read_text() == "minted-1"


def test_an_expired_kept_token_is_replaced(at_home: Path, box: list[Site], run: Run) -> None:
    run("offers")
    box[0].tokens.clear()
    assert run("offers").code == 0
    assert (at_home / "run" / "cli-token").read_text() == "minted-2"


def test_the_administrators_token_goes_nowhere_else(
    at_home: Path, box: list[Site], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERIJOVE_URL", "http://elsewhere.example.org")
    assert run("offers").code == 5
    assert box[0].minted == []


def test_token_prints_it_alone(at_home: Path, box: list[Site], run: Run) -> None:
    assert run("token", "--user", "ada", "--expires", "8h").out == "minted-1\n"
    assert box[0].minted == [{"login": "ada", "note": "perijove token", "expires_s": 28800}]
    unknown = run("token", "--user", "nobody", "--json")
    assert unknown.code == 1
    assert unknown.json["error"]["code"] == "not-found"


def test_admin_link_prints_it_alone(at_home: Path, run: Run) -> None:
    assert run("admin-link").out == "http://127.0.0.1:8000/hub/first?code=abc\n"


# The HTTP library leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_socket_that_nobody_serves(nowhere: Path, run: Run) -> None:
    (nowhere / "run").mkdir(parents=True)
    (nowhere / "run" / "control.sock").touch()
    for command in (["token", "--user", "ada"], ["offers"]):
        dead = run(*command, "--json")
        assert dead.code == 5
        assert dead.json["error"]["code"] == "unreachable"
        assert "perijove status" in dead.json["error"]["next"]


def test_token_elsewhere_says_where_to_run_it(nowhere: Path, run: Run) -> None:
    assert "as the owner of PERIJOVE_HOME" in run("token", "--user", "ada").err
