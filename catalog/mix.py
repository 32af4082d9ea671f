"""The mix of asks: what usually comes, and how often. Placement is only as good as what it expects."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from catalog.asks import Ask
from catalog.units import GIB, WHOLE

MOST_TYPES = 400
"""Rarer kinds of asks are left out of the mix."""
_HOUR = timedelta(hours=1)
_FULL = 1000.0


@dataclass(frozen=True, slots=True)
class Mix:
    """Typical asks with weights: larger comes more often; only the relation counts."""

    asks: tuple[tuple[Ask, float], ...] = ()

    @classmethod
    def of(cls, asks: Iterable[tuple[Ask, float]], most: int = MOST_TYPES) -> "Mix":
        """The `most` weightiest kinds of `asks`. Asks that differ only in what placement does not
        weigh (duration, priority, …) are one kind."""
        weights: Counter[Ask] = Counter()
        for ask, weight in asks:
            weights[_kind(ask)] += weight  # type: ignore[reportArgumentType] # a Counter of floats
        kept = sorted(weights.items(), key=lambda row: (-row[1], _order(row[0])))[:most]
        return cls(tuple((ask, float(weight)) for ask, weight in kept if weight > 0))

    @classmethod
    def prior(cls) -> "Mix":
        """What is expected before anybody asked. It follows what is published of shared clusters
        (the openb trace of FGD, USENIX ATC 2023, in round numbers): mostly one whole GPU or a part
        of one, few asks for several, and light and heavy ones in cpu."""
        return cls.of(
            (Ask(cpu * WHOLE, memory * GIB, milli, gpu_count=count), weight)
            for count, milli, cpu, memory, weight in _PRIOR
        )

    @property
    def total(self) -> float:
        return sum(weight for _, weight in self.asks)


_PRIOR = (
    # count, milli in all, cores, GiB, weight
    (1, 1000, 4, 16, 12.0), (1, 1000, 8, 32, 12.0), (1, 1000, 12, 48, 16.0),
    (1, 1000, 16, 64, 8.0),
    (1, 750, 4, 8, 6.0), (1, 500, 4, 16, 8.0), (1, 500, 8, 32, 6.0),
    (1, 250, 2, 8, 8.0), (1, 250, 4, 16, 6.0), (1, 125, 2, 8, 3.0),
    (2, 2000, 16, 64, 0.5), (4, 4000, 32, 128, 0.5), (8, 8000, 64, 256, 0.5),
)  # fmt: skip


@dataclass(slots=True)
class History:
    """Learns the mix from asks as they come. Each ask counts the less the more came after it: with
    a `half_life` of 4000, half as much after 4000 others. The prior counts as `doubt` asks that came
    before the first, so that it is soon outweighed."""

    half_life: int = 4000
    doubt: float = 100.0
    prior: Mix = field(default_factory=Mix.prior)
    _weights: Counter[Ask] = field(default_factory=Counter[Ask])
    _next: float = 1.0

    def saw(self, ask: Ask) -> None:
        """Counts one more ask, whether it was placed or not."""
        self._weights[_kind(ask)] += self._next  # type: ignore[reportArgumentType] # a Counter of floats
        self._next *= 2.0 ** (1.0 / self.half_life)
        if self._next > _FULL:
            self._shrink()

    def mix(self) -> Mix:
        """What to expect now. Repeatable; the same history gives the same mix."""
        seen = ((ask, weight / self._next) for ask, weight in self._weights.items())
        fade = self.doubt / (self.prior.total or 1.0)
        return Mix.of((*seen, *((ask, weight * fade) for ask, weight in self.prior.asks)))

    def _shrink(self) -> None:
        kept = self._weights.most_common(4 * MOST_TYPES)
        self._weights = Counter({ask: weight / self._next for ask, weight in kept})  # type: ignore[reportArgumentType] # of floats
        self._next = 1.0


def _kind(ask: Ask) -> Ask:
    """The ask with everything that placement does not weigh set to one value."""
    plain = Ask(ask.cpu_milli, ask.memory_bytes)
    return replace(
        ask,
        duration=_HOUR,
        priority=plain.priority,
        preemptible=plain.preemptible,
        apart="",
        models=tuple(sorted(set(ask.models))),
        vendors=tuple(sorted(set(ask.vendors))),
    )


def _order(ask: Ask) -> tuple[object, ...]:
    return (
        ask.cpu_milli, ask.memory_bytes, ask.gpu_milli, ask.gpu_count, ask.gpu_memory_mib,
        ask.models, ask.vendors, ask.whole_node, ask.split,
    )  # fmt: skip
