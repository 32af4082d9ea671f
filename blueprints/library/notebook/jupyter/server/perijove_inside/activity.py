"""When this server was last at work: kernels, terminals, a person. An open page that nobody touches
polls, and is none of it."""

import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

READING = frozenset({"GET", "HEAD", "OPTIONS"})
LAYOUT = "lab/api/workspaces"
"""A page writes its layout down when it is merely opened."""
BUSY = "busy"


class Activity:
    """`settings` are those of Jupyter's web application; `now` gives seconds since 1970."""

    def __init__(
        self, settings: MutableMapping[str, Any], owner: str, now: Callable[[], float] = time.time
    ) -> None:
        self._settings, self._owner, self._now = settings, owner, now
        self._person_at = now()

    def touched(self, ago_s: float = 0.0) -> None:
        """Its owner did something so many seconds ago."""
        self._person_at = max(self._person_at, self._now() - max(0.0, ago_s))

    def saw(self, handler: Any) -> None:
        """A request was answered: one that changes something is its owner's doing."""
        request = handler.request
        if request.method in READING or not getattr(handler, "_track_activity", True):
            return
        if LAYOUT in request.path or handler.get_status() >= 400:
            return
        user = getattr(handler, "_jupyter_current_user", None)
        if getattr(user, "username", "") == self._owner:
            self.touched()

    def watch_requests(self) -> None:
        """From now on look at each request that the web application has logged. For when all is
        loaded: JupyterHub's own extension puts another logger there."""
        log = self._settings["log_function"]

        def logged(handler: Any) -> None:
            log(handler)
            self.saw(handler)

        self._settings["log_function"] = logged

    @property
    def busy(self) -> int:
        """How many kernels compute."""
        return sum(getattr(one, "execution_state", "") == BUSY for one in self._kernels())

    def at(self) -> float:
        """When it was last at work, in seconds since 1970: now, while a kernel computes."""
        if self.busy:
            return self._now()
        times = [_seconds(one) for one in (*self._kernels(), *self._terminals())]
        return min(max([self._person_at, *times]), self._now())

    def _kernels(self) -> Iterable[Any]:
        return _held(self._settings.get("kernel_manager"), "_kernels")

    def _terminals(self) -> Iterable[Any]:
        return _held(self._settings.get("terminal_manager"), "terminals")


def _held(manager: Any, name: str) -> list[Any]:
    """What it has now; empty for one that is not there, or of another kind."""
    found = getattr(manager, name, None)
    return list(found.values()) if isinstance(found, Mapping) else []


def _seconds(one: Any) -> float:
    at = getattr(one, "last_activity", None)
    if not isinstance(at, datetime):
        return 0.0
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
