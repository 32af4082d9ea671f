"""What is free on a node is worth what can still be made of it.

The worth of a node's free part, in milli-GPU, is a sum of few terms, each a table that is worked out
once for a mix of asks and looked up ever after:

- *remainder*: what the free part of each device can still hold, priced by the duals of a linear
  program over the ways to fill a device (Gilmore and Gomory, "A Linear Programming Approach to the
  Cutting-Stock Problem", 1961): a rest that scarce small asks must fill is worth less than its size;
- *chance*: the rest itself, times the part of asks that would fit into it: what the next ask to come
  could use (FGD's measure, for one device);
- *whole*: a little more for a device that is wholly free, which only such asks can have as want it;
- *scarcity*: a price on kinds of device that many asks insist on ("this model or nothing");
- *stranded*: less for free GPU that the node's free cpu cannot serve, averaged over the mix;
- *together*: more for wholly free devices side by side, where asks for several at once would fit;
  much more when few such places are left, measured by how much of all GPU such asks are expected to
  hold, than when there are many.

A placement goes where it lowers the worth least. That is the idea of "Beware of Fragmentation:
Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent" (USENIX ATC 2023), whose
measure of fragmentation these terms replace. `docs/placement.md` says what each is worth.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.patterns import prices
from catalog.units import WHOLE

GRAIN = 16
"""Worth is kept in sixteenths of a milli-GPU: whole numbers, the same on every machine."""
RATIO = 8
"""Cpu per GPU is looked up in eighths of a milli-core per milli-GPU."""
SHARE = 1024
"""The stranded share of a node's free GPU is kept in 1024ths."""
CPU_STEP = 1000
"""Free cpu is rounded down to cores where whole devices are counted together."""

Table = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Want:
    """A typical ask, seen from a fleet: `count` shares of ``milli[kind]`` each (0: such a device
    never does), with `weight` for how often it comes."""

    cpu_milli: int
    count: int
    milli: tuple[int, ...]
    weight: float

    @property
    def size(self) -> int:
        """Milli-GPU of one such ask, on the kind where it takes the most."""
        return self.count * max(self.milli, default=0)


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each term counts; 0 leaves it out. `reach` is the part of an ask's cpu that counts
    as needed: asks that need less than the average fill what is left. `spare` says when places for asks of
    several devices are few: when what is left is less than `spare` of what such asks are expected to hold."""

    remainder: float = 0.85
    chance: float = 0.07
    whole: float = 57.0
    scarcity: float = 0.7
    stranded: float = 1.5
    reach: float = 0.72
    together: float = 4.0
    spare: float = 0.4


@dataclass(frozen=True, slots=True)
class Worth:
    """The tables, in `GRAIN`: `device[kind, free milli]`; `stranded[kind, cpu per GPU]` in
    `SHARE`; `together[kind, whole devices, cores]`. All-zero tables mean that nothing is known.
    `several` is the part of all GPU asked for that asks for several devices are expected to hold."""

    device: Table
    stranded: Table
    together: Table
    several: float

    @classmethod
    def of(
        cls,
        wants: Sequence[Want],
        supply: Sequence[int],
        most_devices: int = 8,
        most_cpu: int = 0,
        weights: Weights | None = None,
    ) -> "Worth":
        """`supply` is how many devices there are of each kind."""
        chosen = weights or Weights()
        gpu = [want for want in wants if want.count and any(want.milli) and want.weight > 0]
        return cls(
            _device(gpu, supply, chosen),
            _stranded(gpu, len(supply), chosen),
            _together(gpu, len(supply), most_devices, most_cpu // CPU_STEP, chosen),
            _several(gpu),
        )


def scarcity(wants: Sequence[Want], supply: Sequence[int]) -> NDArray[np.float64]:
    """How contested each kind is, from 0: each ask presses on all kinds that would do for it, in
    parts of their devices; the least contested kind is the yardstick."""
    press = np.zeros(len(supply))
    total = sum(want.weight * want.size for want in wants)
    held = np.asarray(supply, dtype=np.float64)
    for want in wants:
        does = np.asarray(want.milli) > 0
        room = float(held[does].sum())
        if room:
            press[does] += want.weight * want.size * held.sum() / (total * room)
    there = held > 0
    return press - (press[there].min() if there.any() else 0.0)


def _device(wants: Sequence[Want], supply: Sequence[int], weights: Weights) -> Table:
    worth = np.zeros((len(supply) + 1, WHOLE + 1))
    if wants and sum(supply):
        left = np.arange(WHOLE + 1)
        shapes = [(want.count, want.milli, want.weight) for want in wants]
        worth[:-1] = weights.remainder * prices(shapes, supply)
        worth[:-1] += weights.chance * _chance(wants, len(supply)) * left
        worth[:-1] += weights.scarcity * scarcity(wants, supply)[:, None] * left
        worth[:-1, WHOLE] += weights.whole
    return np.rint(worth * GRAIN).astype(np.int64)


def _chance(wants: Sequence[Want], kinds: int) -> NDArray[np.float64]:
    """``[kind, free milli]``: the part of asks that one device with so much free would do for."""
    fits = np.zeros((kinds, WHOLE + 1))
    for want in wants:
        for kind, milli in enumerate(want.milli):
            if want.count == 1 and milli:
                fits[kind, milli:] += want.weight
    return fits / sum(want.weight for want in wants)


def _stranded(wants: Sequence[Want], kinds: int, weights: Weights) -> Table:
    needs = [weights.reach * want.cpu_milli / want.size for want in wants]
    steps = min(int(max(needs, default=0) * RATIO) + 2, 4096)
    ratio = np.arange(steps) / RATIO
    short = np.zeros((kinds + 1, steps))
    for kind in range(kinds):
        total = sum(want.weight * want.size for want in wants if want.milli[kind])
        for want, need in zip(wants, needs, strict=True):
            if want.milli[kind] and need:
                part = want.weight * want.size / total
                short[kind] += part * np.maximum(0.0, 1.0 - ratio / need)
    short[:, -1] = 0.0
    return np.rint(short * weights.stranded * SHARE * GRAIN).astype(np.int64)


def _several(wants: Sequence[Want]) -> float:
    total = sum(want.weight * want.size for want in wants)
    held = sum(want.weight * want.size for want in wants if want.count > 1)
    return held / total if total else 0.0


def _together(
    wants: Sequence[Want], kinds: int, devices: int, cores: int, weights: Weights
) -> Table:
    worth = np.zeros((kinds + 1, devices + 1, cores + 1))
    total = sum(want.weight * want.size for want in wants) / WHOLE
    whole = np.arange(devices + 1)[:, None]
    core = np.arange(cores + 1)[None, :] * CPU_STEP
    several: defaultdict[tuple[int, int, tuple[int, ...]], float] = defaultdict(float)
    for want in wants:
        if want.count > 1:
            several[want.count, want.cpu_milli, want.milli] += want.weight
    for (count, cpu, milli), weight in several.items():
        copies = np.minimum(whole // count, core // cpu if cpu else whole)
        for kind in range(kinds):
            if milli[kind]:
                worth[kind] += weight * count * milli[kind] * count / total * copies
    return np.rint(worth * weights.together * GRAIN).astype(np.int64)
