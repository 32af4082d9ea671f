"""``make bench-utilisation``: two weeks of a campus under several policies.

Options in the environment: ``LOADS="0.5 0.7 0.9 1.0 1.1"``, ``SEEDS="0 1 2"``,
``POLICIES="fifo first-fit static static-pooled perijove"``, ``CAMPUS`` another spec, ``LOG`` a folder
for a CSV of every event, ``JOBS=1`` how many runs at a time.
"""

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tests.bench.utilisation import report
from tests.bench.utilisation.campus import SPEC, read_campus
from tests.bench.utilisation.demand import Demand, draw, write
from tests.bench.utilisation.metrics import figures
from tests.bench.utilisation.partition import optimised
from tests.bench.utilisation.peers import OneQueue, Partitions, sizes_of
from tests.bench.utilisation.perijove import Perijove
from tests.bench.utilisation.simulation import Policy, simulate
from tests.bench.utilisation.validator import verify

T = TypeVar("T", int, float)
RESULTS = Path(__file__).parents[3] / "bench-results"
POLICIES: Mapping[str, Callable[[Demand], Policy]] = {
    "fifo": lambda demand: OneQueue(strict=True),
    "first-fit": lambda demand: OneQueue(strict=False),
    "static": partial(optimised, pooled=False),
    "static-pooled": partial(optimised, pooled=True),
    "perijove": Perijove,
}


@dataclass(frozen=True, slots=True)
class Options:
    """See the module."""

    loads: tuple[float, ...] = (0.5, 0.7, 0.9, 1.0, 1.1)
    seeds: tuple[int, ...] = (0, 1, 2)
    policies: tuple[str, ...] = tuple(POLICIES)
    campus: Path = SPEC
    log: Path | None = None
    jobs: int = 1

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Options":
        """Raises ValueError that names the option."""
        plain = cls()
        policies = tuple(env.get("POLICIES", "").split()) or plain.policies
        if unknown := set(policies) - set(POLICIES):
            raise ValueError(f"POLICIES: {', '.join(unknown)} is none of {', '.join(POLICIES)}")
        return cls(
            _numbers(env, "LOADS", float) or plain.loads,
            _numbers(env, "SEEDS", int) or plain.seeds,
            policies,
            Path(env.get("CAMPUS") or SPEC),
            Path(env["LOG"]) if env.get("LOG") else None,
            (_numbers(env, "JOBS", int) or (1,))[0],
        )


def _numbers(env: Mapping[str, str], name: str, kind: type[T]) -> tuple[T, ...]:
    try:
        found = tuple(kind(word) for word in env.get(name, "").split())
    except ValueError:
        raise ValueError(f"{name}: {env[name]!r} is not a list of numbers") from None
    if any(number < 0 for number in found):
        raise ValueError(f"{name}: a negative number")
    return found


def one_run(options: Options, load: float, seed: int, name: str) -> dict[str, Any]:
    """A row of the results: a fortnight under one policy, checked."""
    demand = _demand(options, load, seed)
    began = time.perf_counter()
    policy = POLICIES[name](demand)
    log = simulate(demand, policy)
    seconds = time.perf_counter() - began
    row, verified = figures(demand, log), verify(demand, log)
    wrong = list(verified.wrong)
    if verified.late_students != row["late"]:
        wrong.append(f"{verified.late_students} late students, {row['late']} in the figures")
    if verified.milli_minutes != row["held_milli_minutes"]:
        wrong.append("the sums of GPU time differ")
    if options.log:
        report.write_log(log, options.log / f"{name}-{load:g}-{seed}.csv")
    return {
        "load": load,
        "seed": seed,
        "policy": name,
        "figures": row,
        "partitions": sizes_of(policy.partitions) if isinstance(policy, Partitions) else None,
        "seconds": round(seconds, 1),
        "validated": not wrong,
        "wrong": wrong[:10],
    }


def _demand(options: Options, load: float, seed: int) -> Demand:
    return draw(read_campus(options.campus), load, seed)


def main(env: Mapping[str, str], folder: Path = RESULTS) -> int:
    """Run everything; 0 if every log passed its check."""
    try:
        options = Options.read(env)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for load in options.loads:
        for seed in options.seeds:
            write(_demand(options, load, seed), folder / f"demand-{load:g}-{seed}.csv")
    about = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seeds": options.seeds,
    }
    rows: list[dict[str, Any]] = []
    # Seed by seed, and written after each run: what is stopped early has whole tables for some.
    wanted = [(o, s, p) for s in options.seeds for o in options.loads for p in options.policies]
    with ProcessPoolExecutor(max(1, options.jobs)) as pool:
        runs = [pool.submit(one_run, options, *key) for key in wanted]
        for run in as_completed(runs):
            rows.append(run.result())
            _tell(rows[-1], f"{len(rows)}/{len(runs)}")
            rows.sort(key=lambda row: wanted.index((row["load"], row["seed"], row["policy"])))
            report.write(rows, about, folder)
    print(report.table(rows))
    return 0 if all(row["validated"] for row in rows) else 1


def _tell(row: dict[str, Any], count: str) -> None:
    fault = "" if row["validated"] else f" NOT VALID: {row['wrong'][0]}"
    sys.stderr.write(
        f"{count} load {row['load']:g} seed {row['seed']} {row['policy']}:"
        f" {row['figures']['utilisation']:.1%} used, {row['figures']['late']} late,"
        f" {row['seconds']} s{fault}\n"
    )


if __name__ == "__main__":
    sys.exit(main(os.environ))
