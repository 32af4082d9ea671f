"""Material of courses through control: fetched when due, told in words, given to each start."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from hub import environments
from hub.courses import material, material_told
from hub.courses.material_git import Bounds
from hub.courses.material_keeper import MaterialKeeper
from hub.store.audit import first_broken
from hub.store.course_tables import CourseRow
from hub.store.tables import AuditRow, EventRow
from tests.peers.git_http import Repository
from tests.site import Site, add_course, add_tenant

BOUNDS = Bounds(time_s=20)


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """With a course *blue* of the student mia and the instructor ian."""
    (tmp_path / "materials").mkdir()
    # pytest's folders are its own user's alone: git has to be that user here.
    monkeypatch.setattr(material, "git_uid", lambda _settings: None)
    async with Site(tmp_path, materials=tmp_path / "materials") as built:
        add_tenant(built.control, "blue")
        built.person("mia", "blue")
        built.person("ian", "blue", "instructor")
        built.person("tom", "blue", "assistant")
        yield built


@pytest.fixture
def repository(site: Site) -> Repository:
    assert site.settings.materials is not None
    found = Repository(site.settings.materials / "physics")
    found.publish(a__txt="one\n")
    return found


def a_course(site: Site, url: str = "", **more: Any) -> None:
    add_course(site.control, "blue", material_url=url, **more)


def course(site: Site) -> CourseRow:
    with site.control.store.read() as session:
        return session.get_one(CourseRow, "blue")


async def look(site: Site, bounds: Bounds = BOUNDS) -> CourseRow:
    """One round of the keeper, to its end."""
    keeper = MaterialKeeper(site.control, bounds)
    await keeper.look()
    await keeper.settled()
    return course(site)


def plan_of(site: Site, workload: str) -> dict[str, Any]:
    env = site.engine.specs[site.row(workload).attempt_id or ""].env
    return json.loads(env["PERIJOVE_MATERIAL"]) if "PERIJOVE_MATERIAL" in env else {}


async def events(site: Site, workload: str) -> list[str]:
    with site.control.store.read() as session:
        query = select(EventRow.text).where(EventRow.workload_id == workload)
        return list(session.exec(query))


async def notices(site: Site, login: str) -> list[str]:
    items = (await site.call(login, "GET", "/notices")).body["items"]
    return [item["text"] for item in items if item["kind"] == "material"]


async def test_a_course_gets_its_material_and_a_start_is_told(
    site: Site, repository: Repository
) -> None:
    a_course(site, str(repository.folder), material_folder="physics/lab")
    commit = repository.publish(b__txt="two\n")
    assert (await look(site)).material_commit == commit
    lab = await site.run("mia", "cpu")
    plan = plan_of(site, lab)
    assert (plan["commit"], plan["folder"], plan["course"]) == (commit, "physics/lab", "blue")
    assert Path(plan["mirror"]).is_dir()
    assert (await site.view("mia", lab))["url"].endswith(f"/{lab}/lab/tree/physics/lab")
    with site.control.store.read() as session:
        done = session.exec(select(AuditRow).where(AuditRow.action == "material-fetched")).one()
        assert first_broken(session) is None
    assert done.detail == {"commit": commit}


async def test_work_outside_of_a_course_has_no_material(site: Site) -> None:
    site.person("noa")
    lab = await site.run("noa", "cpu")
    env = site.engine.specs[site.row(lab).attempt_id or ""].env
    assert not any("MATERIAL" in name or "FOLDER" in name for name in env)
    assert (await site.view("noa", lab))["url"].endswith("/lab")


async def test_staff_ask_for_a_look_and_a_wish_that_comes_meanwhile_is_kept(
    site: Site, repository: Repository
) -> None:
    a_course(site, str(repository.folder))
    await look(site)
    commit = repository.publish(a__txt="two\n")
    assert (await look(site)).material_commit != commit  # nobody asked, nothing is due
    asked = await site.call("tom", "POST", "/courses/blue/material/fetch", {})
    assert (asked.status, asked.body["at"]) == (200, None)
    assert material.claim_due(site.control) == ["blue"]
    again = await site.call("ian", "POST", "/courses/blue/material/fetch", {})
    assert again.status == 200
    assert material.claim_due(site.control) == []  # one fetch at a time
    material.fetch(site.control, "blue", BOUNDS)
    site.control.fetching.discard("blue")
    assert material.claim_due(site.control) == ["blue"]
    site.control.fetching.discard("blue")
    assert course(site).material_commit == commit


async def test_a_course_without_material_says_so(site: Site) -> None:
    a_course(site)
    answer = await site.call("ian", "POST", "/courses/blue/material/fetch", {})
    assert (answer.status, answer.code) == (409, "conflict")
    strange = await site.call("admin", "POST", "/courses/nothing/material/fetch", {})
    assert strange.status == 404


async def test_what_goes_wrong_is_told_and_takes_nothing_away(
    site: Site, repository: Repository
) -> None:
    a_course(site, str(repository.folder))
    good = (await look(site)).material_commit
    repository.publish_tree(f"120000 blob {repository.blob('../../secret')}\tlink\n")
    await site.call("ian", "POST", "/courses/blue/material/fetch", {})
    row = await look(site)
    assert row.material_commit == good
    assert "'link' leads out of the material" in row.material_error
    assert any("leads out" in text for text in await notices(site, "ian"))
    assert await notices(site, "mia") == []
    assert plan_of(site, await site.run("mia", "cpu"))["commit"] == good
    repository.publish_tree(f"100644 blob {repository.blob('x')}\tok.txt\n")
    await site.call("ian", "POST", "/courses/blue/material/fetch", {})
    row = await look(site)
    assert (row.material_error, row.material_commit != good) == ("", True)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ("100644 blob {lfs}\t.gitattributes\n", "Git LFS"),
        ("120000 blob {out}\tl\n", "leads out"),
        ("100644 blob {x}\ta\x01b\n", "cannot be in a home"),
    ],
)
async def test_hostile_and_unfit_repositories(
    site: Site, repository: Repository, tree: str, words: str
) -> None:
    blobs = {"lfs": "*.bin filter=lfs\n", "out": "/etc/passwd", "x": "x"}
    made = {name: repository.blob(content) for name, content in blobs.items()}
    repository.publish_tree(tree.format(**made))
    a_course(site, str(repository.folder))
    row = await look(site)
    assert words in row.material_error
    assert row.material_commit == ""


async def test_a_repository_over_the_limit(site: Site, repository: Repository) -> None:
    repository.publish(big=os.urandom(2**20))
    a_course(site, str(repository.folder))
    row = await look(site, Bounds(size_bytes=2**18, time_s=20))
    assert "larger than" in row.material_error


async def test_a_lab_starts_without_material_that_never_came(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(material, "WAIT_S", 0.0)
    a_course(site, "https://git.example.org/a", material_error="its server does not answer")
    lab = await site.run("mia", "cpu")
    assert plan_of(site, lab) == {}
    assert any("starts without" in text for text in await events(site, lab))
    assert len(await notices(site, "mia")) == 1
    assert (await site.view("mia", lab))["url"].endswith("/lab")


async def test_what_nobody_has_read_yet_is_not_told_twice(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(material, "WAIT_S", 0.0)
    a_course(site, "https://git.example.org/a", material_error="its server does not answer")
    first, second = await site.run("mia", "cpu"), await site.run("mia", "cpu")
    for lab in (first, second):
        assert any("starts without" in text for text in await events(site, lab))
    (notice,) = (await site.call("mia", "GET", "/notices")).body["items"]
    assert notice["workload"] == second
    await site.call("mia", "POST", f"/notices/{notice['id']}/read")
    await site.run("mia", "cpu")
    assert len(await notices(site, "mia")) == 2


async def test_a_start_looks_again_when_the_last_look_is_old(
    site: Site, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(material, "WAIT_S", 0.0)
    a_course(site, str(repository.folder))
    await look(site)
    material.freshen(site.control, "blue")
    assert course(site).material_at is not None
    site.later(minutes=11)
    material.freshen(site.control, "blue")
    assert course(site).material_at is None
    commit = repository.publish(a__txt="two\n")
    assert (await look(site)).material_commit == commit


async def test_a_mirror_that_nobody_needs_goes(site: Site, repository: Repository) -> None:
    a_course(site, str(repository.folder))
    await look(site)
    mirror = material.mirror_of(site.control, "blue")
    assert mirror.is_dir()
    with site.control.store.write() as session:
        row = session.get_one(CourseRow, "blue")
        row.cleaned_at = site.clock.now()
        session.add(row)
    await look(site)
    assert not mirror.exists()


async def test_a_mirror_that_was_lost_is_fetched_again(
    site: Site, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(material, "WAIT_S", 0.0)
    a_course(site, str(repository.folder))
    await look(site)
    mirror = material.mirror_of(site.control, "blue")
    mirror.rename(mirror.with_name("away"))
    assert material.plan(site.control, "blue") == ""
    material.freshen(site.control, "blue")
    await look(site)
    assert material.plan(site.control, "blue")


def test_what_a_server_says_becomes_words() -> None:
    done = 'perijove-material {"code": "done", "new": 2, "merged": 1}'
    assert material_told.in_words(f"[I]\n{done}\n[I] more") == (
        "done", "course material: 2 new, 1 updated beside your changes",
    )  # fmt: skip
    assert material_told.in_words('perijove-material {"code": "done", "new": 0}') == ("done", "")
    assert "no room" in material_told.in_words('perijove-material {"code": "no-room"}')[1]


@pytest.mark.parametrize(
    "line",
    [
        "", "nothing", "perijove-material ", "perijove-material {", "perijove-material []",
        'perijove-material {"code": "<script>"}', 'perijove-material {"code": ["late"]}',
        'perijove-material {"code": "done", "new": "<b>", "kept": -3, "back": 1.5}',
        "perijove-material " + "[" * 100_000,
    ],
)  # fmt: skip
def test_nothing_that_a_student_writes_is_repeated(line: str) -> None:
    assert material_told.in_words(line)[1] == ""


async def test_a_start_that_is_repeated_tells_once(site: Site, repository: Repository) -> None:
    a_course(site, str(repository.folder))
    await look(site)
    lab = await site.run("mia", "cpu")
    attempt = site.row(lab).attempt_id or ""
    site.engine.logs[attempt] = b'perijove-material {"code": "late"}\n'
    material_told.tell(site.control, attempt)
    material_told.tell(site.control, attempt)
    assert sum("still being copied" in text for text in await events(site, lab)) == 1
    assert len(await notices(site, "mia")) == 1


# ---- environments --------------------------------------------------------------------------------


def add_environment(site: Site, name: str) -> Path:
    """As `perijove env add` leaves one."""
    folder = environments.folder_of(site.settings)
    build = folder / f"{name}@20260105090000"
    (build / "lib" / "python3.11" / "site-packages" / "numpy-2.dist-info").mkdir(parents=True)
    record = {"python": f"/{name}/bin/python", "bin": f"/{name}/bin", "env": {}}
    (build / environments.RECORD).write_text(json.dumps(record))
    (folder / name).symlink_to(build.name)
    return folder / name


async def test_a_new_environment_is_there_at_once_and_labs_start_in_it(site: Site) -> None:
    a_course(site, environment="physics")
    denied = (await site.call("mia", "POST", "/check", {"offer": "cpu"})).body
    assert (denied["verdict"], denied["code"]) == ("denied", "engine")
    assert "'physics'" in denied["reason"]
    refused = await site.call("mia", "POST", "/workloads", {"offer": "cpu"})
    assert refused.code == "denied"
    add_environment(site, "physics")
    listed = (await site.call("mia", "GET", "/environments")).body["items"]
    assert [(e["name"], e["python"], e["packages"]) for e in listed] == [
        ("default", "", 0), ("physics", "3.11", 1),
    ]  # fmt: skip
    lab = await site.run("mia", "cpu")
    assert site.engine.specs[site.row(lab).attempt_id or ""].argv[0] == "/physics/bin/python"


async def test_an_environment_that_goes_between_is_told(site: Site) -> None:
    a_course(site, environment="physics")
    link = add_environment(site, "physics")
    lab = await site.launch("mia", "cpu")
    link.unlink()
    seen = await site.until_status("mia", lab, "failed")
    assert "'physics' of this course is not here" in seen["reason"]
    assert seen["cost"] == "0.00"


@pytest.mark.parametrize("name", ["../env", "physics@20260105090000", ".", "A", "", "x" * 99])
def test_only_names_are_found(site: Site, name: str) -> None:
    add_environment(site, "physics")
    found = environments.find(site.settings, name)
    assert found == (site.settings.envs if name == "" else None)
