"""The commands of the handbook, typed into a real site, and its other blocks read as they are."""

import ast
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from catalog.discovery.override import OverrideFile
from tests.docs.pages import PAGES, blocks, commands, name_of, read
from tests.live import PERIJOVE, LiveSite

MACHINE = {"make up", "make test"}
"""What `make` does has tests of its own; here it is enough that the target is there."""
PAGES_RUN = (
    "docs/quickstart.md",
    "docs/concepts/tenant.md",
    "docs/concepts/reservation.md",
    "docs/concepts/quota.md",  # sets limits: after what needs none
    "docs/administer.md",
    "docs/offers.md",
    "docs/sign-in.md",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    # Trusted, so that a second person may be invited without root too.
    trusted = {"PERIJOVE_TRUST_EVERYONE": "true"}
    live = LiveSite(tmp_path_factory.mktemp("site"), trusted)
    try:
        yield live.start()
    finally:
        live.stop()


@pytest.fixture(scope="module")
def grace(site: LiveSite) -> None:
    """The colleague of the pages: an invitation, opened as a browser opens it."""
    link = site.cli("invite", "--role", "member")["url"]
    jar = str(site.folder / "cookies")
    form = _curl("-c", jar, "-b", jar, link)
    hidden = dict(re.findall(r'name="(_xsrf|token)" value="([^"]*)"', form))
    told = {**hidden, "login": "grace", "display_name": "Grace Hopper", "email": "",
            "password": "correct horse battery", "password_again": "correct horse battery"}  # fmt: skip
    data = [
        part for name, value in told.items() for part in ("--data-urlencode", f"{name}={value}")
    ]
    _curl("-c", jar, "-b", jar, "-H", f"Origin: {site.url}", *data, f"{site.url}/hub/invitation")
    assert "grace" in {person["login"] for person in site.cli("people")["items"]}


def _curl(*args: str) -> str:
    done = subprocess.run(["curl", "-s", *args], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.e2e
@pytest.mark.usefixtures("grace")
@pytest.mark.parametrize("page", PAGES_RUN)
def test_commands_of_a_page_work_in_their_order(site: LiveSite, page: str) -> None:
    for command in commands(page):
        if command in MACHINE:
            continue
        program, *args = shlex.split(command)
        assert program == "perijove", command
        done = site.run(*args)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert done.stdout.strip(), command


@pytest.mark.e2e
def test_a_mistake_in_the_menu_is_named_and_the_old_menu_stays(site: LiveSite) -> None:
    menu = site.home / "menu.yaml"
    good = menu.read_text()
    menu.write_text(good.replace("kind: notebook", "kind: teapot", 1))
    try:
        done = site.run("menu", "reload")
        assert done.returncode == 1
        assert "offer cpu, kind" in done.stderr
        assert len(site.cli("offers")["items"]) == 5
    finally:
        menu.write_text(good)
    assert site.run("menu", "reload").returncode == 0


@pytest.mark.e2e
def test_a_backup_is_taken_and_restored_as_operations_says(site: LiveSite) -> None:
    typed = [line for block in blocks("docs/operations.md", "") for line in block.splitlines()]
    assert [line.split()[1] for line in typed] == ["backup", "restore"]
    before = site.cli("usage")["balance"]
    for line in typed:
        args = shlex.split(line.replace("/backups", str(site.folder)))[1:]
        done = site.run(*args)
        assert done.returncode == 0, (line, done.stderr)
    site.wait_ready()
    assert site.cli("usage")["balance"] == before


@pytest.mark.e2e
def test_the_shell_of_the_api_page_runs_as_one_script(site: LiveSite) -> None:
    script = "set -eu\n" + "\n".join(blocks("docs/api.md", "bash"))
    path = f"{PERIJOVE.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], env=site.env | {"PATH": path, "PERIJOVE_URL": site.url},
        cwd=site.folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    decoder, answers, rest = json.JSONDecoder(), [], done.stdout
    while rest := rest.lstrip():
        found, end = decoder.raw_decode(rest)
        answers.append(found)
        rest = rest[end:]
    offers, launched, stopped = answers
    assert {offer["id"] for offer in offers["items"]} >= {"cpu", "gpu-quarter"}
    assert launched["name"] == "from curl"
    assert stopped["id"] == launched["id"]
    assert stopped["target"] == "stopped"


def test_commands_of_the_readme_are_targets_of_make() -> None:
    assert set(commands("README.md")) == MACHINE
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert {command.split()[1] for command in MACHINE} <= targets


def test_the_inventory_of_the_quickstart_counts(tmp_path: Path) -> None:
    (text,) = blocks("docs/quickstart.md", "yaml")
    file = tmp_path / "inventory.yaml"
    file.write_text(text)
    assert OverrideFile(file).current().cpu == 8000


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_are_what_they_say(page: Path) -> None:
    name = name_of(page)
    for text in blocks(name, "yaml"):
        assert yaml.safe_load(text)
    for text in blocks(name, "json"):
        assert json.loads(text)
    for text in blocks(name, "python"):
        ast.parse(text)


@pytest.mark.parametrize("page", ["docs/environment.md", "docs/quickstart.md"])
def test_python_for_a_notebook_runs_on_what_it_reads(
    page: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"PERIJOVE_SHARE_MILLI": "250", "PERIJOVE_GPU_MEMORY_MIB": "6144",
            "PERIJOVE_CPU_MILLI": "500"}  # fmt: skip
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    (code,) = blocks(page, "python")
    names: dict[str, object] = {}
    exec(compile(code, page, "exec"), names)  # noqa: S102 (a page of this repository)
    said = capsys.readouterr().out
    assert names.get("threads") == 1 or said == "share 250 of 1000\nmemory 6144 MiB\n"
