"""A notebook server of the installed environment, as a workload runs it, and a page's view of it."""

import contextlib
import json
import os
import signal
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import psutil

from blueprints.notebook import JUPYTER_CONFIG
from tests.live import ROOT, free_port, wait_for

TOKEN = "of-this-server"
ENVIRONMENT = ROOT / ".envs" / "notebook"
_CLOSING = "import json as j_; print('told:' + j_.dumps(told))"


@dataclass
class NotebookServer:
    process: subprocess.Popen[bytes]
    port: int
    home: Path
    http: httpx.Client

    def create(self, name: str = "python3", **more: Any) -> str:
        """A kernel's id."""
        answer = self.http.post("/api/kernels", json={"name": name, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def remove(self, kernel: str) -> None:
        self.http.delete(f"/api/kernels/{kernel}")

    def zygotes(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children()
        return [one for one in children if "kernel_zygote.py" in _command(one)]

    def process_of(self, kernel: str) -> psutil.Process:
        """By the connection file in its arguments, as `ps` shows them."""
        return wait_for(f"a process of {kernel}", lambda: self._process_of(kernel), 20)

    def _process_of(self, kernel: str) -> psutil.Process | None:
        below = psutil.Process(self.process.pid).children(recursive=True)
        return next((one for one in below if f"kernel-{kernel}.json" in _command(one)), None)

    def is_forked(self, kernel: str) -> bool:
        parent = self.process_of(kernel).parent()
        return parent is not None and parent.pid != self.process.pid

    def create_forked(self, **more: Any) -> str:
        """Once the server has a zygote that is ready."""

        def look() -> str:
            kernel = self.create(**more)
            if self.is_forked(kernel):
                return kernel
            self.remove(kernel)
            return ""

        return wait_for("a kernel is forked", look, 60, 0.2)

    @asynccontextmanager
    async def page(self, kernel: str) -> AsyncIterator["Page"]:
        url = f"ws://127.0.0.1:{self.port}/api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}"
        headers = {"Authorization": f"token {TOKEN}"}
        async with aiohttp.ClientSession(headers=headers) as session, session.ws_connect(url) as ws:
            yield Page(ws)


class Page:
    """What a notebook's page does with its kernel."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws

    async def send(self, kind: str, content: dict[str, Any], channel: str = "shell") -> str:
        id = uuid.uuid4().hex
        header = {"msg_id": id, "username": "", "session": "page", "msg_type": kind,
                  "version": "5.3", "date": "2026-01-01T00:00:00Z"}  # fmt: skip
        body = {"header": header, "parent_header": {}, "metadata": {}, "content": content,
                "channel": channel, "buffers": []}  # fmt: skip
        await self._ws.send_str(json.dumps(body))
        return id

    async def run(self, code: str) -> str:
        """The message's id; its output comes."""
        asked = {"code": code, "silent": False, "store_history": True, "user_expressions": {},
                 "allow_stdin": True, "stop_on_error": True}  # fmt: skip
        return await self.send("execute_request", asked)

    async def next(self, *kinds: str) -> dict[str, Any]:
        """The next message of one of these kinds, within half a minute."""
        while True:
            message = json.loads((await self._ws.receive(30)).data)
            if message["msg_type"] in kinds:
                return message

    async def tell(self, code: str) -> Any:
        """What `code` leaves in `told`."""
        id = await self.run(f"{code}\n{_CLOSING}")
        while True:
            message = await self.next("stream", "error")
            if message["parent_header"].get("msg_id") == id:
                assert message["msg_type"] == "stream", message["content"]
                return json.loads(message["content"]["text"].partition("told:")[2])


@contextmanager
def notebook_server(folder: Path, env: dict[str, str] | None = None) -> Iterator[NotebookServer]:
    """In `folder`, which is its home too."""
    record = json.loads((ENVIRONMENT / "perijove-env.json").read_text())
    port = free_port()
    # What the tests' own starter made of it (nohup ignores it) is nothing of a notebook's.
    command = [
        "env", "--default-signal=HUP", record["python"], "-m", "jupyter_server", "--allow-root",
        f"--port={port}", "--ip=127.0.0.1", f"--IdentityProvider.token={TOKEN}", "--no-browser",
    ]  # fmt: skip
    full = {
        "HOME": str(folder), "PATH": f"{record['bin']}:{os.defpath}", "LANG": "C.UTF-8",
        "JUPYTER_CONFIG_PATH": str(JUPYTER_CONFIG), "PERIJOVE_API_URL": "http://127.0.0.1:9",
        "PERIJOVE_WORKLOAD": "w-1", "JUPYTERHUB_API_TOKEN": "none", **(env or {}),
    }  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=full, cwd=folder, stdout=log, stderr=log)
    url, headers = f"http://127.0.0.1:{port}", {"Authorization": f"token {TOKEN}"}
    with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as http:
        try:
            wait_for("the server answers", lambda: _answers(http))
            yield NotebookServer(process, port, folder, http)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _command(process: psutil.Process) -> str:
    """Empty when it is gone."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/api/status").status_code == 200
    except httpx.TransportError:
        return False
