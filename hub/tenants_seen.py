"""The part of the tree that somebody may act on, as SQL: lists filter and page in the database."""

from sqlalchemy import CTE
from sqlmodel import col, select

from hub.policy import Action, Actor, allowed, require, tenant_object
from hub.store.tables import TenantRow


def roots(actor: Actor, action: Action) -> list[str]:
    """Tenants in which the actor's own role allows it, and so in all below them."""
    return sorted(t for t in actor.roles if allowed(actor, action, tenant_object((t,))))


def demand_somewhere(actor: Actor, action: Action) -> None:
    """Raise Forbidden unless the actor may do it in one of their tenants at least."""
    if not actor.platform_admin and not roots(actor, action):
        require(actor, action, tenant_object((actor.tenant_id,)))


def below(tops: list[str] | None) -> CTE:
    """Pairs (`top`, `id`): each of these tenants with itself and all below it; None is every
    tenant."""
    first = select(col(TenantRow.id).label("top"), col(TenantRow.id).label("id"))
    if tops is not None:
        first = first.where(col(TenantRow.id).in_(tops))
    tree = first.cte(recursive=True)
    step = select(tree.c.top, col(TenantRow.id)).join(tree, col(TenantRow.parent_id) == tree.c.id)
    return tree.union(step)


def seen(actor: Actor, action: Action) -> CTE:
    """The tenants on which the actor may do it, in column `id`."""
    if actor.platform_admin:
        return select(col(TenantRow.id).label("id")).cte()
    tree = below(roots(actor, action))
    return select(tree.c.id.distinct().label("id")).cte()
