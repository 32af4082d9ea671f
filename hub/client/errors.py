"""What the server said went wrong, as one of our errors; and how waiting can end badly.

::

    PerijoveError
    ├── Refused
    │   └── Denied        the Verdict was denied; `verdict` holds it
    ├── EndedInstead      it ended while it was waited for; `workload` holds it
    └── TimedOut          it did not get there in time; `workload` holds it
"""

import json
from typing import Any

import httpx

from catalog.errors import (
    BY_CODE,
    BadValue,
    Busy,
    Conflict,
    Forbidden,
    NotFound,
    NotSignedIn,
    PerijoveError,
    Refused,
    TooLarge,
    Unavailable,
)

Json = dict[str, Any]
"""A JSON object, in the shapes of `hub.api.schema`."""

_BY_STATUS: dict[int, type[PerijoveError]] = {
    400: BadValue, 401: NotSignedIn, 403: Forbidden, 404: NotFound, 409: Conflict,
    413: TooLarge, 422: BadValue, 429: Busy, 502: Unavailable, 503: Unavailable, 504: Unavailable,
}  # fmt: skip
_DOWN_NEXT = "`perijove status` on the server shows what is down; try again in a moment"
_ADDRESS_NEXT = "check the address: PERIJOVE_URL, or `perijove login --url URL`"


class Denied(Refused):
    """The Verdict was denied."""

    def __init__(self, message: str, *, next: str, code: str, verdict: Json) -> None:
        super().__init__(message, next=next, code=code)
        self.verdict = verdict


class _About(PerijoveError):
    """An error about a workload, whose last known state it carries."""

    def __init__(self, message: str, *, next: str, workload: Json, code: str = "") -> None:
        super().__init__(message, next=next, code=code)
        self.workload = workload


class EndedInstead(_About):
    """It ended while somebody waited for it to run."""

    code = "failed"


class TimedOut(_About):
    """It did not get there in the time that was given."""

    code = "timeout"


def unreachable(url: str, error: httpx.HTTPError | httpx.InvalidURL) -> Unavailable:
    """Nobody answers at `url`."""
    reason = str(error) or type(error).__name__
    return Unavailable(
        f"{url} cannot be reached: {reason}",
        next="start it with `perijove up`, or " + _ADDRESS_NEXT,
        code="unreachable",
    )


def parsed(response: httpx.Response) -> Json:
    """The JSON object of an answer; ``{}`` when it is empty. Raises what it says went wrong."""
    document = _document(response)
    if response.is_success and document is not None:
        return document
    if document is not None and isinstance(document.get("error"), dict):
        raise _said(response.status_code, document["error"])
    raise _not_ours(response)


def _document(response: httpx.Response) -> Json | None:
    if not response.content and response.is_success:
        return {}
    try:
        document = json.loads(response.content)
    except ValueError:  # also UnicodeDecodeError: an answer in no known encoding
        return None
    return document if isinstance(document, dict) else None


def _said(status: int, error: Json) -> PerijoveError:
    """The one error shape → the class that its code or status stands for."""
    code = str(error.get("code") or "")
    message = str(error.get("message") or f"the server answered {status} without a reason")
    step = str(error.get("next") or "")
    verdict = error.get("verdict")
    if isinstance(verdict, dict):
        return Denied(message, next=step, code=code or Denied.code, verdict=verdict)
    kind = BY_CODE.get(code) or _BY_STATUS.get(status, PerijoveError)
    return kind(message, next=step, code=code)


def _not_ours(response: httpx.Response) -> PerijoveError:
    """An answer that is not the API's: a proxy's page, another program on the port."""
    status, url = response.status_code, response.request.url
    if status in {502, 503, 504}:
        return Unavailable(f"{url} is not ready ({status})", next=_DOWN_NEXT)
    kind = response.headers.get("content-type", "no content type").partition(";")[0]
    if status == 401:
        return NotSignedIn(f"{url} does not accept the token (401)", next="run `perijove login`")
    if status == 404:
        return NotFound(f"{url} does not exist (404)", next=_ADDRESS_NEXT)
    return Unavailable(
        f"{url} answered something that is not Perijove's API ({status}, {kind})",
        next=_ADDRESS_NEXT,
        code="not-the-api",
    )
