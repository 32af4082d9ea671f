"""The tree of tenants: what is wrong with one, and who has borrowed in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import BadValue
from quotas.limits import Dimension
from quotas.tree import Tenant, Tree, Use, most_guaranteed, problems

GPU, CPU = Dimension.GPU, Dimension.CPU
MAIN = Tenant("main", None, "Main")


def tenant(
    name: str, parent: str | None = "main", guaranteed: int = 0, ceiling: int = -1
) -> Tenant:
    limits = {GPU: ceiling} if ceiling >= 0 else {}
    return Tenant(name, parent, name.title(), {GPU: guaranteed} if guaranteed else {}, limits)


@pytest.mark.parametrize(
    ("tenants", "said"),
    [
        ([MAIN, Tenant("art", "main", "Art", {GPU: -1})], "Art: a guarantee of -1 GPU is negative"),
        ([MAIN, Tenant("art", "main", "Art", {}, {CPU: -5})], "Art: a limit of -5 CPU is negative"),
        (
            [MAIN, tenant("art", guaranteed=2000, ceiling=1000)],
            "Art: 2 GPUs would be guaranteed and its limit is 1 GPU",
        ),
        (
            [MAIN, tenant("art", guaranteed=1000), tenant("ink", "art", 750), tenant("oil", "art", 500)],
            "Art: the tenants below it would be guaranteed 1.25 GPU and it has 1 GPU guaranteed",
        ),
        ([MAIN, tenant("art"), tenant("ink", "art", 250)], "it has 0 GPU guaranteed itself"),
        ([MAIN, tenant("art", "law")], "Art: its parent 'law' does not exist"),
        (
            [MAIN, tenant("art", "ink"), tenant("ink", "oil"), tenant("oil", "art")],
            "Art: it would be its own parent (Art → Ink → Oil → Art)",
        ),
        ([tenant("art", "art")], "Art: it would be its own parent (Art → Art)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_next_step(tenants: list[Tenant], said: str) -> None:
    with pytest.raises(BadValue) as error:
        Tree.of(tenants)
    assert said in error.value.message
    assert error.value.next


def test_a_tree_below_a_circle_is_told_once_for_each_in_the_circle() -> None:
    found = list(problems([MAIN, tenant("a", "b"), tenant("b", "a"), tenant("c", "a")]))
    assert [p.message.split(":")[0] for p in found] == ["A", "B"]


def test_the_root_may_guarantee_what_the_site_has() -> None:
    Tree.of([MAIN, tenant("art", guaranteed=10**6), tenant("bio", guaranteed=10**6)])


def use(name: str, milli: int, *path: str) -> Use:
    return Use(name, ("person:ada", *path, "main"), {GPU: milli, CPU: 1000})


def test_what_is_above_the_guarantee_is_borrowed_the_latest_first() -> None:
    tree = Tree.of([MAIN, tenant("art", guaranteed=1000), tenant("bio")])
    uses = [use("a", 500, "art"), use("b", 750, "art"), use("c", 250, "bio"), use("d", 0, "bio")]
    borrowed = tree.borrowed(uses)
    assert borrowed == {"b": frozenset({("art", GPU)}), "c": frozenset({("bio", GPU)})}


def test_where_nobody_is_guaranteed_anything_nobody_borrows() -> None:
    tree = Tree.of([MAIN, tenant("art"), tenant("bio")])
    assert tree.borrowed([use("a", 5000, "art")]) == {}
    assert not tree.would_borrow(("person:ada", "art", "main"), {GPU: 9000}, {})
    assert Tree().borrowed([use("a", 5000, "art")]) == {}


def test_a_group_may_have_back_from_its_own_cohort_at_each_level() -> None:
    """A course within its guarantee has back from courses beside it; its department, if that is
    within its own, from departments beside it."""
    tree = Tree.of([
        MAIN, tenant("art", guaranteed=2000), tenant("bio", guaranteed=1000),
        tenant("ink", "art", 1000), tenant("oil", "art"),
    ])  # fmt: skip
    ink = ("person:ada", "ink", "art", "main")
    assert tree.may_reclaim(ink, {GPU: 500}, {}) == {("ink", GPU), ("art", GPU)}
    above = {"ink": {GPU: 750}, "art": {GPU: 750}}
    assert tree.may_reclaim(ink, {GPU: 500}, above) == {("art", GPU)}
    assert tree.may_reclaim(ink, {GPU: 500}, {"art": {GPU: 2000}}) == {("ink", GPU)}
    assert tree.may_reclaim(ink, {CPU: 500}, {}) == frozenset()
    reclaims = tree.may_reclaim(ink, {GPU: 500}, {})
    assert tree.owes(frozenset({("oil", GPU)}), reclaims)
    assert tree.owes(frozenset({("bio", GPU)}), reclaims)
    assert not tree.owes(frozenset({("bio", CPU)}), reclaims)
    assert not tree.owes(frozenset({("ink", GPU), ("art", GPU)}), reclaims), (
        "nobody robs themselves"
    )


@given(
    st.lists(st.tuples(st.sampled_from(["art", "bio"]), st.integers(1, 1000)), max_size=12),
    st.integers(0, 3000), st.integers(0, 3000),
)  # fmt: skip
def test_taking_back_leaves_everybody_what_they_are_guaranteed(
    held: list[tuple[str, int]], art: int, bio: int
) -> None:
    tree = Tree.of([MAIN, tenant("art", guaranteed=art), tenant("bio", guaranteed=bio)])
    uses = [use(f"u{n:02}", milli, name) for n, (name, milli) in enumerate(held)]
    borrowed = tree.borrowed(uses)
    for name, amount in (("art", art), ("bio", bio)):
        mine = [u for u in uses if name in u.scope_ids]
        kept = sum(u.amounts[GPU] for u in mine if u.id not in borrowed)
        used = sum(u.amounts[GPU] for u in mine)
        if art or bio:
            assert kept <= amount, "all above the guarantee is borrowed"
        if used > amount and (art or bio):
            last = max(u.id for u in mine)
            assert last in borrowed, "the last to come has borrowed"


@pytest.mark.parametrize(("own", "needed"), [(0, 1500), (4000, 4000)])
def test_a_site_needs_what_is_guaranteed_at_the_top_or_below_it(own: int, needed: int) -> None:
    """What is guaranteed further down is part of that, and nothing more."""
    root = tenant("main", None, guaranteed=own)
    below = [tenant("art", guaranteed=1000), tenant("bio", guaranteed=500)]
    tree = [root, *below, tenant("ink", "art", 750)]
    assert most_guaranteed(tree, GPU) == needed
    assert most_guaranteed(tree, CPU) == 0
