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
from catalog.errors import Conflict, PerijoveError, Refused
from catalog.units import MICRO
from hub import attempts, grants, launching, leases, people, prices, transfers, workloads
from hub.attempts import Step
from hub.control_context import Control
from hub.lifecycle import MOVES, Status
from hub.policy import Actor
from hub.store import day_use, money
from hub.store.tables import (
    AccountRow,
    AttemptRow,
    EntryRow,
    PersonRow,
    PostingRow,
    QuotaRow,
    WorkloadRow,
)
from quotas import ledger
from quotas.ledger import AccountKind, Owner, Posting
from spawners.engine import EndCause, Exit
from spawners.fake import FakeEngine
from tests.site import NODES, add_person, add_tenant, build_control, leaks, settings_in

WORD = st.integers(0, 50)
Act = Callable[[Session], object]
Change = dict[tuple[str, Owner], int]


class Ledger(RuleBasedStateMachine):
    """Every rule may come at any time, and most are done twice in a row."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-"))
        self.clock = ManualClock()
        config = settings_in(self.folder, starter_credits="1")
        self.control: Control = build_control(config, self.clock, FakeEngine(NODES, self.clock))
        add_tenant(self.control, "physics")
        homes = {"mia": "main", "noa": "physics"}
        self.actors = [add_person(self.control, name, home) for name, home in homes.items()]
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
            self.allow_refusal(
                lambda: people.grant_credits(self.control, admin, person, amount, f"{key}")
            )
        assert self.minted() - before in {0, amount}
        self.granted += self.minted() - before

    @rule(
        way=st.permutations(["main", "physics", "mia", "noa"]),
        amount=st.integers(1, 2 * MICRO),
        key=st.integers(0, 5),
    )
    def transfer(self, way: list[str], amount: int, key: int) -> None:
        admin = people.actor_of(self.control, "admin")
        giver, taker = (
            transfers.Party(tenant=name)
            if name in {"main", "physics"}
            else transfers.Party(person=name)
            for name in way[:2]
        )
        for _ in range(2):
            self.allow_refusal(
                lambda: transfers.transfer(self.control, admin, giver, taker, amount, f"{key}")
            )

    @rule(amount=st.integers(1, 2 * MICRO), key=st.integers(0, 5))
    def grant_to_a_tenant(self, amount: int, key: int) -> None:
        admin, before = people.actor_of(self.control, "admin"), self.minted()
        for _ in range(2):
            self.allow_refusal(
                lambda: transfers.grant_to_tenant(self.control, admin, "physics", amount, f"{key}")
            )
        assert self.minted() - before in {0, amount}
        self.granted += self.minted() - before

    @rule(offer=st.sampled_from(["cpu", "gpu-quarter"]), per_hour=st.integers(0, MICRO))
    def price_changes(self, offer: str, per_hour: int) -> None:
        admin = people.actor_of(self.control, "admin")
        prices.set_price(self.control, admin, offer, per_hour, None)

    @rule(pick=WORD, amount=st.integers(-5, 2 * MICRO), key=st.integers(0, 3))
    def work_is_lost(self, pick: int, amount: int, key: int) -> None:
        if attempt := self.pick_attempt(pick):
            cause = money.Cause(f"{attempt}:lost:{key}", "system", self.clock.now(), "lost",
                                attempt_id=attempt)  # fmt: skip
            for _ in range(2):
                with self.control.store.write() as session:
                    row = session.get_one(AttemptRow, attempt)
                    back = money.refund_lost(session, row, amount, cause)
                assert 0 <= back <= max(0, amount)

    @rule(limit=st.sampled_from([None, "0", "0.3", "2"]), period=st.sampled_from(["day", "month"]))
    def budget(self, limit: str | None, period: str) -> None:
        with self.control.store.write() as session:
            row = session.get(QuotaRow, ("main", "*", "gpu-hours"))
            if row is not None:
                session.delete(row)
                session.flush()
            if limit is not None:
                milli_seconds = int(float(limit) * 3_600_000)
                session.add(
                    QuotaRow(
                        tenant_id="main", person_id="*", dimension="gpu-hours",
                        limit=milli_seconds, period=period,
                    )
                )  # fmt: skip

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
            grants.give_what_fits(self.control)

    @rule(pick=WORD)
    def launched(self, pick: int) -> None:
        if attempt := self.pick_attempt(pick):
            attempts.mark_step(self.control, [attempt], Step.LAUNCHED)

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
            workloads_ = session.exec(select(WorkloadRow)).all()
            costs = {row.id: row.cost for row in workloads_}
        assert all(a.balance >= 0 for a in accounts if a.kind != AccountKind.MINT)
        assert self.minted() == self.granted
        shown = {row.id: row.price_per_hour for row in workloads_}
        for attempt_id, row in rows.items():
            if not row.rescue:
                assert row.price_per_hour == shown[row.workload_id]
            set_aside = sum(amount for amount in held.get(attempt_id, []) if amount > 0)
            paid = sum(spent.get(attempt_id, []))
            assert 0 <= paid <= set_aside
            assert sum(held.get(attempt_id, [])) == row.held
            if row.released_at is not None:
                assert row.held == 0
                assert len([amount for amount in spent.get(attempt_id, []) if amount > 0]) <= 1
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


class Crash(Exception):
    """The process dies in the middle of a transaction."""


KEYS = st.integers(0, 3)
AMOUNTS = st.integers(0, 3 * MICRO)
PART = st.integers(1, MICRO)
HOLDERS = (Owner("physics", "p-ada"), Owner("physics", "p-ben"))
WALLETS = (Owner("main"), Owner("physics"), *HOLDERS)


class Money(RuleBasedStateMachine):
    """The store of the ledger beside a model in a dictionary: after every step all balances are the
    same to the last millionth, whatever was repeated and wherever it crashed."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="money-"))
        self.clock = ManualClock()
        self.control = build_control(
            settings_in(self.folder), self.clock, FakeEngine(NODES, self.clock)
        )
        add_tenant(self.control, "physics")
        with self.control.store.write() as session:
            for owner in HOLDERS:
                session.add(
                    PersonRow(
                        id=owner.person_id, login=owner.person_id, hub_name=owner.person_id,
                        tenant_id=owner.tenant_id, created_at=self.clock.now(),
                    )
                )  # fmt: skip
        self.before = self.balances()
        self.model: dict[tuple[str, Owner], int] = {}
        self.done: dict[str, tuple[object, ...]] = {}
        self.paid: dict[str, int] = {}
        self.held: dict[str, int] = {}
        self.leases = dict.fromkeys(HOLDERS, 0)
        self.ended: list[tuple[Owner, str]] = []

    @initialize(amounts=st.lists(AMOUNTS, min_size=len(WALLETS), max_size=len(WALLETS)))
    def open(self, amounts: list[int]) -> None:
        for to, amount in zip(WALLETS, amounts, strict=True):
            self.same(f"first:{to}", to, ledger.grant(amount), {("wallet", to): amount})

    def lease(self, who: Owner) -> str:
        return f"a-{who.person_id}-{self.leases[who]}"

    def teardown(self) -> None:
        self.control.store.close()
        shutil.rmtree(self.folder)

    # ---- what may happen, each time as often as somebody tries ------------------------------

    @rule(
        to=st.sampled_from(WALLETS), amount=st.integers(1, 3 * MICRO), key=KEYS, crash=st.booleans()
    )
    def grant(self, to: Owner, amount: int, key: int, crash: bool) -> None:
        self.same(f"grant:{key}", to, ledger.grant(amount), {("wallet", to): amount}, crash=crash)

    @rule(
        way=st.permutations(WALLETS), amount=st.integers(1, 3 * MICRO), key=KEYS,
        crash=st.booleans(),
    )  # fmt: skip
    def transfer(self, way: list[Owner], amount: int, key: int, crash: bool) -> None:
        source, target = way[:2]
        posting = ledger.transfer(amount, source, target)
        change = {("wallet", source): -amount, ("wallet", target): amount}
        self.same(f"transfer:{key}", source, posting, change, crash=crash)

    @rule(who=st.sampled_from(HOLDERS), amount=PART, key=KEYS, crash=st.booleans())
    def hold(self, who: Owner, amount: int, key: int, crash: bool) -> None:
        """A new lease, or a longer one."""
        attempt = self.lease(who)
        change = {("wallet", who): -amount, ("held", who): amount}

        def act(session: Session) -> None:
            row = session.get(AttemptRow, attempt) or self.attempt(session, attempt, who)
            if money.post(session, who, ledger.hold(amount), self.cause(f"hold:{key}", attempt)):
                row.held += amount
                session.add(row)

        if self.once(f"{attempt}:hold:{key}", (), act, change, crash=crash):
            self.held[attempt] = self.held.get(attempt, 0) + amount

    @rule(who=st.sampled_from(HOLDERS), used=AMOUNTS, never_ran=st.booleans(), crash=st.booleans())
    def end(self, who: Owner, used: int, never_ran: bool, crash: bool) -> None:
        attempt = self.lease(who)
        held = self.held.get(attempt, 0)
        paid = 0 if never_ran else min(held, used)
        change = {("held", who): -held, ("wallet", who): held - paid, ("spent", who): paid}

        def act(session: Session) -> None:
            row = session.get(AttemptRow, attempt)
            if row is None or row.released_at is not None:
                return
            close = ledger.refund(row.held) if never_ran else ledger.close(row.held, used)
            for posting in close:
                money.post(session, who, posting, self.cause(posting.kind, attempt))
            row.held, row.released_at, row.ended_at = 0, self.clock.now(), self.clock.now()
            row.ready_at = None if never_ran else row.created_at
            session.add(row)
            self.workload(session, row).cost += paid

        if attempt in self.held and self.once(f"{attempt}:end", (), act, change, crash=crash):
            self.held[attempt], self.paid[attempt] = 0, paid
            self.ended.append((who, attempt))
            self.leases[who] += 1

    @rule(pick=WORD, lost=AMOUNTS, key=KEYS, crash=st.booleans())
    def refund(self, pick: int, lost: int, key: int, crash: bool) -> None:
        if not self.ended:
            return
        who, attempt = self.ended[pick % len(self.ended)]
        back = min(lost, self.paid[attempt])

        def act(session: Session) -> None:
            row = session.get_one(AttemptRow, attempt)
            money.refund_lost(session, row, lost, self.cause(f"lost:{key}", attempt))

        change = {("spent", who): -back, ("wallet", who): back}
        if self.once(f"{attempt}:lost:{key}", (), act, change, crash=crash):
            self.paid[attempt] -= back

    @rule(who=st.sampled_from(HOLDERS), used=PART, lost=PART, crash=st.booleans())
    def a_whole_lease(self, who: Owner, used: int, lost: int, crash: bool) -> None:
        self.grant(who, MICRO, len(self.done), crash=False)
        self.hold(who, MICRO, 0, crash)
        self.end(who, used, never_ran=False, crash=crash)
        self.count(1, crash)
        self.refund(-1, lost, 0, crash)

    @rule(seconds=st.sampled_from([1, 3600, 90_000]), crash=st.booleans())
    def count(self, seconds: int, crash: bool) -> None:
        self.clock.advance(seconds)
        self.attempt_twice(
            lambda session: day_use.count_ended(session, self.control.settings.zone), crash=crash
        )

    # ---- what always holds ------------------------------------------------------------------

    @invariant()
    def every_balance_is_the_models(self) -> None:
        moved = {
            key: amount - self.before.get(key, 0)
            for key, amount in self.balances().items()
            if key[0] != "mint" and amount != self.before.get(key, 0)
        }
        assert moved == {key: amount for key, amount in self.model.items() if amount}

    @invariant()
    def nothing_is_wrong(self) -> None:
        with self.control.store.read() as session:
            assert money.problems(session) == []
            assert day_use.problems(session) == []
            costs = {row.id: row.cost for row in session.exec(select(WorkloadRow))}
        assert costs == {f"w-{a}": self.paid.get(a, 0) for a in self.held}

    # ---- how it is done ---------------------------------------------------------------------

    def same(
        self, key: str, owner: Owner, posting: Posting, change: Change, *, crash: bool = False
    ) -> None:  # fmt: skip
        """For keys that people choose: the same again changes nothing, another is refused."""
        what = (owner, posting)
        if key in self.done and self.done[key] != what:
            with contextlib.suppress(Conflict), self.control.store.write() as session:
                money.post_same(session, owner, posting, self.cause(key))
                raise AssertionError("one key was used for two movements")
            return
        self.once(
            key, what, lambda session: self.post_same(session, owner, posting, key), change,
            crash=crash,
        )  # fmt: skip

    def post_same(self, session: Session, owner: Owner, posting: Posting, key: str) -> None:
        money.post_same(session, owner, posting, self.cause(key))

    def once(
        self, key: str, what: tuple[object, ...], act: Act, change: Change, *, crash: bool
    ) -> bool:  # fmt: skip
        """Do it several times; the model moves once, and not at all when it would be overdrawn."""
        short = any(self.model.get(of, 0) + amount < 0 for of, amount in change.items())
        if key not in self.done and short:
            with contextlib.suppress(Refused), self.control.store.write() as session:
                act(session)
                raise AssertionError("an account was overdrawn")
            return False
        self.attempt_twice(act, crash=crash)
        if key in self.done:
            return False
        self.done[key] = what
        for of, amount in change.items():
            self.model[of] = self.model.get(of, 0) + amount
        return True

    def attempt_twice(self, act: Act, *, crash: bool) -> None:
        if crash:
            with contextlib.suppress(Crash), self.control.store.write() as session:
                act(session)
                raise Crash
        for _ in range(2):
            with self.control.store.write() as session:
                act(session)

    def cause(self, key: str, attempt: str = "") -> money.Cause:
        full = f"{attempt}:{key}" if attempt else key
        return money.Cause(full, "test", self.clock.now(), "", attempt_id=attempt)

    def attempt(self, session: Session, attempt: str, who: Owner) -> AttemptRow:
        now = self.clock.now()
        session.add(
            WorkloadRow(
                id=f"w-{attempt}", tenant_id=who.tenant_id, person_id=who.person_id,
                payer=who.tenant_id, created_by="test", kind="notebook", name="",
                offer_id="cpu", offer_title="", cpu_milli=1, gpu_milli=250,
                duration_s=10**7, status="running", target="running", created_at=now,
                queued_at=now,
            )
        )  # fmt: skip
        session.flush()
        return AttemptRow(
            id=attempt, workload_id=f"w-{attempt}", tenant_id=who.tenant_id,
            payer=who.tenant_id, person_id=who.person_id, number=1, node="here", cpu_milli=1, gpu_milli=250,
            price_per_hour=300_000, created_at=now, lease_ends_at=now + timedelta(days=100),
        )  # fmt: skip

    def workload(self, session: Session, attempt: AttemptRow) -> WorkloadRow:
        row = session.get_one(WorkloadRow, attempt.workload_id)
        session.add(row)
        return row

    def balances(self) -> dict[tuple[str, Owner], int]:
        with self.control.store.read() as session:
            rows = session.exec(select(AccountRow)).all()
        return {(row.kind, Owner(row.tenant_id, row.person_id)): row.balance for row in rows}


TestMoney = Money.TestCase
TestMoney.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
TestLedger = Ledger.TestCase
TestLedger.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
