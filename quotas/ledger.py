"""Double entry in integer micro-credits: what may be posted. The store makes it durable.

========== ============================================ ===============================
account    holds                                        may be negative
========== ============================================ ===============================
mint       what was ever given out, as a negative sum   yes
wallet     what a person can spend                      no
held       what is set aside for a lease                no
spent      what was used, by tenant                     no
========== ============================================ ===============================

Every posting sums to zero, so the sum of all accounts is always zero.
"""

from dataclasses import dataclass
from enum import StrEnum


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
    HOLD = "hold"
    SETTLE = "settle"
    RELEASE = "release"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Line:
    """A change of one account, in micro-credits."""

    account: AccountKind
    amount: int


@dataclass(frozen=True, slots=True)
class Posting:
    """Lines that sum to zero, for one reason."""

    kind: PostingKind
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        if sum(line.amount for line in self.lines) != 0:
            raise AssertionError(f"a posting must balance: {self}")


def grant(amount: int) -> Posting:
    """New credits for a person."""
    return _move(PostingKind.GRANT, AccountKind.MINT, AccountKind.WALLET, amount)


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


def _move(kind: PostingKind, source: AccountKind, target: AccountKind, amount: int) -> Posting:
    if amount < 0:
        raise AssertionError(f"cannot move {amount}")
    return Posting(kind, (Line(source, -amount), Line(target, amount)))
