"""The independent check of a run: it reads what was logged and the trace, and nothing of the allocator.

A log is rows of ``pod,node,devices`` in the order of arrival: devices as ``index:milli;index:milli``;
a node without devices is a placement without GPU; neither is a dropped pod. With departures there are
two more columns, ``arrives,leaves``.
"""

import csv
import heapq
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

WHOLE = 1000


class Wish(NamedTuple):
    """What a pod asks for. No `models` allows all."""

    cpu_milli: int
    memory_mib: int
    devices: int
    milli: int
    models: frozenset[str]


class Machine(NamedTuple):
    cpu_milli: int
    memory_mib: int
    devices: int
    model: str


class Row(NamedTuple):
    pod: str
    node: str
    devices: str
    arrives: float = 0.0
    leaves: float = float("inf")


class BadLogError(Exception):
    """A log that cannot be: which row, and what is wrong with it."""


class _Room:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.cpu, self.memory = machine.cpu_milli, machine.memory_mib
        self.devices = [WHOLE] * machine.devices

    def fits(self, wish: Wish) -> bool:
        return (
            self.cpu >= wish.cpu_milli
            and self.memory >= wish.memory_mib
            and (not wish.models or not wish.devices or self.machine.model in wish.models)
            and sum(free >= wish.milli for free in self.devices) >= wish.devices
        )

    def change(self, wish: Wish, devices: Mapping[int, int], sign: int) -> None:
        self.cpu += sign * wish.cpu_milli
        self.memory += sign * wish.memory_mib
        for index, milli in devices.items():
            self.devices[index] += sign * milli


def read(path: Path) -> list[Row]:
    """The rows of a log file."""
    with path.open(newline="") as file:
        return [
            Row(
                row["pod"], row["node"], row["devices"],
                float(row.get("arrives") or 0), float(row.get("leaves") or "inf"),
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


def check(rows: Iterable[Row], wishes: Mapping[str, Wish], machines: Mapping[str, Machine]) -> int:
    """How many rows were right. Raises `BadLogError` at the first that is not: an unknown pod or
    node, more held than there is, devices of another model, a share that is not what was asked for,
    or a pod dropped although it fitted."""
    return _Replay(wishes, machines).all(rows)


class _Replay:
    def __init__(self, wishes: Mapping[str, Wish], machines: Mapping[str, Machine]) -> None:
        self._wishes = wishes
        self._rooms = {name: _Room(machine) for name, machine in machines.items()}
        self._leaving: list[tuple[float, int, str, Wish, dict[int, int]]] = []
        self._emptied: list[str] = list(machines)
        """Nodes in the order in which they last got more room; the first ones were so to begin with."""
        self._refused: dict[Wish, int] = {}
        """Up to where in `_emptied` it is known that a wish fits nowhere."""
        self._seen: set[str] = set()

    def all(self, rows: Iterable[Row]) -> int:
        at = 0
        for at, row in enumerate(rows, 1):
            try:
                self._one(at, row)
            except BadLogError as error:
                raise BadLogError(f"row {at}, pod {row.pod}: {error}") from None
        return at

    def _one(self, at: int, row: Row) -> None:
        while self._leaving and self._leaving[0][0] <= row.arrives:
            _, _, node, gone, devices = heapq.heappop(self._leaving)
            self._rooms[node].change(gone, devices, +1)
            self._emptied.append(node)
        wish = self._wishes.get(row.pod.split("#")[0])
        if wish is None:
            raise BadLogError("no such pod")
        if row.pod in self._seen:
            raise BadLogError("arrives twice")
        self._seen.add(row.pod)
        if not row.node:
            if row.devices:
                raise BadLogError("devices without a node")
            self._dropped(wish)
            return
        devices = self._placed(wish, row)
        if row.leaves != float("inf"):
            heapq.heappush(self._leaving, (row.leaves, at, row.node, wish, devices))

    def _placed(self, wish: Wish, row: Row) -> dict[int, int]:
        room = self._rooms.get(row.node)
        if room is None:
            raise BadLogError(f"no such node: {row.node}")
        pairs = [part.split(":") for part in row.devices.split(";") if part]
        devices = {int(index): int(milli) for index, milli in pairs}
        if len(devices) != len(pairs) or len(pairs) != wish.devices:
            raise BadLogError(f"{len(devices)} devices, {wish.devices} wanted")
        if any(milli != wish.milli for milli in devices.values()):
            raise BadLogError(f"a share that is not the {wish.milli} asked for")
        if wish.devices and wish.models and room.machine.model not in wish.models:
            raise BadLogError(f"{room.machine.model} is not a model that it allows")
        if any(not 0 <= index < room.machine.devices for index in devices):
            raise BadLogError("a device that the node does not have")
        room.change(wish, devices, -1)
        if room.cpu < 0 or room.memory < 0:
            raise BadLogError("more cpu or memory than the node has")
        if any(free < 0 for free in room.devices):
            raise BadLogError("more of a device than there is")
        return devices

    def _dropped(self, wish: Wish) -> None:
        known = self._refused.get(wish, 0)
        for node in set(self._emptied[known:]):
            if self._rooms[node].fits(wish):
                raise BadLogError(f"dropped, though it fits on {node}")
        self._refused[wish] = len(self._emptied)
