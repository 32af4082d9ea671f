"""A line of people: whoever came first is served first, a few at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from catalog.errors import Busy


class Line:
    """For one event loop. `at_once` are served at a time; each waits for `patience_s` at most, and
    whoever finds `most` people in the line already is told at once. `full` says what they are told."""

    def __init__(
        self, at_once: int, patience_s: float, most: int, full: Callable[[], Busy]
    ) -> None:
        self._places = asyncio.Semaphore(at_once)  # wakes those who wait in the order they came in
        self._patience_s, self._most, self._full = patience_s, most, full
        self.waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """It is one's turn while the block runs. Raises Busy without having run it."""
        if self.waiting >= self._most:
            raise self._full()
        self.waiting += 1
        try:
            async with asyncio.timeout(self._patience_s):
                await self._places.acquire()
        except TimeoutError as error:
            raise self._full() from error
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self._places.release()
