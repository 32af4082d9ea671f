"""How long a start takes, beside a plain JupyterHub on the same machine in the same minutes.

``make bench-start``; docs/benchmarks.md tells what is measured and how. Options are variables:
N (10) starts a case, CASES ("api click"), SERVERS ("plain perijove"), OFFER ("gpu-quarter").
"""

import contextlib
import os
import signal
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
from tests.bench.memory import pss_mib
from tests.bench.plain import PlainHub
from tests.bench.product import Perijove
from tests.bench.report import Series
from tests.bench.target import (
    ONE_START_S,
    StartFailedError,
    Target,
    client_of,
    wait_for,
    wait_shown,
)

BUDGET_S = 540.0
"""No round begins that would not be over by then, going by the slowest so far; what was measured
is reported, each series alike."""
SETTLE_S = 1.0
"""From ready to the look at memory, and from a menu that is there to the click."""
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip
_SERVERS = ("plain", "perijove")
_CASES = ("api", "click")


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
            n=int(n), cases=_choice(env, "CASES", _CASES),
            servers=_choice(env, "SERVERS", _SERVERS), offer=env.get("OFFER", "gpu-quarter"),
        )  # fmt: skip


def _choice(env: Mapping[str, str], name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(env.get(name, " ".join(known)).split())
    if not chosen or not set(chosen) <= set(known):
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
            for cache in (("cold", "warm") if case == "click" else ("none",))
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
        self._click(self._warm)
        self.target.remove(self._client)

    def round(self) -> None:
        """Each case once."""
        for (case, cache), series in self._runs.items():
            try:
                seconds, path = self._once(case, cache)
                series.seconds.append(seconds)
                time.sleep(SETTLE_S)
                series.pss_mib.append(pss_mib(path))
                self.target.remove(self._client)
            except (StartFailedError, BrowserError, httpx.HTTPError) as error:
                series.failures += 1
                sys.stderr.write(f"{self.target.name} {case} {cache}: {error}\n")
                with contextlib.suppress(StartFailedError, httpx.HTTPError):
                    self.target.remove(self._client)

    def _once(self, case: str, cache: str) -> tuple[float, str]:
        if case == "api":
            return self._api()
        if cache == "warm" and self._warm is not None:
            return self._click(self._warm)
        with self._context() as cold:
            return self._click(cold)

    def _api(self) -> tuple[float, str]:
        """From the call that asks for a server until its JupyterLab answers 200."""
        begun = time.perf_counter()
        path = self.target.create(self._client)
        wait_for(lambda: self._client.get(f"{path}lab").status_code == 200, "/lab answers 200")
        return time.perf_counter() - begun, path

    def _click(self, context: BrowserContext) -> tuple[float, str]:
        """From the click on the start button until a card of the launcher is there to press."""
        try:
            page = context.new_page()
            self.target.show_menu(page)
            page.wait_for_timeout(SETTLE_S * 1000)
            begun = time.perf_counter()
            lab = self.target.click_start(page)
            wait_shown(lab.get_by_title("Python 3 (ipykernel)").first)
            seconds = time.perf_counter() - begun
            return seconds, httpx.URL(lab.url).path.partition("lab")[0]
        finally:
            for one in context.pages:
                one.close()

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
    meets all of them alike."""
    with contextlib.ExitStack() as stack:
        browser = stack.enter_context(_browser()) if "click" in options.cases else None
        targets: dict[str, Target] = {"plain": PlainHub(), "perijove": Perijove(options.offer)}
        benches = [
            Bench(stack.enter_context(targets[name]), options.cases, browser)
            for name in options.servers
        ]
        for bench in benches:
            bench.prepare()
        _rounds(benches, options.n, until)
        return [series for bench in benches for series in bench.series]


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
    try:
        options = Options.read(os.environ)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if "click" in options.cases and chromium() is None:
        sys.stderr.write(f"{how_to_install('chromium')}: only CASES=api can run without it\n")
        return 2
    about = {"versions": report.versions(), "offer": options.offer, "before": report.machine()}
    # Asked to end: what was started is ended all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
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
