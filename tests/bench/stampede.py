"""A whole class signs in and presses "Open lab" within ten seconds: does everybody get there?

``make bench-stampede``; docs/benchmarks.md tells what is measured and how. Options are variables:
PEOPLE (120), SPREAD (10: seconds over which they come, and press).
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from hub.people import SignIns
from tests.bench import report
from tests.bench.accounts import PASSWORD
from tests.bench.course import WATCHER, CourseSite
from tests.bench.program import begin
from tests.bench.student import Record, Student
from tests.bench.target import StartFailedError

BUDGET_S = 230.0
"""From the start of the program; a student who is not there by then never is. What is left of five
minutes is for ending everything."""
_WATCH_S = 0.1
_SEED = 9
"""The moments are drawn, and the same each time."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    people: int
    spread_s: float

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Options":
        """Raises ValueError naming the variable."""
        people, spread = env.get("PEOPLE", "120"), env.get("SPREAD", "10")
        if not people.isdecimal() or not 1 <= int(people) <= 400:
            raise ValueError(f"PEOPLE: from 1 to 400, not {people!r}")
        if not spread.isdecimal() or int(spread) > 60:
            raise ValueError(f"SPREAD: seconds from 0 to 60, not {spread!r}")
        return cls(int(people), float(spread))


def moments(people: int, spread_s: float) -> list[float]:
    """When each of them comes, in seconds; never later than `spread_s`."""
    drawn = random.Random(_SEED)
    return [drawn.uniform(0, spread_s) for _ in range(people)]


def spread(values: list[float]) -> dict[str, Any]:
    """Percentiles by nearest rank; None where nothing was measured."""
    ranked = sorted(values)

    def rank(share: float) -> float | None:
        at = max(0, -int(-share * len(ranked) // 1) - 1)
        return round(ranked[at], 3) if ranked else None

    return {"n": len(ranked), "p50_s": rank(0.5), "p99_s": rank(0.99), "worst_s": rank(1)}


@dataclass(frozen=True, slots=True)
class Phase:
    """What a part of the stampede took: seconds by the clock, and seconds of processor of this
    program and of each process of the site. Notebooks themselves are not in it."""

    wall_s: float
    generator_s: float
    site_s: dict[str, float]

    def row(self, processors: int) -> dict[str, Any]:
        """`generator_share` is of the whole machine."""
        return {
            "wall_s": round(self.wall_s, 2),
            "generator_cpu_s": round(self.generator_s, 2),
            "generator_share": round(self.generator_s / (self.wall_s * processors), 3),
            "site_cpu_s": {name: round(took, 2) for name, took in self.site_s.items()},
        }


def _used(processes: Mapping[str, int]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, pid in processes.items():
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            found[name] = times.user + times.system
    return found


class Stampede:
    """One class at one site."""

    def __init__(self, site: CourseSite, options: Options, until: float) -> None:
        self._site = site
        self._options = options
        self._until = until
        self._processes = site.processes()
        self.record = Record()
        self.phases: dict[str, Phase] = {}

    async def run(self) -> None:
        """Everybody signs in; then everybody presses. Who fails is in the record."""
        async with contextlib.AsyncExitStack() as stack:
            students = [
                await stack.enter_async_context(Student(self._site.url, login, self.record))
                for login in self._site.logins
            ]
            watcher = await stack.enter_async_context(
                Student(
                    self._site.url,
                    WATCHER,
                    Record(tally=self.record.tally, shell_s=self.record.shell_s),
                )
            )
            await watcher.sign_in()
            watch = asyncio.create_task(self._watch(watcher))
            with self._phase("sign_in"):
                there = await self._all(students, Student.sign_in)
            with self._phase("open_lab"):
                await self._all(there, Student.open_lab)
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    async def _all(
        self, students: list[Student], do: Callable[[Student], Awaitable[None]]
    ) -> list[Student]:
        """Each at their moment; who came through."""

        async def one(student: Student, at: float) -> Student | None:
            try:
                async with asyncio.timeout(max(1.0, self._until - time.monotonic())):
                    await asyncio.sleep(at)
                    await do(student)
            except (StartFailedError, TimeoutError) as error:
                self.record.problems.append(str(error) or "the time was used up")
                return None
            return student

        at = moments(len(students), self._options.spread_s)
        done = await asyncio.gather(*map(one, students, at))
        return [student for student in done if student is not None]

    async def _watch(self, watcher: Student) -> None:
        """Looks at the menu all the time. What it meets is in the same record as the others'."""
        while True:
            await watcher.menu()
            await asyncio.sleep(_WATCH_S)

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        before, own, begun = _used(self._processes), time.process_time(), time.perf_counter()
        yield
        after = _used(self._processes)
        self.phases[name] = Phase(
            time.perf_counter() - begun, time.process_time() - own,
            {process: after[process] - used for process, used in before.items() if process in after},
        )  # fmt: skip


def password_check_s() -> float:
    """Processor time that one check of a password takes, the threads of the hash included."""
    sign_ins = SignIns()
    stored = sign_ins.hash(PASSWORD)
    begun = time.process_time()
    for _ in range(5):
        sign_ins.verify(stored, PASSWORD)
    return (time.process_time() - begun) / 5


def result(options: Options, record: Record, phases: Mapping[str, Phase], check_s: float) -> Any:
    """What ``stampede.json`` has, without the machine and the versions."""
    processors = len(os.sched_getaffinity(0))
    checks_s = check_s * len(record.sign_in_s)
    signing = phases.get("sign_in")
    all_s = signing.generator_s + sum(signing.site_s.values()) if signing else 0.0
    return {
        "people": options.people,
        "spread_s": options.spread_s,
        "usable": len(record.usable_s),
        "until_usable": spread(record.usable_s),
        "sign_in": spread(record.sign_in_s),
        "shell": spread(record.shell_s),
        "requests": record.tally.requests,
        "retries": record.tally.retries,
        "error_answers": sum(record.tally.errors.values()),
        "faults_5xx": record.tally.faults,
        "errors": dict(record.tally.errors.most_common(20)),
        "problems": record.problems[:20],
        "password_check_s": round(check_s, 3),
        "password_share_of_sign_in": round(checks_s / all_s, 3) if all_s else None,
        "phases": {name: phase.row(processors) for name, phase in phases.items()},
    }


def table(found: Mapping[str, Any]) -> str:
    """The figures for a terminal."""
    lines = [f"{'':14}{'n':>6}{'p50, s':>9}{'p99, s':>9}{'worst, s':>10}"]
    for name in ("sign_in", "until_usable", "shell"):
        one = found[name]
        cells = [f"{one[key]:.2f}" if one[key] is not None else "-" for key in _SPREAD]
        lines.append(f"{name:14}{one['n']:>6}{cells[0]:>9}{cells[1]:>9}{cells[2]:>10}")
    lines.append(
        f"{found['usable']} of {found['people']} usable; {found['requests']} requests, "
        f"{found['retries']} retries, {found['error_answers']} answers of 400 and more, "
        f"{found['faults_5xx']} of them faults"
    )
    for name, phase in found["phases"].items():
        site = ", ".join(f"{one} {took}" for one, took in phase["site_cpu_s"].items())
        lines.append(
            f"{name}: {phase['wall_s']} s; processor, s: {site}; "
            f"this program {phase['generator_cpu_s']} ({phase['generator_share']:.0%} of the machine)"
        )
    lines.append(
        f"one check of a password: {found['password_check_s']} s of processor; all of them "
        f"{found['password_share_of_sign_in'] or 0:.0%} of the work of signing in"
    )
    return "\n".join(lines)


_SPREAD = ("p50_s", "p99_s", "worst_s")


def write(found: Mapping[str, Any], folder: Path = report.RESULTS) -> None:
    """``stampede.json``; an earlier one is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stampede.json").write_text(json.dumps(found, indent=1) + "\n")


def main() -> int:
    """0 when everybody got there without an error, else 1; 2 for options that cannot be read."""
    until = time.monotonic() + BUDGET_S
    options = begin(Options.read)
    # For what has no limit of its own, such as making the accounts.
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"not within {BUDGET_S:.0f} s"))
    signal.alarm(int(BUDGET_S) + 5)
    about = {"versions": report.versions(), "before": report.machine()}
    check_s = password_check_s()
    try:
        with CourseSite(options.people) as site:
            stampede = Stampede(site, options, until)
            asyncio.run(stampede.run())
            signal.alarm(0)
    except (StartFailedError, AssertionError) as error:
        sys.stderr.write(f"nothing was measured: {error}\n")
        return 1
    found = result(options, stampede.record, stampede.phases, check_s)
    write({**found, **about, "after": report.machine()})
    print(table(found))
    smooth = not found["error_answers"] and not found["problems"]
    return 0 if smooth and found["usable"] == options.people else 1


if __name__ == "__main__":
    sys.exit(main())
