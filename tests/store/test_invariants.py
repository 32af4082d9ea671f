"""Each invariant of the store is broken by hand in turn, and named."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from catalog.clock import ManualClock
from hub import attempts, grants, invariants, launching, workloads
from hub.control_context import Control
from hub.store import day_use
from spawners.engine import EndCause, Exit
from tests.peers.tampering import open_audit
from tests.site import add_person, add_tenant


@pytest.fixture
def lived_in(control: Control, clock: ManualClock) -> Control:
    """One workload has ended and is counted, one runs."""
    add_tenant(control, "physics")
    mia = add_person(control, "mia", "physics")
    for number in range(2):
        launching.launch(control, mia, launching.Wish("gpu-quarter", {}))
        [row] = grants.give_what_fits(control)
        attempts.mark_ready(control, row.attempt_id or "")
        clock.advance(timedelta(minutes=30))
        if number == 0:
            workloads.stop(control, mia, row.id)
            exit_ = Exit(EndCause.STOPPED, clock.now(), 0)
            attempts.finish(control, row.attempt_id or "", exit_)
    with control.store.write() as session:
        day_use.count_ended(session, control.settings.zone)
    return control


class Undo(Exception):
    """Rolls the damage back."""


def after(control: Control, *damages: str) -> dict[str, list[str]]:
    """What is found after a hand, or a bug, has done this; afterwards it was not done."""
    found: dict[str, list[str]] = {}
    try:
        with control.store.write() as session:
            if control.store.is_sqlite:  # its file can be edited past every check
                session.connection().exec_driver_sql("PRAGMA ignore_check_constraints=ON")
                session.connection().exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            open_audit(session)
            for damage in damages:
                session.connection().execute(text(damage))
            found |= {area: said for area, said in invariants.broken_in(session).items() if said}
            raise Undo
    except Undo:
        return found


def test_a_store_that_was_lived_in_is_sound(lived_in: Control) -> None:
    assert after(lived_in) == {}


DAMAGES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "ledger", "the accounts sum to 1.00 and should to 0",
        ("UPDATE account SET balance = balance + 1000000 WHERE id LIKE 'wallet:physics:p-%'",),
    ),
    (
        "ledger", "and its entries",  # though the sum is right
        (
            "UPDATE account SET balance = balance + 1 WHERE id LIKE 'wallet:physics:p-%'",
            "UPDATE account SET balance = balance - 1 WHERE id LIKE 'held:physics:p-%'",
            "UPDATE attempt SET held = held - 1 WHERE released_at IS NULL",
        ),
    ),
    (
        "ledger", "posting 1 does not balance",
        ("UPDATE entry SET amount = amount + 5 WHERE posting_id = 1 AND amount > 0",),
    ),
    (
        "ledger", "has no entries",
        (
            """INSERT INTO posting (key, kind, at, actor, tenant_id, person_id, workload_id,
               attempt_id, text) SELECT 'odd', kind, at, actor, tenant_id, person_id, '', '', ''
               FROM posting WHERE id = 1""",
        ),
    ),
    ("ledger", "posting 1, which is not there", ("DELETE FROM posting WHERE id = 1",)),
    (
        "ledger", "is held for",
        ("UPDATE attempt SET held = held + 1 WHERE released_at IS NULL",),
    ),
    (
        "ledger", "has ended and holds credits",
        ("UPDATE attempt SET held = 1 WHERE released_at IS NOT NULL",),
    ),
    (
        "ledger", "is not where its owner looks for it",
        ("UPDATE account SET tenant_id = 'main' WHERE id LIKE 'wallet:physics:p-%'",),
    ),
    (
        "ledger", "belongs to nobody",
        ("UPDATE account SET tenant_id = 'gone' WHERE id LIKE 'wallet:physics:p-%'",),
    ),
    (
        "budgets", "are counted for",
        ("UPDATE day_use SET amount = amount + 3600000 WHERE dimension = 'gpu-hours'",),
    ),
    ("budgets", "0.00 credits of", ("DELETE FROM day_use WHERE dimension = 'credits'",)),
    (
        "shares", "says 501 milli-GPU are held, and its shares hold 500",
        ("UPDATE device SET held_milli = 501 WHERE held_milli = 250",
         "UPDATE share SET milli = 500 WHERE released_at IS NULL"),
    ),
    ("shares", "has ended and holds", ("UPDATE share SET released_at = NULL",)),
    (
        "tenants", "it would be its own parent",
        ("UPDATE tenant SET parent_id = 'physics' WHERE id = 'main'",),
    ),
    (
        "tenants", "2 tenants without a parent",
        ("UPDATE tenant SET parent_id = NULL WHERE id = 'physics'",),
    ),
    ("audit", "the audit was changed at line", ("UPDATE audit SET action = 'x' WHERE id = 2",)),
)  # fmt: skip
PAST_THE_CHECKS = (
    (
        "ledger", "is overdrawn: -1.00",
        ("UPDATE account SET balance = -1000000 WHERE id LIKE 'wallet:physics:p-%'",),
    ),
    (
        "tenants", "does not exist",
        ("UPDATE tenant SET parent_id = 'gone' WHERE id = 'physics'",),
    ),
)  # fmt: skip
"""PostgreSQL has no way round its checks and keys."""


def test_what_is_broken_is_named(lived_in: Control) -> None:
    more = PAST_THE_CHECKS if lived_in.store.is_sqlite else ()
    for area, said, damages in (*DAMAGES, *more):
        found = after(lived_in, *damages)
        assert any(said in problem for problem in found.get(area, [])), (said, found)
    assert after(lived_in) == {}
