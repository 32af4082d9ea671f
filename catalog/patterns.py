"""Prices of what is left of a device, by a small linear program.

Devices are filled by patterns: sets of shares that fit on one device. The program fills the supply
of each kind so that the most GPU is used by one round of the mix, sized to the supply. Its dual
prices say what one more piece of a size would be worth; the price of a rest is the dearest pattern
that fits into it. Patterns are found as they are needed (column generation; Gilmore and Gomory,
1961).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

import highspy
import numpy as np
from numpy.typing import NDArray

from catalog.units import WHOLE

STEP = 10
"""Sizes are rounded up to hundredths of a device."""
_ROUNDS = 40
_CELLS = WHOLE // STEP

Shape = tuple[int, tuple[int, ...], float]
"""How many shares, how large on each kind (0: never), how often."""


def prices(shapes: Sequence[Shape], supply: Sequence[int]) -> NDArray[np.float64]:
    """``[kind, free milli]`` → milli-GPU, for one round of the mix that asks for all of `supply`.
    Never falls with the free part; 0 where nothing fits."""
    kinds = [kind for kind, held in enumerate(supply) if held > 0]
    alike: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for kind in kinds:
        alike[tuple(_cells(milli[kind]) for _, milli, _ in shapes)].append(kind)
    groups = list(alike)
    held = [sum(supply[kind] for kind in alike[group]) for group in groups]
    wanted: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for at, (count, _, often) in enumerate(shapes):
        sizes = tuple(group[at] for group in groups)
        if any(sizes):
            wanted[(count, *sizes)] += often
    worth = np.zeros((len(supply), WHOLE + 1))
    if wanted:
        solved = _solve(wanted, held)
        left = np.arange(WHOLE + 1) // STEP
        for group, curve in zip(groups, solved, strict=True):
            worth[alike[group]] = curve[left]
    return worth


def _cells(milli: int) -> int:
    return -(-milli // STEP)


def _solve(wanted: dict[tuple[int, ...], float], held: Sequence[int]) -> list[NDArray[np.float64]]:
    program = _Program(wanted, held)
    curves: list[NDArray[np.float64]] = []
    for _ in range(_ROUNDS):
        dual = program.duals()
        curves, found = [], False
        for group in range(len(held)):
            sizes = program.sizes[group]
            curve, pattern = _dearest(sizes, [dual[program.piece[group, size]] for size in sizes])
            curves.append(curve * WHOLE)
            if curve[-1] > dual[program.device[group]] + 1e-6:
                program.fill(group, pattern)
                found = True
        if not found:
            break
    return curves


def _dearest(
    sizes: Sequence[int], price: Sequence[float]
) -> tuple[NDArray[np.float64], Counter[int]]:
    """The dearest filling of 0…100 cells, and the pattern that fills them all."""
    best = [0.0] * (_CELLS + 1)
    last = [0] * (_CELLS + 1)
    for cell in range(1, _CELLS + 1):
        best[cell] = best[cell - 1]
        for size, worth in zip(sizes, price, strict=True):
            if size <= cell and best[cell - size] + worth > best[cell] + 1e-12:
                best[cell], last[cell] = best[cell - size] + worth, size
    pattern: Counter[int] = Counter()
    cell = _CELLS
    while cell > 0:
        if last[cell]:
            pattern[last[cell]] += 1
        cell -= last[cell] or 1
    return np.asarray(best), pattern


class _Program:
    """The linear program: a row for each group's devices, each group's pieces of a size, and each
    shape's demand; duals are not negative."""

    def __init__(self, wanted: dict[tuple[int, ...], float], held: Sequence[int]) -> None:
        self._lp = highspy.Highs()
        self._lp.setOptionValue("output_flag", False)
        self._lp.setOptionValue("threads", 1)
        self._lp.changeObjectiveSense(highspy.ObjSense.kMaximize)
        self._rows = 0
        scale = sum(held) / sum(
            often * count * max(sizes) / _CELLS for (count, *sizes), often in wanted.items()
        )
        self.device = [self._row(count) for count in held]
        self.sizes = [
            sorted({sizes[group] for _, *sizes in wanted if sizes[group]})
            for group in range(len(held))
        ]
        self.piece = {
            (group, size): self._row(0.0)
            for group, sizes in enumerate(self.sizes)
            for size in sizes
        }
        for (count, *sizes), often in sorted(wanted.items()):
            demand = self._row(often * scale)
            for group, size in enumerate(sizes):
                if size:
                    row = self.piece[group, size]
                    self._column(count * size / _CELLS, {demand: 1.0, row: float(count)})
        for group, size in self.piece:
            self.fill(group, Counter({size: _CELLS // size}))

    def fill(self, group: int, pattern: Counter[int]) -> None:
        """Lets devices of the group be filled like this."""
        pieces = {self.piece[group, size]: -float(count) for size, count in pattern.items()}
        self._column(0.0, {self.device[group]: 1.0, **pieces})

    def duals(self) -> list[float]:
        self._lp.run()
        return [max(0.0, dual) for dual in self._lp.getSolution().row_dual]

    def _row(self, most: float) -> int:
        self._lp.addRow(-highspy.kHighsInf, most, 0, [], [])
        self._rows += 1
        return self._rows - 1

    def _column(self, gain: float, entries: dict[int, float]) -> None:
        self._lp.addCol(
            gain,
            0.0,
            highspy.kHighsInf,
            len(entries),
            np.asarray(list(entries), dtype=np.int32),
            np.asarray(list(entries.values()), dtype=np.float64),
        )
