"""What tenants are guaranteed: always there for them, lent to the others of their cohort meanwhile."""

from sqlmodel import Session, select

from catalog.errors import BadValue
from hub.control_context import Control
from hub.fair_share import capacity_of
from hub.policy import Action, Actor, absent, require, tenant_object
from hub.store import audit
from hub.store.tables import QuotaRow, TenantRow
from hub.world import Limits, tenant_path
from quotas.fairness import COUNTED
from quotas.limits import Dimension
from quotas.tree import most_guaranteed, problems


def guarantee(
    control: Control, actor: Actor, tenant_id: str, dimension: Dimension, amount: int
) -> None:
    """Guarantee a tenant so much of a dimension, in its base unit; 0 guarantees nothing any more.

    Raises BadValue when the tree of tenants or the site cannot keep it; then nothing has changed.
    """
    if dimension not in COUNTED:
        raise BadValue(
            f"dimension: {dimension} cannot be guaranteed",
            next=f"guarantee {', '.join(COUNTED[:-1])} or {COUNTED[-1]}",
        )
    with control.store.write() as session:
        path = tenant_path(session, tenant_id)
        require(actor, Action.SET_QUOTA, tenant_object(path))
        if session.get(TenantRow, tenant_id) is None:
            raise absent(f"tenant {tenant_id[:40]!r}")
        row = session.get(QuotaRow, (tenant_id, "", dimension.value))
        row = row or QuotaRow(tenant_id=tenant_id, person_id="", dimension=dimension.value)
        more, row.guaranteed = amount > row.guaranteed, amount
        session.add(row)
        session.flush()
        if not amount and row.limit is None:
            session.delete(row)
        demand_sound(session)
        if more:
            _demand_there(control, session, dimension)
        audit.record(
            session, control.clock.now(), actor.person_id, "guarantee", tenant_id, tenant_id,
            {"dimension": dimension, "guaranteed": amount},
        )  # fmt: skip
    control.wake()


def _demand_there(control: Control, session: Session, dimension: Dimension) -> None:
    """Raise BadValue when more is guaranteed than the site has, in service or not."""
    there = capacity_of(control.nodes)[dimension]
    promised = most_guaranteed(Limits(session).tree().tenants.values(), dimension)
    if control.nodes and promised > there:
        raise BadValue(
            f"{dimension.show(promised)} would be guaranteed and the site has"
            f" {dimension.show(there)}",
            next="guarantee less, or add a node first",
        )


def demand_sound(session: Session) -> None:
    """Raise BadValue with the first thing that is wrong with the tree of tenants."""
    rows = session.exec(select(TenantRow)).all()
    for problem in problems(Limits(session).tenants(rows)):
        raise problem
