"""What an attempt costs: credits set aside for it, settled, given back; each posting once by its key."""

from datetime import datetime, timedelta

from sqlmodel import Session

from catalog.offers import cost_of
from hub import budgets, history
from hub.control_context import Control
from hub.store import money
from hub.store.tables import AttemptRow, WorkloadRow
from quotas import ledger
from quotas.ledger import Posting


def used_cost(attempt: AttemptRow, until: datetime) -> int:
    """What the attempt has used by `until`: from when it could be used, never past its lease."""
    if attempt.ready_at is None:
        return 0
    until = min(until, attempt.lease_ends_at)
    return min(attempt.held, cost_of(attempt.price_per_hour, until - attempt.ready_at))


def was_extended(session: Session, attempt: AttemptRow, key: str) -> bool:
    """Whether the extension of this key was made already."""
    return money.was_posted(session, posting_key(attempt, _extend_key(key)))


def extend(
    control: Control, session: Session, row: WorkloadRow, by: timedelta, key: str, actor: str
) -> None:
    """A longer lease, held for in the ledger, once for each key; the engine is told by the
    reconciler. The caller has seen in the same transaction that the attempt is live."""
    now = control.clock.now()
    attempt = session.get_one(AttemptRow, row.attempt_id)
    more = cost_of(attempt.price_per_hour, by)
    posting = ledger.hold(more)
    budgets.demand_extension(control, session, row, attempt, by)
    if not post(session, row, attempt, posting, _extend_key(key), now, "set aside", actor):
        return
    attempt.held += more
    attempt.lease_ends_at += by
    attempt.warned = 0
    row.duration_s += int(by.total_seconds())
    history.tell_event(session, row, now, "extended")
    session.add_all([row, attempt])


def _extend_key(key: str) -> str:
    return f"extend:{key}"


def close(
    session: Session, row: WorkloadRow, attempt: AttemptRow, used: int, now: datetime
) -> None:
    """What is set aside is settled: `used` micro-credits are paid and the rest goes back; all of it,
    where the attempt was never ready."""
    never_ran = attempt.ready_at is None
    postings = ledger.refund(attempt.held) if never_ran else ledger.close(attempt.held, used)
    for posting in postings:
        text = {"settle": "used", "release": "not used", "refund": "never ran"}[posting.kind]
        post(session, row, attempt, posting, posting.kind, now, text)
    attempt.held = 0
    session.add(attempt)


def post(
    session: Session, row: WorkloadRow, attempt: AttemptRow, posting: Posting, key: str,
    at: datetime, text: str, actor: str = "system",
) -> bool:  # fmt: skip
    """False when it was posted before; nothing changes then."""
    cause = money.Cause(posting_key(attempt, key), actor, at, text, row.id, attempt.id)
    return money.post(session, money.Owner(row.payer, row.person_id), posting, cause)


def posting_key(attempt: AttemptRow, key: str) -> str:
    return f"{attempt.id}:{key}"
