"""The life of a workload: one table of legal moves. People change `target`; the reconciler, `status`."""

from enum import StrEnum

from catalog.errors import Conflict


class Status(StrEnum):
    """Where a workload is."""

    QUEUED = "queued"
    """Waits for its turn."""
    OFFERED = "offered"
    """Its turn has come and is held until the person accepts."""
    STARTING = "starting"
    """Granted and held; its processes are being started."""
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    """Ended as somebody wished: asked, lease over, cancelled."""
    FAILED = "failed"
    """Ended as nobody wished; `reason` says why."""

    @property
    def live(self) -> bool:
        """Whether anything may still happen to it."""
        return bool(MOVES[self])

    @property
    def holds(self) -> bool:
        """Whether it has a place: shares and credits are held for it."""
        return self in {Status.OFFERED, Status.STARTING, Status.RUNNING, Status.STOPPING}


class Target(StrEnum):
    """What the person wants."""

    RUNNING = "running"
    STOPPED = "stopped"


MOVES: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.OFFERED, Status.STARTING, Status.STOPPED, Status.FAILED}),
    Status.OFFERED: frozenset({Status.STARTING, Status.STOPPED, Status.FAILED, Status.QUEUED}),
    Status.STARTING: frozenset(
        {Status.RUNNING, Status.STOPPING, Status.STOPPED, Status.FAILED, Status.QUEUED}
    ),
    Status.RUNNING: frozenset({Status.STOPPING, Status.STOPPED, Status.FAILED, Status.QUEUED}),
    Status.STOPPING: frozenset({Status.STOPPED, Status.FAILED, Status.QUEUED}),
    Status.STOPPED: frozenset(),
    Status.FAILED: frozenset(),
}
"""Every status has a row; what is not in it is a bug."""


class EndReason(StrEnum):
    """Why a workload ended, for programs."""

    ASKED = "asked"
    CANCELLED = "cancelled"
    LEASE_ENDED = "lease-ended"
    TURN_MISSED = "turn-missed"
    OUT_OF_MEMORY = "out-of-memory"
    START_FAILED = "start-failed"
    EXITED = "exited"
    LOST = "lost"
    SITE_STOPPED = "site-stopped"
    DEACTIVATED = "deactivated"
    PREEMPTED = "preempted"
    """Its place went to somebody with more right to it; it waits again."""
    DRAINED = "drained"
    """Its node is taken out of service; it waits again."""
    DEVICE_FAILED = "device-failed"
    IDLE = "idle"
    """Nobody and nothing worked in it for long, and nobody answered when asked."""


def require_move(before: Status, after: Status) -> None:
    """Raise Conflict unless the table allows the move."""
    if after not in MOVES[before]:
        raise Conflict(f"it is {before} and cannot become {after}", next="look at it again")
