"""Shares of devices that an attempt holds: taken and freed, and never more than a device has."""

from datetime import datetime

from sqlmodel import Session, col, select, update

from catalog.errors import Conflict
from catalog.inventory import Placement
from catalog.units import WHOLE
from hub.control_context import Control
from hub.store.tables import AttemptRow, DeviceRow, ShareRow


def hold(control: Control, session: Session, attempt: AttemptRow, placement: Placement) -> None:
    """Take the shares; the database refuses what would exceed a device."""
    models = {d.id: d for node in control.nodes for d in node.devices}
    for share in placement.shares:
        device = models[share.device_id]
        if session.get(DeviceRow, share.device_id) is None:
            session.add(DeviceRow(id=device.id, node=placement.node, model=device.model))
            session.flush()
        changed = session.exec(
            update(DeviceRow)
            .where(col(DeviceRow.id) == share.device_id)
            .where(col(DeviceRow.held_milli) + share.milli <= WHOLE)
            .values(held_milli=col(DeviceRow.held_milli) + share.milli)
        )
        if changed.rowcount != 1:
            raise Conflict(f"{share.device_id} has no {share.milli} milli-GPU free", next="wait")
        session.add(
            ShareRow(
                attempt_id=attempt.id, device_id=share.device_id, milli=share.milli,
                memory_mib=share.memory_mib, mode=share.mode, emulated=share.emulated,
                model=device.model, profile=share.profile, start=share.start,
            )
        )  # fmt: skip
    session.flush()


def free(session: Session, attempt: AttemptRow, now: datetime) -> None:
    """All that it still holds; again changes nothing."""
    shares = session.exec(
        select(ShareRow).where(
            ShareRow.attempt_id == attempt.id, col(ShareRow.released_at).is_(None)
        )
    ).all()
    for share in shares:
        share.released_at = now
        session.add(share)
        session.exec(
            update(DeviceRow)
            .where(col(DeviceRow.id) == share.device_id)
            .values(held_milli=col(DeviceRow.held_milli) - share.milli)
        )
