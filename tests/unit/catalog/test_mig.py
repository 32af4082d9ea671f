"""MIG: only what the driver allows, as many instances as fit, mistakes named."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.asks import Ask
from catalog.errors import BadValue
from catalog.inventory import Capacity, Device, Mode, Node, Placement, Share, Vendor
from catalog.mig import Instance, demand_layout, instance, profiles_of, smallest
from catalog.placement import BestFit, NoRoom
from catalog.units import GIB

H200 = profiles_of("H200", 143_771)
NAMES = {
    ("A100-SXM4-40GB", 40_960): "1g.5gb 1g.10gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb",
    ("A100-SXM4-80GB", 81_920): "1g.10gb 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb",
    ("H100 80GB HBM3", 81_559): "1g.10gb 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb",
    ("H100 NVL", 95_830): "1g.12gb 1g.24gb 2g.24gb 3g.47gb 4g.47gb 7g.94gb",
    ("GH200 480GB", 97_871): "1g.12gb 1g.24gb 2g.24gb 3g.48gb 4g.48gb 7g.96gb",
    ("H200", 143_771): "1g.18gb 1g.35gb 2g.35gb 3g.71gb 4g.71gb 7g.141gb",
    ("B200", 183_359): "1g.23gb 1g.45gb 2g.45gb 3g.90gb 4g.90gb 7g.180gb",
    ("GB200", 189_471): "1g.23gb 1g.47gb 2g.47gb 3g.93gb 4g.93gb 7g.186gb",
}


@pytest.mark.parametrize("device", NAMES, ids=lambda one: one[0])
def test_the_profiles_are_named_as_the_driver_names_them(device: tuple[str, int]) -> None:
    assert " ".join(profile.name for profile in profiles_of(*device)) == NAMES[device]


@pytest.mark.parametrize("device", [("T4", 16_384), ("H200", 24_576), ("AH100X", 81_920)])
def test_what_mig_does_not_know_is_refused(device: tuple[str, int]) -> None:
    assert profiles_of(*device) == ()
    with pytest.raises(BadValue, match="has no MIG profiles"):
        demand_layout(*device, [])


def every_legal_set() -> set[tuple[tuple[str, int], ...]]:
    """All sets of instances without overlap, from the starts alone."""
    ones = [Instance(profile, start) for profile in H200 for start in profile.starts]
    found: set[tuple[tuple[str, int], ...]] = set()
    for size in range(8):
        for some in combinations(ones, size):
            slices = [at for one in some for at in range(one.start, one.start + one.profile.slices)]
            if len(slices) == len(set(slices)):
                found.add(tuple(sorted((one.profile.name, one.start) for one in some)))
    return found


def test_no_legal_set_needs_more_than_seven_compute_slices() -> None:
    compute = {profile.name: profile.compute for profile in H200}
    sets = every_legal_set()
    assert max(sum(compute[name] for name, _ in some) for some in sets) == 7
    for some in sets:
        assert demand_layout("H200", 143_771, some).bit_count() <= 8


@given(st.integers(0, 255), st.integers(1, 1000))
def test_an_instance_holds_what_was_asked_and_overlaps_nothing(taken: int, milli: int) -> None:
    made = instance(H200, taken, milli)
    possible = [p for p in smallest(H200, milli) for s in p.starts if not p.bits(s) & taken]
    assert (made is None) == (not possible)
    if made is not None:
        assert made.profile.milli >= milli
        assert made.start in made.profile.starts
        assert not made.bits & taken
        assert all(p.milli < milli or p.slices >= made.profile.slices for p in H200)


def node() -> Node:
    device = Device("GPU-1", Vendor.NVIDIA, "H200", 143_771, sharing=Mode.MIG)
    return Node("here", 64_000, 256 * GIB, (device,))


def fill(*millis: int) -> tuple[list[Share], Capacity]:
    capacity, shares = Capacity.of([node()]), list[Share]()
    for milli in millis:
        place = BestFit().place(Ask(500, GIB, milli), capacity)
        assert isinstance(place, Placement), milli
        shares += place.shares
        capacity = capacity.take(place)
    return shares, capacity


@pytest.mark.parametrize(
    "millis",
    [[125] * 7, [250] * 4, [500] * 2, [1000], [125, 125, 500, 125], [250, 500, 250],
     [300, 125, 125, 125], [125, 250, 125, 250]],
    ids=str,
)  # fmt: skip
def test_a_device_is_filled_to_the_last_instance(millis: list[int]) -> None:
    shares, _ = fill(*millis)
    demand_layout("H200", 143_771, [(share.profile, share.start) for share in shares])
    assert all(share.milli >= milli for share, milli in zip(shares, millis, strict=True))
    assert {share.mode for share in shares} == {Mode.MIG}


def test_an_eighth_instance_has_no_compute_left() -> None:
    _, capacity = fill(*[125] * 7)
    place = BestFit().place(Ask(500, GIB, 125), capacity)
    assert isinstance(place, NoRoom)
    assert place.ever
    assert "memory slices" in place.text


def test_memory_is_asked_for_in_instances_too() -> None:
    place = BestFit().place(Ask(500, GIB, gpu_memory_mib=40_000), Capacity.of([node()]))
    assert isinstance(place, Placement)
    (share,) = place.shares
    assert (share.milli, share.profile) in {(500, "4g.71gb"), (500, "3g.71gb")}
    assert share.memory_mib >= 40_000


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ([("3g.40gb", 0)], "H200 has no MIG profile '3g.40gb'"),
        ([("3g.71gb", 2)], "cannot begin at memory slice 2"),
        ([("4g.71gb", 4)], "cannot begin at memory slice 4"),
        ([("3g.71gb", 0), ("1g.18gb", 3)], "overlaps another one"),
        ([("7g.141gb", 0), ("1g.18gb", 6)], "overlaps another one"),
    ],
)
def test_impossible_geometry_is_named(layout: list[tuple[str, int]], said: str) -> None:
    with pytest.raises(BadValue) as caught:
        demand_layout("H200", 143_771, layout)
    assert said in caught.value.message
    assert caught.value.next
