"""What the benchmark needs of a server under test, and what both servers share."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import httpx
from playwright.sync_api import BrowserContext, Locator, Page
from playwright.sync_api import Error as BrowserError

T = TypeVar("T")
POLL_S = 0.02
ONE_START_S = 60.0
"""A start that takes longer counts as failed."""


class StartFailedError(Exception):
    """One start did not come, or its end did not; the text says which."""


@dataclass(frozen=True, slots=True)
class Member:
    """One of many people: the name that the Hub knows, and a token of their own."""

    name: str
    token: str


class Target(Protocol):
    """A JupyterHub that is running and where one person is known.

    `url` is the public address, without a trailing slash; `token` is the person's own, and may
    ask for a server and open it.
    """

    name: str
    url: str
    token: str

    def __enter__(self) -> Self:
        """Start it, and wait until it is ready."""
        ...

    def __exit__(self, *_: object) -> None:
        """End everything that was started, and remove what was written."""
        ...

    def create(self, client: httpx.Client) -> str:
        """Ask for a server through the API; returns its path, ``/user/NAME/…/``."""
        ...

    def remove(self, client: httpx.Client) -> None:
        """Stop and remove whatever server the person has; returns when nothing is left of it."""
        ...

    def sign_in(self, context: BrowserContext) -> None:
        """Leave the person's session in the browser's cookies."""
        ...

    def show_menu(self, page: Page) -> None:
        """Open the page with the start button, and wait until it can be pressed."""
        ...

    def click_start(self, page: Page) -> Page:
        """Press the button, and whatever comes after it; returns the page that JupyterLab opens
        in, as soon as that page is known."""
        ...

    def admit(self, n: int) -> list[Member]:
        """`n` people with accounts; those of before are among them."""
        ...

    def wish(self, member: Member) -> tuple[str, dict[str, Any]]:
        """Where a person asks for a server (a POST), and with what body."""
        ...

    def path_of(self, member: Member, answer: Any) -> str:
        """The path of the server that the `answer` to the wish promises."""
        ...

    def hub_token(self) -> str:
        """One that may ask the Hub for everybody's servers."""
        ...

    def shared_processes(self) -> set[int]:
        """Processes beside the servers that are there for them alone, however many they are."""
        ...

    def dismiss(self, members: list[Member]) -> None:
        """Stop and remove these people's servers; returns when nothing is left of them."""
        ...


def client_of(target: Target) -> httpx.Client:
    """An HTTP client that acts as the person, and follows no redirects."""
    return client_with(target, target.token)


def client_with(target: Target, token: str) -> httpx.Client:
    """The same with another token."""
    headers = {"Authorization": f"token {token}"}
    return httpx.Client(base_url=target.url, headers=headers, timeout=30, trust_env=False)


def wait_for(look: Callable[[], T], what: str, within_s: float = ONE_START_S) -> T:
    """Look every `POLL_S` until the answer is true; raises StartFailedError naming `what`."""
    until = time.monotonic() + within_s
    while not (found := look()):
        if time.monotonic() > until:
            raise StartFailedError(f"{what}: not within {within_s:.0f} s")
        time.sleep(POLL_S)
    return found


def wait_shown(element: Locator) -> None:
    """As `wait_for`. Playwright's own wait looks but twice a second after a while."""

    def shown() -> bool:
        try:
            return element.is_visible()
        except BrowserError:  # the page is on its way to the next one
            return False

    wait_for(shown, str(element))


def checked(answer: httpx.Response) -> Any:
    """The JSON of a good answer, or None where it has no body. Raises StartFailedError."""
    if not answer.is_success:
        said = f"{answer.request.method} {answer.request.url.path}: {answer.status_code}"
        raise StartFailedError(f"{said} {answer.text[:200]}")
    return answer.json() if answer.content else None
