"""A course's material in a student's JupyterLab: there when it opens, merged when it opens again."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Api, Visitor, in_kernel
from tests.live import ROOT, LiveSite, wait_for
from tests.peers.git_http import GitHttp, Repository, git, serving

LINES = [f"line {n}\n" for n in range(8)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHttp]:
    with serving(tmp_path_factory.mktemp("repositories")) as found:
        yield found


@pytest.fixture(scope="module")
def repository(server: GitHttp) -> Repository:
    found = Repository(server.folder / "physics")
    found.publish(lab__txt="".join(LINES), notes__ipynb="{}")
    return found


@pytest.fixture(scope="module")
def site(make_site: Callable[..., LiveSite], server: GitHttp) -> LiveSite:
    settings = {"PERIJOVE_GIT_HOSTS": server.url, "PERIJOVE_TRUST_EVERYONE": "true"}
    return make_site(**settings).start()


@pytest.fixture(scope="module")
def admin(site: LiveSite) -> Api:
    return Api(site)


@pytest.fixture(scope="module")
def course(admin: Api, server: GitHttp, repository: Repository) -> str:
    today = datetime.now(UTC).date() - timedelta(days=1)
    made = admin.post(
        "/courses",
        {
            "id": "physics-101", "name": "Physics 101", "first_day": str(today),
            "last_day": str(today + timedelta(days=100)), "lab": {"offer": "cpu", "set": {}},
            "material": {"url": f"{server.url}/repos/physics", "branch": "main", "folder": ""},
            "student": {"limits": {}, "credits": "0"},
        },
    )  # fmt: skip
    found = wait_for("the material is here", lambda: _material(admin, made["id"])["commit"])
    assert found == git("-C", str(repository.folder), "rev-parse", "HEAD")
    return made["id"]


@pytest.fixture(scope="module")
def student(site: LiveSite, admin: Api, course: str) -> tuple[Api, str]:
    visitor = Visitor(site)
    link = admin.post("/invitations", {"tenant": course, "role": "member"})["url"]
    assert visitor.accept_invitation(link, "mia").status_code == 200
    admin.post("/people/mia/grant", {"credits": "100"})
    return Api(site, "mia"), visitor.token("mia")


def test_open_lab_merge_and_open_again(
    site: LiveSite, admin: Api, course: str, student: tuple[Api, str], repository: Repository
) -> None:
    api, own_token = student
    lab = Lab(site, api, own_token, course)
    assert lab.read("lab.txt") == "".join(LINES)
    assert lab.opens_in() == f"/lab/tree/{course}"
    assert "course material: 2 new" in lab.events()
    home = site.spaces / "homes" / "mia"
    assert (home / course / "lab.txt").stat().st_uid == home.stat().st_uid

    mine = ["mine\n", *LINES[1:]]
    lab.write("lab.txt", "".join(mine))
    lab.delete("notes.ipynb")
    lab.stop()
    commit = repository.publish(lab__txt="".join([*LINES[:7], "theirs\n"]), more__txt="more\n")
    admin.post(f"/courses/{course}/material/fetch")
    wait_for("the push is seen", lambda: _material(admin, course)["commit"] == commit)

    lab = Lab(site, api, own_token, course)
    assert lab.read("lab.txt") == "".join(["mine\n", *LINES[1:7], "theirs\n"])
    assert lab.read("more.txt") == "more\n"
    assert lab.read("notes.ipynb", "file") == "{}"
    events = lab.events()
    assert "1 new" in events
    assert "1 updated beside your changes" in events
    lab.stop()


def test_a_repository_that_goes_away_is_told_and_takes_nothing(
    site: LiveSite, admin: Api, course: str, student: tuple[Api, str], repository: Repository
) -> None:
    api, own_token = student
    before = _material(admin, course)["commit"]
    away = repository.folder.with_name("away")
    repository.folder.rename(away)
    try:
        admin.post(f"/courses/{course}/material/fetch")
        error = wait_for("the error is told", lambda: _material(admin, course)["error"])
        assert "there is no git repository" in error
        assert _material(admin, course)["commit"] == before
        lab = Lab(site, api, own_token, course)
        assert lab.read("more.txt") == "more\n"
        lab.stop()
    finally:
        away.rename(repository.folder)


def test_a_new_environment_is_chosen_without_a_restart(
    site: LiveSite, admin: Api, course: str, student: tuple[Api, str]
) -> None:
    api, own_token = student
    link = make_environment(site, "physics")
    changed = admin.http.put(f"/courses/{course}", json={"environment": "physics"})
    assert changed.is_success, changed.text
    away = link.rename(link.with_name("away@physics"))
    refused = api.post("/check", {"offer": "cpu", "set": {}, "tenant": course})
    assert refused["verdict"] == "denied"
    away.rename(link)
    assert [e["name"] for e in api.get("/environments")["items"]] == ["default", "physics"]
    lab = Lab(site, api, own_token, course)
    code = "import sys, only_in_physics; print(only_in_physics.SAYS, sys.prefix)"
    printed = in_kernel(f"{site.url}/user/mia/{lab.id}", own_token, code)
    assert printed.startswith("it is here")
    assert "/environments/physics@1" in printed
    lab.stop()


def make_environment(site: LiveSite, name: str) -> Path:
    """As `perijove env add` leaves one, out of the site's own: nothing is downloaded."""
    own = (ROOT / ".envs" / "notebook").resolve()
    record = json.loads((own / "perijove-env.json").read_text())
    folder = site.spaces / "environments"
    build = folder / f"{name}@1"
    folder.mkdir(mode=0o755, exist_ok=True)
    subprocess.run(
        [record["python"], "-m", "venv", "--without-pip", build], check=True,
        env=os.environ | record.get("env", {}),
    )  # fmt: skip
    (packages,) = build.glob("lib/python3.*/site-packages")
    (theirs,) = own.glob("lib/python3.*/site-packages")
    (packages / "own.pth").write_text(f"{theirs}\n")
    (packages / "only_in_physics.py").write_text("SAYS = 'it is here'\n")
    (build / "share").symlink_to(own / "share")
    facts = record | {"python": f"{build}/bin/python", "bin": f"{build}/bin"}
    (build / "perijove-env.json").write_text(json.dumps(facts))
    (folder / name).symlink_to(build.name)
    return folder / name


def _material(admin: Api, course: str) -> dict[str, Any]:
    return admin.get(f"/courses/{course}")["material"]


class Lab:
    """A student's open lab, through JupyterLab's own API."""

    def __init__(self, site: LiveSite, api: Api, token: str, course: str) -> None:
        self._api, self._course = api, course
        self.id = api.post(f"/courses/{course}/lab")["id"]
        api.until(self.id, "running")
        self._path = f"/user/mia/{self.id}"
        self._http = httpx.Client(
            base_url=site.url, headers={"Authorization": f"token {token}"}, timeout=30,
            trust_env=False,
        )  # fmt: skip

    def read(self, name: str, kind: str = "") -> str:
        answer = self._http.get(self._file(name), params={"type": kind} if kind else {})
        assert answer.status_code == 200, answer.text
        return answer.json()["content"]

    def write(self, name: str, content: str) -> None:
        body = {"type": "file", "format": "text", "content": content}
        answer = self._http.put(self._file(name), json=body)
        assert answer.status_code == 200, answer.text

    def delete(self, name: str) -> None:
        assert self._http.delete(self._file(name)).status_code == 204

    def opens_in(self) -> str:
        """Where the server's own address leads."""
        answer = self._http.get(f"{self._path}/", follow_redirects=False)
        return answer.headers["location"].removeprefix(self._path).rstrip("?")

    def events(self) -> str:
        with self._api.http.stream("GET", f"/workloads/{self.id}/events") as answer:
            found = ""
            for line in answer.iter_lines():
                found += line
                if '"running"' in line:
                    return found
        return found

    def stop(self) -> None:
        self._api.stop(self.id)

    def _file(self, name: str) -> str:
        return f"{self._path}/api/contents/{self._course}/{name}"
