"""The product's engine under the benchmark's protocol."""

from collections.abc import Sequence
from dataclasses import replace

from catalog.fleet import Demand, Fleet, Spot
from catalog.mix import History, Mix
from catalog.worth import Weights
from tests.bench.placement.peers import Place
from tests.bench.placement.trace import Pod, Server, Trace

ABLATIONS = {
    "remainder": "the price of remainders",
    "chance": "what the next ask could use of a remainder",
    "whole": "the price of a wholly free device",
    "scarcity": "the price of scarce models",
    "stranded": "the price of stranded cpu",
    "together": "the price of whole devices side by side",
}
_LEARN_EVERY = 250


class Perijove:
    """Knows the multiset of asks, as FGD does."""

    def __init__(
        self, servers: Sequence[Server], trace: Trace, seed: int, without: str = ""
    ) -> None:
        weights = replace(Weights(), **{without: 0.0}) if without else Weights()
        nodes = [server.node for server in servers]
        self.fleet = Fleet(nodes, self.expected(trace), weights)
        self._demands: dict[Pod, Demand] = {}

    def expected(self, trace: Trace) -> Mix:
        return Mix.of((ask, float(often)) for ask, often in trace.multiset().items())

    def choose(self, pod: Pod) -> Place | None:
        spot = self.fleet.best(self._demand(pod))
        return (spot.node, spot.devices) if spot else None

    def took(self, pod: Pod, place: Place) -> None:
        self.fleet.take(self._demand(pod), Spot(*place))

    def gave(self, pod: Pod, place: Place) -> None:
        self.fleet.give(self._demand(pod), Spot(*place))

    def _demand(self, pod: Pod) -> Demand:
        kind = replace(pod, name="")
        demand = self._demands.get(kind)
        if demand is None:
            demand = self._demands[kind] = self.fleet.demand(pod.ask)
        return demand


class PerijoveCold(Perijove):
    """Knows nothing but the product's prior, and learns from what arrives."""

    def __init__(self, servers: Sequence[Server], trace: Trace, seed: int) -> None:
        self._history = History()
        self._seen = 0
        super().__init__(servers, trace, seed)

    def expected(self, trace: Trace) -> Mix:
        return self._history.mix()

    def choose(self, pod: Pod) -> Place | None:
        self._history.saw(pod.ask)
        self._seen += 1
        if self._seen % _LEARN_EVERY == 0:
            self.fleet.learn(self._history.mix())
        return super().choose(pod)
