"""What tenants hold, and what of it is borrowed: small sites by hand, and sums on any."""

from hypothesis import given
from hypothesis import strategies as st

from quotas.claims import Claim, World
from quotas.holdings import borrowers, holdings
from quotas.limits import Dimension
from quotas.tree import Tenant, Tree
from tests.unit.quotas.worlds import ROOT, gpu, path, running, site


def tree(**guaranteed: int) -> Tree:
    tenants = [Tenant(ROOT, None, "Main", {Dimension.GPU: 4000}, {Dimension.GPU: 8000})]
    tenants += [
        Tenant(f"tenant:{name}", ROOT, name.title(), {Dimension.GPU: amount} if amount else {})
        for name, amount in guaranteed.items()
    ]
    return Tree({tenant.id: tenant for tenant in tenants})


def world(guaranteed: dict[str, int], *held: tuple[str, int]) -> World:
    """Tenants' guarantees, and who holds how much, in the order in which they began."""
    capacity = site(4, 4)
    free, claims = capacity, list[Claim]()
    for number, (tenant, milli) in enumerate(held):
        claim, free = running(f"c{number}", gpu(milli), free, path(f"p{number}", tenant))
        claims.append(claim)
    return World(capacity, tuple(claims), tree=tree(**guaranteed))


def gpus(world: World) -> dict[str, tuple[int, int, int]]:
    return {
        one.tenant.id.removeprefix("tenant:"): (one.used, one.guaranteed, one.borrowed)
        for one in holdings(world)
        if one.dimension is Dimension.GPU
    }


def test_what_is_above_a_guarantee_is_borrowed_where_others_are_guaranteed_some() -> None:
    found = world({"art": 1000, "bio": 2000}, ("art", 500), ("art", 1000), ("bio", 250))
    assert gpus(found) == {
        "main": (1750, 4000, 0), "art": (1500, 1000, 500), "bio": (250, 2000, 0),
    }  # fmt: skip
    assert len(borrowers(found)) == 1


def test_without_a_guarantee_of_others_nothing_is_borrowed() -> None:
    found = world({"art": 1000, "bio": 0}, ("art", 1000), ("art", 1000))
    assert gpus(found)["art"] == (2000, 1000, 0)
    assert borrowers(found) == frozenset()


def test_who_has_no_guarantee_borrows_all_of_it() -> None:
    found = world({"art": 1000, "bio": 0}, ("bio", 250), ("bio", 500))
    assert gpus(found)["bio"] == (750, 0, 750)
    assert borrowers(found) == {"c0", "c1"}


def test_a_limit_is_told() -> None:
    limits = {one.tenant.id: one.ceiling for one in holdings(world({"art": 0}))}
    assert limits == {ROOT: None, "tenant:art": None}  # the last dimension: memory has no limit
    of_gpu = [one.ceiling for one in holdings(world({})) if one.dimension is Dimension.GPU]
    assert of_gpu == [8000]


@given(st.lists(st.tuples(st.sampled_from(["art", "bio"]), st.sampled_from([250, 500, 1000])),
                max_size=8))  # fmt: skip
def test_sums_of_those_below_are_the_parents(held: list[tuple[str, int]]) -> None:
    found = gpus(world({"art": 500, "bio": 1000}, *held))
    assert found["main"][0] == found["art"][0] + found["bio"][0] == sum(m for _, m in held)
    for used, guaranteed, borrowed in found.values():
        assert borrowed in {0, max(0, used - guaranteed)}
