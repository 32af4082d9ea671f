"""Published policies to compare with. After the simulator of FGD (USENIX ATC 2023): scores are
integers from 0 to 100, and ties go to the first node in the order given."""

import random
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from catalog.units import WHOLE
from tests.bench.placement.trace import Pod, Server, Trace

Place = tuple[int, tuple[int, ...]]
"""The node's place in the order given, and its devices."""
_MOST_CPU, _MOST_GPU = 128_000, 8_000


class Policy(Protocol):
    """`choose` only looks; `took` and `gave` tell what was done."""

    def choose(self, pod: Pod) -> Place | None: ...
    def took(self, pod: Pod, place: Place) -> None: ...
    def gave(self, pod: Pod, place: Place) -> None: ...


class Cluster:
    """What is free on each node, and which nodes have room for a pod."""

    def __init__(self, servers: Sequence[Server], trace: Trace) -> None:
        self.models = sorted({server.model for server in servers})
        self.model = np.array([self.models.index(server.model) for server in servers])
        self.cpu = np.array([server.cpu_milli for server in servers])
        self.memory = np.array([server.memory_mib for server in servers])
        self.there = np.array([server.count for server in servers])
        width = int(self.there.max())
        self.free = np.where(np.arange(width) < self.there[:, None], WHOLE, 0)
        self._allowed: dict[tuple[str, ...], NDArray[np.bool_]] = {}

    def allowed(self, models: tuple[str, ...]) -> NDArray[np.bool_]:
        if models not in self._allowed:
            wanted = [not models or model in models for model in self.models]
            self._allowed[models] = np.array(wanted)[self.model]
        return self._allowed[models]

    def room(self, pod: Pod) -> NDArray[np.bool_]:
        room = (self.cpu >= pod.cpu_milli) & (self.memory >= pod.memory_mib)
        if pod.count:
            room &= (self.free >= pod.milli).sum(axis=1) >= pod.count
            room &= self.allowed(pod.models)
        return room

    def tightest(self, node: int, pod: Pod) -> tuple[int, ...]:
        """The fullest devices that have room."""
        free = self.free[node]
        order = sorted((int(left), at) for at, left in enumerate(free) if left >= pod.milli)
        return tuple(at for _, at in order[: pod.count])

    def took(self, pod: Pod, place: Place) -> None:
        self._move(pod, place, -1)

    def gave(self, pod: Pod, place: Place) -> None:
        self._move(pod, place, +1)

    def _move(self, pod: Pod, place: Place, sign: int) -> None:
        node, devices = place
        self.cpu[node] += sign * pod.cpu_milli
        self.memory[node] += sign * pod.memory_mib
        for device in devices:
            self.free[node, device] += sign * pod.milli


class Random(Cluster):
    """Any node and devices with room."""

    def __init__(self, servers: Sequence[Server], trace: Trace, seed: int) -> None:
        super().__init__(servers, trace)
        self._dice = random.Random(f"random {seed}")

    def choose(self, pod: Pod) -> Place | None:
        nodes = np.flatnonzero(self.room(pod))
        if not nodes.size:
            return None
        node = int(self._dice.choice(nodes))
        devices = [at for at, left in enumerate(self.free[node]) if left >= pod.milli]
        return node, tuple(self._dice.sample(devices, pod.count))


class _Scored(Cluster):
    def __init__(self, servers: Sequence[Server], trace: Trace, seed: int) -> None:
        super().__init__(servers, trace)

    def choose(self, pod: Pod) -> Place | None:
        room = self.room(pod)
        if not room.any():
            return None
        node = int(np.where(room, self.score(pod, room), -1).argmax())
        return node, self.devices(node, pod)

    def score(self, pod: Pod, room: NDArray[np.bool_]) -> NDArray[np.int64]:
        raise NotImplementedError

    def devices(self, node: int, pod: Pod) -> tuple[int, ...]:
        return self.tightest(node, pod)


class BestFit(_Scored):
    """The least left of cpu and GPU together; scores spread from 0 to 100 as its plugin does."""

    def score(self, pod: Pod, room: NDArray[np.bool_]) -> NDArray[np.int64]:
        left = (self.cpu - pod.cpu_milli) / _MOST_CPU
        left += (self.free.sum(axis=1) - pod.gpu_milli) / _MOST_GPU
        score = ((1.0 - left / 2) * 100).astype(np.int64)
        low, high = score[room].min(), score[room].max()
        return (score - low) * 100 // (high - low) if high > low else np.zeros_like(score)


class DotProduct(_Scored):
    """Tetris (SIGCOMM 2014): the pod's needs against what a node has, cpu and the device's GPU; where
    the product is small, the pod goes."""

    def score(self, pod: Pod, room: NDArray[np.bool_]) -> NDArray[np.int64]:
        gpu = self._offered(pod) / _MOST_GPU * (pod.gpu_milli / _MOST_GPU)
        product = (self.cpu / _MOST_CPU * (pod.cpu_milli / _MOST_CPU) + gpu) / 2
        return ((1.0 - product) * 100).astype(np.int64)

    def _offered(self, pod: Pod) -> NDArray[np.int64]:
        if 0 < pod.gpu_milli < WHOLE:
            return np.where(self.free >= pod.milli, self.free, WHOLE + 1).min(axis=1)
        return (self.free == WHOLE).sum(axis=1) * WHOLE


class Packing(_Scored):
    """Shared devices first, then free ones on used nodes, then nodes nobody uses."""

    def score(self, pod: Pod, room: NDArray[np.bool_]) -> NDArray[np.int64]:
        if not pod.count:
            return np.zeros(len(self.cpu), dtype=np.int64)
        whole = (self.free == WHOLE).sum(axis=1)
        tight = np.sort(np.where(self.free >= pod.milli, self.free, WHOLE + 1), axis=1)
        used = tight[:, : pod.count]
        fresh = (used == WHOLE).sum(axis=1)
        shared = np.maximum(100 - (used * 100 // WHOLE).sum(axis=1) // 10, 50)
        score = np.where(fresh > 0, np.maximum(50 - fresh, 33), shared)
        return np.where(whole == self.there, np.maximum(33 - whole, whole), score)
