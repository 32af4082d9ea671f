"""Where an ask does the least harm: all nodes at once, in arrays that are kept as things change.

A `Fleet` holds what is free on each node, and for each class of asks (so many shares of such a size)
what taking them would cost each node; a change of one node touches that node alone. One decision
looks through all nodes with a dozen vector operations. All scores are whole numbers, ties go to the
first node in the order given: the same picture gives the same answer, on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from catalog.asks import Ask
from catalog.fitting import milli_of
from catalog.inventory import Device, Health, Node
from catalog.mix import Mix
from catalog.units import WHOLE
from catalog.worth import CPU_STEP, RATIO, SHARE, Want, Weights, Worth

_NEVER = -(1 << 50)
_ROUGH = 13
"""Scores count in 13/16 of a milli-GPU: what is nearly equal goes to the first node."""
_FIRST_CLASSES, _MOST_CLASSES = 32, 512

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Demand:
    """What is looked for: `count` shares on as many devices of one node, of ``milli[kind]`` each
    (as in `Fleet.kinds`; 0: such a device never does). `allowed`, if given, leaves nodes out."""

    cpu_milli: int
    memory_bytes: int
    count: int = 0
    milli: tuple[int, ...] = ()
    allowed: NDArray[np.bool_] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Spot:
    """The node's place in the fleet, and the places of its devices."""

    node: int
    devices: tuple[int, ...] = ()


class Fleet:
    """`nodes` in the order in which ties are broken; everything is free until `set` says otherwise.

    `kinds` has one device of each kind (vendor, model, memory, sharing): a `Demand` says for each
    how much of it a share takes.
    """

    def __init__(self, nodes: Sequence[Node], mix: Mix, weights: Weights | None = None) -> None:
        self.nodes = tuple(nodes)
        self.kinds, kind_of = _kinds(self.nodes)
        self._weights = weights or Weights()
        width = max((len(node.devices) for node in self.nodes), default=0) or 1
        self._kind = np.full((len(self.nodes), width), len(self.kinds), dtype=np.int64)
        self._free = np.zeros((len(self.nodes), width), dtype=np.int64)
        for row, node in enumerate(self.nodes):
            for column, device in enumerate(node.devices):
                self._kind[row, column] = kind_of[_kind_key(device)]
                self._free[row, column] = WHOLE if device.health is Health.OK else 0
        self._cpu = np.asarray([node.cpu_milli for node in self.nodes], dtype=np.int64)
        self._memory = np.asarray([node.memory_bytes for node in self.nodes], dtype=np.int64)
        self._supply = [int((self._kind == kind).sum()) for kind in range(len(self.kinds))]
        self._most_cpu = int(self._cpu.max(initial=0))
        self._learned: Mix | None = None
        self.learn(mix)

    def learn(self, mix: Mix) -> None:
        """From now on `mix` is expected. Takes a linear program, about 0.1 s; nothing when the mix
        is as before."""
        if mix == self._learned:
            return
        self._learned = mix
        wants = [
            Want(ask.cpu_milli, ask.count, self._milli(ask), weight) for ask, weight in mix.asks
        ]
        worth = Worth.of(
            wants, self._supply, self._kind.shape[1], self._most_cpu, weights=self._weights
        )
        self._device: Ints = worth.device.ravel()
        self._steps = worth.stranded.shape[1]
        self._cores = worth.together.shape[2]
        self._stranded: Ints = worth.stranded.ravel()
        self._together: Ints = worth.together.ravel()
        self._several = worth.several
        self._strand_at = self._kind[:, 0] * self._steps
        self._together_at = self._kind[:, 0] * (worth.together.shape[1] * self._cores)
        self._total: Ints = self._free.sum(axis=1)
        self._whole: Ints = (self._free == WHOLE).sum(axis=1)
        self._weigh_all()

    def _weigh_all(self) -> None:
        all_cpu = np.asarray([node.cpu_milli for node in self.nodes], dtype=np.int64)
        working = (self._kind < len(self.kinds)).sum(axis=1)
        cpu = np.maximum(self._cpu, 0)
        self._full = int(self._side_by_side(all_cpu, working, self._together_at).sum())
        self._few = round(self._full * self._several * self._weights.spare)
        self._joint = self._side_by_side(cpu, self._whole, self._together_at)
        self._intact = int(self._joint.sum())
        self._lone = self._strand(cpu, self._total, self._strand_at)
        self._forget()

    def set(
        self, node: int, cpu_milli: int, memory_bytes: int, device_milli: Sequence[int]
    ) -> None:
        """What is free on this node now; repeating it changes nothing."""
        self._cpu[node] = cpu_milli
        self._memory[node] = memory_bytes
        row = self._free[node]
        row[: len(device_milli)] = device_milli
        self._total[node] = sum(device_milli)
        self._whole[node] = sum(milli == WHOLE for milli in device_milli)
        self._weigh_node(node)
        self._weigh_classes(node)

    def take(self, demand: Demand, spot: Spot) -> None:
        """The fleet after `demand` is held at `spot`."""
        self._move(demand, spot, -1)

    def give(self, demand: Demand, spot: Spot) -> None:
        """The fleet after `demand` at `spot` is released."""
        self._move(demand, spot, +1)

    def demand(self, ask: Ask, allowed: NDArray[np.bool_] | None = None) -> Demand:
        """What `ask` looks for on one node of this fleet."""
        return Demand(ask.cpu_milli, ask.memory_bytes, ask.count, self._milli(ask), allowed)

    def best(self, demand: Demand) -> Spot | None:
        """The node and devices that lose the least worth; None only when no allowed node has room."""
        if not self.nodes:
            return None
        score = self.scores(demand)
        node = int(score.argmax())
        if score[node] <= _NEVER:
            return None
        return Spot(node, self._devices(node, demand))

    def scores(self, demand: Demand) -> Ints:
        """The change of worth on each node, rounded; where there is no room, the lowest number."""
        at = self._class(demand.count, demand.milli if demand.count else ())
        left = self._cpu - demand.cpu_milli
        gain = self._gain[at]
        room = (left >= 0) & (self._memory >= demand.memory_bytes) & (gain > _NEVER)
        if demand.allowed is not None:
            room &= demand.allowed
        total = self._total - self._taken[at]
        cpu = np.maximum(left, 0)
        score = gain + self._strand(cpu, total, self._strand_at)
        score -= self._lone
        if self._full:
            whole = self._whole - self._used[at]
            lost = self._side_by_side(cpu, whole, self._together_at)
            lost -= self._joint
            lost *= self._few
            lost //= self._few + self._intact
            score += lost
        score //= _ROUGH
        score[~room] = _NEVER
        return score

    def _strand(self, cpu: Ints, total: Ints, at: Ints) -> Ints:
        """Less for free GPU that the free cpu cannot serve; `at` is where the nodes' kinds begin."""
        ratio = cpu * RATIO
        ratio //= np.maximum(total, 1)
        np.minimum(ratio, self._steps - 1, out=ratio)
        ratio += at
        lost: Ints = self._stranded.take(ratio)
        lost *= total
        lost //= -SHARE
        return lost

    def _side_by_side(self, cpu: Ints, whole: Ints, at: Ints) -> Ints:
        """More for whole devices on one node, before it is weighed by how few there are."""
        where = cpu // CPU_STEP
        np.minimum(where, self._cores - 1, out=where)
        where += whole * self._cores
        where += at
        return self._together[where]

    def _milli(self, ask: Ask) -> tuple[int, ...]:
        return tuple(milli_of(ask, device) or 0 for device in self.kinds)

    def _move(self, demand: Demand, spot: Spot, sign: int) -> None:
        node = spot.node
        free = self._free[node].tolist()
        for device in spot.devices:
            free[device] += sign * demand.milli[self._kind[node, device]]
        self.set(
            node,
            int(self._cpu[node]) + sign * demand.cpu_milli,
            int(self._memory[node]) + sign * demand.memory_bytes,
            free,
        )

    def _devices(self, node: int, demand: Demand) -> tuple[int, ...]:
        if not demand.count:
            return ()
        need = np.asarray((*demand.milli, 0), dtype=np.int64)[self._kind[node]]
        gain = self._gains(self._free[node], self._kind[node], need)
        order = np.argsort(-gain, kind="stable")[: demand.count]
        return tuple(sorted(order.tolist()))

    def _class(self, count: int, milli: tuple[int, ...]) -> int:
        known = self._of.get((count, milli))
        if known is not None:
            return known
        if len(self._of) >= _MOST_CLASSES:
            self._forget()
        at = self._of[count, milli] = len(self._of)
        if at >= len(self._gain):
            self._grow()
        self._count[at] = count
        if count:
            self._need[at, :-1] = milli
        need: Ints = self._need[at][self._kind]
        counts = np.full(len(self.nodes), count, dtype=np.int64)
        self._gain[at], self._taken[at], self._used[at] = self._weigh(
            self._free, self._kind, need, counts
        )
        return at

    def _forget(self) -> None:
        """No class is known; each is weighed anew when it is asked for."""
        self._of: dict[tuple[int, tuple[int, ...]], int] = {}
        self._count = np.zeros(_FIRST_CLASSES, dtype=np.int64)
        self._need = np.zeros((_FIRST_CLASSES, len(self.kinds) + 1), dtype=np.int64)
        self._gain, self._taken, self._used = (
            np.zeros((_FIRST_CLASSES, len(self.nodes)), dtype=np.int64) for _ in range(3)
        )

    def _grow(self) -> None:
        more = len(self._count)
        self._count = np.pad(self._count, (0, more))
        self._need, self._gain, self._taken, self._used = (
            np.pad(table, ((0, more), (0, 0)))
            for table in (self._need, self._gain, self._taken, self._used)
        )

    def _weigh_node(self, node: int) -> None:
        """What the node is worth beyond its devices, now."""
        one = slice(node, node + 1)
        cpu, joint = np.maximum(self._cpu[one], 0), int(self._joint[node])
        self._lone[one] = self._strand(cpu, self._total[one], self._strand_at[one])
        if self._full:
            self._joint[one] = self._side_by_side(cpu, self._whole[one], self._together_at[one])
            self._intact += int(self._joint[node]) - joint

    def _weigh_classes(self, node: int) -> None:
        """All known classes on one node."""
        known = len(self._of)
        if not known:
            return
        kind = self._kind[node]
        need = self._need[:known][:, kind]
        gain, taken, used = self._weigh(self._free[node], kind, need, self._count[:known])
        self._gain[:known, node] = gain
        self._taken[:known, node] = taken
        self._used[:known, node] = used

    def _gains(self, free: Ints, kind: Ints, need: Ints) -> Ints:
        """The change of worth of each device that a share is taken of."""
        left = free - need
        at = kind * (WHOLE + 1)
        gain = self._device.take(at + left, mode="clip") - self._device.take(at + free)
        gain[(need <= 0) | (left < 0)] = _NEVER
        return gain

    def _weigh(self, free: Ints, kind: Ints, need: Ints, count: Ints) -> tuple[Ints, Ints, Ints]:
        """For each row: the change of worth by `count` shares on the devices that lose least, the
        milli-GPU they take, and how many of them were whole."""
        gain = self._gains(free, kind, need)
        used = (need > 0) & (free == WHOLE)
        if count.max() <= 1:
            at = gain.argmax(axis=1)[:, None]
            rows = [np.take_along_axis(table, at, 1)[:, 0] for table in (gain, need)]
            found = (*rows, np.take_along_axis(np.broadcast_to(used, gain.shape), at, 1)[:, 0])
        else:
            order = np.argsort(-gain, axis=1, kind="stable")
            last = np.clip(count - 1, 0, gain.shape[1] - 1)[:, None]
            found = tuple(
                np.take_along_axis(np.take_along_axis(table, order, 1).cumsum(axis=1), last, 1)[
                    :, 0
                ]
                for table in (gain, need, np.broadcast_to(used, gain.shape).astype(np.int64))
            )
        total, taken, whole = found
        fits = (total > _NEVER // 2) & (count <= gain.shape[1])
        none = count == 0
        return (
            np.where(none, 0, np.where(fits, total, _NEVER)),
            np.where(fits & ~none, taken, 0),
            np.where(fits & ~none, whole, 0),
        )


def _kind_key(device: Device) -> tuple[object, ...]:
    return device.vendor, device.model, device.memory_mib, device.sharing


def _kinds(nodes: Sequence[Node]) -> tuple[tuple[Device, ...], dict[tuple[object, ...], int]]:
    first: dict[tuple[object, ...], Device] = {}
    for node in nodes:
        for device in node.devices:
            first.setdefault(_kind_key(device), device)
    return tuple(first.values()), {key: at for at, key in enumerate(first)}
