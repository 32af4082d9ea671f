"""How the end of an attempt is told, and whether its workload waits again. Pure.

Work that loses its place through no fault of its own waits again, before what is new of its class,
for the time that it had left:

========== ======================================= ===============================================
why        when                                    paid until
========== ======================================= ===============================================
preempted  its notice is over                      its end
drained    its notice is over                      its end
device     a device below it failed                it last saved; the failure, if it never saves
lost       its node is silent                      it last saved; the last sight, if it never saves
========== ======================================= ===============================================
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from catalog.asks import Priority
from catalog.units import format_bytes
from hub.lifecycle import EndReason, Status, Target
from hub.store.tables import AttemptRow, WorkloadRow
from spawners.engine import EndCause, Exit

MOST_FAULTS = 5
"""How often a workload is started again after a fault below it; then it may be the cause."""
LEAST_LEFT = timedelta(minutes=10)
"""So that what starts again has time to get anywhere."""
SLACK = timedelta(seconds=2)
"""An engine's clock and ours differ by this much at most."""
FAULTS = frozenset({EndReason.DEVICE_FAILED, EndReason.LOST})
_NOTEBOOK = "notebook"


@dataclass(frozen=True, slots=True)
class Ended:
    """The workload has ended: status, reason, words and next step."""

    status: Status
    reason: EndReason
    text: str
    next: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """The workload waits again. `text` says why, for a person."""

    reason: EndReason
    text: str


Ending = Ended | Again


@dataclass(frozen=True, slots=True)
class Away:
    """That an attempt must go at `at`; its workload waits again then."""

    at: datetime
    reason: EndReason
    text: str


def ending_of(row: WorkloadRow, attempt: AttemptRow, exit_: Exit, faults: int) -> Ending:
    """What the end of `attempt` means. `faults` of earlier attempts lost this workload its place."""
    away = _sent_away(row, attempt, exit_)
    if away is None:
        return _own_end(row, attempt, exit_)
    if away.reason in FAULTS and faults >= MOST_FAULTS:
        said = f"{away.text}; that was the {faults + 1}th time, so it is not started again"
        return Ended(Status.FAILED, away.reason, said, "look at its log, then relaunch it")
    if attempt.lease_ends_at <= kept_until(row, attempt, exit_.ended_at):
        return Ended(Status.STOPPED, EndReason.LEASE_ENDED, "its time was up", "relaunch it")
    return away


def kept_until(row: WorkloadRow, attempt: AttemptRow, ended_at: datetime) -> datetime:
    """Up to when its work is kept. Of work that says when it saved, what came after the last time
    is lost; of other work the files in its home are kept to the end."""
    if row.saved_at is None or attempt.ready_at is None:
        return ended_at
    return min(ended_at, max(row.saved_at, attempt.ready_at))


def used_until(attempt: AttemptRow, exit_: Exit) -> datetime:
    """Up to when it could be used: to its end, or to the fault below it."""
    if not _fault_below(attempt, exit_):
        return exit_.ended_at
    return min(exit_.ended_at, attempt.go_at or exit_.ended_at)


def paid_until(row: WorkloadRow, attempt: AttemptRow, exit_: Exit) -> datetime:
    """Up to when it is paid for: what a fault below it destroyed is given back."""
    used = used_until(attempt, exit_)
    return kept_until(row, attempt, used) if _fault_below(attempt, exit_) else used


def time_left(row: WorkloadRow, attempt: AttemptRow, exit_: Exit) -> timedelta:
    """What the next attempt is given: the rest of the lease, and what must be done anew."""
    if attempt.ready_at is None:
        return max(attempt.lease_ends_at - attempt.created_at, LEAST_LEFT)
    return max(attempt.lease_ends_at - kept_until(row, attempt, exit_.ended_at), LEAST_LEFT)


def why_preempted(comes: WorkloadRow, goes: WorkloadRow) -> str:
    """Why one goes for another, in words that name nobody."""
    first, then = Priority(comes.priority), Priority(goes.priority)
    if first.rank < then.rank:
        return f"its place goes to {first} work, which comes before {then} work"
    return "its place was lent, and the group that lent it needs it now"


def starts_anew(kind: str) -> str:
    """What a person should know of work that waits again."""
    if kind == _NOTEBOOK:
        return "it starts anew: files in your home are safe, what was only in its memory is gone"
    return "it goes on from what it saved"


def _fault_below(attempt: AttemptRow, exit_: Exit) -> bool:
    fault = {EndCause.DEVICE_FAILED, EndCause.NODE_LOST}
    return exit_.cause in fault or attempt.go_reason in FAULTS


def _sent_away(row: WorkloadRow, attempt: AttemptRow, exit_: Exit) -> Again | None:
    """Why it lost its place through no fault of its own; None when it did not."""
    if row.target == Target.STOPPED or exit_.cause is EndCause.OUT_OF_MEMORY:
        return None
    if exit_.cause is EndCause.NODE_LOST:
        return Again(EndReason.LOST, exit_.message)
    if exit_.cause is EndCause.DEVICE_FAILED:
        return Again(EndReason.DEVICE_FAILED, exit_.message)
    if attempt.go_at is None:
        return None
    due = exit_.cause is EndCause.DEADLINE and exit_.ended_at >= attempt.go_at - SLACK
    # At the end of its lease it ends as it would have done anyway.
    if row.status == Status.STOPPING or (due and attempt.go_at < attempt.lease_ends_at):
        return Again(EndReason(attempt.go_reason), attempt.go_text)
    return None


def _own_end(  # noqa: PLR0911 (one return for each cause)
    row: WorkloadRow, attempt: AttemptRow, exit_: Exit
) -> Ended:
    match exit_.cause:
        case EndCause.OUT_OF_MEMORY:
            used = format_bytes(exit_.memory_peak_bytes or attempt.memory_bytes)
            said = f"it ran out of memory: it used {used} of {format_bytes(attempt.memory_bytes)}"
            return Ended(
                Status.FAILED, EndReason.OUT_OF_MEMORY, said, "relaunch it with more memory"
            )
        case EndCause.DEADLINE:
            return Ended(Status.STOPPED, EndReason.LEASE_ENDED, "its time was up", "relaunch it")
        case _ if row.reason_code == EndReason.START_FAILED:
            return _start_failed(row.reason)
        case _ if row.reason_code == EndReason.IDLE:
            return Ended(Status.STOPPED, EndReason.IDLE, row.reason, "start it again")
        case _ if row.target == Target.STOPPED:
            return Ended(Status.STOPPED, EndReason(row.reason_code), row.reason)
        case EndCause.STOPPED:
            return Ended(Status.STOPPED, EndReason.ASKED, "it was stopped")
        case _ if attempt.ready_at is None:
            return _start_failed(
                exit_.message or f"it ended with code {exit_.exit_code} while starting"
            )
        case EndCause.LOST:
            said = exit_.message or "it disappeared; the machine may have restarted"
            nxt = "relaunch it; files in your home are safe"
            return Ended(Status.FAILED, EndReason.LOST, said, nxt)
        case _:
            code = exit_.exit_code
            if not code:
                return Ended(Status.STOPPED, EndReason.EXITED, "it was shut down from inside")
            said = f"it ended by itself with code {code}"
            return Ended(Status.FAILED, EndReason.EXITED, said, "look at its log, then relaunch it")


def _start_failed(said: str) -> Ended:
    return Ended(
        Status.FAILED,
        EndReason.START_FAILED,
        f"it did not start: {said}; nothing was charged",
        "look at its log, then relaunch it",
    )
