"""Requests with the token, retried where that is safe, answered as JSON or one of our errors."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import httpx

from hub.client.access import LOOPBACK, Access
from hub.client.errors import Json, parsed, unreachable

API = "/services/control/v1"
RETRY_AFTER_S = (0.2, 0.6, 1.4)
"""A restarted proxy is back within 3 s; together these outlast most of it."""
_TIMEOUT = httpx.Timeout(30, connect=5)


class _HubToken(httpx.Auth):
    """Sends the token; when it is refused and a new one can be had, tries once more with that."""

    def __init__(self, access: Access) -> None:
        self._token = access.token
        self._renew = access.renew

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]  # ours sends only
        request.headers["Authorization"] = f"token {self._token}"
        response = yield request  # type: ignore[misc]
        if response.status_code == 401 and self._renew is not None:
            self._token = self._renew()
            request.headers["Authorization"] = f"token {self._token}"
            yield request


class Transport:
    """One connection pool to one server. `pause` waits between tries."""

    def __init__(self, access: Access, *, pause: Callable[[float], None] = time.sleep) -> None:
        self.url = access.url
        self._pause = pause
        # A proxy of the environment cannot reach this machine's own loopback.
        direct = {f"all://{f'[{host}]' if ':' in host else host}": None for host in LOOPBACK}
        self._http = httpx.Client(
            auth=_HubToken(access),
            timeout=_TIMEOUT,
            mounts=direct,
            follow_redirects=False,
            # Reading the certificates of all authorities takes longer than a whole command.
            verify=access.url.startswith("https:"),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def rest(self, seconds: float) -> None:
        """Wait before another try."""
        self._pause(seconds)

    def get(self, path: str, **query: str | int | None) -> Json:
        """GET; repeated on connection errors and 503."""
        return self._answer("GET", path, query=query, repeatable=True)

    def post(self, path: str, body: Json | None = None, *, key: str = "") -> Json:
        """POST. With an idempotency `key` it is repeated like a GET; without one, only when the
        server was never reached."""
        return self._answer("POST", path, body=body or {}, key=key, repeatable=bool(key))

    def put(self, path: str, body: Json) -> Json:
        """PUT; repeated like a GET, since putting the same again changes nothing."""
        return self._answer("PUT", path, body=body, repeatable=True)

    def delete(self, path: str) -> Json:
        """DELETE; repeated like a GET, since what is gone stays gone."""
        return self._answer("DELETE", path, repeatable=True)

    @contextmanager
    def lines(self, path: str, headers: Mapping[str, str]) -> Iterator[Iterator[str]]:
        """The lines of a streamed answer. Breaks of the stream raise httpx.TransportError."""
        with self._http.stream("GET", self._address(path), headers=dict(headers)) as response:
            kind = response.headers.get("content-type", "")
            if not response.is_success or not kind.startswith("text/event-stream"):
                response.read()
                parsed(response)  # raises what the answer says went wrong
            yield response.iter_lines()

    def download(self, path: str, **query: str | None) -> Iterator[bytes]:
        """The parts of a file. Raises what the answer says went wrong, or Unavailable when it breaks
        off."""
        given = {name: value for name, value in query.items() if value}
        try:
            with self._http.stream("GET", self._address(path), params=given) as response:
                if not response.is_success:
                    response.read()
                    parsed(response)
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise unreachable(self.url, error) from error

    def _address(self, path: str) -> str:
        return f"{self.url}{API}{path}"

    def _answer(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool,
        query: Mapping[str, str | int | None] | None = None,
        body: Json | None = None,
        key: str = "",
    ) -> Json:
        given = {name: value for name, value in (query or {}).items() if value not in {None, ""}}
        headers = {"Idempotency-Key": key} if key else {}
        request = self._http.build_request(
            method, self._address(path), params=given, json=body, headers=headers
        )
        return parsed(self._send(request, repeatable=repeatable))

    def _send(self, request: httpx.Request, *, repeatable: bool) -> httpx.Response:
        for wait_s in (*RETRY_AFTER_S, None):
            try:
                response = self._http.send(request)
            except httpx.TransportError as error:
                # Only a refused connection proves that the server did nothing.
                again = repeatable or isinstance(error, httpx.ConnectError)
                if wait_s is None or not again:
                    raise unreachable(self.url, error) from error
            else:
                if response.status_code != 503 or wait_s is None or not repeatable:
                    return response
            self.rest(wait_s)
        raise AssertionError("the last try returns or raises")
