"""The REST API for one open Panel page, with the visitor's own token."""

from typing import Any

import aiohttp

from catalog.errors import NotSignedIn, PerijoveError, Unavailable
from portal.door import Portal


class ApiError(PerijoveError):
    """What control answered instead, in its own words."""


class ControlClient:
    """Finds the visitor anew at each call, so signing out ends an open page too."""

    def __init__(self, portal: Portal, page: str) -> None:
        self._portal = portal
        self._page = page

    async def get(self, path: str) -> Any:
        """The JSON of a GET. Raises PerijoveError."""
        return await self._ask("GET", path, None, {})

    async def post(self, path: str, body: dict[str, Any], *, key: str = "") -> Any:
        """The JSON of a POST; with `key`, repeating it makes nothing twice. Raises PerijoveError."""
        return await self._ask("POST", path, body, {"Idempotency-Key": key} if key else {})

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> Any:
        session = self._portal.sessions.of_page(self._page)
        if session is None:
            raise NotSignedIn("Your sign-in has ended", next="Reload the page to sign in again.")
        try:
            async with self._portal.http.request(
                method,
                f"{self._portal.config.control_url}/services/control/v1/{path}",
                json=body,
                headers={**headers, "Authorization": f"token {session.token}"},
                timeout=aiohttp.ClientTimeout(total=30),
            ) as answer:
                data = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unavailable(
                "Perijove is starting or restarting", next="Wait a few seconds and try again."
            ) from error
        if answer.status < 400:
            return data
        told = data.get("error", {}) if isinstance(data, dict) else {}
        raise ApiError(
            told.get("message", f"The service answered {answer.status}"),
            next=told.get("next", "Try again."),
            code=told.get("code", "error"),
        )
