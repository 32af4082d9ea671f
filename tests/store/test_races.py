"""Two clients want the same last thing: exactly one gets it, on both databases."""

import multiprocessing
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func
from sqlmodel import col, select

from catalog.clock import ManualClock
from catalog.errors import PerijoveError
from catalog.units import parse_credits
from hub import attempts, grants, launching, leases, people, workloads
from hub.control_context import Control
from hub.lifecycle import Status
from hub.policy import Actor
from hub.store import money
from hub.store.tables import AttemptRow, DeviceRow, WorkloadRow
from hub.world import ACCEPT_WITHIN
from quotas import ledger
from quotas.ledger import AccountKind
from tests.site import add_person, leaks
from tests.store.conftest import another


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Run all in threads that begin together; what each returned or raised."""
    gate = threading.Barrier(len(acts))
    found: list[object] = [None] * len(acts)

    def run(number: int, act: Callable[[], object]) -> None:
        gate.wait()
        try:
            found[number] = act()
        except PerijoveError as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def launched(control: Control, actor: Actor, offer: str, key: str = "", **answers: str) -> str:
    wish = launching.Wish(offer, answers, idempotency_key=key)
    return launching.launch(control, actor, wish).id


def statuses(control: Control) -> list[str]:
    with control.store.read() as session:
        rows = session.exec(select(WorkloadRow.status).order_by(col(WorkloadRow.queued_at))).all()
    return sorted(rows)


def held_milli(control: Control) -> int:
    with control.store.read() as session:
        return session.exec(select(func.coalesce(func.sum(DeviceRow.held_milli), 0))).one()


@pytest.fixture
def two(control: Control) -> tuple[Actor, Actor]:
    return add_person(control, "mia"), add_person(control, "noa")


def give(control: Control, actor: Actor, credits_: str, key: str = "g") -> None:
    with control.store.write() as session:
        money.post(
            session, money.Owner(actor.tenant_id, actor.person_id),
            ledger.grant(parse_credits(credits_)),
            money.Cause(f"{actor.person_id}:{key}", "system", control.clock.now(), "granted"),
        )  # fmt: skip


def test_the_last_quarter_is_granted_once(
    control: Control, database: str, tmp_path: Path, clock: ManualClock, two: tuple[Actor, Actor]
) -> None:
    mia, noa = two
    for offer in ("gpu-whole", "gpu-half", "gpu-quarter"):
        launched(control, mia, offer)
    assert len(grants.give_what_fits(control)) == 3
    assert held_milli(control) == 1750
    rival = another(database, tmp_path, clock)
    clock.advance(1)
    at_once(
        lambda: launched(control, noa, "gpu-quarter"), lambda: launched(rival, mia, "gpu-quarter")
    )
    granted = at_once(*[lambda c=c: grants.give_what_fits(c) for c in (control, rival) * 3])
    assert sum(len(rows) for rows in granted if isinstance(rows, list)) == 1
    assert held_milli(control) == 2000
    assert statuses(control) == ["queued", "starting", "starting", "starting", "starting"]
    assert leaks(control) == []
    rival.store.close()


def test_two_controls_that_grant_at_once_grant_each_share_once(
    control: Control, database: str, tmp_path: Path, clock: ManualClock, two: tuple[Actor, Actor]
) -> None:
    for actor in two:
        for _ in range(6):
            launched(control, actor, "gpu-quarter")
            clock.advance(1)
    rival = another(database, tmp_path, clock)
    found = at_once(*[lambda c=c: grants.give_what_fits(c) for c in (control, rival) * 4])
    assert not [error for error in found if isinstance(error, PerijoveError)]
    assert statuses(control) == ["queued"] * 4 + ["starting"] * 8
    with control.store.read() as session:
        each = session.exec(select(AttemptRow.workload_id)).all()
    assert len(each) == len(set(each)) == 8
    assert held_milli(control) == 2000
    assert leaks(control) == []
    rival.store.close()


def test_the_last_credits_are_held_once(control: Control, two: tuple[Actor, Actor]) -> None:
    mia, _ = two
    spend(control, mia, "99.20")  # 0.80 are left; each of two wants 0.60
    first, second = at_once(*[lambda: launched(control, mia, "gpu-quarter") for _ in range(2)])
    assert isinstance(first, str)
    assert isinstance(second, str)
    at_once(*[lambda: grants.give_what_fits(control) for _ in range(3)])
    assert statuses(control) == ["queued", "starting"]
    with control.store.read() as session:
        owner = money.Owner(mia.tenant_id, mia.person_id)
        assert money.balance(session, owner, AccountKind.WALLET) == parse_credits("0.20")
        assert money.balance(session, owner, AccountKind.HELD) == parse_credits("0.60")
    assert leaks(control) == []


def spend(control: Control, actor: Actor, credits_: str) -> None:
    """As if it was used up before."""
    owner = money.Owner(actor.tenant_id, actor.person_id)
    amount, now = parse_credits(credits_), control.clock.now()
    with control.store.write() as session:
        money.post(session, owner, ledger.hold(amount), money.Cause("s1", "t", now, ""))
        for posting in ledger.close(amount, amount):
            money.post(session, owner, posting, money.Cause("s2", "t", now, ""))


def test_one_key_at_once_is_one_workload(
    control: Control, database: str, tmp_path: Path, clock: ManualClock, two: tuple[Actor, Actor]
) -> None:
    mia, _ = two
    rival = another(database, tmp_path, clock)
    found = at_once(*[lambda c=c: launched(c, mia, "cpu", key="k") for c in (control, rival) * 4])
    assert len(set(found)) == 1, found
    assert statuses(control) == ["queued"]
    rival.store.close()


def test_ends_at_once_settle_once(
    control: Control, clock: ManualClock, two: tuple[Actor, Actor]
) -> None:
    mia, _ = two
    workload = launched(control, mia, "gpu-quarter")
    [row] = grants.give_what_fits(control)
    assert row.attempt_id
    attempts.mark_ready(control, row.attempt_id)
    clock.advance(timedelta(hours=1))
    exit_ = attempts.Exit(attempts.EndCause.EXITED, clock.now(), 0)
    at_once(*[lambda: attempts.finish(control, row.attempt_id or "", exit_) for _ in range(4)])
    with control.store.read() as session:
        assert session.get_one(WorkloadRow, workload).cost == parse_credits("0.30")
        owner = money.Owner(mia.tenant_id, mia.person_id)
        assert money.balance(session, owner, AccountKind.WALLET) == parse_credits("99.70")
    assert leaks(control) == []


def test_an_extension_and_an_end_at_once_leave_no_hold(
    control: Control, clock: ManualClock, two: tuple[Actor, Actor]
) -> None:
    mia, _ = two
    for number in range(8):
        workload = launched(control, mia, "gpu-quarter")
        [row] = grants.give_what_fits(control)
        attempt = row.attempt_id or ""
        attempts.mark_ready(control, attempt)
        exit_ = attempts.Exit(attempts.EndCause.EXITED, clock.now(), 0)
        at_once(
            lambda w=workload, n=number: workloads.extend(control, mia, w, "1h", f"k{n}"),
            lambda a=attempt, e=exit_: attempts.finish(control, a, e),
        )
        assert leaks(control) == []
    assert statuses(control) == [Status.STOPPED] * 8


def test_an_acceptance_and_a_missed_turn_at_once(
    control: Control, clock: ManualClock, two: tuple[Actor, Actor]
) -> None:
    mia, _ = two
    for _ in range(6):
        wish = launching.Wish("gpu-quarter", {}, notify=True)
        workload = launching.launch(control, mia, wish).id
        grants.give_what_fits(control)
        clock.advance(ACCEPT_WITHIN)
        at_once(lambda: leases.keep(control), lambda w=workload: grants.accept(control, w))
        assert statuses(control)[-1] == "stopped"
        assert leaks(control) == []


def test_one_link_makes_one_account(control: Control) -> None:
    admin = people.actor_of(control, "admin")
    url, _ = people.invite(control, admin, "main", "member", "")
    secret, sign_ins = url.partition("token=")[2], people.SignIns()
    found = at_once(
        *[
            lambda n=n: people.use_invitation(
                control, sign_ins, secret, people.NewPerson(f"guest{n}", "long enough pw")
            )
            for n in range(3)
        ]
    )
    assert sum(not isinstance(one, PerijoveError) for one in found) == 1


def _grant_in_a_process(database: str, folder: Path, gate: object, answers: object) -> None:
    rival = another(database, folder, ManualClock())
    gate.wait()  # type: ignore[attr-defined]
    granted = grants.give_what_fits(rival)
    answers.put(len(granted))  # type: ignore[attr-defined]


@pytest.mark.slow
def test_two_processes_grant_the_last_quarter_once(
    control: Control, database: str, tmp_path: Path, two: tuple[Actor, Actor]
) -> None:
    mia, noa = two
    for offer in ("gpu-whole", "gpu-half", "gpu-quarter"):
        launched(control, mia, offer)
    grants.give_what_fits(control)
    for actor in (mia, noa):
        launched(control, actor, "gpu-quarter")
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(2), context.Queue()
    args = (database, tmp_path, gate, answers)
    processes = [context.Process(target=_grant_in_a_process, args=args) for _ in range(2)]
    for process in processes:
        process.start()
    assert sorted(answers.get(timeout=60) for _ in processes) == [0, 1]
    for process in processes:
        process.join(30)
    assert held_milli(control) == 2000
    assert leaks(control) == []


def test_writers_that_wait_leave_connections_to_those_that_read(control: Control) -> None:
    """More of them than connections: who only looks meanwhile has an answer."""

    def read() -> int:
        with control.store.read() as beside:
            return len(beside.exec(select(WorkloadRow.id)).all())

    def write_while_another_reads() -> list[object]:
        with control.store.write():
            return at_once(read)

    assert at_once(*[write_while_another_reads] * 40) == [[0]] * 40


def test_many_who_look_at_once_all_get_an_answer(
    control: Control, two: tuple[Actor, Actor]
) -> None:
    """More than the database has connections: whoever has one never waits for another."""

    def look() -> object:
        with control.store.read() as session:
            return launching.standing_of(control, session, two[0]).balance

    found = at_once(*[look] * 40)
    assert found == [found[0]] * 40
    assert not isinstance(found[0], PerijoveError)
