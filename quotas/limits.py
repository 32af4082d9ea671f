"""Limits in many dimensions, and what is used of them, by scope (a person, a tenant)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from catalog.asks import Ask
from catalog.fitting import allowed, milli_of
from catalog.inventory import Capacity, Health, Placement
from catalog.units import WHOLE, format_bytes, format_cpu, format_credits, format_gpu
from quotas.labels import label_of


class Dimension(StrEnum):
    """What is limited while it runs; base units in brackets."""

    GPU = "gpu"
    """milli-GPU"""
    CPU = "cpu"
    """milli-cores"""
    MEMORY = "memory"
    """bytes"""
    WORKLOADS = "workloads"
    """how many at once"""
    CREDITS = "credits"
    """micro-credits held and spent, by a tenant in all"""
    GPU_HOURS = "gpu-hours"
    """milli-GPU × seconds, in a period"""
    TOKENS = "tokens"
    """tokens of endpoints, in a period"""
    STORAGE = "storage"
    """bytes in a home"""

    @property
    def label(self) -> str:
        """For people: ``"GPU"``, ``"GPU-hours"``, ``"memory"``."""
        return label_of(self)

    def show(self, amount: int) -> str:
        """For people: ``gpu`` 250 → ``"1/4 GPU"``."""
        match self:
            case Dimension.GPU:
                return format_gpu(amount) if amount else "0 GPU"
            case Dimension.CPU:
                return format_cpu(amount)
            case Dimension.MEMORY:
                return format_bytes(amount)
            case Dimension.WORKLOADS:
                return f"{amount} running at once" if amount != 1 else "1 running at a time"
            case Dimension.CREDITS:
                return f"{format_credits(amount)} credits"
            case Dimension.GPU_HOURS:
                hours = f"{amount / WHOLE / 3600:.3f}".rstrip("0").rstrip(".")
                return f"{hours} GPU-hours" if hours != "1" else "1 GPU-hour"
            case Dimension.TOKENS:
                return f"{amount:,} tokens"
            case Dimension.STORAGE:
                return f"{format_bytes(amount)} of storage"


Amounts = Mapping[Dimension, int]


def use_of(ask: Ask, placement: Placement | None = None) -> dict[Dimension, int]:
    """What an ask counts in each dimension while it holds its place. What it takes of a GPU may be
    known only with its `placement`: an ask by memory takes more of a smaller device."""
    return {
        Dimension.GPU: ask.gpu_milli if placement is None else placement.gpu_milli,
        Dimension.CPU: ask.cpu_milli,
        Dimension.MEMORY: ask.memory_bytes,
        Dimension.WORKLOADS: 1,
    }


class LeastUse:
    """What asks take of GPUs at least, wherever they lie: by memory it depends on the device, by
    node on how many it has. Worked out once for each kind of ask."""

    def __init__(self, capacity: Capacity) -> None:
        nodes = [free.node for free in capacity.nodes.values()]
        kinds = {
            replace(d, id="", index=0, health=Health.OK, health_reason=""): d
            for n in nodes
            for d in n.devices
        }
        self._devices = list(kinds.values())
        self._nodes = [node.devices for node in nodes if node.devices]
        self._known: dict[Ask, int] = {}

    def of(self, ask: Ask) -> int:
        """In milli-GPU; what the ask says, where nothing here could take it."""
        if not ask.count and not ask.whole_node:
            return 0
        kind = Ask(
            0, 0, ask.gpu_milli, models=ask.models, gpu_count=ask.gpu_count,
            gpu_memory_mib=ask.gpu_memory_mib, vendors=ask.vendors, whole_node=ask.whole_node,
        )  # fmt: skip
        if kind not in self._known:
            self._known[kind] = min(self._found(kind), default=ask.gpu_milli)
        return self._known[kind]

    def _found(self, ask: Ask) -> Iterator[int]:
        if ask.whole_node and not ask.count:
            for devices in self._nodes:
                if all(allowed(ask, device) for device in devices):
                    yield WHOLE * len(devices)
            return
        for device in self._devices:
            if (milli := milli_of(ask, device)) is not None:
                yield milli * ask.count


@dataclass(frozen=True, slots=True)
class Scope:
    """A person or a tenant whose limits apply. `label` is how the person is told: ``you``.

    `limits` are ceilings. `guaranteed` is what is always there for it: what it uses above is
    borrowed from the cohort (the tenants below the same parent) and goes back when they need it.
    """

    id: str
    label: str
    limits: Amounts = field(default_factory=dict[Dimension, int])
    guaranteed: Amounts = field(default_factory=dict[Dimension, int])

    @property
    def possessive(self) -> str:
        return "your own" if self.label == "you" else f"{self.label}'s"


@dataclass(frozen=True, slots=True)
class Over:
    """A limit that an ask would pass."""

    scope: Scope
    dimension: Dimension
    wanted: int
    used: int
    limit: int

    @property
    def ever(self) -> bool:
        """Whether the ask would pass if nothing else was used."""
        return self.wanted <= self.limit

    @property
    def text(self) -> str:
        show = self.dimension.show
        if not self.ever:
            return (
                f"{show(self.wanted)} is wanted and {self.scope.possessive} limit"
                f" is {show(self.limit)}"
            )
        return f"{self.scope.possessive} limit is {show(self.limit)}, in use now: {show(self.used)}"


def first_over(
    wanted: Amounts, scopes: tuple[Scope, ...], used: Mapping[str, Amounts]
) -> Over | None:
    """The first limit that `wanted` more would pass, in the order of `scopes`; None if none.

    `used` is by scope id; a missing scope or dimension is 0, a missing limit is no limit.
    """
    for scope in scopes:
        in_use = used.get(scope.id, {})
        for dimension, limit in scope.limits.items():
            more, now = wanted.get(dimension, 0), in_use.get(dimension, 0)
            if more and now + more > limit:
                return Over(scope, dimension, more, now, limit)
    return None


def add_to(amounts: dict[Dimension, int], more: Amounts) -> None:
    """Add `more` to `amounts`, in place; what is missing is 0."""
    for dimension, amount in more.items():
        amounts[dimension] = amounts.get(dimension, 0) + amount
