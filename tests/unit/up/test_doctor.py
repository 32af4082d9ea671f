import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from hub import invariants
from hub.settings import Settings
from hub.store.schema import upgrade
from hub.store.store import Store
from hub.up.checks.data import INVARIANTS
from hub.up.doctor import Finding, run_checks
from hub.up.door import ControlDoor
from hub.up.home import prepare_home
from hub.up.status import read_status


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path / "h", spaces=tmp_path / "spaces", port=18000 + os.getpid() % 1000
    )


def found(settings: Settings) -> dict[str, Finding]:
    findings = run_checks(settings)
    assert all(finding.next for finding in findings if finding.level != "ok")
    assert not [finding for finding in findings if "could not be checked" in finding.text]
    return {finding.name: finding for finding in findings}


def test_before_the_first_start_nothing_is_made_and_all_is_named(settings: Settings) -> None:
    findings = found(settings)
    assert {"python", "jupyterhub", "node", "proxy", "privileges", "public-port", "cgroups",
            "accelerators", "clock", "home", "disk-home", "disk-spaces", "database"
            } <= set(findings)  # fmt: skip
    assert findings["home"].level == findings["database"].level == "ok"
    assert not settings.home.exists()


def test_status_before_the_first_start_is_all_stopped(settings: Settings) -> None:
    status = read_status(settings)
    assert [process["name"] for process in status["processes"]] == [
        "up", "proxy", "hub", "control", "portal",
    ]  # fmt: skip
    assert {process["status"] for process in status["processes"]} == {"stopped"}
    assert {process["pid"] for process in status["processes"]} == {None}
    assert status["ok"] is False
    assert not settings.home.exists()


def test_a_damaged_database_is_found_and_left_as_it_is(settings: Settings) -> None:
    prepare_home(settings)
    damage = b"SQLite format 3\0" + os.urandom(8000)
    (settings.home / "control.sqlite").write_bytes(damage)
    finding = found(settings)["database"]
    assert finding.level == "bad"
    assert str(settings.home / "control.sqlite") in finding.text
    assert "restore" in finding.next
    assert (settings.home / "control.sqlite").read_bytes() == damage


def test_a_database_of_another_schema_is_a_warning(settings: Settings) -> None:
    prepare_home(settings)
    with closing(sqlite3.connect(settings.home / "control.sqlite")) as database:
        database.execute("CREATE TABLE t (x)")
    findings = found(settings)
    assert findings["database"].level == "ok"
    assert findings["migrations"].level == "warn"


def test_an_open_home_and_a_clock_that_went_back_are_found(settings: Settings) -> None:
    prepare_home(settings)
    settings.home.chmod(0o755)
    file = settings.home / "control.sqlite"
    sqlite3.connect(file).close()
    file.touch()
    tomorrow = time.time() + 90_000
    os.utime(file, (tomorrow, tomorrow))
    findings = found(settings)
    assert findings["home"].level == "warn"
    assert findings["clock"].level == "bad"


def test_an_address_open_to_others_without_tls_is_found(settings: Settings) -> None:
    finding = found(settings.model_copy(update={"ip": "0.0.0.0"}))["public-port"]  # noqa: S104
    assert finding.level == "bad"
    assert "PERIJOVE_TLS_CERT" in finding.next


def test_a_broken_inventory_is_one_finding_that_names_the_file(settings: Settings) -> None:
    prepare_home(settings)
    (settings.home / "inventory.yaml").write_text("node: [")
    finding = found(settings)["inventory"]
    assert finding.level == "bad"
    assert "inventory.yaml" in finding.text


def test_what_control_finds_broken_is_shown_by_what_was_looked_at(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_home(settings)
    settings.socket.touch()
    said = {"ledger": ["posting 7 does not balance"], "budgets": [], "shares": [], "tenants": [],
            "audit": ["the audit was changed at line 3"]}  # fmt: skip
    monkeypatch.setattr(ControlDoor, "ask", lambda *_: said)
    findings = found(settings)
    assert findings["ledger"].text == "posting 7 does not balance"
    assert {name: findings[name].level for name in said} == {
        "ledger": "bad", "budgets": "ok", "shares": "ok", "tenants": "ok", "audit": "bad",
    }  # fmt: skip


def test_what_the_doctor_shows_is_what_control_looks_at(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    upgrade(store)
    with store.read() as session:
        assert set(invariants.broken_in(session)) == set(INVARIANTS)
    store.close()


def test_a_machine_without_git_is_told_what_it_lacks(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.up.checks.software.git_binary", lambda: "")
    finding = found(settings)["git"]
    assert (finding.level, finding.next) == ("bad", "install the package git of your system")
    assert "material of courses" in finding.text
