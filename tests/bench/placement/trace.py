"""The openb trace: nodes, pods, the order in which they arrive, and documented changes of them."""

import csv
import random
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from catalog.asks import Ask
from catalog.inventory import Device, Mode, Node, Vendor
from catalog.units import MIB, WHOLE

PERTURBATIONS = {
    "cpu+20": "every pod asks for a fifth more cpu",
    "cpu-20": "every pod asks for a fifth less cpu",
    "jitter": "every pod's cpu is multiplied by 0.8, 0.9, 1.0, 1.1 or 1.2, drawn for each",
    "redraw": "as many pods as in the trace, drawn from it with replacement",
    "mixed": "pods with a part of a GPU exchange their shares at random, not their cpu and memory",
}
_NODES = "openb_node_list_gpu_node.csv"
_PODS = "openb_pod_list_{}.csv"
_GPU_MEMORY_MIB = 16384
"""The trace does not say it and nothing here depends on it."""


@dataclass(frozen=True, slots=True)
class Pod:
    name: str
    cpu_milli: int
    memory_mib: int
    count: int
    milli: int
    models: tuple[str, ...] = ()

    @property
    def gpu_milli(self) -> int:
        return self.count * self.milli

    @property
    def ask(self) -> Ask:
        return Ask(
            self.cpu_milli,
            self.memory_mib * MIB,
            self.gpu_milli,
            timedelta(hours=1),
            self.models,
            gpu_count=max(1, self.count),
        )


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    cpu_milli: int
    memory_mib: int
    count: int
    model: str

    @property
    def node(self) -> Node:
        devices = tuple(
            Device(f"{self.name}/{at}", Vendor.NVIDIA, self.model, _GPU_MEMORY_MIB, at,
                   sharing=Mode.TIME_SLICE)
            for at in range(self.count)
        )  # fmt: skip
        return Node(self.name, self.cpu_milli, self.memory_mib * MIB, devices)


@dataclass(frozen=True, slots=True)
class Trace:
    """`name` is that of the file, with ``~`` and a perturbation where there is one."""

    name: str
    servers: tuple[Server, ...]
    pods: tuple[Pod, ...]

    @property
    def capacity_milli(self) -> int:
        return sum(server.count for server in self.servers) * WHOLE

    def multiset(self) -> Counter[Ask]:
        return Counter(pod.ask for pod in self.pods)

    def arrivals(self, seed: int, upto: float = 1.3) -> list[Pod]:
        """All pods in random order, then draws with replacement, until `upto` times the GPUs there
        are have arrived. What is drawn again has ``#1``, ``#2`` … at its name."""
        dice = random.Random(f"arrivals {seed}")
        first = list(self.pods)
        dice.shuffle(first)
        again: Counter[str] = Counter()
        arrived, pods = 0, list[Pod]()
        end = upto * self.capacity_milli
        while arrived < end:
            if first:
                pod = first.pop()
            else:
                pod = dice.choice(self.pods)
                again[pod.name] += 1
                pod = replace(pod, name=f"{pod.name}#{again[pod.name]}")
            pods.append(pod)
            arrived += pod.gpu_milli
        return pods

    def shuffled(self, seed: int) -> list[Server]:
        """The servers in the order in which ties are broken."""
        servers = list(self.servers)
        random.Random(f"order {seed}").shuffle(servers)
        return servers


def names(folder: Path) -> list[str]:
    """The traces of a folder, `default` first."""
    prefix, suffix = _PODS.split("{}")
    found = {
        path.name.removeprefix(prefix).removesuffix(suffix)
        for path in folder.glob(_PODS.format("*"))
    }
    return sorted(found, key=lambda name: (name != "default", name))


def load(folder: Path, name: str, seed: int) -> Trace:
    """A trace, changed as ``name~perturbation`` says, by draws that depend on `seed`. Raises
    ValueError naming what is not there."""
    plain, _, change = name.partition("~")
    path = folder / _PODS.format(plain)
    if not path.is_file():
        raise ValueError(f"NAMES: there is no {path}; there are: {' '.join(names(folder))}")
    if change and change not in PERTURBATIONS:
        raise ValueError(f"NAMES: {change!r} is none of {' '.join(PERTURBATIONS)}")
    with (folder / _NODES).open(newline="") as file:
        servers = tuple(
            Server(
                row["sn"],
                int(row["cpu_milli"]),
                int(row["memory_mib"]),
                int(row["gpu"]),
                row["model"],
            )
            for row in csv.DictReader(file)
        )
    with path.open(newline="") as file:
        pods = [_pod(row) for row in csv.DictReader(file)]
    return Trace(name, servers, tuple(_changed(pods, change, random.Random(f"{name} {seed}"))))


def _pod(row: dict[str, str]) -> Pod:
    count = int(row["num_gpu"])
    models = tuple(sorted({model for model in (row.get("gpu_spec") or "").split("|") if model}))
    return Pod(
        row["name"], int(row["cpu_milli"]), int(row["memory_mib"]), count,
        int(row["gpu_milli"]) if count else 0, models,
    )  # fmt: skip


def _changed(pods: list[Pod], change: str, dice: random.Random) -> list[Pod]:
    match change:
        case "cpu+20" | "cpu-20":
            percent = 120 if change == "cpu+20" else 80
            return [replace(pod, cpu_milli=pod.cpu_milli * percent // 100) for pod in pods]
        case "jitter":
            return [
                replace(pod, cpu_milli=pod.cpu_milli * dice.choice((80, 90, 100, 110, 120)) // 100)
                for pod in pods
            ]
        case "redraw":
            drawn = [dice.choice(pods) for _ in pods]
            return [replace(pod, name=f"drawn-{at:04}") for at, pod in enumerate(drawn)]
        case "mixed":
            parts = [pod.milli for pod in pods if 0 < pod.milli < WHOLE]
            dice.shuffle(parts)
            return [
                replace(pod, milli=parts.pop()) if 0 < pod.milli < WHOLE else pod for pod in pods
            ]
        case _:
            return pods
