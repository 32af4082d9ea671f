"""What the commands for announcements ask of the API and say of the answer."""

import json

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_control import Site


def test_every_part_of_an_announcement_is_asked_for(site: Site, run: Run) -> None:
    done = run(
        "announce", "The lab begins.", "--tenant", "blue", "--level", "warning",
        "--from", "2030-02-04T09:00", "--until", "2030-02-05",
    )  # fmt: skip
    assert done.code == 0, done
    assert site.bodies("POST", "/announcements") == [
        {
            "tenant": "blue", "text": "The lab begins.", "level": "warning",
            "starts_at": "2030-02-04T09:00", "ends_at": "2030-02-05",
        }
    ]  # fmt: skip
    assert "m-7k2m9q4t1x to Blue, on" in done.out


def test_what_is_listed_says_to_whom_and_when(site: Site, run: Run) -> None:
    mine, staff = run("announcement", "list"), run("announcement", "list", "--state", "scheduled")
    assert "The lab begins." in mine.out
    assert "scheduled" in staff.out
    assert "--cursor m-next" in staff.err


def test_withdrawing_says_so_in_json_too(site: Site, run: Run) -> None:
    done = run("announcement", "withdraw", "m-1", "--json")
    assert json.loads(done.out)["state"] == "withdrawn"
    assert "m-1 is withdrawn" in run("announcement", "withdraw", "m-1").out
