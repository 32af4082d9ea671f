"""Fragmentation Gradient Descent (Weng et al., "Beware of Fragmentation", USENIX ATC 2023), as its
simulator computes it: the typical pods are the trace's multiset."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from catalog.units import WHOLE
from tests.bench.placement.peers import Cluster, Place
from tests.bench.placement.trace import Pod, Server, Trace

_Kind = tuple[int, int, int, tuple[str, ...]]
"""cpu, count, milli, models: what a pod is to FGD."""


class Fragmentation:
    """How much of a node's free GPU a pod drawn from the multiset could use."""

    def __init__(self, trace: Trace, models: Sequence[str]) -> None:
        kinds = Counter((p.count, p.milli, p.cpu_milli, p.models) for p in trace.pods if p.count)
        self.sizes = sorted({kind[:2] for kind in kinds})
        self.milli = np.array([milli for _, milli in self.sizes])
        self.count = np.array([count for count, _ in self.sizes])
        self.cpus = np.array(sorted({0, *(kind[2] for kind in kinds)}))
        often = np.zeros((len(models), len(self.cpus), len(self.sizes)))
        for (count, milli, cpu, allowed), times in kinds.items():
            at = int(np.searchsorted(self.cpus, cpu)), self.sizes.index((count, milli))
            for row, model in enumerate(models):
                if not allowed or model in allowed:
                    often[row, *at] += times / len(trace.pods)
        self.often = often.cumsum(axis=1)
        """``[model, cpu that is free, size]``: the part of all pods that this cpu is enough for."""
        left = np.arange(WHOLE + 1)
        self.part = np.where(left >= self.milli[:, None], left, 0)
        self.several = self.milli == WHOLE

    def usable(self, free: NDArray[np.int64]) -> NDArray[np.int64]:
        """By size: the free GPU on devices that have room for it."""
        whole = int((free == WHOLE).sum())
        return np.where(
            self.several,
            np.where(whole >= self.count, whole, 0) * WHOLE,
            self.part[:, free].sum(axis=1),
        )

    def level(self, cpu: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.maximum(np.searchsorted(self.cpus, cpu, side="right") - 1, 0)

    def lost(self, model: int, cpu: int, free: NDArray[np.int64]) -> float:
        """Milli-GPU that are free and could not be used, on average."""
        weight = self.often[model, int(self.level(np.array(cpu)))]
        return float(free.sum() - weight @ self.usable(free))


class Fgd(Cluster):
    """Where fragmentation grows least; all kinds of pods of the trace are scored again on a node that
    changed."""

    def __init__(self, servers: Sequence[Server], trace: Trace, seed: int) -> None:
        super().__init__(servers, trace)
        self.measure = Fragmentation(trace, self.models)
        self._kinds: dict[_Kind, int] = {}
        for pod in trace.pods:
            self._kinds.setdefault(_kind(pod), len(self._kinds))
        self._size = np.array(
            [self.measure.sizes.index((k[1], k[2])) if k[1] else -1 for k in self._kinds]
        )
        self._takes = np.array([k[1] * k[2] for k in self._kinds])
        self._cpu = np.array([k[0] for k in self._kinds])
        shape = (len(self._kinds), len(servers))
        self._score = np.zeros(shape, dtype=np.int64)
        self._device = np.zeros(shape, dtype=np.int64)
        for node in range(len(servers)):
            self._weigh(node)

    def choose(self, pod: Pod) -> Place | None:
        room = self.room(pod)
        if not room.any():
            return None
        at = self._kinds[_kind(pod)]
        node = int(np.where(room, self._score[at], -1).argmax())
        if pod.count == 1 and pod.milli < WHOLE:
            return node, (int(self._device[at, node]),)
        return node, self.tightest(node, pod)

    def took(self, pod: Pod, place: Place) -> None:
        super().took(pod, place)
        self._weigh(place[0])

    def gave(self, pod: Pod, place: Place) -> None:
        super().gave(pod, place)
        self._weigh(place[0])

    def _weigh(self, node: int) -> None:
        """``[kind, device]``: the usable part that would be left, and how the score comes of it."""
        free, often = self.free[node], self.measure.often[self.model[node]]
        before = self.measure.usable(free)
        after, can = self._after(free, before)
        level = self.measure.level(self.cpu[node] - self._cpu)
        usable = np.einsum("kds,ks->kd", after[self._size], often[level])
        now = float(often[self.measure.level(np.array(self.cpu[node]))] @ before)
        gain = (self._takes[:, None] + usable - now) / WHOLE
        score = (100.0 / (1.0 + np.exp(-gain))).astype(np.int64)
        score[~can[self._size]] = -1
        self._device[:, node] = score.argmax(axis=1)
        self._score[:, node] = score.max(axis=1)

    def _after(
        self, free: NDArray[np.int64], before: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """``[size, device, size]`` what each size could use after another one took a device; the last
        row is a pod without GPU. Beside it, where there is room."""
        measure = self.measure
        left = free - measure.milli[:, None]
        can = left >= 0
        part = (
            before
            + measure.part[:, np.maximum(left, 0)].transpose(1, 2, 0)
            - measure.part[:, free].T
        )
        whole = int((free == WHOLE).sum())
        taken = np.where(measure.several[:, None], measure.count[:, None], free == WHOLE)
        remain = (whole - taken)[:, :, None]
        several = np.where(remain >= measure.count, remain, 0) * WHOLE
        # a whole ask takes `count` devices at once, not one
        fewer = measure.part[:, WHOLE] * measure.count[:, None]
        part = np.where(measure.several[:, None, None], before - fewer[:, None, :], part)
        after = np.where(measure.several, several, part)
        can = np.where(measure.several[:, None], whole >= measure.count[:, None], can)
        none = np.broadcast_to(before, (1, *after.shape[1:]))
        return np.concatenate([after, none]), np.concatenate([can, np.ones((1, len(free)), bool)])


def fragmentation(cluster: Cluster, measure: Fragmentation) -> float:
    """FGD's measure of the whole cluster, in milli-GPU."""
    return math.fsum(
        measure.lost(int(cluster.model[node]), int(cluster.cpu[node]), cluster.free[node])
        for node in range(len(cluster.cpu))
    )


def _kind(pod: Pod) -> _Kind:
    return pod.cpu_milli, pod.count, pod.milli, pod.models
