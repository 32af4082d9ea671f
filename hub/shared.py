"""A value that is dear to make, made once for all who want it at the same moment."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Holds the last one made. Safe to use from threads: who comes while one is being made waits for
    it rather than making another."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._last: T | None = None

    def get(self, good: Callable[[T], bool], make: Callable[[], T]) -> T:
        """The last one if it is `good`, else a new one. What `make` raises is raised."""
        if (last := self._last) is not None and good(last):
            return last
        with self._making:
            if (last := self._last) is not None and good(last):
                return last
            self._last = made = make()
            return made
