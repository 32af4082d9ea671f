"""Small servers in place of hub, control and portal, and an `up` that runs them.

``stand_in.py up [--keep]`` supervises the real proxy and ``stand_in.py hub|control|portal``.
A file ``ill-NAME`` in the home makes NAME print the file's second line and exit with its first.
"""

import contextlib
import json
import os
import socketserver
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hub.settings import Settings
from hub.up.programs import Program, product_programs
from hub.up.supervisor import run_up


def programs(settings: Settings) -> list[Program]:
    proxy = product_programs(settings)[0]
    env = {**settings.child_env(), "PYTHONPATH": os.pathsep.join(sys.path)}
    return [
        proxy,
        *(
            Program(
                name,
                (sys.executable, __file__, name),
                settings.home,
                settings.ports[name],
                env,
            )
            for name in ("hub", "control", "portal")
        ),
    ]


Replies = dict[str, Callable[[], object]]


def answering(replies: Replies) -> type[BaseHTTPRequestHandler]:
    """A handler that says 200 with what `replies` hold for "METHOD path", else with {}."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply = replies.get(f"{self.command} {self.path.partition('?')[0]}", dict)()
            body = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name)
            pass

    return Answers


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def send_routes(settings: Settings) -> dict[str, str]:
    for prefix in ("control", "portal"):
        request = urllib.request.Request(
            f"{settings.internal_url('proxy_api')}/api/routes/services/{prefix}",
            data=json.dumps({"target": settings.internal_url(prefix)}).encode(),
            headers={"Authorization": f"token {settings.secret('proxy')}"},
            method="POST",
        )
        urllib.request.urlopen(request, timeout=5).close()
    return {}


def control_door(settings: Settings) -> UnixServer:
    settings.socket.unlink(missing_ok=True)
    left = [2]

    def still_left() -> dict[str, int]:
        left[0] -= 1
        return {"left": left[0]}

    def drained() -> dict[str, str]:
        (settings.home / "drained").write_text("yes")
        return {}

    replies: Replies = {
        "POST /internal/admin-link": lambda: {
            "url": f"{settings.url}/hub/welcome?t=1",
            "expires_at": "tomorrow",
        },
        "GET /internal/site": lambda: {"warnings": ["a stand-in"], "emulated": True},
        "POST /internal/drain": drained,
        "GET /internal/drain": still_left,
    }
    return UnixServer(str(settings.socket), answering(replies))


def serve(name: str, settings: Settings) -> None:
    with contextlib.suppress(FileNotFoundError):
        code, said = (settings.home / f"ill-{name}").read_text().split("\n", 1)
        sys.stderr.write(said + "\n")
        sys.exit(int(code))
    replies: Replies = {
        "GET /services/control/healthz": lambda: {"status": "ok"},
        "POST /hub/api/proxy": lambda: send_routes(settings),
    }
    server = ThreadingHTTPServer(("127.0.0.1", settings.ports[name]), answering(replies))
    if name == "hub":
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                send_routes(settings)
                break
            time.sleep(0.05)
    if name == "control":
        threading.Thread(target=control_door(settings).serve_forever, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    chosen = Settings.load()
    Path(chosen.home).mkdir(exist_ok=True)
    if sys.argv[1] == "up":
        sys.exit(run_up(chosen, keep="--keep" in sys.argv, programs=programs))
    serve(sys.argv[1], chosen)
