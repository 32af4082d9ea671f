"""`perijove up`: four sibling processes in the foreground, kept running until it is told to stop.

Killing `up` with -9 stops none of them: the next `up` adopts those that run the same code with the
same settings, and replaces the others.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from catalog.errors import BadSetup, PerijoveError, Unavailable
from hub.settings import Settings
from hub.up import ports, swap
from hub.up.door import ControlDoor, post_routes, probe_health
from hub.up.drain import drain
from hub.up.exposure import demand_safe_exposure
from hub.up.home import prepare_home
from hub.up.keeper import Hooks, Keeper
from hub.up.lock import only_one
from hub.up.processes import Book
from hub.up.programs import STOP_ORDER, Program, code_version, product_programs
from hub.up.takeover import end_all, find_leftovers
from hub.up.terminal import SignInLink, Terminal, banner


@dataclass(frozen=True, slots=True)
class Patience:
    """How long `up` waits, in seconds."""

    ready_s: float = 60.0
    drain_s: float = 30.0
    grace_s: float = 5.0
    poll_s: float = 0.1
    watch_s: float = 0.5


def run_up(
    settings: Settings,
    *,
    keep: bool = False,
    programs: Callable[[Settings], list[Program]] = product_programs,
    terminal: Terminal | None = None,
    patience: Patience | None = None,
) -> int:
    """Run the product until Ctrl-C or TERM. Returns the exit status; never raises for bad set-up.

    With `keep`, or when the terminal goes away (SIGHUP), notebooks are left running; otherwise
    they are stopped and settled first.
    """
    terminal = terminal or Terminal()
    try:
        demand_safe_exposure(settings)
        prepare_home(settings)
        with only_one(settings.run_dir, settings.url):
            supervisor = Supervisor(settings, programs, terminal, patience or Patience(), keep=keep)
            return asyncio.run(supervisor.run())
    except PerijoveError as error:
        terminal.tell(error)
        return 1


class Supervisor:
    """One run of `up` on a home that was prepared and locked."""

    def __init__(
        self,
        settings: Settings,
        programs: Callable[[Settings], list[Program]],
        terminal: Terminal,
        patience: Patience,
        *,
        keep: bool,
    ) -> None:
        self._settings = settings
        self._programs = programs
        self._terminal = terminal
        self._patience = patience
        self._keep = keep
        self._book = Book(settings.run_dir / "processes.json")
        self._keepers: dict[str, Keeper] = {}
        self._lives: list[asyncio.Task[None]] = []
        self._warnings: list[str] = []
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> int:
        """Until told to stop: 0; or until a program needs the operator: 1."""
        self._listen_to_signals()
        try:
            await self._open()
            await self._serve()
        except PerijoveError as error:
            self._terminal.tell(error)
            await self._close()
            return 1
        if not self._keep:
            await drain(
                ControlDoor(self._settings), self._terminal, self._patience.drain_s, self._hurry
            )
        await self._close()
        self._terminal.say("stopped")
        return 0

    async def _serve(self) -> None:
        """Watch until told to stop. Raises what a keeper raised."""
        announcing = asyncio.create_task(self._announce())
        stop = asyncio.create_task(self._stop.wait())
        try:
            while not stop.done():
                await asyncio.wait(
                    {stop, *self._lives},
                    timeout=self._patience.watch_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for life in self._lives:
                    if life.done():
                        life.result()
                if swap.is_staged(self._settings):
                    await self._restore()
        finally:
            announcing.cancel()
            stop.cancel()

    async def _open(self) -> None:
        """Adopt or end what an earlier `up` left, then start the rest. All at once."""
        version = await asyncio.to_thread(code_version)
        kept = self._settle_ports(serving=ports.NAMES)
        records = self._book.read()
        programs = self._programs(self._settings)
        left = find_leftovers(records, programs, version, self._settings.home)
        if swap.is_staged(self._settings):
            everything = (*left.outdated, *(r.identity for r in left.adoptable.values()))
            await end_all(everything, self._patience.grace_s)
            await self._restore()
            return
        await end_all(left.outdated, self._patience.grace_s)
        adoptable = dict(left.adoptable)
        serving = {"proxy_api" if name == "proxy" else name for name in adoptable}
        settled = self._settle_ports(serving)
        self._warnings = [*kept.warnings, *settled.warnings]
        if settled.ports != kept.ports:
            # Everybody reads the ports when it starts, so nobody who knows the old ones may stay.
            await end_all((r.identity for r in adoptable.values()), self._patience.grace_s)
            adoptable = {}
            vars(self._settings).pop("ports", None)  # read anew: they are cached there
            programs = self._programs(self._settings)
        if "proxy" not in adoptable:
            ports.demand_public_port(self._settings)
        self._begin(programs, version)
        for name, record in adoptable.items():
            self._keepers[name].take_over(record)
        self._lives = [asyncio.create_task(keeper.run()) for keeper in self._keepers.values()]

    def _settle_ports(self, serving: Collection[str]) -> ports.Settled:
        settings = self._settings
        return ports.settle_ports(settings.run_dir / "ports.json", settings.port, serving)

    def _begin(self, programs: Sequence[Program], version: str) -> None:
        hooks = Hooks(self._note, self._terminal.say, self._follow)
        self._keepers = {
            program.name: Keeper(
                program, self._settings.log_dir / f"{program.name}.log", version, hooks
            )
            for program in programs
        }

    async def _restore(self) -> None:
        """Stop everything, put the staged backup in place, start everything."""
        self._terminal.say("restoring a backup; notebooks keep running meanwhile")
        await self._close()
        result = await asyncio.to_thread(swap.swap_in, self._settings)
        self._terminal.say(result)
        await self._open()

    async def _close(self) -> None:
        """End all, those that others lean on last. Repeatable."""
        for name in STOP_ORDER:
            if name in self._keepers:
                await self._keepers[name].stop(self._patience.grace_s)
        await asyncio.gather(*self._lives, return_exceptions=True)
        self._keepers, self._lives = {}, []
        self._note()

    def _note(self) -> None:
        """Write down what runs. A full disk must not end what runs."""
        try:
            self._book.write([keeper.record for keeper in self._keepers.values()])
        except BadSetup as error:
            self._terminal.tell(error)

    async def _follow(self, keeper: Keeper) -> None:
        """A proxy starts with no routes: have the Hub send them, as soon as both are there."""
        process = keeper.process
        if keeper.name != "proxy" or process is None or process.adopted:
            return
        while not ports.answers(keeper.program.port):  # noqa: ASYNC110 (another process)
            await asyncio.sleep(self._patience.poll_s)
        while True:
            status = await asyncio.to_thread(post_routes, self._settings)
            if status in range(200, 300):
                return
            if status in {401, 403}:
                self._terminal.say(f"the Hub refused to send its routes to the proxy ({status})")
                return
            await asyncio.sleep(self._patience.poll_s)

    async def _announce(self) -> None:
        """Show the banner once everything is ready; before that, what is in the way."""
        adopted = [k.name for k in self._keepers.values() if k.process and k.process.adopted]
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._patience.ready_s
        complained = False
        while True:
            why = await asyncio.to_thread(self._why_not_ready)
            if not why:
                break
            if loop.time() > give_up and not complained:
                complained = True
                self._terminal.say(self._trouble(why))
            await asyncio.sleep(self._patience.poll_s)
        self._terminal.show(await asyncio.to_thread(self._banner, adopted))

    def _why_not_ready(self) -> str:
        # The public port is asked last: before, the proxy would log an error for each question.
        if silent := self._silent():
            return f"{', '.join(keeper.name for keeper in silent)} not listening yet"
        return probe_health(self._settings)[1]

    def _silent(self) -> list[Keeper]:
        return [k for k in self._keepers.values() if not ports.answers(k.program.port)]

    def _trouble(self, why: str) -> str:
        """Which process keeps the rest from being ready, as far as it can be told."""
        text = f"not ready after {self._patience.ready_s:g} s: {why}"
        for keeper in self._silent():
            text += f"\n{keeper.trouble()}"
        return text + "\n  next: `perijove doctor` looks for causes; this keeps trying"

    def _banner(self, adopted: Sequence[str]) -> str:
        door = ControlDoor(self._settings)
        site, link = {}, {}
        with contextlib.suppress(Unavailable):
            site = door.ask("GET", "/internal/site")
            link = door.ask("POST", "/internal/admin-link", if_needed="1")
        found = link.get("url")
        return banner(
            url=self._settings.url,
            home=str(self._settings.home),
            link=SignInLink(str(found), str(link.get("expires_at"))) if found else None,
            emulated=bool(site.get("emulated")),
            warnings=[*self._warnings, *map(str, site.get("warnings", []))],
            adopted=adopted,
            keep=self._keep,
        )

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._terminal_gone)

    def _asked_to_stop(self) -> None:
        if not self._stop.is_set():
            self._terminal.say("stopping (once more: at once)")
            self._stop.set()
            return
        self._hurry.set()
        for keeper in self._keepers.values():
            keeper.kill()

    def _terminal_gone(self) -> None:
        # Nobody decided to end people's work: the window was closed or the line dropped.
        self._keep = True
        self._stop.set()
