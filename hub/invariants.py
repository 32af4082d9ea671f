"""What must always hold in the store, looked at as a whole; `perijove doctor` shows what does not."""

from sqlmodel import Session, col, select

from catalog.units import WHOLE
from hub.control_context import Control
from hub.store import audit, day_use, money
from hub.store.tables import AttemptRow, DeviceRow, ShareRow, TenantRow
from hub.world import Limits
from quotas import tree


def broken(control: Control) -> dict[str, list[str]]:
    """By what was looked at, everything that is wrong, in words."""
    with control.store.read() as session:
        return broken_in(session)


def broken_in(session: Session) -> dict[str, list[str]]:
    """The same, as a transaction sees it."""
    audit_line = audit.first_broken(session)
    return {
        "ledger": money.problems(session),
        "budgets": day_use.problems(session),
        "shares": shares(session),
        "tenants": tenants(session),
        "audit": [] if audit_line is None else [f"the audit was changed at line {audit_line}"],
    }


def shares(session: Session) -> list[str]:
    """Where a device says something else than the shares on it, or holds what nobody uses."""
    live = set(session.exec(select(AttemptRow.id).where(col(AttemptRow.released_at).is_(None))))
    held: dict[str, int] = {}
    found: list[str] = []
    for share in session.exec(select(ShareRow).where(col(ShareRow.released_at).is_(None))):
        held[share.device_id] = held.get(share.device_id, 0) + share.milli
        if share.attempt_id not in live:
            found.append(f"attempt {share.attempt_id} has ended and holds {share.device_id}")
    for device in session.exec(select(DeviceRow)):
        sum_ = held.pop(device.id, 0)
        if device.held_milli != sum_ or sum_ > WHOLE:
            found.append(
                f"device {device.id} says {device.held_milli} milli-GPU are held, and its shares"
                f" hold {sum_}"
            )
    return found + [f"shares are held of device {id}, which is not known" for id in sorted(held)]


def tenants(session: Session) -> list[str]:
    """What is wrong with the tree: parents that are missing, circles, guarantees above their own."""
    rows = session.exec(select(TenantRow)).all()
    found = [problem.message for problem in tree.problems(Limits(session).tenants(rows))]
    roots = [row.id for row in rows if row.parent_id is None]
    if len(roots) > 1:
        found.append(f"there are {len(roots)} tenants without a parent: {', '.join(sorted(roots))}")
    return found
