"""Double entry in integer micro-credits: what may be posted. The store makes it durable.

========== ============================================ ===============================
account    holds                                        may be negative
========== ============================================ ===============================
mint       what was ever given out, as a negative sum   yes
wallet     what a person, or a tenant, can spend        no
held       what is set aside for a lease                no
spent      what was used, by tenant and person          no
========== ============================================ ===============================

Every posting sums to zero, so the sum of all accounts is always zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MOST = 10**15
"""Micro-credits of one movement: a thousand million credits. What is more is a slip of the pen, and
thousands of such movements still add up in 64 bits."""


class AccountKind(StrEnum):
    """What an account is for."""

    MINT = "mint"
    WALLET = "wallet"
    HELD = "held"
    SPENT = "spent"

    @property
    def may_be_negative(self) -> bool:
        return self is AccountKind.MINT


class PostingKind(StrEnum):
    """Why money moved."""

    GRANT = "grant"
    TRANSFER = "transfer"
    HOLD = "hold"
    SETTLE = "settle"
    RELEASE = "release"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose accounts a line touches. The tenant itself has no person: ``Owner("physics")``."""

    tenant_id: str
    person_id: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A change of one account, in micro-credits. `owner` None: of the one the posting is about."""

    account: AccountKind
    amount: int
    owner: Owner | None = None


@dataclass(frozen=True, slots=True)
class Posting:
    """Lines that sum to zero, for one reason."""

    kind: PostingKind
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        if sum(line.amount for line in self.lines) != 0:
            raise AssertionError(f"a posting must balance: {self}")

    @property
    def moved(self) -> int:
        """How much changed its place."""
        return sum(line.amount for line in self.lines if line.amount > 0)


def grant(amount: int) -> Posting:
    """New credits for a person or a tenant."""
    return _move(PostingKind.GRANT, AccountKind.MINT, AccountKind.WALLET, amount)


def transfer(amount: int, source: Owner, target: Owner) -> Posting:
    """From one wallet to another; nothing is made."""
    if source == target or amount <= 0:
        raise AssertionError(f"cannot transfer {amount} from {source} to {target}")
    lines = (Line(AccountKind.WALLET, -amount, source), Line(AccountKind.WALLET, amount, target))
    return Posting(PostingKind.TRANSFER, lines)


def hold(amount: int) -> Posting:
    """Set credits aside for a lease before anything starts."""
    return _move(PostingKind.HOLD, AccountKind.WALLET, AccountKind.HELD, amount)


def close(held: int, used: int) -> list[Posting]:
    """End a hold: what was used is paid, the rest goes back. `used` above `held` pays only `held`:
    nobody is ever charged more than was set aside."""
    paid = min(max(used, 0), held)
    postings: list[Posting] = []
    if paid:
        postings.append(_move(PostingKind.SETTLE, AccountKind.HELD, AccountKind.SPENT, paid))
    if held - paid:
        postings.append(
            _move(PostingKind.RELEASE, AccountKind.HELD, AccountKind.WALLET, held - paid)
        )
    return postings


def refund(held: int) -> list[Posting]:
    """End a hold of something that never ran: all of it goes back, and is called a refund."""
    if not held:
        return []
    return [_move(PostingKind.REFUND, AccountKind.HELD, AccountKind.WALLET, held)]


def refund_paid(paid: int, lost: int) -> list[Posting]:
    """Give back `lost` of what was `paid` already, and never more than that."""
    back = min(max(lost, 0), paid)
    if not back:
        return []
    return [_move(PostingKind.REFUND, AccountKind.SPENT, AccountKind.WALLET, back)]


TransferPlace = Sequence[str]
"""A wallet's place in the tree: the path of tenants from its own up to the root."""


def may_flow(source: TransferPlace, target: TransferPlace) -> bool:
    """Whether credits may go between two places: down to a tenant below and back up, not across.

    A person's place is the path of the person's own tenant.
    """
    return source[0] in target or target[0] in source


def _move(kind: PostingKind, source: AccountKind, target: AccountKind, amount: int) -> Posting:
    if amount < 0:
        raise AssertionError(f"cannot move {amount}")
    return Posting(kind, (Line(source, -amount), Line(target, amount)))
