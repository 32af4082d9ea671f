"""Keeps one program running: starts or adopts it, watches it, starts it again."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.errors import BadSetup
from hub.up.backoff import STEADY_S, Ladder
from hub.up.logs import setup_error, tail
from hub.up.processes import Identity, Process, Record
from hub.up.programs import Program

SETUP_ERROR = 78
"""Exit status of a program that only the operator can help (EX_CONFIG of sysexits.h)."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a keeper reports to. `said` gets sentences for the terminal."""

    changed: Callable[[], None]
    said: Callable[[str], None]
    started: Callable[["Keeper"], Coroutine[Any, Any, None]]


class Keeper:
    """One program over its lives. `run` until `stop`; both are called once."""

    def __init__(self, program: Program, log_path: Path, version: str, hooks: Hooks) -> None:
        self.program = program
        self.log_path = log_path
        self.ladder = Ladder()
        self.process: Process | None = None
        self._version = version
        self._hooks = hooks
        self._stopping = asyncio.Event()

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def record(self) -> Record:
        """What the next `up` needs to adopt it, and `status` to show it; pid 0 while it is down."""
        runs = self.process is not None and not self.process.has_ended
        who = self.process.identity if self.process and runs else Identity(0, 0)
        state = "failing" if self.ladder.failing else "running"
        return Record(self.name, who.pid, who.started, self.program.digest, self._version, state)

    def take_over(self, record: Record) -> bool:
        """Adopt what an earlier `up` left running. False when it is gone or outdated."""
        if (record.digest, record.version) != (self.program.digest, self._version):
            return False
        self.process = Process.adopt(record.identity)
        return self.process is not None

    async def run(self) -> None:
        """Keep it running until `stop`. Raises BadSetup when only the operator can help."""
        while not self._stopping.is_set():
            if self.process is None:
                self._start()
            if self.process is not None:
                self._hooks.changed()
                await self._live(self.process)
            if self._stopping.is_set():
                return
            await self._pause(self._ended())

    async def stop(self, grace_s: float) -> None:
        """End it, and start it no more. Returns when it is gone."""
        self._stopping.set()
        if self.process is not None:
            await self.process.stop(grace_s)

    def kill(self) -> None:
        """End it at once. For somebody who will not wait; `stop` still has to be awaited."""
        self._stopping.set()
        if self.process is not None:
            self.process.kill()

    def _start(self) -> None:
        try:
            self.process = Process.start(self.program, self.log_path)
        except OSError as error:
            self._hooks.said(f"{self.name} cannot be started: {error}")

    async def _live(self, process: Process) -> None:
        """One life of the process, to its end."""
        following = asyncio.create_task(self._hooks.started(self))
        steady = asyncio.get_running_loop().call_later(STEADY_S, self._steady)
        try:
            code = await process.wait()
        finally:
            following.cancel()
            steady.cancel()
        if code == SETUP_ERROR and not self._stopping.is_set():
            raise self._setup_error(process)
        if not self._stopping.is_set():
            self._hooks.said(f"{self.name} ended ({_how(code)}); starting it again")

    def _ended(self) -> float:
        """Note the end; returns the seconds to wait before the next start."""
        was_failing = self.ladder.failing
        now = time.monotonic()
        ran_s = now - self.process.begun_at if self.process else 0.0
        since = self.process.log_from if self.process else 0
        delay_s = self.ladder.ended(now, ran_s)
        self.process = None
        self._hooks.changed()
        if self.ladder.failing and not was_failing:
            self._hooks.said(self.trouble(since))
        return delay_s

    def trouble(self, since: int = 0) -> str:
        """The end of its log, for a person."""
        lines = tail(self.log_path, since=since) or ["(it said nothing)"]
        said = "\n".join(f"    {line}" for line in lines)
        return f"{self.name} is in trouble; the end of {self.log_path}:\n{said}"

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _steady(self) -> None:
        self.ladder.steady()
        self._hooks.changed()

    def _setup_error(self, process: Process) -> BadSetup:
        said = setup_error(self.log_path, process.log_from)
        if said is None:
            end = "\n".join(tail(self.log_path, since=process.log_from))
            return BadSetup(f"{self.name} cannot run:\n{end}", next=f"read {self.log_path}")
        return BadSetup(f"{self.name}: {said.get('message', '')}", next=said.get("next", ""))


def _how(code: int | None) -> str:
    if code is None:
        return "its exit status is not known"
    return f"exit status {code}" if code >= 0 else f"killed by signal {-code}"
