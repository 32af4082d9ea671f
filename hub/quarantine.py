"""Devices on which starts fail again and again: they offer nothing until somebody looks."""

from collections.abc import Mapping
from datetime import datetime

from sqlmodel import Session, col, select

from catalog.errors import Conflict
from hub import history
from hub.control_context import Control
from hub.lifecycle import EndReason, Status
from hub.policy import ROOT_TENANT, Actor, absent
from hub.store import audit
from hub.store.tables import AttemptRow, DeviceRow, ShareRow, WorkloadRow
from spawners.engine import EndCause

FAILURES, PERSONS = 3, 2
"""Starts that fail in a row on a device until it is put in quarantine, and of how many people."""


def quarantined(session: Session) -> Mapping[str, str]:
    """Why, by the id of each device in quarantine."""
    rows = session.exec(select(DeviceRow).where(col(DeviceRow.quarantined_at).is_not(None))).all()
    return {row.id: row.quarantine_reason for row in rows}


def start_came_up(session: Session, attempt: AttemptRow) -> None:
    """Its devices are well."""
    for device in _devices_of(session, attempt):
        device.failures = 0
        session.add(device)


def start_failed(session: Session, attempt: AttemptRow, now: datetime) -> None:
    """Count it against its devices; the third in a row puts a device in quarantine, when the starts
    of several people failed: one person may have a trouble of their own.

    Somebody whose start before failed too, on other devices, would carry it from device to device:
    that counts against nothing.
    """
    devices = _devices_of(session, attempt)
    if _carried(session, attempt, {device.id for device in devices}):
        return
    for device in devices:
        device.failures += 1
        session.add(device)
        if device.failures < FAILURES or device.quarantined_at is not None:
            continue
        if len(_persons(session, device, attempt)) >= PERSONS:
            device.quarantined_at = now
            device.quarantine_reason = f"{device.failures} starts in a row failed on it"
            history.tell_operators(
                session, now, "quarantine",
                f"Device {device.id} on node {device.node} is in quarantine:"
                f" {device.quarantine_reason}. Look at it, then run `perijove node release"
                f" {device.id}`.",
            )  # fmt: skip


def launch_failed(control: Control, attempt_id: str) -> None:
    """Its engine could not set up what it needs of its devices."""
    with control.store.write() as session:
        start_failed(session, session.get_one(AttemptRow, attempt_id), control.clock.now())


def release(control: Control, actor: Actor, device_id: str) -> str:
    """It is offered again; returns the name of its node. Raises NotFound, or Conflict when it is in no
    quarantine."""
    with control.store.write() as session:
        row = session.get(DeviceRow, device_id)
        if row is None:
            raise absent(f"device {device_id[:60]!r}")
        if row.quarantined_at is None:
            raise Conflict(
                f"device {device_id} is in no quarantine", next="see `perijove node list`"
            )
        row.failures, row.quarantined_at, row.quarantine_reason = 0, None, ""
        session.add(row)
        audit.record(
            session, control.clock.now(), actor.person_id, "release-device", device_id, ROOT_TENANT
        )
        node = row.node
    control.wake()
    return node


def _devices_of(session: Session, attempt: AttemptRow) -> list[DeviceRow]:
    return list(
        session.exec(
            select(DeviceRow)
            .join(ShareRow, col(ShareRow.device_id) == DeviceRow.id)
            .where(ShareRow.attempt_id == attempt.id)
        )
    )


def _persons(session: Session, device: DeviceRow, attempt: AttemptRow) -> set[str]:
    """Whose starts failed on it in a row, `attempt` being the last."""
    earlier = session.exec(
        select(AttemptRow.person_id)
        .join(ShareRow, col(ShareRow.attempt_id) == AttemptRow.id)
        .join(WorkloadRow, col(WorkloadRow.attempt_id) == AttemptRow.id)
        .where(ShareRow.device_id == device.id, AttemptRow.id != attempt.id)
        .where(WorkloadRow.reason_code == EndReason.START_FAILED)
        .where(WorkloadRow.status == Status.FAILED)
        .order_by(col(AttemptRow.created_at).desc())
        .limit(device.failures - 1)
    )
    return {attempt.person_id, *earlier}


def _carried(session: Session, attempt: AttemptRow, devices: set[str]) -> bool:
    """Whether this person's start before failed as well, on other devices only."""
    before = session.exec(
        select(AttemptRow)
        .where(AttemptRow.person_id == attempt.person_id, AttemptRow.id != attempt.id)
        .where(AttemptRow.gpu_milli > 0, col(AttemptRow.released_at).is_not(None))
        .order_by(col(AttemptRow.created_at).desc())
    ).first()
    if before is None or before.ready_at is not None or before.end_cause == EndCause.STOPPED:
        return False
    return not devices & {device.id for device in _devices_of(session, before)}
