"""Ports of 127.0.0.1 that servers of people listen on."""

import random
import threading

from catalog.errors import Unavailable
from hub.up.ports import LOCALHOST, first_outgoing, is_free

LOWEST = 16_000
"""Below are those of the site's own services, where they are not root's."""


class NotebookPorts:
    """Gives each port once until all others had their turn: among many that start, a server needs
    seconds until it listens on its own, and until then that looks free. Below those that the system
    gives to outgoing connections, which may take any of theirs in that time. For any thread."""

    def __init__(self) -> None:
        self._ports = range(LOWEST, max(LOWEST + 1000, first_outgoing()))
        # Another site of this machine begins elsewhere.
        self._at = random.randrange(len(self._ports))  # noqa: S311 (no secret)
        self._lock = threading.Lock()

    def take(self) -> int:
        """The next that nobody listens on. Raises Unavailable when there is none."""
        with self._lock:
            for _ in self._ports:
                self._at = (self._at + 1) % len(self._ports)
                if is_free(LOCALHOST, self._ports[self._at]):
                    return self._ports[self._at]
        raise Unavailable(
            f"no port between {self._ports[0]} and {self._ports[-1]} is free on this machine",
            next="tell the administrator: ss -ltnp lists what holds them",
        )
