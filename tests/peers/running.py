"""What every peer is: a process of its own that listens on this machine, until it is ended."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.live import wait_for


@dataclass(frozen=True)
class Peer:
    """A running peer; `name` is what the site under test calls it."""

    name: str
    port: int

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def while_up(
    process: subprocess.Popen[bytes], address: str, within_s: float,
    said: Callable[[], str] = lambda: "it ended",
) -> Iterator[None]:  # fmt: skip
    """From the first good answer at `address` on; the process is ended after. `said` tells why it
    ended by itself."""
    try:
        wait_for(address, lambda: process.poll() is not None or _answers(address), within_s)
        assert process.poll() is None, said()
        yield
    finally:
        process.terminate()
        process.wait(10)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, trust_env=False).is_success
    except httpx.HTTPError:
        return False
