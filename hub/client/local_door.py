"""The local door: control's Unix socket, open to the owner of PERIJOVE_HOME on the same machine."""

import os
from pathlib import Path

import httpx

from catalog.errors import BadSetup, Unavailable
from hub.client.errors import Json, parsed
from hub.client.private_file import write_private

ADMIN = "admin"
"""The local account that the command line acts as on the machine that runs Perijove."""
TOKEN_LIFE_S = 12 * 3600
_NOTE = "perijove command line"


class LocalDoor:
    """Requests over control's socket. Every call raises Unavailable when control is down."""

    def __init__(self, socket: Path, *, token_file: Path | None = None) -> None:
        self._socket = socket
        self._token_file = token_file or socket.parent / "cli-token"

    @property
    def is_open(self) -> bool:
        """Whether the socket is there and this user may use it; says nothing of who listens."""
        return os.access(self._socket, os.R_OK | os.W_OK)

    def mint(self, login: str, *, note: str, expires_s: int) -> str:
        """A new API token of a person. Raises NotFound for an unknown login."""
        body = {"login": login, "note": note, "expires_s": expires_s}
        answer = self._post("/internal/tokens", body)
        try:
            return str(answer["token"])
        except KeyError as error:
            raise Unavailable(
                f"control answered without a token on {self._socket}",
                next="see `perijove doctor`: versions may differ; restart `perijove up`",
            ) from error

    def admin_link(self) -> Json:
        """A fresh one-time sign-in link of the first administrator: ``{"url", "expires_at"}``."""
        return self._post("/internal/admin-link", {})

    def token(self) -> str:
        """The command line's own token: the kept one, else a new one."""
        try:
            return self._token_file.read_text().strip() or self.new_token()
        except OSError:
            return self.new_token()

    def new_token(self) -> str:
        """A new token of the local account `admin`, kept for the next command."""
        token = self.mint(ADMIN, note=_NOTE, expires_s=TOKEN_LIFE_S)
        try:
            write_private(self._token_file, token)
        except OSError as error:
            raise BadSetup(
                f"{self._token_file} cannot be written: {error.strerror}",
                next="free some space and check the owner of the folder",
            ) from error
        return token

    def _post(self, path: str, body: Json) -> Json:
        transport = httpx.HTTPTransport(uds=str(self._socket), verify=False)  # no TLS in here
        with httpx.Client(transport=transport, base_url="http://control", timeout=30) as http:
            try:
                response = http.post(path, json=body)
            except httpx.HTTPError as error:
                raise Unavailable(
                    f"control does not answer on {self._socket}: {error}",
                    next="`perijove status` shows what is down; `perijove up` starts it",
                    code="unreachable",
                ) from error
        return parsed(response)
