"""Tells whoever listens that something changed, so that pages need not poll.

Only hints: a listener reads the truth from the store. Losing one is harmless.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_BACKLOG = 64


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

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def tell(self, hint: Hint) -> None:
        """Safe from any thread; does nothing before the loop runs."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, hint)

    def _spread(self, hint: Hint) -> None:
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(hint)

    @contextmanager
    def listen(self) -> Iterator[asyncio.Queue[Hint]]:
        """A queue of hints while the block runs; a slow listener loses the oldest."""
        queue: asyncio.Queue[Hint] = asyncio.Queue(_BACKLOG)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)
