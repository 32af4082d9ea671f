"""What failed below an attempt: a device, or a node."""

from dataclasses import replace

from sqlmodel import Session, col, func, select

from hub.control_context import Control
from hub.endings import FAULTS
from hub.store.tables import AttemptRow, ShareRow
from spawners.engine import EndCause, Exit


def as_seen_below(control: Control, session: Session, attempt: AttemptRow, exit_: Exit) -> Exit:
    """An end by itself on a device that fails is the device's."""
    if exit_.cause not in {EndCause.EXITED, EndCause.LOST} or exit_.exit_code == 0:
        return exit_
    for share in session.exec(select(ShareRow).where(ShareRow.attempt_id == attempt.id)):
        if failing := control.sight.failing.get(share.device_id):
            attempt.go_at = attempt.go_at or failing.since
            message = f"a device below it failed: {failing.reason}"
            return replace(exit_, cause=EndCause.DEVICE_FAILED, message=message)
    return exit_


def before(session: Session, attempt: AttemptRow) -> int:
    """How many earlier attempts of its workload ended by a fault below them."""
    return session.exec(
        select(func.count())
        .select_from(AttemptRow)
        .where(AttemptRow.workload_id == attempt.workload_id, AttemptRow.id != attempt.id)
        .where(col(AttemptRow.go_reason).in_(FAULTS))
    ).one()
