"""A whole site for tests: `perijove up` in a folder of its own, through its public doors only."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
PERIJOVE = Path(sys.executable).with_name("perijove")
READY_WITHIN_S = 90.0


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(
    what: str, look: Callable[[], Any], within_s: float = 60.0, every_s: float = 0.05
) -> Any:
    """Call `look` until it answers something true; fails naming `what` after `within_s`."""
    until = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"{what}: not within {within_s:.0f} s")
        time.sleep(every_s)


def overload() -> float:
    """How much longer things take because others use this machine too; 1 when they do not."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@dataclass
class LiveSite:
    """A running site. `url` has no trailing slash."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    up: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def env(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PERIJOVE_")}
        return clean | {
            "PERIJOVE_HOME": str(self.home),
            "PERIJOVE_PORT": str(self.port),
            # Traversable by people's own users, which pytest's folders are not.
            "PERIJOVE_SPACES": str(self.spaces),
            **self.settings,
        }

    @property
    def spaces(self) -> Path:
        root = Path("/var/lib/perijove") if os.geteuid() == 0 else self.folder
        return root / f"test-{self.port}"

    def start(self, *args: str) -> "LiveSite":
        """`perijove up`, and wait until everything is ready."""
        with (self.folder / "up.log").open("ab") as log:
            self.up = subprocess.Popen(
                [PERIJOVE, "up", *args], env=self.env, cwd=ROOT, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self.wait_ready()
        return self

    def wait_ready(self, within_s: float = READY_WITHIN_S) -> None:
        wait_for("the site is ready", self.is_ready, within_s)

    def is_ready(self) -> bool:
        if self.up is not None and self.up.poll() is not None:
            raise AssertionError(f"`up` ended: {(self.folder / 'up.log').read_text()[-2000:]}")
        return self.get("/services/control/healthz")[0] == 200

    def get(self, path: str, token: str = "", timeout_s: float = 10) -> tuple[int, bytes]:
        """Status and body; status 0 when nobody answers."""
        headers = {"Host": urlsplit(self.settings.get("PERIJOVE_PUBLIC_URL", self.url)).netloc}
        headers |= {"Authorization": f"token {token}"} if token else {}
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def cli(self, *args: str, ok: bool = True, timeout_s: float = 120) -> Any:
        """`perijove … --json` → its JSON; with `ok` a failure fails the test."""
        done = self.run(*args, "--json", timeout_s=timeout_s)
        if ok and done.returncode:
            raise AssertionError(f"{args}: {done.returncode} {done.stdout} {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def run(self, *args: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PERIJOVE, *args], env=self.env, cwd=ROOT, capture_output=True, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip

    def pid_of(self, process: str) -> int:
        done = self.run("status", "--json")
        return next(
            int(p["pid"] or 0) for p in json.loads(done.stdout)["processes"] if p["name"] == process
        )

    def kill(self, process: str) -> int:
        """kill -9; returns the pid it had."""
        pid = self.pid_of(process)
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self) -> None:
        """Ctrl-C: notebooks stop too and are settled. Leaves no folder behind."""
        if self.up is not None and self.up.poll() is None:
            self.up.send_signal(signal.SIGINT)
            try:
                self.up.wait(60)
            except subprocess.TimeoutExpired:
                self.up.kill()
        shutil.rmtree(self.spaces, ignore_errors=True)
