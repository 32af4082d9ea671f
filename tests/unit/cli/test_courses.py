"""What the commands for courses ask of the API and say of the answer."""

import base64
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_control import Site

YAML = """
id: phys-26
name: Physics 101
parent: science
first_day: 2030-01-14
last_day: 2030-05-31
lab: {offer: gpu-quarter, set: {duration: 2h}}
student: {limits: {gpu: 0.25, workloads: 2}, credits: 10}
credits: 120
hours: [{weekdays: [tue], starts: "09:00", length: 2h, places: 12}]
roster: people.csv
clean_up_days: 7
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_bytes("id,name\n1,Zoë\n".encode("latin-1"))
    path = tmp_path / "course.yaml"
    path.write_text(YAML)
    return path


def test_a_course_is_made_from_a_file(site: Site, run: Run, file: Path) -> None:
    done = run("course", "create", str(file))
    assert done.code == 0, done
    (asked,) = site.bodies("POST", "/courses")
    assert asked["first_day"] == "2030-01-14"
    assert asked["student"] == {"limits": {"gpu": "0.25", "workloads": "2"}, "credits": "10"}
    assert (asked["credits"], asked["clean_up_days"]) == ("120", 7)
    assert asked["hours"][0]["places"] == 12
    assert base64.b64decode(asked["roster"]["file"]) == "id,name\n1,Zoë\n".encode("latin-1")
    assert "12 in, 3 expected" in done.out
    assert "tue 09:00 for 2h (12 places)" in done.out


def test_a_check_ends_with_1_when_something_is_wrong(site: Site, run: Run, file: Path) -> None:
    assert "it can be made" in run("course", "create", str(file), "--check").out
    file.write_text(YAML.replace("2030-05-31", "2029-05-31"))
    wrong = run("course", "create", str(file), "--check")
    assert wrong.code == 1
    assert "last_day: it is over; choose another" in wrong.out
    assert site.bodies("POST", "/courses") == []


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "\udc80"])
def test_what_is_no_course_is_said(site: Site, run: Run, file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    done = run("course", "create", str(file))
    assert done.code == 2
    assert str(file) in done.err


def test_lists_are_sent_as_they_are(site: Site, run: Run, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_bytes(b"\xff\xfei\x00d\x00\n\x007\x00")
    taken = run("course", "roster", "phys-26", str(people), "--provider", "uni")
    assert "2 people: 1 new, 1 changed, 0 as before" in taken.out
    (asked,) = site.bodies("POST", "/courses/phys-26/roster")
    assert asked == {"file": base64.b64encode(people.read_bytes()).decode(), "provider": "uni"}
    checked = run("course", "roster", "phys-26", str(people), "--check")
    assert checked.code == 1
    assert "'x' is no e-mail address" in checked.out
    assert run("course", "roster", "phys-26", str(tmp_path / "none.csv")).code == 2


def test_the_rest(site: Site, run: Run) -> None:
    assert "phys-26" in run("course", "list").out
    assert run("course", "show", "phys-26", "--json").json["version"] == 3
    assert "Ada" in run("course", "roster", "phys-26").out
    assert "has ended; clean-up on 2030-06-15" in run("course", "end", "phys-26").out
    assert run("course", "reopen", "phys-26").code == 0
    assert "join?token=abc" in run("course", "link", "phys-26", "--most", "30").out
    assert "gpu 0" in run("course", "groups", "phys-26", "--add", "Quiz", "--limit", "gpu=0").out
    assert run("course", "groups", "phys-26", "--limit", "gpu=0").code == 2
    assert run("course", "groups", "phys-26", "--add", "Quiz", "--limit", "gpu").code == 2
    assert "every device is held" in run("course", "open", "phys-26").out
    cloned = run("course", "clone", "phys-26", "phys-27", "--first-day", "2031-01-13", "--json")
    assert (cloned.json["id"], cloned.json["cloned_from"]) == ("phys-27", "phys-26")
