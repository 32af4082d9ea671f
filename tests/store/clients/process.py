"""A control to be killed: ``python -m tests.store.clients.process '{…}'``.

The real store, use cases, reconciler and public API on a TCP port. Its engine and its Hub are the
fakes that sign the same contracts; what the engine knows lies in a file, because notebooks outlive
a control that is killed, and two controls on one database see the same notebooks.
"""

import asyncio
import contextlib
import faulthandler
import fcntl
import json
import logging
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn

from catalog.clock import Clock
from catalog.errors import NotSignedIn
from catalog.inventory import Node
from hub import grants, people, starting
from hub.api import app as public
from hub.api import internal
from hub.control_context import Control
from hub.reconciler import Reconciler
from spawners.engine import LaunchSpec, Observation
from spawners.fake import FakeEngine
from tests.peers.fake_hub import FakeHub
from tests.site import build_control, settings_in
from tests.store.clients.ground import NODES

TOKEN_PREFIX = "token-of-"


@dataclass(frozen=True)
class Setup:
    """How one control process is set up; the same for its successor after a kill."""

    database: str
    folder: str
    port: int
    rate: float
    """Seconds of control's clock for one of the wall's."""
    epoch: float
    """When both clocks showed the same time."""
    rival: bool = False
    """It grants besides the leader, as fast as it can."""

    def as_argument(self) -> str:
        return json.dumps(asdict(self))


class FastClock:
    """Time that runs `rate` times faster, the same in every process of a setup."""

    def __init__(self, setup: Setup) -> None:
        self._epoch, self._rate = setup.epoch, setup.rate

    def now(self) -> datetime:
        passed = (time.time() - self._epoch) * self._rate
        return datetime.fromtimestamp(self._epoch, UTC) + timedelta(seconds=passed)


class LastingEngine(FakeEngine):
    """The fake engine, kept in a file that several processes share."""

    def __init__(self, nodes: Sequence[Node], clock: Clock, file: Path) -> None:
        super().__init__(nodes, clock)
        self._file = file
        self._depth = 0
        self._threads = threading.RLock()

    @contextmanager
    def _shared(self) -> Iterator[None]:
        with self._threads, self._file.open("a+b") as kept:
            if self._depth:  # a verb that calls another holds the lock already
                yield
                return
            fcntl.flock(kept, fcntl.LOCK_EX)
            self._depth += 1
            try:
                kept.seek(0)
                before = kept.read()
                if before:
                    self.__dict__.update(pickle.loads(before))  # noqa: S301 (its own file)
                yield
                after = pickle.dumps(self._state())
                if after != before:
                    self._replace(kept, after)
            finally:
                self._depth -= 1

    def _state(self) -> dict[str, Any]:
        own = {"_clock", "_file", "_threads", "_depth"}
        return {name: value for name, value in self.__dict__.items() if name not in own}

    @staticmethod
    def _replace(kept: Any, content: bytes) -> None:
        kept.truncate(0)
        kept.write(content)
        kept.flush()

    def launch(self, spec: LaunchSpec) -> Observation:
        with self._shared():
            return super().launch(spec)

    def observe(self, attempt_ids: Sequence[str] | None = None) -> list[Observation]:
        with self._shared():
            return super().observe(attempt_ids)

    def stop(self, attempt_id: str, grace_s: float = 10.0) -> None:
        with self._shared():
            super().stop(attempt_id, grace_s)

    def extend(self, attempt_id: str, deadline: datetime) -> None:
        with self._shared():
            super().extend(attempt_id, deadline)

    def forget(self, attempt_id: str) -> None:
        with self._shared():
            super().forget(attempt_id)


class TrustingHub(FakeHub):
    """Knows whom a token belongs to from the token: nothing to lose when it is killed too."""

    async def owner_of(self, token: str) -> str:
        if not token.startswith(TOKEN_PREFIX):
            raise NotSignedIn("this token is not valid here", next="sign in again")
        return token.removeprefix(TOKEN_PREFIX)


def control_of(setup: Setup) -> Control:
    """Control on the setup's database; migrates it when it is empty."""
    folder, clock = Path(setup.folder), FastClock(setup)
    settings = settings_in(folder, database_url=setup.database, menu=folder / "menu.yaml")
    engine = LastingEngine(NODES, clock, folder / "engine.pickle")
    return build_control(settings, clock, engine, folder / "menu.yaml")  # type: ignore[arg-type]


async def serve(setup: Setup) -> None:
    """Until it is terminated."""
    control = await asyncio.to_thread(control_of, setup)
    starting.prepare_spaces(control)
    control.bus.attach(asyncio.get_running_loop())
    hub = TrustingHub(control.clock)
    reconciler = Reconciler(control, hub)  # type: ignore[arg-type]

    async def ready() -> str:
        return ""

    app = public.build(control, hub, ready)  # type: ignore[arg-type]
    hub.inner = internal.build(control, hub, people.SignIns())  # type: ignore[arg-type]
    config = uvicorn.Config(
        app, port=setup.port, log_config=None, access_log=False, timeout_graceful_shutdown=3
    )
    work = [asyncio.create_task(reconciler.run())]
    if setup.rival:
        work.append(asyncio.create_task(_grant_too(control)))
    try:
        await uvicorn.Server(config).serve()
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
    control.store.close()


async def _grant_too(control: Control) -> None:
    while True:
        with contextlib.suppress(Exception):
            await asyncio.to_thread(grants.give_what_fits, control)
        await asyncio.sleep(0.05)


def main() -> None:
    faulthandler.register(signal.SIGUSR1)  # a control that hangs tells where
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(serve(Setup(**json.loads(sys.argv[1]))))


if __name__ == "__main__":
    main()
