"""A workload's row: its legal moves, and its end."""

from datetime import datetime

from sqlmodel import Session

from hub import history
from hub.lifecycle import EndReason, Status, Target, require_move
from hub.store.tables import WorkloadRow


def move(row: WorkloadRow, status: Status) -> None:
    """One legal move; raises Conflict for any other."""
    require_move(Status(row.status), status)
    row.status = status
    row.version += 1


def end(
    session: Session, row: WorkloadRow, status: Status, reason: EndReason, text: str,
    at: datetime, *, next: str = "",
) -> None:  # fmt: skip
    """The last move of a workload."""
    move(row, status)
    row.reason_code, row.reason, row.next, row.ended_at = reason, text, next, at
    row.target, row.offered_until = Target.STOPPED, None
    history.tell_event(session, row, at, text)
    session.add(row)
    session.flush()
