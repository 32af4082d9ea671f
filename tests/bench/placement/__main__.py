"""How full a cluster gets, by policy. ``make bench-placement TRACES=DIR``; docs/placement.md tells the
protocol.

Options are variables. TRACES: the folder of the openb trace. NAMES ("default"): traces, also with a
perturbation ("default~cpu+20"). SEEDS ("0..4"). POLICIES ("random best-fit dot-product packing fgd
perijove"; there are "perijove-cold" and "perijove-without-TERM" as well). REGIMES ("fill departures").
LOADS ("0.95 1.0 1.1"): of the departures. LOG: a folder for one CSV a run.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.placement import report
from tests.bench.placement.fgd import Fgd
from tests.bench.placement.ours import ABLATIONS, Perijove, PerijoveCold
from tests.bench.placement.peers import BestFit, DotProduct, Packing, Policy, Random
from tests.bench.placement.regimes import Run, departures, fill
from tests.bench.placement.replay import Machine, Wish, check
from tests.bench.placement.trace import Server, Trace, load

Maker = Callable[[list[Server], Trace, int], Policy]
POLICIES: dict[str, Maker] = {
    "random": Random,
    "best-fit": BestFit,
    "dot-product": DotProduct,
    "packing": Packing,
    "fgd": Fgd,
    "perijove": Perijove,
    "perijove-cold": PerijoveCold,
    **{f"perijove-without-{term}": partial(Perijove, without=term) for term in ABLATIONS},
}
_USUAL = "random best-fit dot-product packing fgd perijove"
_REGIMES = ("fill", "departures")


@dataclass(frozen=True, slots=True)
class Options:
    traces: Path
    names: tuple[str, ...]
    seeds: tuple[int, ...]
    policies: tuple[str, ...]
    regimes: tuple[str, ...]
    loads: tuple[float, ...]
    log: Path | None

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Options":
        """Raises ValueError naming the variable that is wrong."""
        if not env.get("TRACES"):
            raise ValueError("TRACES: give the folder of the openb trace")
        return cls(
            Path(env["TRACES"]),
            tuple(env.get("NAMES", "default").split()) or ("default",),
            _seeds(env.get("SEEDS") or "0..4"),
            _chosen("POLICIES", env.get("POLICIES") or _USUAL, POLICIES),
            _chosen("REGIMES", env.get("REGIMES") or " ".join(_REGIMES), _REGIMES),
            tuple(_number("LOADS", part) for part in (env.get("LOADS") or "0.95 1.0 1.1").split()),
            Path(env["LOG"]) if env.get("LOG") else None,
        )


@dataclass(frozen=True, slots=True)
class Case:
    """One run to make: `load` is None when it fills up."""

    trace: Trace
    policy: str
    seed: int
    load: float | None = None

    def run(self) -> Run:
        servers = self.trace.shuffled(self.seed)
        policy = POLICIES[self.policy](servers, self.trace, self.seed)
        if self.load is None:
            return fill(policy, servers, self.trace, self.seed)
        return departures(policy, servers, self.trace, self.seed, self.load)

    def checked(self, run: Run) -> bool:
        """The run as its log tells it, replayed. Raises `BadLogError` when it cannot be."""
        wishes = {
            pod.name: Wish(
                pod.cpu_milli, pod.memory_mib, pod.count, pod.milli, frozenset(pod.models)
            )
            for pod in self.trace.pods
        }
        machines = {
            server.name: Machine(server.cpu_milli, server.memory_mib, server.count, server.model)
            for server in self.trace.servers
        }
        return check(run.rows, wishes, machines) == len(run.rows)


def main(env: Mapping[str, str], results: Path = report.RESULTS) -> int:
    """Runs what the options say; results are written after each run, so that none is lost."""
    try:
        options = Options.read(env)
        cases = list(_cases(options))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    rows: list[report.Row] = []
    for case in cases:
        run = case.run()
        row = report.row(case.trace.name, case.policy, case.seed, case.load, run)
        row["validated"] = case.checked(run)
        rows.append(row)
        print(report.line(row), flush=True)
        report.write(rows, results)
        if options.log:
            report.log(row, run, options.log)
    print(report.table(rows))
    return 0


def _cases(options: Options) -> list[Case]:
    loads = [*([None] if "fill" in options.regimes else [])]
    with_departures = list(options.loads) if "departures" in options.regimes else []
    return [
        Case(trace, policy, seed, load_)
        for name in options.names
        for seed in options.seeds
        for trace in [load(options.traces, name, seed)]
        for policy in options.policies
        for load_ in [*loads, *with_departures]
    ]


def _seeds(text: str) -> tuple[int, ...]:
    """``"0..4"`` or ``"0 3 7"``."""
    try:
        first, dots, last = text.partition("..")
        seeds = range(int(first), int(last) + 1) if dots else [int(part) for part in text.split()]
    except ValueError:
        raise ValueError(f"SEEDS: {text!r} is not like 0..4 or 0 3 7") from None
    if not seeds:
        raise ValueError(f"SEEDS: {text!r} names none")
    return tuple(seeds)


def _chosen(name: str, text: str, known: Mapping[str, object] | tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(text.split())
    wrong = [one for one in chosen if one not in known]
    if wrong or not chosen:
        raise ValueError(f"{name}: {' '.join(wrong)!r} is none of {' '.join(known)}")
    return chosen


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not a number") from None
    if not 0 < value < 10:
        raise ValueError(f"{name}: {text!r} is not between 0 and 10")
    return value


if __name__ == "__main__":
    raise SystemExit(main(os.environ))
