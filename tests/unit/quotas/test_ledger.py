"""Postings balance, nobody is charged more than was held, and nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotas import ledger
from quotas.ledger import AccountKind, Line, Owner, Posting, PostingKind

amounts = st.integers(0, 10**15)


def moved(postings: list[Posting], account: AccountKind) -> int:
    return sum(line.amount for p in postings for line in p.lines if line.account is account)


@given(amounts, st.integers(-(10**15), 10**16))
def test_closing_pays_at_most_what_was_held_and_returns_the_rest(held: int, used: int) -> None:
    postings = ledger.close(held, used)
    paid = moved(postings, AccountKind.SPENT)
    assert paid == min(max(used, 0), held)
    assert moved(postings, AccountKind.HELD) == -held
    assert moved(postings, AccountKind.WALLET) == held - paid
    assert all(sum(line.amount for line in p.lines) == 0 for p in postings)


@given(amounts)
def test_a_refund_returns_everything_and_is_called_one(held: int) -> None:
    postings = ledger.refund(held)
    assert moved(postings, AccountKind.WALLET) == held
    assert {p.kind for p in postings} <= {PostingKind.REFUND}


@given(amounts)
def test_a_hold_and_a_grant_balance(amount: int) -> None:
    assert moved([ledger.grant(amount)], AccountKind.MINT) == -amount
    assert moved([ledger.hold(amount)], AccountKind.HELD) == amount


def test_what_does_not_balance_or_is_negative_cannot_be_made() -> None:
    with pytest.raises(AssertionError):
        Posting(PostingKind.GRANT, (Line(AccountKind.WALLET, 1),))
    with pytest.raises(AssertionError):
        ledger.hold(-1)


def test_only_the_mint_may_be_negative() -> None:
    assert [kind for kind in AccountKind if kind.may_be_negative] == [AccountKind.MINT]


@given(amounts, st.integers(-(10**15), 10**16))
def test_a_part_is_refunded_and_never_more_than_was_paid(paid: int, lost: int) -> None:
    postings = ledger.refund_paid(paid, lost)
    back = min(max(lost, 0), paid)
    assert moved(postings, AccountKind.WALLET) == back
    assert moved(postings, AccountKind.SPENT) == -back
    assert sum(posting.moved for posting in postings) == back


def test_a_transfer_names_both_owners_and_makes_nothing() -> None:
    course, ada = Owner("optics"), Owner("optics", "p-ada")
    posting = ledger.transfer(5, course, ada)
    assert [(line.owner, line.amount) for line in posting.lines] == [(course, -5), (ada, 5)]
    for amount, target in ((0, ada), (-1, ada), (5, course)):
        with pytest.raises(AssertionError):
            ledger.transfer(amount, course, target)


@pytest.mark.parametrize(
    ("source", "target", "may"),
    [
        (("optics", "physics", "main"), ("main",), True),
        (("physics", "main"), ("optics", "physics", "main"), True),
        (("physics", "main"), ("physics", "main"), True),
        (("physics", "main"), ("chemistry", "main"), False),
    ],
)
def test_credits_flow_down_the_tree_and_up_but_not_across(
    source: tuple[str, ...], target: tuple[str, ...], may: bool
) -> None:
    assert ledger.may_flow(source, target) is may
    assert ledger.may_flow(target, source) is may
