"""Engines under the contract: each bench runs the same behaviours, really or in memory."""

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from catalog.clock import Clock, ManualClock, SystemClock
from catalog.inventory import Device, Node, Vendor
from spawners.engine import EndCause, Engine, LaunchSpec, Observation, Phase, Template
from spawners.fake import FakeEngine
from spawners.local.engine import LocalEngine

T = TypeVar("T")
NODES = [
    Node(
        "here",
        4000,
        8 * 2**30,
        (Device("emulated-0", Vendor.EMULATED, "Emulated 24 GiB", 24576),),
    )
]
LISTEN = "import socket,time;s=socket.create_server(('127.0.0.1',{port}));time.sleep(600)"
IGNORE_TERM = "import signal,time;signal.signal(15,signal.SIG_IGN);print('ready',flush=True);"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(look: Callable[[], T | None], within_s: float = 15) -> T:
    """A bounded poll for a real process."""
    last = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < last, "it did not happen in time"
        time.sleep(0.01)
    return found


class Bench(Protocol):
    """What the contract needs of an engine's surroundings."""

    @property
    def engine(self) -> Engine: ...
    @property
    def clock(self) -> Clock: ...
    def listen(self, attempt_id: str, lease_s: float = 600) -> LaunchSpec: ...
    def exit_with(self, attempt_id: str, code: int) -> LaunchSpec: ...
    def ignore_term(self, attempt_id: str) -> LaunchSpec: ...
    def print_text(self, attempt_id: str, text: str) -> LaunchSpec: ...
    def launch(self, spec: LaunchSpec) -> Observation: ...
    def wait_for(self, attempt_id: str, phase: Phase) -> Observation: ...
    def let_pass(self, seconds: float) -> None: ...
    def starts(self, attempt_id: str) -> int: ...


class FakeBench:
    """The fake, whose time passes when somebody waits."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.engine = FakeEngine(NODES, self.clock, up_after_s=0.2)
        self._exits: dict[str, int] = {}

    def _spec(self, attempt_id: str, lease_s: float = 600) -> LaunchSpec:
        deadline = self.clock.now() + timedelta(seconds=lease_s)
        return LaunchSpec(attempt_id, ["x"], {}, "/", 4321, 100, 2**28, deadline)

    def listen(self, attempt_id: str, lease_s: float = 600) -> LaunchSpec:
        return self._spec(attempt_id, lease_s)

    def exit_with(self, attempt_id: str, code: int) -> LaunchSpec:
        self._exits[attempt_id] = code
        return self._spec(attempt_id)

    def print_text(self, attempt_id: str, text: str) -> LaunchSpec:
        self.engine.logs[attempt_id] = text.encode()
        return self.exit_with(attempt_id, 0)

    def ignore_term(self, attempt_id: str) -> LaunchSpec:
        self.engine.ignores_stop = True
        return self._spec(attempt_id)

    def launch(self, spec: LaunchSpec) -> Observation:
        seen = self.engine.launch(spec)
        if spec.attempt_id in self._exits:
            self.engine.end(spec.attempt_id, EndCause.EXITED, self._exits[spec.attempt_id])
        return seen

    def wait_for(self, attempt_id: str, phase: Phase) -> Observation:
        for _ in range(200):
            seen = self.engine.observe([attempt_id])
            if seen and seen[0].phase is phase:
                return seen[0]
            self.clock.advance(0.1)
        raise AssertionError(f"{attempt_id} never was {phase}")

    def let_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def starts(self, attempt_id: str) -> int:
        return self.engine.launches.count(attempt_id)


class LocalBench:
    """The local engine with real processes."""

    def __init__(self, folder: Path, cgroup_root: Path, **spec: object) -> None:
        self.folder = folder
        self.clock = SystemClock()
        self._cgroup_root = cgroup_root
        self._more = spec
        self.engine = self.fresh_engine()

    def fresh_engine(self) -> LocalEngine:
        """Another engine object on the same state, as after a restart of control."""
        return LocalEngine(
            self.folder / "state",
            lambda: NODES,
            self.clock,
            cgroup_root=self._cgroup_root,
            runtime_dir=self.folder / "run",
        )

    def spec(
        self, attempt_id: str, argv: list[str], lease_s: float = 600, port: int = 0, **more: object
    ) -> LaunchSpec:
        fields: dict[str, object] = {
            "attempt_id": attempt_id,
            "argv": argv,
            "env": {"PATH": os.defpath},
            "cwd": "/",
            "port": port,
            "cpu_milli": 1000,
            "memory_bytes": 2**28,
            "deadline": self.clock.now() + timedelta(seconds=lease_s),
            **self._more,
            **more,
        }
        return LaunchSpec(**fields)  # type: ignore[arg-type]

    def python(
        self, attempt_id: str, code: str, lease_s: float = 600, port: int = 0, **more: object
    ) -> LaunchSpec:
        argv = [sys.executable, "-I", "-S", "-c", code]
        return self.spec(attempt_id, argv, lease_s, port, **more)

    def listen(self, attempt_id: str, lease_s: float = 600) -> LaunchSpec:
        port, mark = free_port(), self.folder / f"starts-{attempt_id}"
        code = f"open({str(mark)!r},'a').write('x');" + LISTEN.format(port=port)
        return self.python(attempt_id, code, lease_s, port)

    def exit_with(self, attempt_id: str, code: int) -> LaunchSpec:
        return self.spec(attempt_id, ["sh", "-c", f"exit {code}"])

    def print_text(self, attempt_id: str, text: str) -> LaunchSpec:
        return self.spec(attempt_id, ["printf", "%s", text])

    def ignore_term(self, attempt_id: str) -> LaunchSpec:
        port = free_port()
        return self.python(attempt_id, IGNORE_TERM + LISTEN.format(port=port), port=port)

    def launch(self, spec: LaunchSpec) -> Observation:
        return self.engine.launch(spec)

    def wait_for(self, attempt_id: str, phase: Phase) -> Observation:
        def look() -> Observation | None:
            seen = self.engine.observe([attempt_id])
            return seen[0] if seen and seen[0].phase is phase else None

        return wait_until(look)

    def let_pass(self, seconds: float) -> None:
        time.sleep(seconds)

    def starts(self, attempt_id: str) -> int:
        return len((self.folder / f"starts-{attempt_id}").read_text())

    def close(self) -> None:
        """End everything; fails when something cannot be ended."""
        for seen in self.engine.observe():
            self.engine.stop(seen.attempt_id, 0)
            self.wait_for(seen.attempt_id, Phase.ENDED)
            self.engine.forget(seen.attempt_id)
        self.engine.close()


class ForkedBench(LocalBench):
    """The local engine with processes that are forked from a template."""

    def __init__(
        self, folder: Path, cgroup_root: Path, template: Template | None = None, **spec: object
    ) -> None:
        self.template = template or Template(sys.executable, ("json", "random"))
        super().__init__(folder, cgroup_root, **spec)

    def fresh_engine(self) -> LocalEngine:
        engine = super().fresh_engine()
        assert engine.templates.wait(self.template) == ""
        return engine

    def python(
        self, attempt_id: str, code: str, lease_s: float = 600, port: int = 0, **more: object
    ) -> LaunchSpec:
        argv = [self.template.python, "-P", "-c", code]
        env = {"PATH": os.defpath, "LANG": "C.UTF-8"}
        more = {"env": env, "template": self.template, **more}
        return self.spec(attempt_id, argv, lease_s, port, **more)

    def exit_with(self, attempt_id: str, code: int) -> LaunchSpec:
        return self.python(attempt_id, f"raise SystemExit({code})")

    def print_text(self, attempt_id: str, text: str) -> LaunchSpec:
        return self.python(attempt_id, f"print({text!r}, end='')")

    def launch(self, spec: LaunchSpec) -> Observation:
        seen = super().launch(spec)
        assert self.forked(spec.attempt_id)
        return seen

    def forked(self, attempt_id: str) -> bool:
        """Whether the attempt was not started anew."""
        record = self.folder / "state" / "runs" / attempt_id / "shim.json"
        return json.loads(record.read_bytes()).get("forked", False)
