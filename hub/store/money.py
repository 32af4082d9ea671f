"""The ledger made durable: postings happen once by key, and no account is overdrawn."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select, update

from catalog.errors import Refused
from catalog.units import format_credits
from hub.store.tables import AccountRow, AttemptRow, EntryRow, PostingRow
from quotas.ledger import AccountKind, Posting


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose accounts a posting touches."""

    tenant_id: str
    person_id: str


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
    posting_id = row.id or 0  # the database gave it one
    for line in posting.lines:
        account = _account(session, owner, line.account)
        changed = session.exec(
            update(AccountRow)
            .where(col(AccountRow.id) == account)
            .where(
                (col(AccountRow.kind) == AccountKind.MINT.value)
                | (col(AccountRow.balance) + line.amount >= 0)
            )
            .values(balance=col(AccountRow.balance) + line.amount)
        )
        if changed.rowcount != 1:
            left = balance(session, owner, line.account)
            raise Refused(
                f"{format_credits(-line.amount)} credits are needed and"
                f" {format_credits(left)} are left",
                next="choose a shorter time or a smaller share, or ask for more credits",
                code="credits",
            )
        session.add(EntryRow(posting_id=posting_id, account_id=account, amount=line.amount))
    session.flush()
    return True


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
    found: list[str] = []
    total = session.exec(select(func.sum(AccountRow.balance))).one() or 0
    if total:
        found.append(f"the accounts sum to {format_credits(int(total))} and should to 0")
    unbalanced = session.exec(
        select(EntryRow.posting_id)
        .group_by(col(EntryRow.posting_id))
        .having(func.sum(EntryRow.amount) != 0)
    ).all()
    found += [f"posting {posting} does not balance" for posting in unbalanced]
    drifted = session.exec(
        select(AccountRow.id, AccountRow.balance, func.coalesce(func.sum(EntryRow.amount), 0))
        .join(EntryRow, col(EntryRow.account_id) == AccountRow.id, isouter=True)
        .group_by(col(AccountRow.id), col(AccountRow.balance))
    ).all()
    found += [
        f"account {account} says {format_credits(int(says))} and its entries"
        f" {format_credits(int(entries))}"
        for account, says, entries in drifted
        if says != entries
    ]
    held = session.exec(
        select(func.sum(AccountRow.balance)).where(AccountRow.kind == AccountKind.HELD.value)
    ).one()
    leased = session.exec(
        select(func.sum(AttemptRow.held)).where(col(AttemptRow.released_at).is_(None))
    ).one()
    if int(held or 0) != int(leased or 0):
        found.append(
            f"{format_credits(int(held or 0))} is held and the live leases hold"
            f" {format_credits(int(leased or 0))}"
        )
    return found


def _account(session: Session, owner: Owner, kind: AccountKind) -> str:
    account_id = _account_id(owner, kind)
    if session.get(AccountRow, account_id) is None:
        session.add(
            AccountRow(
                id=account_id, kind=kind, tenant_id=owner.tenant_id, person_id=owner.person_id
            )
        )
        session.flush()
    return account_id


def _account_id(owner: Owner, kind: AccountKind) -> str:
    return f"{kind.value}:{owner.tenant_id}:{owner.person_id}"
