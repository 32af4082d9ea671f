"""64 clients ask, extend, stop and hang up at random while controls are killed; then the database
is read with plain SQL: no over-grant, no overspend, no lost hold.

``CLIENTS_SECONDS=300`` makes it longer, ``CLIENTS_SEED=7`` another crowd.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.live import ROOT, free_port
from tests.store.clients import checker, crowd, ground, trail
from tests.store.clients.database import Database
from tests.store.clients.process import Setup, control_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]
SECONDS = float(os.environ.get("CLIENTS_SECONDS", "20"))
SEED = int(os.environ.get("CLIENTS_SEED", "1"))
RATE = 60.0
"""A lease of a minute lasts a second, so that leases end and turns are missed too."""


class Controls:
    """Control processes on one database, to be killed and started again."""

    def __init__(self, setups: list[Setup]) -> None:
        self._setups = setups
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self.kills = 0

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{setup.port}" for setup in self._setups]

    def start(self, number: int) -> None:
        setup = self._setups[number]
        with (Path(setup.folder) / f"control-{number}.log").open("ab") as log:
            self._running[number] = subprocess.Popen(
                [sys.executable, "-m", "tests.store.clients.process", setup.as_argument()],
                cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def kill(self, number: int, how: int = signal.SIGKILL) -> None:
        process = self._running.pop(number)
        process.send_signal(how)
        process.wait(30)

    async def wait_ready(self, number: int) -> None:
        url, end = self.urls[number], time.monotonic() + 60
        async with httpx.AsyncClient(trust_env=False) as http:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    await http.get(f"{url}/services/control/healthz")
                    return
                assert self._running[number].poll() is None, self._last_words(number)
                assert time.monotonic() < end, self._last_words(number)
                await asyncio.sleep(0.05)

    def _last_words(self, number: int) -> str:
        """The end of its log; of one that hangs, with what its threads are at."""
        if self._running[number].poll() is None:
            self._running[number].send_signal(signal.SIGUSR1)
            time.sleep(0.5)
        log = Path(self._setups[number].folder) / f"control-{number}.log"
        return f"control {number} did not come up: {log.read_text()[-6000:]}"

    async def be_killed(self, over: asyncio.Event, seed: int) -> None:
        """kill -9 of one of them at random, again and again; all are up when it returns."""
        chance, least = random.Random(seed), 6 / len(self._setups)
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), chance.uniform(least, least + 2))
                return
            number = chance.randrange(len(self._setups))
            self.kill(number)
            self.kills += 1
            self.start(number)
            await self.wait_ready(number)

    def end(self) -> None:
        for number in list(self._running):
            self.kill(number)


@contextmanager
def controls_on(database: str, folder: Path, count: int) -> Iterator[tuple[Controls, list[str]]]:
    """`count` controls on a database that is laid out and watched; and everybody's name."""
    ground.lay_out(folder)
    setup = Setup(database, str(folder), free_port(), RATE, time.time())
    first = control_of(setup)
    names = ground.people_it(first)
    first.store.close()
    plain = Database(database)
    trail.lay(plain)
    plain.close()
    others = [replace(setup, port=free_port(), rival=True) for _ in range(count - 1)]
    controls = Controls([setup, *others])
    try:
        yield controls, names
    finally:
        controls.end()


async def storm(controls: Controls, names: list[str], count: int) -> crowd.Seen:
    for number in range(count):
        controls.start(number)
        await controls.wait_ready(number)
    over = asyncio.Event()
    killer = asyncio.create_task(controls.be_killed(over, SEED))
    seen = await crowd.crowd(controls.urls, names, SECONDS, SEED)
    over.set()
    await killer
    return seen


def disagreements(database: Database, seen: crowd.Seen) -> list[str]:
    """Where the database does not say what the clients were told."""
    answers = {
        (login, key): workload
        for login, key, workload in database.rows(
            "SELECT p.login, i.key, i.workload_id FROM idempotency i"
            " JOIN person p ON p.id = i.person_id"
        )
    }
    found = [
        f"{key} was answered with {told}, and the database has {answers.get(key)}"
        for key, told in seen.workloads_of_key.items()
        if told != {answers.get(key)}
    ]
    keys = " ".join(str(row[0]) for row in database.rows("SELECT key FROM posting"))
    found += [
        f"grant {key} was acknowledged and is lost" for key in seen.granted if key not in keys
    ]
    [(unkeyed,)] = database.rows(
        "SELECT COUNT(*) FROM workload w LEFT JOIN idempotency i ON i.workload_id = w.id"
        " WHERE i.key IS NULL"
    )
    return [*found, *([f"{unkeyed} workloads that nobody asked for"] if unkeyed else [])]


def test_a_crowd_that_hangs_up_and_controls_that_are_killed(database: str, tmp_path: Path) -> None:
    count = 1 if database.startswith("sqlite") else 2
    with controls_on(database, tmp_path / "site", count) as (controls, names):
        plain = Database(database)
        seen = asyncio.run(storm(controls, names, count))
        assert seen.wrong == []
        assert checker.problems(plain, ground.SITE) == []
        assert disagreements(plain, seen) == []
        asyncio.run(crowd.stop_all(controls.urls[0], names))
        assert checker.problems(plain, ground.SITE, quiet=True) == []
        print(controls.kills, "kills;", dict(seen.done), checker.digest(plain))  # noqa: T201 (-s)
        assert controls.kills
        assert seen.done["launch 201"] >= crowd.ENOUGH
        assert plain.rows("SELECT COUNT(*) FROM attempt")[0][0] >= crowd.ENOUGH / 3
        plain.close()
