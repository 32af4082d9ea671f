"""What is known of when work was last at work, and what follows from it; see `hub.idle`."""

from datetime import datetime, timedelta

from sqlmodel import Session

from catalog import idleness
from catalog.idleness import Act, Known, Rule
from hub import history, leases
from hub.control_context import Control
from hub.store.tables import AttemptRow, WorkloadRow

HEARD_WITHIN = timedelta(minutes=12)
"""A server tells every five minutes, also when nothing happened; older silence tells nothing."""
TOLD_WITHIN = timedelta(minutes=2)
"""It looks once a minute whether it was at work, and tells unless it told less than a minute ago. So
a busy kernel is heard of every two looks at the latest, however short a time its offer may be idle."""


def rule_of(control: Control, row: WorkloadRow, attempt: AttemptRow) -> Rule | None:
    """How long it may be idle: what its offer says, else what the site says of work with a GPU. None
    for ever. A full home's rescue page is free and holds nothing; what an offer said that is not on
    the menu any more is not known."""
    offer = control.menu.get().offers.get(row.offer_id)
    if attempt.rescue or offer is None:
        return None
    said = offer.spec.idle
    span = idleness.parse_idle(said) if said else None
    if not said and attempt.gpu_milli > 0:
        span = control.settings.idle_span
    ask = control.settings.idle_ask_span
    return Rule(span, ask, HEARD_WITHIN, TOLD_WITHIN) if span else None


def active_at(attempt: AttemptRow) -> datetime | None:
    """When it was last at work, as far as is known; None before it could be used."""
    if attempt.ready_at is None:
        return None
    return max(attempt.active_at or attempt.ready_at, attempt.ready_at)


def note_active(
    control: Control, session: Session, row: WorkloadRow, attempt: AttemptRow, at: datetime
) -> bool:
    """It was at work at `at`. True when that answers an open question, which is taken back. Part of
    the caller's transaction."""
    attempt.active_at = max(at, active_at(attempt) or at)
    session.add(attempt)
    now = control.clock.now()
    if act_of(control, row, attempt, now) is not Act.TAKE_BACK:
        return False
    attempt.idle_stop_at = None
    history.tell_event(session, row, now, "it is used again, so it runs on")
    return True


def act_of(control: Control, row: WorkloadRow, attempt: AttemptRow, now: datetime) -> Act:
    known = known_of(attempt)
    return idleness.judge(rule_of(control, row, attempt), known, now) if known else Act.LEAVE


def known_of(attempt: AttemptRow) -> Known | None:
    last = active_at(attempt)
    if last is None:
        return None
    return Known(last, attempt.heard_at, leases.deadline(attempt), attempt.idle_stop_at)
