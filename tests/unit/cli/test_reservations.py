"""What the commands for reservations ask of the API and say of the answer."""

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_control import Site

LAB = (
    "--count",
    "4",
    "--offer",
    "gpu-eighth",
    "--day",
    "2030-02-04",
    "--at",
    "09:00",
    "--for",
    "2h",
)


def test_every_part_of_a_reservation_is_asked_for(site: Site, run: Run) -> None:
    weekly = ("--until", "2030-05-20", "--on", "Mon, thursday,mon", "--zone", "Europe/Berlin")
    more = ("--set", "memory=2Gi", "--tenant", "blue", "--no-show", "20m", "--lend-margin", "1h")
    done = run("reservation", "add", "Lab A", *LAB, *weekly, *more)
    assert done.code == 0, done
    assert site.bodies("POST", "/reservations") == [
        {
            "name": "Lab A", "tenant": "blue", "count": 4, "offer": "gpu-eighth",
            "set": {"memory": "2Gi"}, "gpu": "", "cpu": "", "memory": "", "models": [],
            "whole_node": False, "first_day": "2030-02-04", "last_day": "2030-05-20",
            "weekdays": ["mon", "thu"], "starts": "09:00", "length": "2h",
            "time_zone": "Europe/Berlin", "no_show": "20m", "lend_margin": "1h",
        }
    ]  # fmt: skip
    assert "4 × 1/8 GPU, 0.5 CPU, 1 GiB" in done.out
    assert "mon, thu, 2030-02-04 to 2030-05-20 at 09:00 for 2h (Europe/Berlin)" in done.out
    assert "3 of 4 places are in use" in done.out


def test_local_time_is_this_machines(site: Site, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":Asia/Kathmandu")
    run("reservation", "add", "Lab A", *LAB, "--whole-node", "--model", "H100", "--model", "H200")
    (asked,) = site.bodies("POST", "/reservations")
    assert asked["time_zone"] == "Asia/Kathmandu"
    assert (asked["whole_node"], asked["models"]) == (True, ["H100", "H200"])
    monkeypatch.delenv("TZ")
    run("reservation", "add", "Lab A", *LAB)
    assert site.bodies("POST", "/reservations")[-1]["time_zone"]


def test_a_check_shows_every_window_and_ends_with_1_when_one_is_taken(site: Site, run: Run) -> None:
    free = run("reservation", "add", "Lab A", *LAB, "--check")
    assert free.code == 0
    assert "4 × 1/8 GPU, 0.5 CPU, 1 GiB can be held" in free.out
    taken = run("reservation", "add", "Lab A", *LAB, "--count", "6", "--check")
    assert taken.code == 1
    assert "1 of 1 windows cannot be held" in taken.out
    (row,) = [line for line in taken.out.splitlines() if line.startswith("Mon 4 Feb 2030 09:00")]
    assert "Mon 4 Feb 2030 11:00-13:00 CET" in row
    assert "2 of 6 places are missing, because of the reservation 'Lab B'" in row
    assert run("reservation", "add", "x", *LAB, "--count", "6", "--check", "--json").code == 1
    assert site.bodies("POST", "/reservations") == []


def test_the_list_shows_the_next_window(site: Site, run: Run) -> None:
    shown = run("reservation", "list").out
    assert "r-7k2m9q4t1x" in shown
    assert "Mon 4 Feb 2030 09:00-11:00 CET" in shown
    assert run("reservation", "list", "--json").json["items"][0]["ahead"] == 30


def test_cancelled_and_given_up(site: Site, run: Run) -> None:
    assert "Lab A is cancelled" in run("reservation", "cancel", "r-1").out
    given = run("reservation", "release", "r-1", "20300204T0800Z", "--json")
    assert given.json["windows"][0]["state"] == "released"


def test_a_day_that_is_none_is_named(site: Site, run: Run) -> None:
    wrong = run("reservation", "add", "Lab A", *LAB, "--on", "mon,noday")
    assert wrong.code == 2
    assert "--on: 'noday' is not a day" in wrong.err
    assert run("reservation", "add", "Lab A", "--day", "2030-02-04").code == 2
