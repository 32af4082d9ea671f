"""What set-up promises: pinned, offline from any named host, and clear of other people's names."""

import hashlib
import json
import re
import subprocess
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from deploy import bootstrap, notebook_env
from deploy.run_tests import Tally
from deploy.steps import SetupError, run

ROOT = Path(__file__).parents[2]
LOCKS = ("control", "dev", "notebook")
PIN = re.compile(r"^([a-z0-9._-]+)==([^ ;\\]+)([^\\\n]*)\\?$", re.IGNORECASE)
OURS = {
    path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.py"))
} | {"docs", "tests"}  # fmt: skip

# Spelt in pieces, so that this file may name them.
HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
    )
]
WORKPLACE = re.compile(r"(?<![\w.$})*-])/" + r"work/")


@cache
def own_files() -> tuple[Path, ...]:
    """Text files of the project: what git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if listed.returncode:  # not a git checkout: a release archive holds nothing else
        pytest.skip("this tree is no git checkout")
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    binary = {".png", ".jpg", ".ico", ".woff2", ".db", ".sqlite", ".gz"}
    return tuple(p for p in paths if p.is_file() and p.suffix not in binary)


def lines_that_hold(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in own_files()
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if pattern.search(line)
    ]


def pins(lock: str) -> dict[str, str]:
    """Name → the rest of the pin; a name pinned per platform keeps all its pins."""
    found: dict[str, str] = {}
    for line in (ROOT / "requirements" / f"{lock}.lock").read_text().splitlines():
        if match := PIN.match(line):
            name, version, marker = match.groups()
            found[name.lower()] = found.get(name.lower(), "") + version + marker.strip()
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_of_a_lock_has_hashes(lock: str) -> None:
    blocks = re.split(r"\n(?=[^ #])", (ROOT / "requirements" / f"{lock}.lock").read_text())
    assert len(blocks) > 50
    for block in blocks:
        first = block.splitlines()[0]
        assert PIN.match(first), first
        assert "--hash=sha256:" in block, first


def test_development_set_holds_the_runtime_set_exactly() -> None:
    """`make test` installs the one and counts the other as installed."""
    control, dev = pins("control"), pins("dev")
    assert {name: dev.get(name) for name in control} == control


def test_every_declared_dependency_is_locked() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    declared = re.findall(r'^    "([a-z0-9._-]+)(?:\[\w+\])?[<>=]', text, re.MULTILINE)
    assert "jupyterhub" in declared
    assert "ruff" in declared
    assert set(declared) - set(pins("dev")) == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_the_parser_that_costs_a_second_stays_out(lock: str) -> None:
    assert "rfc3987-syntax" not in pins(lock)


def test_proxy_is_locked_with_integrity() -> None:
    lock = json.loads((ROOT / "deploy/proxy/package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert "node_modules/configurable-http-proxy" in packages
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name


def test_no_file_names_a_registry_host() -> None:
    assert lines_that_hold(re.compile("|".join(map(re.escape, HOSTS)))) == []


def test_no_file_names_a_place_of_somebodys_machine() -> None:
    assert lines_that_hold(WORKPLACE) == []


def test_no_distribution_installs_a_name_of_ours() -> None:
    mine = {"perijove"}
    clashes = {
        name: owners
        for name, owners in packages_distributions().items()
        if name in OURS and set(owners) - mine
    }
    assert {"catalog", "hub", "portal"} <= OURS
    assert clashes == {}


def test_make_has_the_targets_that_the_design_promises() -> None:
    promised = set(re.findall(r"`make ([a-z]+)", (ROOT / "docs/design.md").read_text()))
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z%-]+):", makefile, re.MULTILINE))
    assert {"up", "test", "check", "bench"} <= promised
    assert promised <= targets


def test_help_is_the_default_and_lists_what_there_is() -> None:
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("up", "test", "check", "bench"):
        assert re.search(rf"^  make {target} +\w", said, re.MULTILINE), said


def test_continuous_integration_is_make_test() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text()


def test_set_up_knows_every_package_of_ours() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    declared = re.search(r"^root_packages = \[(.+)\]", text, re.MULTILINE)
    assert declared
    assert re.findall(r'"(\w+)"', declared[1]) == list(bootstrap.PACKAGES)
    assert {*bootstrap.PACKAGES, "deploy", "docs", "tests"} == OURS


def test_a_failed_step_shows_what_was_said_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"(?s)no such wheel.*status 3") as failed:
        run(["sh", "-c", "echo no such wheel >&2; exit 3"], cwd=tmp_path, next="mend the index")
    assert failed.value.next == "mend the index"
    with pytest.raises(SetupError, match="absent-program does not run"):
        run(["absent-program"])


def test_bad_usage_of_set_up_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["everything"]) == 2
    assert "runtime|dev" in capfd.readouterr().err


def test_an_unfinished_or_outdated_notebook_environment_is_not_found(tmp_path: Path) -> None:
    lock = tmp_path / "notebook.lock"
    lock.write_text("a==1")
    digest = hashlib.sha256(b"a==1").hexdigest()
    place = tmp_path / f"notebook-{digest[:12]}-py3.11"
    python = place / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert notebook_env.find(tmp_path, lock) is None  # interrupted: no record yet
    record = {"python": str(python), "bin": str(python.parent), "env": {}, "lock": digest}
    (place / notebook_env.RECORD).write_text(json.dumps(record))
    assert notebook_env.find(tmp_path, lock) == place
    lock.write_text("a==2")
    assert notebook_env.find(tmp_path, lock) is None
    lock.write_text("a==1")
    python.unlink()
    assert notebook_env.find(tmp_path, lock) is None


def test_reach_of_others_is_judged_all_the_way_down(tmp_path: Path) -> None:
    file = tmp_path / "open" / "python"
    file.parent.mkdir()
    file.touch(0o644)
    for folder in (file.parent, *file.parents[1:3]):
        folder.chmod(0o755)
    assert notebook_env.everybody_reaches(Path("/bin/sh"))
    file.parent.chmod(0o700)
    assert not notebook_env.everybody_reaches(file)
    assert not notebook_env.everybody_reaches(tmp_path / "absent")


def test_counts_of_several_runs_add_up_and_name_the_skips(tmp_path: Path) -> None:
    report = tmp_path / "rest.xml"
    report.write_text(
        "<testsuites><testsuite><testcase/><testcase/><testcase><failure/></testcase>"
        '<testcase><error/></testcase><testcase><skipped message="no GPU"/></testcase>'
        "</testsuite></testsuites>"
    )
    tally = Tally()
    tally.add(report, 1)
    tally.add(tmp_path / "absent.xml", 5)  # nothing collected: no failure
    assert tally.lines() == ["skipped 1: no GPU", "2 passed, 2 failed, 1 skipped"]
    tally.add(tmp_path / "absent.xml", 3)  # pytest itself broke
    assert tally.lines()[-1] == "2 passed, 3 failed, 1 skipped"
