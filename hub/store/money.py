"""The ledger made durable: postings happen once by key, and no account is overdrawn."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select, update

from catalog.errors import Conflict, Refused
from catalog.units import format_credits
from hub.store import day_use
from hub.store.tables import (
    AccountRow,
    AttemptRow,
    EntryRow,
    PersonRow,
    PostingRow,
    TenantRow,
    WorkloadRow,
)
from quotas import ledger
from quotas.ledger import AccountKind, Owner, Posting

_EVER = 2**62
"""Micro-credits that can be given out in all, so that every sum fits into 64 bits."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Who made a posting, for what. `key` is unique for ever."""

    key: str
    actor: str
    at: datetime
    text: str
    workload_id: str = ""
    attempt_id: str = ""


def post(session: Session, owner: Owner, posting: Posting, cause: Cause) -> bool:
    """Write a posting; False when its key was posted before, and then nothing changes.

    Raises Refused when an account would be overdrawn; the caller's transaction is then void.
    """
    if was_posted(session, cause.key):
        return False
    row = PostingRow(
        key=cause.key, kind=posting.kind, at=cause.at, actor=cause.actor,
        tenant_id=owner.tenant_id, person_id=owner.person_id, workload_id=cause.workload_id,
        attempt_id=cause.attempt_id, text=cause.text,
    )  # fmt: skip
    session.add(row)
    session.flush()
    moved = [
        (_change(session, line.owner or owner, line.account, line.amount), line.amount)
        for line in posting.lines
    ]
    # The database has given the posting its number.
    session.add_all(
        EntryRow(posting_id=row.id or 0, account_id=account, amount=amount)
        for account, amount in moved
    )
    session.flush()
    return True


def _change(session: Session, owner: Owner, kind: AccountKind, amount: int) -> str:
    """Move one account, never below what it may be; its id."""
    account, least = _account_id(owner, kind), -_EVER if kind.may_be_negative else 0
    change = (
        update(AccountRow)
        .where(col(AccountRow.id) == account, col(AccountRow.balance) + amount >= least)
        .values(balance=col(AccountRow.balance) + amount)
    )
    if session.exec(change).rowcount == 1:
        return account
    _open(session, owner, kind)  # the first time only
    if session.exec(change).rowcount != 1:
        raise _not_enough(owner, -amount, balance(session, owner, kind))
    return account


def _not_enough(owner: Owner, wanted: int, left: int) -> Refused:
    return Refused(
        f"{format_credits(wanted)} credits are needed and {format_credits(max(0, left))} are left",
        next="choose a shorter time or a smaller share, or ask for more credits"
        if owner.person_id
        else "move fewer, or ask the administrator of the tenant above for more",
        code="credits",
    )


def post_same(session: Session, owner: Owner, posting: Posting, cause: Cause) -> bool:
    """As `post`, for a key that a person chose: raises Conflict when it was used for something
    else than this very posting."""
    if not was_posted(session, cause.key):
        return post(session, owner, posting, cause)
    earlier = session.exec(
        select(EntryRow.account_id, EntryRow.amount)
        .join(PostingRow, col(PostingRow.id) == EntryRow.posting_id)
        .where(PostingRow.key == cause.key)
    ).all()
    same = {(_account_id(line.owner or owner, line.account), line.amount) for line in posting.lines}
    if set(earlier) != same:
        raise Conflict(
            "this idempotency key was used for another movement", next="use a new key for each"
        )
    return False


def refund_lost(session: Session, attempt: AttemptRow, amount: int, cause: Cause) -> int:
    """Give back what a settled attempt paid for work that was lost, never more than it paid, once
    for each key; returns what was given back. The workload's cost falls by it."""
    if was_posted(session, cause.key):
        return 0
    paid = day_use.paid_by_attempt(session, [attempt.id]).get(attempt.id, 0)
    back = ledger.refund_paid(paid, amount)
    day_use.uncount(session, attempt)
    row = session.get_one(WorkloadRow, attempt.workload_id)
    for posting in back:
        post(session, Owner(attempt.payer, attempt.person_id), posting, cause)
        row.cost -= posting.moved
    session.add(row)
    session.flush()
    return sum(posting.moved for posting in back)


def was_posted(session: Session, key: str) -> bool:
    """Whether a posting of this key was written already."""
    return session.exec(select(PostingRow.id).where(PostingRow.key == key)).first() is not None


def balance(session: Session, owner: Owner, kind: AccountKind) -> int:
    """Micro-credits on an account; 0 when it was never used."""
    session.flush()
    found = session.exec(
        select(AccountRow.balance).where(AccountRow.id == _account_id(owner, kind))
    ).first()
    return found or 0


@dataclass(frozen=True, slots=True)
class Sums:
    """Micro-credits of one tenant, without those below it: its own wallet, its people's wallets,
    what is held for them, what they spent."""

    own: int
    people: int
    held: int
    spent: int


def sums(session: Session) -> dict[str, Sums]:
    """By tenant id; one that never had an account is missing."""
    own = (col(AccountRow.person_id) == "").label("own")
    rows = session.exec(
        select(AccountRow.tenant_id, AccountRow.kind, own, func.sum(AccountRow.balance)).group_by(
            AccountRow.tenant_id, AccountRow.kind, own
        )
    ).all()
    found: dict[str, dict[tuple[str, bool], int]] = {}
    for tenant, kind, is_own, amount in rows:
        found.setdefault(tenant, {})[kind, bool(is_own)] = int(amount or 0)
    return {
        tenant: Sums(
            kinds.get((AccountKind.WALLET, True), 0), kinds.get((AccountKind.WALLET, False), 0),
            kinds.get((AccountKind.HELD, False), 0), kinds.get((AccountKind.SPENT, False), 0),
        )
        for tenant, kinds in found.items()
    }  # fmt: skip


def used_by_tenant(session: Session) -> dict[str, int]:
    """Micro-credits that are held for, or were spent by, the people of each tenant."""
    rows = session.exec(
        select(AccountRow.tenant_id, func.sum(AccountRow.balance))
        .where(col(AccountRow.kind).in_([AccountKind.HELD.value, AccountKind.SPENT.value]))
        .group_by(col(AccountRow.tenant_id))
    ).all()
    return {tenant: int(amount or 0) for tenant, amount in rows}


def problems(session: Session) -> list[str]:
    """What is wrong with the ledger, in words; empty when every invariant holds."""
    checks = (_sum, _unbalanced, _drifted, _overdrawn, _misplaced, _held)
    return [found for check in checks for found in check(session)]


def _sum(session: Session) -> Iterator[str]:
    total = session.exec(select(func.sum(AccountRow.balance))).one() or 0
    if total:
        yield f"the accounts sum to {format_credits(int(total))} and should to 0"


def _unbalanced(session: Session) -> Iterator[str]:
    """A posting whose entries do not sum to zero, or that has none."""
    rows = session.exec(
        select(PostingRow.id, func.count(col(EntryRow.account_id)))
        .join(EntryRow, col(EntryRow.posting_id) == PostingRow.id, isouter=True)
        .group_by(col(PostingRow.id))
        .having(
            (func.coalesce(func.sum(EntryRow.amount), 0) != 0)
            | (func.count(col(EntryRow.account_id)) == 0)
        )
    ).all()
    for posting, entries in rows:
        yield f"posting {posting} " + ("does not balance" if entries else "has no entries")
    lost = session.exec(
        select(EntryRow.posting_id)
        .join(PostingRow, col(PostingRow.id) == EntryRow.posting_id, isouter=True)
        .where(col(PostingRow.id).is_(None))
        .distinct()
    ).all()
    for posting in lost:
        yield f"entries belong to posting {posting}, which is not there"


def _drifted(session: Session) -> Iterator[str]:
    rows = session.exec(
        select(AccountRow.id, AccountRow.balance, func.coalesce(func.sum(EntryRow.amount), 0))
        .join(EntryRow, col(EntryRow.account_id) == AccountRow.id, isouter=True)
        .group_by(col(AccountRow.id), col(AccountRow.balance))
    ).all()
    for account, says, entries in rows:
        if says != entries:
            yield (
                f"account {account} says {format_credits(int(says))} and its entries"
                f" {format_credits(int(entries))}"
            )


def _overdrawn(session: Session) -> Iterator[str]:
    """The database refuses it; a database that was mended by hand may have it."""
    rows = session.exec(
        select(AccountRow.id, AccountRow.balance).where(
            AccountRow.kind != AccountKind.MINT.value, AccountRow.balance < 0
        )
    ).all()
    for account, balance_ in rows:
        yield f"account {account} is overdrawn: {format_credits(balance_)}"


def _misplaced(session: Session) -> Iterator[str]:
    """An account of a tenant or a person that is not there, or under another's id."""
    rows = session.exec(
        select(AccountRow, TenantRow.id, PersonRow.id)
        .join(TenantRow, col(TenantRow.id) == AccountRow.tenant_id, isouter=True)
        .join(PersonRow, col(PersonRow.id) == AccountRow.person_id, isouter=True)
    ).all()
    for account, tenant, person in rows:
        if tenant is None or (account.person_id and person is None):
            yield f"account {account.id} belongs to nobody"
        owner = Owner(account.tenant_id, account.person_id)
        if account.id != _account_id(owner, AccountKind(account.kind)):
            yield f"account {account.id} is not where its owner looks for it"


def _held(session: Session) -> Iterator[str]:
    """What is held for each owner is what the owner's live leases hold."""
    held = session.exec(
        select(AccountRow.tenant_id, AccountRow.person_id, AccountRow.balance).where(
            AccountRow.kind == AccountKind.HELD.value, AccountRow.balance != 0
        )
    ).all()
    leased = session.exec(
        select(AttemptRow.payer, AttemptRow.person_id, func.sum(AttemptRow.held))
        .where(col(AttemptRow.released_at).is_(None))
        .group_by(AttemptRow.payer, AttemptRow.person_id)
    ).all()
    said = {(tenant, person): int(amount) for tenant, person, amount in held}
    live = {(tenant, person): int(amount) for tenant, person, amount in leased if amount}
    for tenant, person in sorted(said.keys() | live.keys()):
        a, b = said.get((tenant, person), 0), live.get((tenant, person), 0)
        if a != b:
            yield (
                f"{format_credits(a)} is held for {person} in {tenant} and the live leases hold"
                f" {format_credits(b)}"
            )
    for attempt in session.exec(
        select(AttemptRow.id).where(col(AttemptRow.released_at).is_not(None), AttemptRow.held != 0)
    ):
        yield f"attempt {attempt} has ended and holds credits"


def _open(session: Session, owner: Owner, kind: AccountKind) -> None:
    """The account, unless it is there."""
    account_id = _account_id(owner, kind)
    if session.get(AccountRow, account_id) is None:
        session.add(
            AccountRow(
                id=account_id, kind=kind, tenant_id=owner.tenant_id, person_id=owner.person_id
            )
        )
        session.flush()


def _account_id(owner: Owner, kind: AccountKind) -> str:
    return f"{kind.value}:{owner.tenant_id}:{owner.person_id}"
