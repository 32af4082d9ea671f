"""What tenants are guaranteed: always there for them, lent to the others of their cohort meanwhile."""

from collections.abc import Iterable

from sqlmodel import Session, select

from catalog.errors import BadValue
from hub.control_context import Control
from hub.fair_share import capacity_of
from hub.store.tables import TenantRow
from hub.world import Limits
from quotas.limits import Dimension
from quotas.tree import Tenant, most_guaranteed, problems


def demand_there(control: Control, session: Session, dimension: Dimension) -> None:
    """Raise BadValue when more is guaranteed than the site has, in service or not."""
    problem = more_than_there_is(control, Limits(session).tree().tenants.values(), dimension)
    if problem is not None:
        raise problem


def more_than_there_is(
    control: Control, tenants: Iterable[Tenant], dimension: Dimension
) -> BadValue | None:
    """Why the site could not keep all these guarantees at once; None when it can."""
    there = capacity_of(control.nodes)[dimension]
    promised = most_guaranteed(tenants, dimension)
    if not control.nodes or promised <= there:
        return None
    return BadValue(
        f"{dimension.show(promised)} would be guaranteed and the site has {dimension.show(there)}",
        next="guarantee less, or add a node first",
    )


def demand_sound(session: Session) -> None:
    """Raise BadValue with the first thing that is wrong with the tree of tenants."""
    rows = session.exec(select(TenantRow)).all()
    for problem in problems(Limits(session).tenants(rows)):
        raise problem
