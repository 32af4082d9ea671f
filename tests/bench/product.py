"""Perijove as `perijove up` starts it, on an empty home, with its first administrator."""

import shutil
import tempfile
from pathlib import Path
from typing import Self

import httpx
from playwright.sync_api import BrowserContext, Page

from hub.settings import API_SCOPE, Settings
from tests.bench.target import StartFailedError, checked, client_of, wait_for, wait_shown
from tests.live import LiveSite

PERSON = "admin"
_API = "/services/control/v1"


class Perijove:
    """`offer` is the line of the menu that is started."""

    name = "perijove"

    def __init__(self, offer: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="bench-perijove-"))
        self._site = LiveSite(self._folder)
        self._offer = offer
        self._title = ""
        self.url = self._site.url
        self.token = ""

    def __enter__(self) -> Self:
        try:
            self._site.start()
            # Makes the person known to the Hub, which then gives a token that may open servers.
            self._site.cli("token", "--user", PERSON)
            self.token = self._token_of_person()
            self._title = self._title_of_offer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._site.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def create(self, client: httpx.Client) -> str:
        made = checked(client.post(f"{_API}/workloads", json={"offer": self._offer, "set": {}}))
        return f"/user/{PERSON}/{made['id']}/"

    def remove(self, client: httpx.Client) -> None:
        def active() -> list[str]:
            items = checked(client.get(f"{_API}/workloads"))["items"]
            return [workload["id"] for workload in items]

        for workload in active():
            checked(client.post(f"{_API}/workloads/{workload}/stop"))
        wait_for(lambda: not active(), "the workload has ended")
        wait_for(lambda: not self._hub_servers(), "the Hub has removed the server")

    def sign_in(self, context: BrowserContext) -> None:
        page = context.new_page()
        page.goto(self._site.cli("admin-link")["url"])
        page.get_by_role("button", name="Sign in as administrator").click()
        page.get_by_role("button", name=f"Start: {self._title}").wait_for()
        page.close()

    def show_menu(self, page: Page) -> None:
        page.goto(f"{self.url}/services/portal/", wait_until="commit")
        page.get_by_role("button", name=f"Start: {self._title}").wait_for()
        page.get_by_role("heading", name="Nothing is running").wait_for()

    def click_start(self, page: Page) -> Page:
        page.get_by_role("button", name=f"Start: {self._title}").click()
        opens = page.get_by_role("link", name=f"Open JupyterLab: {self._title}")
        wait_shown(opens)
        with page.context.expect_page() as opened:
            opens.click()
        return opened.value

    def _title_of_offer(self) -> str:
        with client_of(self) as client:
            offers = {o["id"]: o["title"] for o in checked(client.get(f"{_API}/offers"))["items"]}
        if self._offer not in offers:
            raise StartFailedError(f"OFFER: one of {', '.join(offers)}, not {self._offer!r}")
        return offers[self._offer]

    def _token_of_person(self) -> str:
        scopes = [API_SCOPE, "access:servers!user"]
        asked = {"scopes": scopes}
        return str(checked(self._hub("POST", f"/users/{PERSON}/tokens", asked))["token"])

    def _hub_servers(self) -> list[str]:
        return list(checked(self._hub("GET", f"/users/{PERSON}"))["servers"])

    def _hub(
        self, method: str, path: str, body: dict[str, list[str]] | None = None
    ) -> httpx.Response:
        """Asked with control's own token: the person's may not look at the Hub."""
        secret = Settings(home=self._site.home).secret("hub_control")
        headers = {"Authorization": f"token {secret}"}
        return httpx.request(
            method, f"{self.url}/hub/api{path}", json=body, headers=headers, trust_env=False
        )
