"""When work counts as idle, and what becomes of it then. Pure.

It is idle since it was last seen at work: a kernel that computes, a terminal, a person in the page, a
GPU or processors in use. Its owner is asked before it is stopped.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from catalog.errors import BadValue
from catalog.units import parse_duration

NEVER = "off"
LEAST = timedelta(seconds=20)
GPU_PERCENT = 2
"""Above this much of a device's time it is at work."""
CORES = 0.05
"""Above this many cores, on average between two looks, it is at work. A JupyterLab in an open page that
nobody touches needs about a hundredth of one."""


class Act(StrEnum):
    """What to do about it."""

    LEAVE = "leave"
    ASK = "ask"
    TAKE_BACK = "take-back"
    """Something happened after it was asked, or it ends earlier than that anyhow."""
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Rule:
    """It may be idle for `span`, and its owner is asked so long before its end."""

    span: timedelta
    ask: timedelta
    heard_within: timedelta
    """Longer silence of its server tells nothing: what it computes is not known then."""
    told_within: timedelta = timedelta()
    """Its server tells of work so late at the most: after a shorter silence it may have begun some."""

    @property
    def quiet(self) -> timedelta:
        """So long idle it is asked; the question is open for half of the span at the most."""
        return self.span - min(self.ask, self.span / 2)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of running work: last at work, last word of its server (None: it never said
    anything), the end of its lease, and when it stops as idle, if it was asked."""

    active_at: datetime
    heard_at: datetime | None
    ends_at: datetime
    stop_at: datetime | None

    def idle(self, rule: Rule | None, now: datetime) -> timedelta:
        """For how long it is known to be idle: until its server's last word, or until now once its
        server would have told of anything else."""
        waits = self.heard_at is not None and rule and now - self.heard_at < rule.told_within
        return (self.heard_at if self.heard_at and waits else now) - self.active_at


def judge(rule: Rule | None, known: Known, now: datetime) -> Act:
    """`rule` None: it may be idle for ever."""
    idle = known.idle(rule, now)
    if known.stop_at is not None:
        if rule is None or idle < rule.quiet or known.ends_at <= known.stop_at:
            return Act.TAKE_BACK
        heard = known.heard_at is not None and now - known.heard_at <= rule.heard_within
        return Act.STOP if heard and now >= known.stop_at else Act.LEAVE
    if rule is None or idle < rule.quiet or known.heard_at is None:
        return Act.LEAVE
    if now - known.heard_at > rule.heard_within or known.ends_at <= stop_at(rule, known, now):
        return Act.LEAVE
    return Act.ASK


def stop_at(rule: Rule, known: Known, now: datetime) -> datetime:
    """When it stops if it is asked now: its whole span, and the whole question, are over then."""
    return max(known.active_at + rule.span, now + (rule.span - rule.quiet))


def gpu_works(percent: int | None) -> bool:
    """Whether so much use of devices is work; None is not measured and tells nothing."""
    return percent is not None and percent > GPU_PERCENT


def processors_work(used_s: float, span: timedelta) -> bool:
    """Whether so much processor time in `span` is work."""
    return used_s > CORES * span.total_seconds()


def parse_idle(text: object) -> timedelta | None:
    """``"2h"``, or ``"off"`` for ever: None. YAML reads a bare off as false. Raises BadValue."""
    raw = NEVER if text is False else str(text).strip()
    if raw == NEVER:
        return None
    span = parse_duration(raw)
    if span < LEAST:
        raise BadValue(f"{raw} is too short a time to be idle", next="write it like 2h, or off")
    return span
