"""Waiting for a workload, with each change told as it happens."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from catalog.errors import Unavailable
from hub.client.api import Client
from hub.client.errors import EndedInstead, Json, TimedOut
from hub.lifecycle import MOVES, Status

GIVE_UP_AFTER_S = 60.0
"""How long a server that cannot be reached is waited for."""
_FIRST_S, _LAST_S = 0.3, 2.0
_ENDED = frozenset(status.value for status, moves in MOVES.items() if not moves)


def nothing(_: Json) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait (None: as long as it takes), told by which clock."""

    timeout_s: float | None = None
    monotonic: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


def wait_until_running(
    client: Client, workload: Json, patience: Patience, tell: Callable[[Json], None] = nothing
) -> Json:
    """The workload once it runs. Raises EndedInstead with why it ended, or TimedOut."""
    for seen in _looks(client, workload, patience):
        tell(seen)
        if seen["status"] == Status.RUNNING:
            return seen
        if has_ended(seen):
            raise EndedInstead(
                f"{label(seen)} ended before it ran: {seen['reason'] or seen['status']}",
                next=seen.get("next") or f"`perijove logs {seen['id']}` shows what it printed",
                code=seen.get("reason_code") or "",
                workload=seen,
            )
        workload = seen
    raise TimedOut(
        f"{label(workload)} does not run yet after {patience.timeout_s:g} s; it stays "
        f"{workload['status']}: {workload['reason'] or 'no reason given'}",
        next=f"`perijove attach {workload['id']}` waits on, `perijove stop {workload['id']}` "
        "cancels it",
        workload=workload,
    )


def wait_until_ended(
    client: Client, workload: Json, patience: Patience, tell: Callable[[Json], None] = nothing
) -> Json:
    """The workload once nothing of it runs. Raises TimedOut."""
    for seen in _looks(client, workload, patience):
        tell(seen)
        if has_ended(seen):
            return seen
        workload = seen
    raise TimedOut(
        f"{label(workload)} has not ended after {patience.timeout_s:g} s",
        next=f"it goes on ending; `perijove ps` shows it, `perijove stop {workload['id']} --wait` "
        "waits on",
        workload=workload,
    )


def has_ended(workload: Json) -> bool:
    """Whether nothing of it will ever run again."""
    return workload["status"] in _ENDED


def label(workload: Json) -> str:
    """What to call it in a sentence: its name and its id."""
    return f"{workload['name']} ({workload['id']})" if workload["name"] else str(workload["id"])


def _looks(client: Client, workload: Json, patience: Patience) -> Iterator[Json]:
    """The workload as it is now, again and again until the time is over; the given one first."""
    started = patience.monotonic()
    step_s, reached = _FIRST_S, started
    yield workload
    while True:
        left = _left(patience, started)
        if left <= 0:
            return
        patience.pause(min(step_s, left))
        step_s = min(step_s * 1.2, _LAST_S)
        try:
            workload = client.workload(workload["id"])
        except Unavailable:
            # A restarting server is no reason to stop waiting; one that stays away is.
            if patience.monotonic() - reached > GIVE_UP_AFTER_S:
                raise
            continue
        reached = patience.monotonic()
        yield workload


def _left(patience: Patience, started: float) -> float:
    if patience.timeout_s is None:
        return float("inf")
    return patience.timeout_s - (patience.monotonic() - started)
