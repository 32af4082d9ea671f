"""The way from the Hub's process to control: HTTP on control's Unix socket."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from catalog.errors import BY_CODE, Unavailable

_RETRY_S = 0.2


class ControlDoor:
    """Calls control's internal API; errors come back as the classes that control raised."""

    def __init__(self, socket: Path) -> None:
        self._socket = str(socket)
        self._kept: aiohttp.ClientSession | None = None

    async def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, patience_s: float = 0
    ) -> dict[str, Any]:
        """One call. While control does not answer, try again for `patience_s` (it restarts in a
        second or two); then Unavailable. Only for calls that are safe to repeat."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        while True:
            try:
                return await self._once(method, path, body)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                if loop.time() >= until:
                    raise Unavailable(
                        "the control service does not answer", next="try again in a few seconds"
                    ) from error
                await asyncio.sleep(_RETRY_S)

    def _session(self) -> aiohttp.ClientSession:
        """One for all calls, for as long as the process lives: its connections are used again."""
        if self._kept is None:
            self._kept = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(self._socket, limit=0, keepalive_timeout=60),
                timeout=aiohttp.ClientTimeout(total=90),
            )
        return self._kept

    async def _once(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        async with self._session().request(
            method, f"http://control/internal{path}", json=body
        ) as answer:
            found = await answer.json()
        if answer.ok:
            return dict(found)
        error = found.get("error", {}) if isinstance(found, dict) else {}
        kind = BY_CODE.get(error.get("code", ""), Unavailable)
        raise kind(error.get("message", "control refused"), next=error.get("next", ""))
