"""Which instances a device may be cut into by MIG, and where each may begin.

A device has eight memory slices and seven compute slices. An instance takes neighbouring memory
slices, from one of the starts that the driver allows for its profile; instances may stand side by
side where their memory slices do not overlap (their compute slices then never do). Source: NVIDIA
Multi-Instance GPU User Guide, "Supported MIG Profiles" and the output of ``nvidia-smi mig -lgip``
and ``-lgipp``; profiles with media extensions (``+me``) are left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from catalog.errors import BadValue
from catalog.inventory import MIG_SLICES
from catalog.units import WHOLE, format_bytes

_FULL = (1 << MIG_SLICES) - 1
_SHAPES = (
    # compute slices, memory slices, starts
    (1, 1, (0, 1, 2, 3, 4, 5, 6)),
    (1, 2, (0, 2, 4, 6)),
    (2, 2, (0, 2, 4)),
    (3, 4, (0, 4)),
    (4, 4, (0,)),
    (7, 8, (0,)),
)
_KINDS: tuple[tuple[tuple[str, ...], int, tuple[int, int, int, int]], ...] = (
    # models, GiB that the driver reports (rounded), GB in the names of 1, 2, 4 and 8 memory slices
    (("A100", "A800"), 40, (5, 10, 20, 40)),
    (("A100", "A800", "H100", "H800"), 80, (10, 20, 40, 80)),
    (("H100",), 94, (12, 24, 47, 94)),
    (("H100", "GH200", "H20"), 96, (12, 24, 48, 96)),
    (("H200", "GH200"), 141, (18, 35, 71, 141)),
    (("B200",), 180, (23, 45, 90, 180)),
    (("GB200",), 186, (23, 47, 93, 186)),
)
_TOLERANCE = 0.06
"""What the driver keeps for itself makes a device report less than its name says."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of instance: ``2g.35gb`` has 2 compute slices and, here, 2 memory slices."""

    name: str
    compute: int
    slices: int
    starts: tuple[int, ...]

    @property
    def milli(self) -> int:
        """What it counts of its device, by memory."""
        return WHOLE * self.slices // MIG_SLICES

    def bits(self, start: int) -> int:
        """The memory slices that it takes from `start` on."""
        return ((1 << self.slices) - 1) << start


@dataclass(frozen=True, slots=True)
class Instance:
    """A profile and its first memory slice."""

    profile: Profile
    start: int

    @property
    def bits(self) -> int:
        return self.profile.bits(self.start)


@cache
def profiles_of(model: str, memory_mib: int) -> tuple[Profile, ...]:
    """The profiles of a device, the smallest first; none where MIG does not know it."""
    words = set(model.upper().replace("-", " ").split())
    off = {
        abs(memory_mib / 1024 - gib) / gib: sizes
        for models, gib, sizes in _KINDS
        if not words.isdisjoint(models)
    }
    nearest = min(off, default=1.0)
    if nearest > _TOLERANCE:
        return ()
    size: dict[int, int] = dict(zip((1, 2, 4, 8), off[nearest], strict=True))
    return tuple(
        Profile(f"{compute}g.{size[slices]}gb", compute, slices, starts)
        for compute, slices, starts in _SHAPES
    )


def demand_profiles(model: str, memory_mib: int) -> tuple[Profile, ...]:
    """As `profiles_of`. Raises BadValue for a device that MIG cannot cut."""
    found = profiles_of(model, memory_mib)
    if not found:
        known = ", ".join(sorted({name for names, _, _ in _KINDS for name in names}))
        raise BadValue(
            f"{model} with {format_bytes(memory_mib << 20)} has no MIG profiles that are known here",
            next=f"share it another way; MIG is known for {known}, with the memory they are sold with",
        )
    return found


def smallest(profiles: Sequence[Profile], milli: int) -> tuple[Profile, ...]:
    """The profiles with the fewest memory slices that hold `milli`, the most compute first."""
    holding = [profile for profile in profiles if profile.milli >= milli]
    fewest = min((profile.slices for profile in holding), default=0)
    same = [profile for profile in holding if profile.slices == fewest]
    return tuple(sorted(same, key=lambda profile: -profile.compute))


def instance(profiles: Sequence[Profile], taken: int, milli: int) -> Instance | None:
    """The instance to make for a share of `milli` where the slices `taken` (bits) are in use: of the
    smallest, the one with the most compute, where it leaves the most ways to place further ones."""
    return _instance(tuple(profiles), taken, milli)


@cache
def _instance(profiles: tuple[Profile, ...], taken: int, milli: int) -> Instance | None:
    fitting = [
        Instance(profile, start)
        for profile in smallest(profiles, milli)
        for start in profile.starts
        if not profile.bits(start) & taken
    ]
    if not fitting:
        return None
    return max(
        fitting,
        key=lambda one: (one.profile.compute, ways(profiles, taken | one.bits), -one.start),
    )


@cache
def ways(profiles: tuple[Profile, ...], taken: int) -> int:
    """In how many memory slices further instances could still be placed, each profile and start
    counted: what fragmentation costs."""
    return sum(
        profile.slices
        for profile in profiles
        for start in profile.starts
        if not profile.bits(start) & taken
    )


def demand_layout(model: str, memory_mib: int, layout: Iterable[tuple[str, int]]) -> int:
    """Check instances as ``(profile name, start)`` that are to stand on one device, and return the
    memory slices they take, as bits. Raises BadValue naming what is impossible."""
    by_name = {profile.name: profile for profile in demand_profiles(model, memory_mib)}
    taken = 0
    for name, start in layout:
        profile = by_name.get(name)
        if profile is None:
            raise BadValue(f"{model} has no MIG profile {name!r}", next="use " + ", ".join(by_name))
        if start not in profile.starts:
            raise BadValue(
                f"a MIG instance {name} cannot begin at memory slice {start} of {model}",
                next="let it begin at " + ", ".join(map(str, profile.starts)),
            )
        if taken & profile.bits(start):
            raise BadValue(
                f"a MIG instance {name} at memory slice {start} overlaps another one",
                next=f"{model} has {MIG_SLICES} memory slices, and each belongs to one instance",
            )
        taken |= profile.bits(start)
    return taken & _FULL
