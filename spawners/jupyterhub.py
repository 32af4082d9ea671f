"""JupyterHub's Spawner: hands over what only the Hub knows and waits for the address.

It decides nothing. Control says whether a start was granted and whether a server lives; the
reconciler alone drives the engine.
"""

import asyncio
import html
from typing import Any, ClassVar, Protocol

from jupyterhub.spawner import Spawner, SpawnException

from catalog.errors import PerijoveError


class StartPort(Protocol):
    """What the Spawner needs of control; `jupyterhub_config.py` injects it."""

    async def start(
        self, person: str, server: str, args: list[str], env: dict[str, str]
    ) -> tuple[str, str]:
        """Start a granted attempt, or find it running; returns its URL and its Hub token."""
        ...

    async def alive(self, person: str, server: str) -> bool: ...

    async def address(self, person: str, server: str) -> str:
        """Where a live server listens, without a path; empty while that is not known."""
        ...

    async def stop(self, person: str, server: str) -> None:
        """Returns when it is gone."""
        ...


class NotStarted(SpawnException):
    """A start that was refused or failed, in words that the Hub's pages show."""

    def __init__(self, error: PerijoveError) -> None:
        words = f"{error.message}. {error.next}".strip(". ") + "."
        super().__init__(words, reason=error.code, status_code=409)
        # The progress page shows these two; without them it prints the exception's text.
        self.jupyterhub_message = words
        self.jupyterhub_html_message = f"<p>{html.escape(words)}</p>"


class PerijoveSpawner(Spawner):
    """A server that control granted. The server's name is the workload's id."""

    port_to_control: ClassVar[StartPort]

    async def start(self) -> str:
        """Ask control; the server answers HTTP when this returns."""
        try:
            url, token = await self.port_to_control.start(
                self.user.name, self.name, self.get_args(), self.get_env()
            )
        except PerijoveError as error:
            raise NotStarted(error) from error
        if token:
            # A server that ran already keeps the token it was started with.
            self.api_token = token
        return url

    async def poll(self) -> int | None:
        """None while it lives, as control sees it. Waits while control restarts."""
        alive = await self.port_to_control.alive(self.user.name, self.name)
        return None if alive else 0

    async def get_url(self) -> str:
        """The real address: what a Hub wrote down that was killed during a start is a guess."""
        found = await self.port_to_control.address(self.user.name, self.name)
        if self.server is None:
            return found
        return f"{found}{self.server.base_url}" if found else self.server.url

    async def stop(self, now: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 (JupyterHub's)
        """Ask control to stop it; returns when it is gone."""
        await self.port_to_control.stop(self.user.name, self.name)

    def get_state(self) -> dict[str, Any]:
        """Nothing is kept here: control knows. Not empty, or the Hub takes it for stopped."""
        return {**super().get_state(), "server": self.name}

    async def progress(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The portal shows real steps; the Hub's own page says only where to look."""
        yield {"progress": 10, "message": "Starting"}
        await asyncio.sleep(0)
