"""A mail server that keeps what it is given: enough of RFC 5321 for `smtplib`, on 127.0.0.1."""

import email
import socketserver
import threading
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Self, cast


class Postbox:
    """`async`-free: runs in a thread. `refuse` makes it answer 451 to every message."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.refuse = False
        box = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                box._talk(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _talk(self, peer: socketserver.StreamRequestHandler) -> None:
        def say(line: str) -> None:
            peer.wfile.write(line.encode() + b"\r\n")

        say("220 postbox")
        for raw in peer.rfile:
            match raw.decode().upper().split()[:1]:
                case ["DATA"]:
                    say("354 go on")
                    self._keep(b"".join(iter(peer.rfile.readline, b".\r\n")))
                    say("250 kept")
                case ["QUIT"]:
                    say("221 bye")
                    return
                case ["MAIL"] if self.refuse:
                    say("451 not now")
                case _:
                    say("250 fine")

    def _keep(self, content: bytes) -> None:
        letter = email.message_from_bytes(content, policy=default)
        self.letters.append(cast("EmailMessage", letter))
