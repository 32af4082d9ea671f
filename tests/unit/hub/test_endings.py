"""How an end is told, when work waits again, and what is paid: pure rules over all causes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.endings import (
    LEAST_LEFT,
    MOST_FAULTS,
    Again,
    Ended,
    ending_of,
    kept_until,
    paid_until,
    time_left,
    used_until,
    why_preempted,
)
from hub.lifecycle import EndReason, Status, Target
from hub.store.tables import AttemptRow, WorkloadRow
from spawners.engine import EndCause, Exit
from tests.examples import examples

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def workload(**changes: Any) -> WorkloadRow:
    given: dict[str, Any] = {
        "id": "w", "kind": "notebook", "status": Status.RUNNING, "target": Target.RUNNING,
        "reason_code": "", "reason": "", "priority": "standard", "saved_at": None,
    }  # fmt: skip
    return WorkloadRow(**(given | changes))


def attempt(**changes: Any) -> AttemptRow:
    given: dict[str, Any] = {
        "id": "a", "workload_id": "w", "created_at": at(0), "ready_at": at(0),
        "lease_ends_at": at(120), "go_at": None, "go_reason": "", "go_text": "", "memory_bytes": 1,
    }  # fmt: skip
    return AttemptRow(**(given | changes))


def told(minutes: float) -> AttemptRow:
    return attempt(go_at=at(minutes), go_reason=EndReason.PREEMPTED, go_text="why")


STOPPED_AT_60 = Exit(EndCause.STOPPED, at(60))
DEADLINE_AT_60 = Exit(EndCause.DEADLINE, at(60))


@pytest.mark.parametrize(
    ("row", "run", "exit_", "again"),
    [
        (workload(), told(60), DEADLINE_AT_60, True),
        (workload(status=Status.STOPPING), told(60), STOPPED_AT_60, True),
        (workload(status=Status.STOPPING, target=Target.STOPPED, reason_code="asked"),
         told(60), STOPPED_AT_60, False),
        (workload(), told(60), Exit(EndCause.EXITED, at(30), 0), False),
        (workload(), told(60), Exit(EndCause.OUT_OF_MEMORY, at(30)), False),
        (workload(), attempt(lease_ends_at=at(60)), DEADLINE_AT_60, False),
        (workload(), attempt(), Exit(EndCause.LOST, at(30)), False),
        (workload(), attempt(), Exit(EndCause.NODE_LOST, at(30), message="silent"), True),
        (workload(), attempt(), Exit(EndCause.DEVICE_FAILED, at(30), message="XID"), True),
        (workload(target=Target.STOPPED, reason_code="asked"),
         attempt(), Exit(EndCause.NODE_LOST, at(30)), False),
    ],
)  # fmt: skip
def test_who_waits_again(row: WorkloadRow, run: AttemptRow, exit_: Exit, *, again: bool) -> None:
    assert isinstance(ending_of(row, run, exit_, 0), Again) == again


def test_faults_are_counted_and_preemptions_are_not() -> None:
    fault = Exit(EndCause.DEVICE_FAILED, at(30), message="XID 79")
    assert isinstance(ending_of(workload(), attempt(), fault, MOST_FAULTS - 1), Again)
    last = ending_of(workload(), attempt(), fault, MOST_FAULTS)
    assert isinstance(last, Ended)
    assert (last.status, last.reason) == (Status.FAILED, EndReason.DEVICE_FAILED)
    assert isinstance(ending_of(workload(), told(60), DEADLINE_AT_60, 99), Again)


def test_at_the_end_of_its_lease_it_has_ended_whatever_else_happens() -> None:
    run = attempt(lease_ends_at=at(60), go_at=at(60), go_reason=EndReason.DRAINED)
    ending = ending_of(workload(status=Status.STOPPING), run, STOPPED_AT_60, 0)
    assert (ending.reason, isinstance(ending, Ended)) == (EndReason.LEASE_ENDED, True)


def test_reasons_of_a_preemption_name_classes_only() -> None:
    urgent, standard = workload(priority="real-time"), workload()
    assert why_preempted(urgent, standard) == (
        "its place goes to real-time work, which comes before standard work"
    )
    assert "was lent" in why_preempted(standard, standard)


minutes = st.integers(0, 130)


@settings(max_examples=examples(300), deadline=None)
@given(
    ended=minutes, saved=st.none() | st.integers(-60, 130), fails=st.none() | minutes,
    cause=st.sampled_from(EndCause), going=st.booleans(),
)  # fmt: skip
def test_nobody_pays_for_what_was_lost_or_gets_less_time_than_was_left(
    ended: int, saved: int | None, fails: int | None, cause: EndCause, *, going: bool
) -> None:
    row = workload(saved_at=None if saved is None else at(saved))
    reason = EndReason.DEVICE_FAILED if fails is not None and going else ""
    run = attempt(go_at=None if fails is None else at(fails), go_reason=reason)
    exit_ = Exit(cause, at(ended))
    used, paid = used_until(run, exit_), paid_until(row, run, exit_)
    kept = kept_until(row, run, at(ended))
    assert paid <= used <= at(ended)
    assert kept <= at(ended)
    if saved is None:
        assert paid == used
    fault = reason != "" or cause in {EndCause.DEVICE_FAILED, EndCause.NODE_LOST}
    if not fault:
        assert paid == at(ended)
    elif saved is not None:
        assert paid <= max(at(0), at(saved))
    left = time_left(row, run, exit_)
    assert left >= LEAST_LEFT
    assert left >= at(120) - at(ended)
    assert left <= max(at(120) - START, LEAST_LEFT)
