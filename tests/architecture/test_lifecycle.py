"""The table of moves is whole, and code moves a status through it alone."""

import re
from pathlib import Path

import pytest

from catalog.errors import Conflict
from hub.api.views import _STEPS
from hub.attempts import Step
from hub.lifecycle import MOVES, Status, require_move

HUB = Path(__file__).resolve().parents[2] / "hub"


def test_every_status_has_a_row() -> None:
    assert set(MOVES) == set(Status)


def test_every_status_is_reached_from_the_queue_and_leads_to_an_end() -> None:
    assert after(Status.QUEUED) == set(Status)
    ends = {status for status in Status if not MOVES[status]}
    assert ends == {Status.STOPPED, Status.FAILED}
    for status in Status:
        assert after(status) & ends


def after(status: Status) -> set[Status]:
    found, left = {status}, [status]
    while left:
        new = MOVES[left.pop()] - found
        found |= new
        left += new
    return found


def test_no_end_is_left_and_only_what_had_a_place_goes_back_to_the_queue() -> None:
    for status, targets in MOVES.items():
        assert Status.QUEUED not in targets or status.holds
        assert status not in targets
        assert status.live == bool(targets)


@pytest.mark.parametrize("before", list(Status))
@pytest.mark.parametrize("target", list(Status))
def test_what_is_not_in_the_table_is_refused(before: Status, target: Status) -> None:
    if target in MOVES[before]:
        require_move(before, target)
    else:
        with pytest.raises(Conflict, match=f"it is {before} and cannot become {target}"):
            require_move(before, target)


def test_what_holds_a_place_is_live() -> None:
    assert {status for status in Status if status.holds} == {
        Status.OFFERED, Status.STARTING, Status.RUNNING, Status.STOPPING,
    }  # fmt: skip


def test_a_status_is_set_in_one_place() -> None:
    assigned = re.compile(r"\b(?:row|workload)\.status\s*=[^=]")
    found = [
        f"{file.relative_to(HUB)}:{number}"
        for file in HUB.rglob("*.py")
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if assigned.search(line)
    ]
    assert [place.partition(":")[0] for place in found] == ["moves.py"], found


def test_every_step_of_a_start_is_shown() -> None:
    steps = {value for name, value in vars(Step).items() if name.isupper()}
    assert set(_STEPS) == steps
