"""Where the server is, and with which token it is spoken to.

===================================  =============================================
found                                used
===================================  =============================================
PERIJOVE_TOKEN                       at PERIJOVE_URL, else at this machine's address
a saved login (`perijove login`)     at its own address, and at no other
control's Unix socket                a token of the local account `admin`
===================================  =============================================
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from catalog.errors import BadValue, NotSignedIn
from hub.client.credentials import load_credentials
from hub.client.local_door import LocalDoor
from hub.settings import Settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Access:
    """An address without trailing slash, a token, and a way to a new one where there is one."""

    url: str
    token: str
    renew: Callable[[], str] | None = None


def checked_url(text: str) -> str:
    """An address as a person wrote it, without a trailing slash. Raises BadValue."""
    url = text.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise BadValue(f"{text!r} is not an address", next="write it like https://gpu.example.org")
    return url


def default_url() -> str:
    """PERIJOVE_URL, else the saved login's address, else this machine's."""
    if given := os.environ.get("PERIJOVE_URL"):
        return checked_url(given)
    saved = load_credentials()
    return saved.url if saved else Settings.load().url


def find_access() -> Access:
    """How this user reaches the server. Raises NotSignedIn with what to do."""
    wanted = os.environ.get("PERIJOVE_URL", "")
    url = checked_url(wanted) if wanted else ""
    if token := os.environ.get("PERIJOVE_TOKEN", "").strip():
        return Access(url or Settings.load().url, token)
    saved = load_credentials()
    if saved and url in {"", saved.url}:
        return Access(saved.url, saved.token)
    return _through_the_door(url)


def _through_the_door(url: str) -> Access:
    settings = Settings.load()
    door = LocalDoor(settings.socket)
    if url and not _is_here(url, settings):
        raise NotSignedIn(f"nobody is signed in at {url}", next=f"run `perijove login --url {url}`")
    if not door.is_open:
        raise NotSignedIn(
            f"nobody is signed in, and no Perijove of yours runs from {settings.home}",
            next="start one with `perijove up`, or run `perijove login --url URL`",
        )
    return Access(url or settings.url, door.token(), door.new_token)


def _is_here(url: str, settings: Settings) -> bool:
    """Whether `url` is the site whose socket is on this machine: no other may see its token."""
    if url == settings.url:
        return True
    parts = urlsplit(url)
    return parts.hostname in LOOPBACK and parts.port == settings.port


def is_in_the_clear(url: str) -> bool:
    """Whether a token would travel to another machine unencrypted."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in LOOPBACK
