"""What sums the ledger up is asked of both databases: each has its own idea of SQL."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from catalog.clock import ManualClock
from catalog.units import MICRO
from hub import attempts, budgets, grants, launching, people, statements, transfers
from hub.control_context import Control
from hub.store import day_use, money
from hub.store.tables import QuotaRow
from quotas.ledger import Owner
from spawners.engine import EndCause, Exit
from tests.site import add_person, add_tenant, leaks


def test_sums_statements_and_budgets(control: Control, clock: ManualClock) -> None:
    add_tenant(control, "physics")
    mia, admin = add_person(control, "mia", "physics"), people.actor_of(control, "admin")
    transfers.grant_to_tenant(control, admin, "physics", 5 * MICRO, "k")
    giver, taker = transfers.Party(tenant="physics"), transfers.Party(person="mia")
    transfers.transfer(control, admin, giver, taker, 2 * MICRO, "k")
    with control.store.write() as session:
        session.add(
            QuotaRow(
                tenant_id="physics", person_id="", dimension="gpu-hours", limit=10**9,
                period="month",
            )
        )  # fmt: skip
    launching.launch(control, mia, launching.Wish("gpu-quarter", {}))
    [row] = grants.give_what_fits(control)
    attempts.mark_ready(control, row.attempt_id or "")
    clock.advance(timedelta(hours=1))
    attempts.finish(control, row.attempt_id or "", Exit(EndCause.EXITED, clock.now(), 0))
    clock.advance(timedelta(seconds=1))
    owner = Owner(mia.tenant_id, mia.person_id)
    with control.store.write() as session:
        assert money.sums(session)["physics"] == money.Sums(
            own=3 * MICRO, people=102 * MICRO - 300_000, held=0, spent=300_000
        )
        for counted in (False, True):
            if counted:
                day_use.count_ended(session, control.settings.zone)
            [use] = [u for u in budgets.uses_of(control, session, owner) if u.budget.limit == 10**9]
            assert sum(use.days.values()) == 250 * 3600
        scope, begins = statements.of_tenant(session, "physics"), clock.now() - timedelta(days=1)
        totals = statements.totals(session, scope, begins, clock.now())
        lines = statements.lines(session, scope, begins, clock.now())
    assert totals.by_offer == (statements.Sum("gpu-quarter", 300_000),)
    assert totals.by_person == (statements.Sum("mia", 300_000),)
    assert totals.opening + sum(line.amount for line in lines) == totals.closing
    assert lines[-1].balance == totals.closing == 105 * MICRO - 300_000
    assert leaks(control) == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_an_attempt_paid_is_found_without_reading_the_whole_ledger(control: Control) -> None:
    asked: list[tuple[str, tuple[object, ...]]] = []
    engine = control.store.engine
    event.listen(
        engine, "before_cursor_execute", lambda _c, _u, sql, args, *_: asked.append((sql, args))
    )
    with control.store.read() as session:
        day_use.paid_by_attempt(session, ["a-1", "a-2"])
        [(sql, args)] = [one for one in asked if "posting" in one[0]]
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", args).all()
    assert not [row[-1] for row in plan if row[-1].startswith("SCAN")]
