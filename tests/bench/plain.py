"""A plain JupyterHub with its own local spawner, as its documentation sets one up for a trial."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import httpx
from playwright.sync_api import BrowserContext, Page

from hub.settings import Settings
from hub.up.programs import node_binary, proxy_script
from tests.bench.target import Member, StartFailedError, checked, client_with, wait_for
from tests.live import ROOT, free_port

PERSON = "bench"
READY_WITHIN_S = 90.0

_CONFIG = """
c.JupyterHub.bind_url = {url!r}
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.command = {proxy!r}
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "jupyterhub.spawner.SimpleLocalProcessSpawner"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r}
c.Spawner.cmd = [{single_user!r}]
c.Spawner.args = {args!r}
c.Spawner.environment = {environment!r}
c.Spawner.start_timeout = 300
c.Spawner.http_timeout = 300
c.JupyterHub.services = [{{"name": "bench", "api_token": {service_token!r}}}]
c.JupyterHub.load_roles = [
    {{"name": "bench", "services": ["bench"], "scopes": ["admin:users", "admin:servers", "tokens"]}}
]
"""


class PlainHub:
    """Defaults, except both start time-outs, and the places and ports that keep it to itself.

    Its single-user servers run in the same environment as the product's.
    """

    name = "plain"

    def __init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.token = ""
        self._service_token = secrets.token_hex(16)
        self._members: list[Member] = []
        self._folder = Path(tempfile.mkdtemp(prefix="bench-plain-"))
        self._hub: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder.chmod(0o755)
        config = self._folder / "jupyterhub_config.py"
        config.write_text(self._config())
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        with (self._folder / "hub.log").open("wb") as log:
            self._hub = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(config)],
                env=environment, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        try:
            wait_for(self._is_ready, "plain JupyterHub is ready", READY_WITHIN_S)
            self.token = self._token_of(PERSON)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._hub is not None and self._hub.poll() is None:
            self._hub.send_signal(signal.SIGTERM)  # it ends its proxy and servers first
            try:
                self._hub.wait(30)
            except subprocess.TimeoutExpired:
                self._hub.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def create(self, client: httpx.Client) -> str:
        checked(client.post(f"/hub/api/users/{PERSON}/server"))
        return f"/user/{PERSON}/"

    def remove(self, client: httpx.Client) -> None:
        self._begin_to_remove(client, PERSON)
        self._wait_removed(client, PERSON)

    def sign_in(self, context: BrowserContext) -> None:
        page = context.new_page()
        page.goto(f"{self.url}/hub/login?next=%2Fhub%2Fhome")
        page.get_by_label("Username").fill(PERSON)
        page.get_by_label("Password").fill("any will do")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/hub/login" not in url)
        page.close()

    def show_menu(self, page: Page) -> None:
        page.goto(f"{self.url}/hub/home")
        page.get_by_role("button", name="Start My Server").wait_for()

    def click_start(self, page: Page) -> Page:
        page.get_by_role("button", name="Start My Server").click()
        return page

    def admit(self, n: int) -> list[Member]:
        new = [f"p{number:03}" for number in range(len(self._members), n)]
        self._members += [Member(name, self._token_of(name)) for name in new]
        return self._members[:n]

    def wish(self, member: Member) -> tuple[str, dict[str, Any]]:
        return f"/hub/api/users/{member.name}/server", {}

    def path_of(self, member: Member, answer: Any) -> str:
        return f"/user/{member.name}/"

    def hub_token(self) -> str:
        return self._service_token

    def shared_processes(self) -> set[int]:
        return set()

    def dismiss(self, members: list[Member]) -> None:
        with client_with(self, self._service_token) as client:
            for member in members:
                self._begin_to_remove(client, member.name)
            for member in members:
                self._wait_removed(client, member.name)

    def _begin_to_remove(self, client: httpx.Client, name: str) -> None:
        if checked(client.get(f"/hub/api/users/{name}"))["servers"]:
            answer = client.delete(f"/hub/api/users/{name}/server")
            if answer.status_code != 400:  # it is stopping already
                checked(answer)

    def _wait_removed(self, client: httpx.Client, name: str) -> None:
        wait_for(
            lambda: not checked(client.get(f"/hub/api/users/{name}"))["servers"],
            f"the server of {name} is removed",
        )

    def _config(self) -> str:
        settings = Settings()
        environment = ROOT / ".envs" / "notebook"
        record = json.loads((environment / "perijove-env.json").read_text())
        return _CONFIG.format(
            url=self.url, hub_port=free_port(), api_port=free_port(),
            proxy=[str(node_binary()), str(proxy_script(settings))],
            homes=f"{self._folder}/homes/{{username}}",
            single_user=str(Path(record["bin"]) / "jupyterhub-singleuser"),
            # Its servers run as its own user; JupyterLab must be told that root is meant.
            args=["--allow-root"] if os.geteuid() == 0 else [],
            environment=record["env"], service_token=self._service_token,
        )  # fmt: skip

    def _is_ready(self) -> bool:
        if self._hub is not None and self._hub.poll() is not None:
            said = (self._folder / "hub.log").read_text()[-2000:]
            raise StartFailedError(f"plain JupyterHub ended:\n{said}")
        try:
            return httpx.get(f"{self.url}/hub/api", timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def _token_of(self, name: str) -> str:
        """The person is made where there is none of that name."""
        with client_with(self, self._service_token) as service:
            checked(service.post(f"/hub/api/users/{name}"))
            return str(checked(service.post(f"/hub/api/users/{name}/tokens", json={}))["token"])
