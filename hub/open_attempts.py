"""Attempts whose place is not free yet, as the reconciler looks at them: values, not rows, because
each beat reads all of them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select as columns
from sqlmodel import col

from hub import attempts
from hub.attempts import Step
from hub.control_context import Control
from hub.lifecycle import Status, Target
from hub.store.tables import AttemptRow, PersonRow, WorkloadRow


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """What it is, what its workload should be, and whose it is, as of one read."""

    id: str
    workload_id: str
    number: int
    step: str
    node: str
    lease_ends_at: datetime
    go_at: datetime | None
    launched_at: datetime | None
    ready_at: datetime | None
    status: str
    target: str
    duration_s: int
    hub_name: str

    @property
    def began(self) -> datetime:
        """When it was granted, or its turn was accepted: its lease began then."""
        return self.lease_ends_at - timedelta(seconds=self.duration_s)

    @property
    def stops(self) -> bool:
        """Whether all that is left is to take it down."""
        return self.target == Target.STOPPED or self.status == Status.STOPPING


_READ = (
    columns(
        col(AttemptRow.id), col(AttemptRow.workload_id), col(AttemptRow.number),
        col(AttemptRow.step), col(AttemptRow.node), col(AttemptRow.lease_ends_at),
        col(AttemptRow.go_at), col(AttemptRow.launched_at), col(AttemptRow.ready_at),
        col(WorkloadRow.status), col(WorkloadRow.target), col(WorkloadRow.duration_s),
        col(PersonRow.hub_name),
    )
    .where(col(AttemptRow.workload_id) == WorkloadRow.id)
    .where(col(WorkloadRow.person_id) == PersonRow.id)
    .where(col(AttemptRow.released_at).is_(None))
)  # fmt: skip


def read(control: Control) -> list[OpenAttempt]:
    """All of them now."""
    with control.store.read() as session:
        return [OpenAttempt(*found) for found in session.execute(_READ)]


def note_asked(control: Control, found: Collection[OpenAttempt]) -> list[OpenAttempt]:
    """Remember of all that start for the first time that the Hub is asked next: one transaction,
    however many begin together. Returns all as they are then."""
    first = {
        one.id
        for one in found
        if one.step == Step.GRANTED
        and one.number == 1
        and one.status == Status.STARTING
        and not one.stops
    }
    if not first:
        return list(found)
    attempts.mark_step(control, first, Step.ASKED)
    return read(control)  # it may have waited for its turn to write
