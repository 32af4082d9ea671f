"""When a process that ended is started again."""

from collections import deque
from dataclasses import dataclass, field

STEPS_S = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
FAILING_AFTER = 5
WINDOW_S = 60.0
FAILING_STEP_S = 10.0
STEADY_S = 10.0
"""A process that ran this long was well: whatever ended it, the next start is at once."""


@dataclass(slots=True)
class Ladder:
    """Counts the quick deaths of one process. Times are seconds of one monotonic clock."""

    failing: bool = False
    _quick: deque[float] = field(default_factory=deque[float])

    def ended(self, at: float, ran_s: float) -> float:
        """Note an end at `at` after `ran_s` seconds; returns the seconds to wait."""
        if ran_s >= STEADY_S:
            self.steady()
            return STEPS_S[0]
        self._quick.append(at)
        while at - self._quick[0] > WINDOW_S:
            self._quick.popleft()
        if len(self._quick) >= FAILING_AFTER:
            self.failing = True
        if self.failing:
            return FAILING_STEP_S
        return STEPS_S[min(len(self._quick), len(STEPS_S)) - 1]

    def steady(self) -> None:
        """The process has run for `STEADY_S`: forget its past."""
        self.failing = False
        self._quick.clear()
