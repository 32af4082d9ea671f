"""Any course of events: the ledger balances, nothing is overdrawn, each hold is settled once."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlmodel import Session, col, select

from catalog.clock import ManualClock
from catalog.errors import PerijoveError
from catalog.units import MICRO
from hub import attempts, launching, leases, people, workloads
from hub.attempts import Step
from hub.control_context import Control
from hub.lifecycle import MOVES, Status
from hub.policy import Actor
from hub.store.tables import AccountRow, AttemptRow, EntryRow, PostingRow, WorkloadRow
from quotas.ledger import AccountKind
from spawners.engine import EndCause, Exit
from spawners.fake import FakeEngine
from tests.site import NODES, add_person, build_control, leaks, settings_in

WORD = st.integers(0, 50)


class Ledger(RuleBasedStateMachine):
    """Every rule may come at any time, and most are done twice in a row."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-"))
        self.clock = ManualClock()
        config = settings_in(self.folder, starter_credits="1")
        self.control: Control = build_control(config, self.clock, FakeEngine(NODES, self.clock))
        self.actors = [add_person(self.control, name) for name in ("mia", "noa")]
        self.granted = 3 * MICRO
        self.statuses: dict[str, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "control"):
            self.control.store.close()
            shutil.rmtree(self.folder)

    # ---- what may happen --------------------------------------------------------------------

    @rule(who=st.integers(0, 1), amount=st.integers(1, 2 * MICRO), key=st.integers(0, 5))
    def grant(self, who: int, amount: int, key: int) -> None:
        admin, actor = people.actor_of(self.control, "admin"), self.actors[who]
        person = people.by_login(self.control, actor.login)
        before = self.minted()
        for _ in range(2):
            people.grant_credits(self.control, admin, person, amount, f"{key}")
        assert self.minted() - before in {0, amount}
        self.granted += self.minted() - before

    @rule(
        who=st.integers(0, 1),
        offer=st.sampled_from(["cpu", "gpu-eighth", "gpu-quarter", "gpu-whole"]),
        hours=st.sampled_from(["15m", "2h", "8h"]),
        notify=st.booleans(),
        key=st.sampled_from(["", "k1", "k2"]),
    )
    def launch(self, who: int, offer: str, hours: str, notify: bool, key: str) -> None:
        wish = launching.Wish(offer, {"duration": hours}, notify=notify, idempotency_key=key)
        self.allow_refusal(lambda: launching.launch(self.control, self.actors[who], wish))

    @rule()
    def beat(self) -> None:
        for _ in range(2):
            attempts.grant_what_fits(self.control)

    @rule(pick=WORD)
    def launched(self, pick: int) -> None:
        if attempt := self.pick_attempt(pick):
            attempts.mark_step(self.control, attempt, Step.LAUNCHED)

    @rule(pick=WORD)
    def ready(self, pick: int) -> None:
        if attempt := self.pick_attempt(pick):
            attempts.mark_ready(self.control, attempt)
            attempts.mark_ready(self.control, attempt)

    @rule(pick=WORD)
    def rescue(self, pick: int) -> None:
        attempt = self.pick_attempt(pick)
        if attempt and self.status_of(attempt) == Status.STARTING:
            attempts.turn_to_rescue(self.control, attempt, "your home is full")

    @rule(pick=WORD)
    def accept(self, pick: int) -> None:
        if workload := self.pick_workload(pick):
            actor = self.owner_of(workload)
            self.allow_refusal(lambda: workloads.accept(self.control, actor, workload))

    @rule(pick=WORD, by=st.sampled_from(["15m", "1h", "3h"]), key=st.sampled_from(["a", "b"]))
    def extend(self, pick: int, by: str, key: str) -> None:
        if workload := self.pick_workload(pick):
            actor = self.owner_of(workload)
            for _ in range(2):
                self.allow_refusal(lambda: workloads.extend(self.control, actor, workload, by, key))

    @rule(pick=WORD)
    def stop(self, pick: int) -> None:
        if workload := self.pick_workload(pick):
            workloads.stop(self.control, self.owner_of(workload), workload)

    @rule(pick=WORD, cause=st.sampled_from(list(EndCause)), ago=st.integers(-7200, 7200))
    def finish(self, pick: int, cause: EndCause, ago: int) -> None:
        attempt = self.pick_attempt(pick)
        if attempt and self.status_of(attempt) != Status.OFFERED:
            at = self.clock.now() - timedelta(seconds=ago)
            for _ in range(2):
                attempts.finish(self.control, attempt, Exit(cause, at, 1))

    @rule(seconds=st.sampled_from([1, 61, 299, 600, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)
        leases.keep(self.control)
        leases.keep(self.control)

    # ---- what always holds ------------------------------------------------------------------

    @invariant()
    def nothing_leaks(self) -> None:
        if hasattr(self, "control"):
            assert leaks(self.control) == []

    @invariant()
    def money_is_where_it_should_be(self) -> None:
        if not hasattr(self, "control"):
            return
        with self.control.store.read() as session:
            accounts = session.exec(select(AccountRow)).all()
            held = self.moved(session, AccountKind.HELD)
            spent = self.moved(session, AccountKind.SPENT)
            rows = {row.id: row for row in session.exec(select(AttemptRow))}
            costs = {row.id: row.cost for row in session.exec(select(WorkloadRow))}
        assert all(a.balance >= 0 for a in accounts if a.kind != AccountKind.MINT)
        assert self.minted() == self.granted
        for attempt_id, row in rows.items():
            set_aside = sum(amount for amount in held.get(attempt_id, []) if amount > 0)
            paid = sum(spent.get(attempt_id, []))
            assert 0 <= paid <= set_aside
            assert sum(held.get(attempt_id, [])) == row.held
            if row.released_at is not None:
                assert row.held == 0
                assert len(spent.get(attempt_id, [])) <= 1
                assert costs[row.workload_id] >= paid
        assert sum(costs.values()) == sum(sum(lines) for lines in spent.values())

    @invariant()
    def every_move_was_legal(self) -> None:
        if not hasattr(self, "control"):
            return
        with self.control.store.read() as session:
            now = dict(session.exec(select(WorkloadRow.id, WorkloadRow.status)).all())
        for workload, status in now.items():
            before = Status(self.statuses.get(workload, Status.QUEUED))
            assert Status(status) in reachable(before)
        self.statuses = now

    # ---- looking ----------------------------------------------------------------------------

    @staticmethod
    def moved(session: Session, kind: AccountKind) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for attempt, amount in session.exec(
            select(PostingRow.attempt_id, EntryRow.amount)
            .join(EntryRow, col(EntryRow.posting_id) == PostingRow.id)
            .join(AccountRow, col(AccountRow.id) == EntryRow.account_id)
            .where(AccountRow.kind == kind.value)
        ):
            found.setdefault(attempt, []).append(amount)
        return found

    def minted(self) -> int:
        with self.control.store.read() as session:
            rows = session.exec(
                select(AccountRow.balance).where(AccountRow.kind == AccountKind.MINT.value)
            ).all()
        return -sum(rows)

    def pick_attempt(self, pick: int) -> str | None:
        with self.control.store.read() as session:
            ids = session.exec(select(AttemptRow.id).order_by(col(AttemptRow.created_at))).all()
        return ids[pick % len(ids)] if ids else None

    def pick_workload(self, pick: int) -> str | None:
        with self.control.store.read() as session:
            ids = session.exec(select(WorkloadRow.id).order_by(col(WorkloadRow.created_at))).all()
        return ids[pick % len(ids)] if ids else None

    def status_of(self, attempt: str) -> str:
        with self.control.store.read() as session:
            row = session.get_one(AttemptRow, attempt)
            return session.get_one(WorkloadRow, row.workload_id).status

    def owner_of(self, workload: str) -> Actor:
        with self.control.store.read() as session:
            person = session.get_one(WorkloadRow, workload).person_id
        return next(actor for actor in self.actors if actor.person_id == person)

    @staticmethod
    def allow_refusal(act: Callable[[], object]) -> None:
        with contextlib.suppress(PerijoveError):
            act()


def reachable(before: Status) -> set[Status]:
    found, left = {before}, [before]
    while left:
        for after in MOVES[left.pop()] - found:
            found.add(after)
            left.append(after)
    return found


TestLedger = Ledger.TestCase
TestLedger.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
