"""The supervisor's questions to the processes it runs: health, routes, drain, sign-in link."""

import functools
import json
from typing import Any

import httpx

from catalog.errors import Unavailable
from hub.settings import CONTROL_PREFIX, Settings

_TIMEOUT_S = 10.0


class ControlDoor:
    """Control's Unix socket. Every question raises Unavailable when it is not answered."""

    def __init__(self, settings: Settings) -> None:
        self._socket = str(settings.socket)

    def ask(self, method: str, path: str, **params: str) -> dict[str, Any]:
        """One request; blocks for ten seconds at the most. The answer is a JSON object."""
        try:
            with httpx.Client(
                transport=httpx.HTTPTransport(uds=self._socket, verify=False),  # no TLS in here
                timeout=_TIMEOUT_S,
            ) as client:
                answer = client.request(method, f"http://control{path}", params=params)
                answer.raise_for_status()
                value = answer.json()
        except (httpx.HTTPError, json.JSONDecodeError, OSError) as error:
            raise Unavailable(
                f"control did not answer {method} {path}: {error or type(error).__name__}",
                next="look at logs/control.log in PERIJOVE_HOME",
            ) from error
        return value if isinstance(value, dict) else {}


def probe_health(settings: Settings) -> tuple[bool, str]:
    """Whether everything is ready, asked at the public port as people reach it; and why not."""
    host = "127.0.0.1" if settings.ip in {"", "0.0.0.0"} else settings.ip  # noqa: S104 (compared)
    host = "[::1]" if host == "::" else f"[{host}]" if ":" in host else host
    scheme = "https" if settings.tls_cert else "http"
    url = f"{scheme}://{host}:{settings.port}{CONTROL_PREFIX}/healthz"
    try:
        answer = _client().get(url, headers={"Host": settings.main_host})
    except (httpx.HTTPError, OSError) as error:
        return False, f"{url} does not answer ({error or type(error).__name__})"
    if answer.status_code == httpx.codes.OK:
        return True, ""
    return False, f"{url} answers {answer.status_code} {_short(answer)}".rstrip()


def post_routes(settings: Settings) -> int:
    """Have the Hub put its routes into a proxy that lost them. Returns the HTTP status; 0: down."""
    try:
        answer = _client().post(
            f"{settings.internal_url('hub')}/hub/api/proxy",
            headers={"Authorization": f"token {settings.secret('hub_supervisor')}"},
        )
    except (httpx.HTTPError, OSError):
        return 0
    return answer.status_code


@functools.cache
def _client() -> httpx.Client:
    # Not verified: the certificate names the public host, and this asks the same machine by its
    # address. No connection is kept: its other end may have been restarted.
    return httpx.Client(
        verify=False,  # noqa: S501
        trust_env=False,
        timeout=_TIMEOUT_S,
        limits=httpx.Limits(max_keepalive_connections=0),
    )


def _short(answer: httpx.Response) -> str:
    is_json = answer.headers.get("content-type", "").startswith("application/json")
    return answer.text[:300] if is_json else ""
