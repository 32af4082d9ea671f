"""How long a start takes, beside a plain JupyterHub on the same machine in the same minutes.

``make bench-start``; docs/benchmarks.md tells what is measured and how. Options are variables:
N (10) starts a case, CASES ("api click first-output return at-once-30"), SERVERS ("plain perijove"),
OFFER ("gpu-quarter").
"""

import contextlib
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from playwright.sync_api import Error as BrowserError

from deploy.test_peers import chromium, how_to_install
from tests.bench import report
from tests.bench.at_once import at_once
from tests.bench.browsing import Desk
from tests.bench.memory import pss_mib
from tests.bench.plain import PlainHub
from tests.bench.product import Perijove
from tests.bench.program import begin
from tests.bench.report import Series
from tests.bench.target import (
    ONE_START_S,
    StartFailedError,
    Target,
    client_of,
    wait_for,
)

BUDGET_S = 2280.0
"""No round begins that would not be over by then, going by the slowest so far; what was measured
is reported, each series alike."""
SETTLE_S = 1.0
"""From ready to the look at memory."""
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip
_SERVERS = ("plain", "perijove")
_CACHES = {
    "api": ("none",), "click": ("cold", "warm"), "first-output": ("warm",), "return": ("warm",),
}  # fmt: skip
"""Cases that go round, each with the browser's caches that it is tried with."""
_CROWDS = ("at-once-30", "at-once-60", "at-once-150")
_CROWD = re.compile(r"at-once-([1-9][0-9]?|1[0-9][0-9])")
"""Any number may be asked for, to try it out."""
_USUAL = (*_CACHES, "at-once-30")
PLAIN_AT_ONCE = 60
"""A plain JupyterHub takes minutes for more, and is not asked to."""
_A_PERSON_S = {"plain": 2.5, "perijove": 1.0}
"""Of one in a crowd."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    n: int
    cases: tuple[str, ...]
    servers: tuple[str, ...]
    offer: str

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Options":
        """Raises ValueError naming the variable."""
        n = env.get("N", "10")
        if not n.isdecimal() or not int(n):
            raise ValueError(f"N: a number of starts, not {n!r}")
        return cls(
            n=int(n), cases=_choice(env, "CASES", (*_CACHES, *_CROWDS), _USUAL),
            servers=_choice(env, "SERVERS", _SERVERS), offer=env.get("OFFER", "gpu-quarter"),
        )  # fmt: skip

    @property
    def rounds(self) -> tuple[str, ...]:
        """The cases of which each round has one."""
        return tuple(case for case in self.cases if case in _CACHES)

    @property
    def crowds(self) -> list[tuple[int, str]]:
        """How many start at once on which server, each once, the smallest crowd first."""
        sizes = sorted(int(found[1]) for case in self.cases if (found := _CROWD.fullmatch(case)))
        return [
            (n, server)
            for n in sizes
            for server in self.servers
            if n <= PLAIN_AT_ONCE or server != "plain"
        ]

    @property
    def crowds_s(self) -> float:
        """Seconds that they need on a machine with little to spare: to let everybody in, to start
        and to end their servers."""
        return sum(n * _A_PERSON_S[server] for n, server in self.crowds)

    @property
    def in_browser(self) -> bool:
        return bool({"click", "first-output", "return"} & set(self.cases))


def _choice(
    env: Mapping[str, str], name: str, known: tuple[str, ...], usual: tuple[str, ...] = ()
) -> tuple[str, ...]:
    chosen = tuple(env.get(name, " ".join(usual or known)).split())
    wrong = [one for one in chosen if one not in known and not (usual and _CROWD.fullmatch(one))]
    if not chosen or wrong:
        raise ValueError(f"{name}: some of {' '.join(known)}, not {' '.join(chosen)!r}")
    return chosen


class Bench:
    """Every case against one server. A person's first start comes before all that is measured."""

    def __init__(self, target: Target, cases: tuple[str, ...], browser: Browser | None) -> None:
        self.target = target
        self._client = client_of(target)
        self._browser = browser
        self._runs = {
            (case, cache): Series(target.name, case, cache)
            for case in cases
            for cache in _CACHES[case]
        }
        self._warm: BrowserContext | None = None
        self._cookies: Any = None

    @property
    def series(self) -> list[Series]:
        return list(self._runs.values())

    def prepare(self) -> None:
        """Homes, caches of files and, for the case that has it, of the browser are filled."""
        if self._browser is None:
            self._api()
            self.target.remove(self._client)
            return
        with self._context() as first:
            self.target.sign_in(first)
            self._cookies = first.storage_state()
        self._warm = self._browser.new_context(storage_state=self._cookies)
        self._warm.set_default_timeout(ONE_START_S * 1000)
        desk = self._desk(self._warm)
        desk.launcher()
        desk.leave()
        self.target.remove(self._client)

    def round(self) -> None:
        """Each case once."""
        for (case, cache), series in self._runs.items():
            try:
                self._once(case, cache, series)
            except (StartFailedError, BrowserError, httpx.HTTPError) as error:
                series.failures += 1
                sys.stderr.write(f"{self.target.name} {case} {cache}: {error}\n")
                with contextlib.suppress(StartFailedError, httpx.HTTPError):
                    self.target.remove(self._client)

    def _once(self, case: str, cache: str, series: Series) -> None:
        """Start, look at the memory, and leave nothing behind."""
        if case == "api":
            self._note(series, *self._api())
        elif cache == "warm" and self._warm is not None:
            self._browse(case, self._warm, series)
        else:
            with self._context() as cold:
                self._browse(case, cold, series)
        self.target.remove(self._client)

    def _note(self, series: Series, seconds: float, path: str) -> None:
        time.sleep(SETTLE_S)
        series.seconds.append(seconds)
        series.pss_mib.append(pss_mib(path))

    def _api(self) -> tuple[float, str]:
        """From the call that asks for a server until its JupyterLab answers 200."""
        begun = time.perf_counter()
        path = self.target.create(self._client)
        wait_for(lambda: self._client.get(f"{path}lab").status_code == 200, "/lab answers 200")
        return time.perf_counter() - begun, path

    def _browse(self, case: str, context: BrowserContext, series: Series) -> None:
        desk = self._desk(context)
        runs = {
            "click": desk.launcher, "first-output": desk.first_output, "return": desk.come_back,
        }  # fmt: skip
        try:
            self._note(series, *runs[case]())
        finally:
            if path := desk.leave():
                desk.forget(path)

    def _desk(self, context: BrowserContext) -> Desk:
        return Desk(self.target, self._client, context)

    @contextlib.contextmanager
    def _context(self) -> Iterator[BrowserContext]:
        """A browser that knows nobody but the person, with nothing in its cache."""
        assert self._browser is not None
        context = self._browser.new_context(storage_state=self._cookies)
        context.set_default_timeout(ONE_START_S * 1000)
        try:
            yield context
        finally:
            context.close()


def measure(options: Options, until: float) -> list[Series]:
    """Rounds of one start a case and server, in turn, so that whatever else the machine does
    meets all of them alike; then the crowds, one server after the other."""
    with contextlib.ExitStack() as stack:
        known: dict[str, Target] = {"plain": PlainHub(), "perijove": Perijove(options.offer)}
        targets = [stack.enter_context(known[name]) for name in options.servers]
        found = _starts(options, targets, until - options.crowds_s) if options.rounds else []
        return [*found, *_crowds(options, targets)]


def _starts(options: Options, targets: list[Target], until: float) -> list[Series]:
    with contextlib.ExitStack() as stack:
        browser = stack.enter_context(_browser()) if options.in_browser else None
        benches = [Bench(target, options.rounds, browser) for target in targets]
        for bench in benches:
            bench.prepare()
        _rounds(benches, options.n, until)
        return [series for bench in benches for series in bench.series]


def _crowds(options: Options, targets: list[Target]) -> list[Series]:
    by_name = {target.name: target for target in targets}
    return [at_once(by_name[server], n) for n, server in options.crowds]


def _rounds(benches: list[Bench], n: int, until: float) -> None:
    slowest = 0.0
    for number in range(n):
        begun = time.monotonic()
        if begun + slowest > until:
            print(f"the time is used up after {number} rounds of {n}")
            return
        for bench in benches:
            bench.round()
        slowest = max(slowest, time.monotonic() - begun)


@contextlib.contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(_FLAGS))
        yield browser
        browser.close()


def main() -> int:
    """0 when every start came, 1 when one did not, 2 for options that cannot be read."""
    until = time.monotonic() + BUDGET_S
    options = begin(Options.read)
    if options.in_browser and chromium() is None:
        sys.stderr.write(f"{how_to_install('chromium')}: CASES=api and at-once run without it\n")
        return 2
    about = {"versions": report.versions(), "offer": options.offer, "before": report.machine()}
    try:
        series = measure(options, until)
    except (StartFailedError, BrowserError, httpx.HTTPError, AssertionError) as error:
        sys.stderr.write(f"nothing was measured: {error}\n")
        return 1
    report.write(series, {**about, "after": report.machine()})
    print(report.table(series))
    return 1 if any(one.failures for one in series) else 0


if __name__ == "__main__":
    sys.exit(main())
