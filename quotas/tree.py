"""The tree of tenants: what each is guaranteed, what it may hold at most, and who has borrowed.

Tenants below one parent are a cohort. What one of them does not use of its guarantee, the others
may: up to their ceilings, and until it is wanted back. What a tenant uses above its guarantee is
borrowed, in the order in which it came to hold it, so the last to borrow is the first to go.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from catalog.errors import BadValue
from quotas.limits import Amounts, Dimension


@dataclass(frozen=True, slots=True)
class Tenant:
    """A node of the tree. A dimension that is missing is not guaranteed, or has no ceiling."""

    id: str
    parent: str | None
    label: str
    guaranteed: Amounts = field(default_factory=dict[Dimension, int])
    ceiling: Amounts = field(default_factory=dict[Dimension, int])


@dataclass(frozen=True, slots=True)
class Use:
    """What somebody holds, for the tenants in `scope_ids`."""

    id: str
    scope_ids: tuple[str, ...]
    amounts: Amounts


Borrowed = frozenset[tuple[str, Dimension]]
"""What has been borrowed: the tenant that did it, and the dimension."""


@dataclass(frozen=True)
class Tree:
    """Tenants by id. An empty tree guarantees nothing to anybody, and nobody borrows."""

    tenants: Mapping[str, Tenant] = field(default_factory=dict[str, Tenant])

    @classmethod
    def of(cls, tenants: Iterable[Tenant]) -> "Tree":
        """Raises BadValue with the first thing that is wrong."""
        found = list(tenants)
        for problem in problems(found):
            raise problem
        return cls({tenant.id: tenant for tenant in found})

    def guaranteed(self, tenant_id: str, dimension: Dimension) -> int:
        tenant = self.tenants.get(tenant_id)
        return tenant.guaranteed.get(dimension, 0) if tenant else 0

    def cohort(self, tenant_id: str) -> str:
        """The parent whose tenants share their guarantees with this one; empty for none."""
        tenant = self.tenants.get(tenant_id)
        return (tenant.parent or "") if tenant else ""

    def would_borrow(
        self, scope_ids: Sequence[str], wanted: Amounts, used: Mapping[str, Amounts]
    ) -> bool:
        """Whether `wanted` more is above what any tenant of this path is guaranteed, where others
        of its cohort could want it back."""
        return any(
            used.get(tenant, {}).get(d, 0) + wanted.get(d, 0) > self.guaranteed(tenant, d)
            for tenant in scope_ids
            for d in self._lent.get(self.cohort(tenant), ())
            if wanted.get(d, 0)
        )

    def may_reclaim(
        self, scope_ids: Sequence[str], wanted: Amounts, used: Mapping[str, Amounts]
    ) -> Borrowed:
        """What this path may have back from the cohorts of these tenants of it: they stay within
        their guarantees in every dimension that they want and are guaranteed."""
        found: set[tuple[str, Dimension]] = set()
        for tenant in scope_ids:
            due = [d for d, more in wanted.items() if more and self.guaranteed(tenant, d)]
            if self.cohort(tenant) and all(
                used.get(tenant, {}).get(d, 0) + wanted[d] <= self.guaranteed(tenant, d)
                for d in due
            ):
                found |= {(tenant, d) for d in due}
        return frozenset(found)

    def borrowed(self, uses: Iterable[Use]) -> dict[str, Borrowed]:
        """What each of `uses`, in the order in which they began, has borrowed, by its id. What is
        partly above the guarantee counts as borrowed: a claim goes as a whole."""
        total: dict[str, dict[Dimension, int]] = defaultdict(dict)
        found: dict[str, Borrowed] = {}
        for use in uses:
            over: set[tuple[str, Dimension]] = set()
            for tenant in use.scope_ids:
                cohort, sums = self.cohort(tenant), total[tenant]
                for d in self._lent.get(cohort, ()):
                    more = use.amounts.get(d, 0)
                    sums[d] = sums.get(d, 0) + more
                    if more and sums[d] > self.guaranteed(tenant, d):
                        over.add((tenant, d))
            if over:
                found[use.id] = frozenset(over)
        return found

    def owes(self, borrowed: Borrowed, reclaims: Borrowed) -> bool:
        """Whether any of what is borrowed is from the cohort of somebody else who may have it
        back."""
        return any(
            d == due and tenant != other and self.cohort(tenant) == self.cohort(other)
            for tenant, d in borrowed
            for other, due in reclaims
        )

    @cached_property
    def _lent(self) -> Mapping[str, frozenset[Dimension]]:
        """By cohort: what any of its tenants is guaranteed, so that others can borrow it."""
        found: dict[str, set[Dimension]] = defaultdict(set)
        for tenant in self.tenants.values():
            if tenant.parent is not None:
                found[tenant.parent] |= {d for d, amount in tenant.guaranteed.items() if amount}
        return {cohort: frozenset(dimensions) for cohort, dimensions in found.items()}


def most_guaranteed(tenants: Iterable[Tenant], dimension: Dimension) -> int:
    """What the site needs to keep all guarantees of a sound tree at once."""
    found = list(tenants)
    top = {tenant.id: tenant.guaranteed.get(dimension, 0) for tenant in found if not tenant.parent}
    below = dict.fromkeys(top, 0)
    for tenant in found:
        if tenant.parent in below:
            below[tenant.parent] += tenant.guaranteed.get(dimension, 0)
    return sum(max(own, below[root]) for root, own in top.items())


def problems(tenants: Sequence[Tenant]) -> Iterator[BadValue]:
    """Everything that is wrong with a tree, each with the next step."""
    by_id = {tenant.id: tenant for tenant in tenants}
    for tenant in tenants:
        yield from _amounts_wrong(tenant)
        if tenant.parent is not None and tenant.parent not in by_id:
            yield BadValue(
                f"{tenant.label}: its parent {tenant.parent!r} does not exist",
                next="make the parent first, or choose another",
            )
        elif circle := _circle(tenant, by_id):
            yield BadValue(
                f"{tenant.label}: it would be its own parent ({' → '.join(circle)})",
                next="choose a parent that is not below it",
            )
    for tenant in tenants:
        if tenant.parent is not None:
            yield from _promised_twice(tenant, [t for t in tenants if t.parent == tenant.id])


def _amounts_wrong(tenant: Tenant) -> Iterator[BadValue]:
    for name, amounts in (("guarantee", tenant.guaranteed), ("limit", tenant.ceiling)):
        for dimension, amount in amounts.items():
            if amount < 0:
                yield BadValue(
                    f"{tenant.label}: a {name} of {amount} {dimension.label} is negative",
                    next="use 0 or more",
                )
    for dimension, amount in tenant.guaranteed.items():
        most = tenant.ceiling.get(dimension)
        if most is not None and amount > most:
            yield BadValue(
                f"{tenant.label}: {dimension.show(amount)} would be guaranteed and its limit is"
                f" {dimension.show(most)}",
                next="raise the limit first, or guarantee less",
            )


def _promised_twice(parent: Tenant, children: Sequence[Tenant]) -> Iterator[BadValue]:
    """The root may guarantee what the site has; every other only what it is guaranteed itself."""
    for dimension in Dimension:
        promised = sum(max(0, child.guaranteed.get(dimension, 0)) for child in children)
        own = parent.guaranteed.get(dimension, 0)
        if promised > own:
            yield BadValue(
                f"{parent.label}: the tenants below it would be guaranteed"
                f" {dimension.show(promised)} and it has {dimension.show(own)} guaranteed itself",
                next=f"raise the guarantee of {parent.label} first, or guarantee less",
            )


def _circle(tenant: Tenant, by_id: Mapping[str, Tenant]) -> list[str]:
    """The way from a tenant up to itself; empty when it ends at a root."""
    path, current = [tenant.label], tenant.parent
    seen: set[str] = set()
    while current is not None and current in by_id and current not in seen:
        path.append(by_id[current].label)
        if current == tenant.id:
            return path
        seen.add(current)
        current = by_id[current].parent
    return []
