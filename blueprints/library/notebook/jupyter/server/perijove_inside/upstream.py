"""Requests to control, with the token that this server was started with."""

import json
from typing import Any
from urllib.parse import quote, urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest

CONNECT_S = 5.0
ANSWER_S = 15.0
FIRST_OF_OURS, TROUBLE = 400, 500


class Refused(Exception):
    """Control said no: `status` and its error as a page should show it."""

    def __init__(self, status: int, error: dict[str, str]) -> None:
        super().__init__(error.get("message", ""))
        self.status, self.error = status, error


class Away(Exception):
    """Control cannot be reached, or has trouble of its own: try again later."""


class Upstream:
    """The part of control's API that is about one workload."""

    def __init__(self, api_url: str, workload: str, token: str) -> None:
        self._base = f"{api_url.rstrip('/')}/workloads/{quote(workload, safe='')}/inside"
        self._headers = {"Authorization": f"token {token}", "Accept": "application/json"}

    async def look(self, mark: str, wait_s: int) -> dict[str, Any]:
        """What control says of the workload; with a mark, when there is news or after `wait_s`.
        Raises Refused or Away."""
        query = urlencode({"mark": mark, "wait": wait_s})
        return await self._ask(HTTPRequest(f"{self._base}?{query}", headers=self._headers), wait_s)

    async def post(self, path: str, body: dict[str, Any], key: str = "") -> dict[str, Any]:
        """`path` is in parts that are quoted already. Raises Refused or Away."""
        headers = {**self._headers, "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        request = HTTPRequest(
            f"{self._base}/{path}", method="POST", headers=headers, body=json.dumps(body)
        )
        return await self._ask(request, 0)

    async def _ask(self, request: HTTPRequest, wait_s: float) -> dict[str, Any]:
        request.connect_timeout = CONNECT_S
        request.request_timeout = ANSWER_S + wait_s
        request.follow_redirects = False
        try:
            answer = await AsyncHTTPClient().fetch(request)
            return json.loads(answer.body)
        except HTTPError as error:
            raise _said(error) from error
        except (OSError, ValueError) as error:
            raise Away(str(error)) from error


def _said(error: HTTPError) -> Exception:
    """Control's own words where it gave any; a proxy's page in between is trouble like any other."""
    if not FIRST_OF_OURS <= error.code < TROUBLE or error.response is None:
        return Away(str(error))
    try:
        said = json.loads(error.response.body)["error"]
        words = {name: str(said.get(name, "")) for name in ("code", "message", "next")}
        return Refused(error.code, words)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Away(str(error))
