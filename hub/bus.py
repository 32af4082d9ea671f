"""Tells whoever listens that something changed, so that pages need not poll.

Only hints: a listener reads the truth from the store. Losing one is harmless.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_BACKLOG = 64
TO_ALL_EVERY_S = 2.0
"""Between two hints of a kind to everybody."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What changed, and for whom (None: everybody)."""

    kind: str
    person_id: str | None = None
    workload_id: str | None = None


@dataclass(slots=True)
class Bus:
    """Hints from any thread to listeners on one event loop."""

    _listeners: set[asyncio.Queue[Hint]] = field(default_factory=set[asyncio.Queue[Hint]])
    _loop: asyncio.AbstractEventLoop | None = None
    _telling: threading.Lock = field(default_factory=threading.Lock)
    _last: dict[str, int] = field(default_factory=dict[str, int])
    _to_all: set[Hint] = field(default_factory=set[Hint])
    _to_all_at: dict[Hint, float] = field(default_factory=dict[Hint, float])
    told: int = 0
    """How many hints there were."""

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def tell(self, hint: Hint) -> None:
        """Safe from any thread; nobody hears it before the loop runs. After the transaction."""
        with self._telling:
            self.told += 1
            if hint.person_id is not None:
                self._last[hint.person_id] = self.told
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, hint)

    def last_told(self, person_id: str) -> int:
        """Which hint was the last one for this very person; 0 before the first."""
        return self._last.get(person_id, 0)

    def _spread(self, hint: Hint) -> None:
        if hint.person_id is None and not self._to_all_now(hint):
            return
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(hint)

    def _to_all_now(self, hint: Hint) -> bool:
        """Everybody is told at once, and then not sooner than a while later, once for all that came
        between: each of a class that arrives changes what all the others see."""
        loop = self._loop
        if loop is None:
            return True
        now = loop.time()
        if hint in self._to_all:
            return False  # it is about to be told
        if now - self._to_all_at.get(hint, -TO_ALL_EVERY_S) >= TO_ALL_EVERY_S:
            self._to_all_at[hint] = now
            return True
        self._to_all.add(hint)
        loop.call_at(self._to_all_at[hint] + TO_ALL_EVERY_S, self._tell_late, hint)
        return False

    def _tell_late(self, hint: Hint) -> None:
        self._to_all.discard(hint)
        self._to_all_at.pop(hint, None)
        self._spread(hint)

    @contextmanager
    def listen(self) -> Iterator[asyncio.Queue[Hint]]:
        """A queue of hints while the block runs; a slow listener loses the oldest."""
        queue: asyncio.Queue[Hint] = asyncio.Queue(_BACKLOG)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)
