"""Perijove as `perijove up` starts it, on an empty home, with its first administrator."""

from typing import Any

import httpx
from playwright.sync_api import BrowserContext, Page

from hub.settings import API_SCOPE, Settings
from tests.bench.accounts import sign_up
from tests.bench.memory import fork_servers
from tests.bench.own_site import OwnSite
from tests.bench.target import (
    Member,
    StartFailedError,
    checked,
    client_of,
    client_with,
    wait_for,
    wait_shown,
)

PERSON = "admin"
_API = "/services/control/v1"
_GONE_S = 120.0
CROWD_OFFER = "cpu"
"""What each of many is given: no GPU, so that the number of devices does not count."""
CROWD_ANSWERS = {"cpu": "0.5", "memory": "1Gi"}


class Perijove(OwnSite):
    """`offer` is the line of the menu that is started."""

    name = "perijove"

    def __init__(self, offer: str) -> None:
        super().__init__(self.name)
        self._offer = offer
        self._title = ""
        self._members: list[Member] = []
        self.token = ""

    def prepare(self) -> None:
        # Makes the person known to the Hub, which then gives a token that may open servers.
        self.site.cli("token", "--user", PERSON)
        self.token = self._token_of(PERSON)
        self._title = self._title_of_offer()

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
        wait_for(lambda: not self._hub_servers(PERSON), "the Hub has removed the server")

    def sign_in(self, context: BrowserContext) -> None:
        page = context.new_page()
        page.goto(self.site.cli("admin-link")["url"])
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

    def admit(self, n: int) -> list[Member]:
        logins = [f"p{number:03}" for number in range(len(self._members), n)]
        with client_of(self) as client:
            links = {
                login: checked(client.post(f"{_API}/invitations", json={}))["url"]
                for login in logins
            }
        sign_up(self.url, links)
        self._members += [Member(login, self._token_of(login)) for login in logins]
        return self._members[:n]

    def wish(self, member: Member) -> tuple[str, dict[str, Any]]:
        return f"{_API}/workloads", {"offer": CROWD_OFFER, "set": CROWD_ANSWERS}

    def path_of(self, member: Member, answer: Any) -> str:
        return f"/user/{member.name}/{answer['id']}/"

    def hub_token(self) -> str:
        """Control's own: a person's may not look at the Hub."""
        return Settings(home=self.site.home).secret("hub_control")

    def shared_processes(self) -> set[int]:
        return fork_servers(self.site.up.pid) if self.site.up else set()

    def dismiss(self, members: list[Member]) -> None:
        for member in members:
            with client_with(self, member.token) as client:
                for workload in checked(client.get(f"{_API}/workloads"))["items"]:
                    checked(client.post(f"{_API}/workloads/{workload['id']}/stop"))
        for member in members:
            wait_for(
                lambda member=member: not self._hub_servers(member.name),
                f"the server of {member.name} is removed", _GONE_S,
            )  # fmt: skip

    def _title_of_offer(self) -> str:
        with client_of(self) as client:
            offers = {o["id"]: o["title"] for o in checked(client.get(f"{_API}/offers"))["items"]}
        if self._offer not in offers:
            raise StartFailedError(f"OFFER: one of {', '.join(offers)}, not {self._offer!r}")
        return offers[self._offer]

    def _token_of(self, person: str) -> str:
        asked = {"scopes": [API_SCOPE, "access:servers!user"]}
        return str(checked(self._hub("POST", f"/users/{person}/tokens", asked))["token"])

    def _hub_servers(self, person: str) -> list[str]:
        return list(checked(self._hub("GET", f"/users/{person}"))["servers"])

    def _hub(
        self, method: str, path: str, body: dict[str, list[str]] | None = None
    ) -> httpx.Response:
        headers = {"Authorization": f"token {self.hub_token()}"}
        return httpx.request(
            method, f"{self.url}/hub/api{path}", json=body, headers=headers, trust_env=False
        )
