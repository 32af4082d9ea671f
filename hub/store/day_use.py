"""What was used up by day: counted once for each attempt after its end, so that a period is summed
from a few rows however long it is."""

from collections.abc import Iterable, Mapping
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlmodel import Session, col, select

from hub.store.tables import AccountRow, AttemptRow, DayUseRow, EntryRow, PostingRow
from quotas.ledger import AccountKind
from quotas.limits import Dimension
from quotas.periods import used_by_day

_AT_ONCE = 500
"""Attempts asked about in one query: a database takes so many values and no more."""

Days = Mapping[date, Mapping[Dimension, int]]


def count_ended(session: Session, zone: ZoneInfo) -> None:
    """Count what has ended since; repeating it changes nothing."""
    ended = select(AttemptRow).where(
        AttemptRow.counted == "", col(AttemptRow.released_at).is_not(None)
    )
    while rows := session.exec(ended.limit(_AT_ONCE)).all():
        paid = paid_by_attempt(session, [row.id for row in rows])
        for row in rows:
            _add(session, row, days_of(row, paid.get(row.id, 0), zone), 1)
            row.counted = zone.key
            session.add(row)
        session.flush()


def uncount(session: Session, attempt: AttemptRow) -> None:
    """Before what it paid is changed: it is counted anew with the next that end."""
    if not attempt.counted:
        return
    paid = paid_by_attempt(session, [attempt.id])
    _add(session, attempt, days_of(attempt, paid.get(attempt.id, 0), ZoneInfo(attempt.counted)), -1)
    attempt.counted = ""
    session.add(attempt)


def add(
    session: Session, tenant_id: str, person_id: str, dimension: Dimension, day: date, amount: int
) -> None:
    """Use one row up by `amount`."""
    key = (tenant_id, person_id, dimension.value, day.isoformat())
    row = session.get(DayUseRow, key)
    if row is None:
        row = DayUseRow(
            tenant_id=tenant_id, person_id=person_id, dimension=dimension, day=day.isoformat()
        )
    row.amount += amount
    session.add(row)
    session.flush()


def days_of(attempt: AttemptRow, paid: int, zone: ZoneInfo) -> Days:
    """What an ended attempt used up, by day."""
    if attempt.ready_at is None or attempt.ended_at is None:
        return {}
    ended_at = min(attempt.ended_at, attempt.lease_ends_at)
    return used_by_day(
        attempt.ready_at, ended_at, attempt.gpu_milli, attempt.price_per_hour, paid, zone
    )


def paid_by_attempt(session: Session, attempt_ids: Iterable[str] | None = None) -> dict[str, int]:
    """Micro-credits settled, less refunds, by attempt; of all without `attempt_ids`."""
    query = (
        select(PostingRow.attempt_id, func.sum(EntryRow.amount))
        .join(EntryRow, col(EntryRow.posting_id) == PostingRow.id)
        .join(AccountRow, col(AccountRow.id) == EntryRow.account_id)
        .where(AccountRow.kind == AccountKind.SPENT.value, PostingRow.attempt_id != "")
        .group_by(PostingRow.attempt_id)
    )
    if attempt_ids is not None:
        query = query.where(col(PostingRow.attempt_id).in_(list(attempt_ids)))
    return {attempt: int(amount or 0) for attempt, amount in session.exec(query)}


def problems(session: Session) -> list[str]:
    """Where a day's row differs from the attempts that it sums up, in words."""
    paid = paid_by_attempt(session)
    expected: dict[tuple[str, str, str, str], int] = {}
    for attempt in session.exec(select(AttemptRow).where(AttemptRow.counted != "")):
        found = days_of(attempt, paid.get(attempt.id, 0), ZoneInfo(attempt.counted))
        for day, amounts in found.items():
            for dimension, amount in amounts.items():
                key = (attempt.tenant_id, attempt.person_id, dimension.value, day.isoformat())
                expected[key] = expected.get(key, 0) + amount
    said = {
        (row.tenant_id, row.person_id, row.dimension, row.day): row.amount
        for row in session.exec(select(DayUseRow))
        if row.amount and row.dimension != Dimension.TOKENS
    }
    return [
        f"{Dimension(key[2]).show(said.get(key, 0))} of {key[1]} in {key[0]} are counted for"
        f" {key[3]}, and the attempts of that day used {Dimension(key[2]).show(expected.get(key, 0))}"
        for key in sorted(said.keys() | expected.keys())
        if said.get(key, 0) != expected.get(key, 0)
    ]


def _add(session: Session, attempt: AttemptRow, days: Days, sign: int) -> None:
    for day, amounts in days.items():
        for dimension, amount in amounts.items():
            add(session, attempt.tenant_id, attempt.person_id, dimension, day, sign * amount)
