"""People, keys and the audit on the command line."""

from pathlib import Path

import pytest
from sqlalchemy import text

from catalog.clock import ManualClock
from spawners.fake import FakeEngine
from tests.peers.tampering import open_audit
from tests.site import NODES, add_person, build_control, settings_in
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_control import Site
from tests.unit.cli.fake_people import END


def test_people_are_found_and_given_roles(site: Site, run: Run) -> None:
    assert "grace" in run("people", "list", "--search", "gra", "--sort", "-balance").out
    assert run("people", "role", "grace", "instructor", "--tenant", "blue").out == (
        "grace in blue: instructor\n"
    )
    assert run("people", "role", "grace", "none").out == "grace in main: none\n"
    bodies = site.bodies("PUT", "/people/grace/roles")
    assert bodies == [{"tenant": "blue", "role": "instructor"}, {"tenant": "main", "role": None}]
    assert run("people", "role", "grace", "owner").code == 2


def test_links_and_invitations(site: Site, run: Run) -> None:
    assert run("people", "password-link", "grace").out == "https://site/hub/password?token=grace\n"
    assert "grace@example.org" in run("people", "invitations").out
    assert run("people", "uninvite", "l-7k2m9q4t1x", "--json").json == {"voided": "l-7k2m9q4t1x"}


def test_a_new_key_is_alone_on_stdout(site: Site, run: Run) -> None:
    made = run("key", "add", "Entra", "--provider", "uni", "--tenant", "physics", "--life", "30d")
    assert made.out == "pj_k-7k2m9q4t1x_secret\n"
    assert "/services/control/scim/v2" in made.err
    assert site.bodies("POST", "/keys") == [
        {"name": "Entra", "provider": "uni", "scope": "scim", "tenant": "physics",
         "subject": "external-id", "life": "30d"}
    ]  # fmt: skip
    assert "Entra" in run("key", "list").out
    assert run("key", "renew", "k-7k2m9q4t1x").out == "pj_k-7k2m9q4t1x_secret\n"
    assert run("key", "revoke", "k-7k2m9q4t1x", "--json").json["state"] == "revoked"


def test_the_audit_is_filtered_and_verified_by_the_server(site: Site, run: Run) -> None:
    shown = run("audit", "list", "--actor", "ada", "--from", "2030-01-01T00:00:00Z").out
    assert "ada" in shown
    assert "offer: x · from: 2030-01-01 " in shown
    assert "· amount: 5.00 credits" in shown
    assert END in run("audit", "verify").out
    lost = run("audit", "verify", "--noted", "f" * 64, "--json")
    assert (lost.code, lost.json["noted"]) == (1, False)


def test_the_audit_is_verified_on_this_machine_while_nothing_runs(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PERIJOVE_URL", raising=False)
    monkeypatch.setenv("PERIJOVE_HOME", str(tmp_path / "home"))
    assert run("audit", "verify").code == 1
    clock = ManualClock()
    control = build_control(settings_in(tmp_path), clock, FakeEngine(NODES, clock))
    for login in ("mia", "max"):
        add_person(control, login)
    good = run("audit", "verify", "--json")
    assert (good.code, good.json["sound"]) == (0, True)
    with control.store.write() as session:
        open_audit(session)
        session.connection().execute(text("UPDATE audit SET actor = 'nobody' WHERE id = 2"))
    bad = run("audit", "verify", "--json")
    assert (bad.code, bad.json["broken"]) == (1, 2)
    assert "line 2 does not follow" in run("audit", "verify").out
    control.store.close()
