"""What each tenant holds now: of its guarantee, of its limit, and how much of it is borrowed."""

from collections import defaultdict
from dataclasses import dataclass

from quotas.claims import World
from quotas.fairness import COUNTED
from quotas.limits import Dimension, use_of
from quotas.tree import Tenant, Use


@dataclass(frozen=True, slots=True)
class Holding:
    """What the people of a tenant and of those below it hold in one dimension, in its base unit.

    `ceiling` None is no limit. `borrowed` is what is above the guarantee where others of its cohort
    are guaranteed something, so that it may have to go back.
    """

    tenant: Tenant
    dimension: Dimension
    used: int
    guaranteed: int
    ceiling: int | None
    borrowed: int


def holdings(world: World) -> list[Holding]:
    """Of every tenant, in each dimension of capacity."""
    used: dict[str, dict[Dimension, int]] = defaultdict(dict)
    for claim in world.running:
        for scope in claim.scope_ids:
            for dimension, amount in use_of(claim.ask, claim.placement).items():
                used[scope][dimension] = used[scope].get(dimension, 0) + amount
    return [
        _holding(world, tenant, dimension, used[tenant.id].get(dimension, 0))
        for tenant in world.tree.tenants.values()
        for dimension in COUNTED
    ]


def _holding(world: World, tenant: Tenant, dimension: Dimension, used: int) -> Holding:
    guaranteed = tenant.guaranteed.get(dimension, 0)
    borrowed = max(0, used - guaranteed) if _is_lent(world, tenant.id, dimension) else 0
    ceiling = tenant.ceiling.get(dimension)
    return Holding(tenant, dimension, used, guaranteed, ceiling, borrowed)


def borrowers(world: World) -> frozenset[str]:
    """Ids of the claims that use what another tenant is guaranteed: they may have to go."""
    begun = [(claim.since, claim) for claim in world.running if claim.since and not claim.going]
    begun.sort(key=lambda pair: (pair[0], pair[1].id))
    found = world.tree.borrowed(
        Use(claim.id, claim.scope_ids, use_of(claim.ask, claim.placement)) for _, claim in begun
    )
    return frozenset(
        claim
        for claim, borrowed in found.items()
        if any(_is_lent(world, tenant, dimension) for tenant, dimension in borrowed)
    )


def _is_lent(world: World, tenant_id: str, dimension: Dimension) -> bool:
    """Whether another tenant of the cohort is guaranteed some of it, and may want it back."""
    tree = world.tree
    cohort = tree.cohort(tenant_id)
    return bool(cohort) and any(
        tree.guaranteed(other, dimension)
        for other in tree.tenants
        if other != tenant_id and tree.cohort(other) == cohort
    )
