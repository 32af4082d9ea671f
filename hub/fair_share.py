"""What everybody has lately used, from the record of attempts.

Rows keep what had been used when they were last folded; what came since is read from the attempts
themselves. So nothing has to be written when an attempt ends, folding twice changes nothing, and a
crash forgets nothing.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import select as columns
from sqlmodel import Session, col, delete, or_, select

from catalog.inventory import Node
from catalog.units import WHOLE
from hub.control_context import Control
from hub.store.tables import AttemptRow, RecentUseRow
from hub.tenant_paths import TenantPaths
from quotas.fairness import faded, share, used_by_now
from quotas.limits import Dimension

FOLD_EVERY = timedelta(minutes=10)
FOLDED = "folded"
"""The scope of the one row that says until when everything is in the rows."""
NOTHING = 1e-6
"""What faded below this part of what it counts in is forgotten."""
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
Used = dict[str, dict[Dimension, float]]
"""By scope id: base units × seconds, faded to now."""


def keep(control: Control) -> None:
    """Fold what has been used into the rows, now and then; safe to repeat at any time."""
    now = control.clock.now()
    with control.store.read() as session:
        if now - _folded_at(session) < FOLD_EVERY:
            return
    with control.store.write() as session:
        fold(session, now, control.settings.half_life_span)


def fold(session: Session, now: datetime, half_life: timedelta) -> None:
    """Bring the rows up to `now`. A clock that went back folds nothing until it has caught up."""
    if now <= _folded_at(session):
        return
    used = read(session, now, half_life)
    session.exec(delete(RecentUseRow))
    for scope_id, amounts in used.items():
        for dimension, amount in amounts.items():
            if amount > NOTHING:
                session.add(
                    RecentUseRow(
                        scope_id=scope_id, dimension=dimension.value, amount=amount, at=now
                    )
                )  # fmt: skip
    session.add(RecentUseRow(scope_id=FOLDED, dimension=FOLDED, at=now))
    session.flush()


def read(session: Session, now: datetime, half_life: timedelta) -> Used:
    """What each person and tenant has used by `now`, running attempts included."""
    used: Used = defaultdict(lambda: defaultdict(float))
    for row in session.exec(select(RecentUseRow).where(RecentUseRow.scope_id != FOLDED)):
        fresh = faded(row.amount, now - row.at, half_life)
        used[row.scope_id][Dimension(row.dimension)] += fresh
    since, paths = _folded_at(session), TenantPaths(session)
    attempts = session.execute(
        _AT_WORK.where(
            or_(col(AttemptRow.released_at).is_(None), col(AttemptRow.released_at) > since)
        )
    )
    for attempt in attempts:
        begun, ended = max(attempt.created_at, since), min(attempt.released_at or now, now)
        seconds = used_by_now(1.0, begun, ended, now, half_life)
        for scope_id in _scopes(attempt.tenant_id, attempt.person_id, paths):
            amounts = used[scope_id]
            amounts[Dimension.GPU] += seconds * attempt.gpu_milli
            amounts[Dimension.CPU] += seconds * attempt.cpu_milli
            amounts[Dimension.MEMORY] += seconds * attempt.memory_bytes
    return used


_AT_WORK = columns(
    col(AttemptRow.tenant_id), col(AttemptRow.person_id), col(AttemptRow.created_at),
    col(AttemptRow.released_at), col(AttemptRow.gpu_milli), col(AttemptRow.cpu_milli),
    col(AttemptRow.memory_bytes),
)  # fmt: skip
"""All that counts of an attempt: rows would take longer to make than to add up."""


def shares(control: Control, session: Session) -> dict[str, float]:
    """The part of the site that each person and tenant has lately used, by scope id."""
    half_life = control.settings.half_life_span
    capacity = capacity_of(control.nodes)
    used = read(session, control.clock.now(), half_life)
    return {scope_id: share(amounts, capacity, half_life) for scope_id, amounts in used.items()}


def capacity_of(nodes: Iterable[Node]) -> dict[Dimension, int]:
    """All that there is, in service or not: a drain changes nobody's share."""
    nodes = list(nodes)
    return {
        Dimension.GPU: sum(WHOLE * len(node.devices) for node in nodes),
        Dimension.CPU: sum(node.cpu_milli for node in nodes),
        Dimension.MEMORY: sum(node.memory_bytes for node in nodes),
    }


def _folded_at(session: Session) -> datetime:
    row = session.get(RecentUseRow, (FOLDED, FOLDED))
    return BEGINNING if row is None else row.at


def _scopes(tenant_id: str, person_id: str, paths: TenantPaths) -> list[str]:
    person = paths.person_scope(tenant_id, person_id)
    return [person, *(f"tenant:{tenant}" for tenant in paths.of(tenant_id))]
