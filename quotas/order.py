"""The order of the queue.

Priority class first. Within a class: who stays inside what its tenant is guaranteed goes before who
would borrow; among either, what lost its place through no fault of its own before what is new; who
used less lately before who used more, compared from the outmost tenant down to the person (see
`quotas.fairness`); then age.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from quotas.claims import Waiting
from quotas.limits import Amounts, Dimension, add_to
from quotas.tree import Tree

Standing = tuple[bool, bool, tuple[float, ...]]
"""All of an order within a class but age: borrows, is new, shares. The smaller goes first."""
Rank = tuple[int] | tuple[int, Standing] | tuple[int, Standing, datetime, str]
"""A shorter one goes before all that begin with it."""


@dataclass(frozen=True)
class Order:
    """Ranks for one moment. `used` is what each scope uses now, by its id."""

    tree: Tree
    used: Mapping[str, Amounts]
    borrowers: frozenset[str] = field(default=frozenset())
    """Those of the queue that would borrow, by id."""

    @classmethod
    def of(cls, queue: Iterable[Waiting], tree: Tree, used: Mapping[str, Amounts]) -> "Order":
        """Guarantees are given out in the order that would hold without them, so a tenant that asks
        for more than its guarantee is before the others for that part only."""
        order = cls(tree, used)
        if not tree.tenants:
            return order
        given = {scope: dict(amounts) for scope, amounts in used.items()}
        borrowers: set[str] = set()
        for waiting in sorted(queue, key=order.rank):
            wanted = waiting.wanted
            if tree.would_borrow(waiting.scope_ids, wanted, given):
                borrowers.add(waiting.id)
            else:
                for scope in waiting.scope_ids:
                    add_to(given.setdefault(scope, {}), wanted)
        return cls(tree, used, frozenset(borrowers))

    def standing(self, waiting: Waiting) -> Standing:
        return waiting.id in self.borrowers, not waiting.again, waiting.shares

    def rank(self, waiting: Waiting) -> Rank:
        return (
            waiting.ask.priority.rank, self.standing(waiting), waiting.since, waiting.id,
        )  # fmt: skip


def in_order(queue: Iterable[Waiting]) -> list[Waiting]:
    """The order where nobody is guaranteed anything."""
    return sorted(queue, key=Order(Tree(), {}).rank)


def uses_now(claims: Iterable[tuple[tuple[str, ...], Amounts]]) -> dict[str, dict[Dimension, int]]:
    """What each scope uses, by its id."""
    used: dict[str, dict[Dimension, int]] = defaultdict(dict)
    for scope_ids, amounts in claims:
        for scope in scope_ids:
            add_to(used[scope], amounts)
    return dict(used)
