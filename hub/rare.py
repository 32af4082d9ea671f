"""What is worth telling once in a while: a bound on how often, in bounded memory."""

import threading
from collections import deque
from datetime import datetime, timedelta

_MOST = 10_000


class Rarely:
    """Remembers in this process what was told, and when. Safe to use from threads."""

    def __init__(self) -> None:
        self._told: dict[str, deque[datetime]] = {}
        self._lock = threading.Lock()

    def first(self, what: str, now: datetime, span: timedelta) -> bool:
        """Whether nobody asked the same within `span`; who asks too early does not extend it."""
        return self.fewer(what, now, span, 1)

    def fewer(self, what: str, now: datetime, span: timedelta, most: int) -> bool:
        """Whether it was told fewer than `most` times within `span`; then it counts as told."""
        with self._lock:
            if what not in self._told and len(self._told) >= _MOST:
                self._told.clear()  # rather told twice than a memory without end
            told = self._told.setdefault(what, deque())
            while told and now - told[0] >= span:
                told.popleft()
            if len(told) >= most:
                return False
            told.append(now)
            return True
