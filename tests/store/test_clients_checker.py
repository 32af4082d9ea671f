"""The checker of the 64 clients is itself tested: it names each kind of damage, and a sound
database has none."""
# ruff: noqa: S608 (the statements are this file's own)

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from catalog.clock import ManualClock
from catalog.units import MICRO
from hub import attempts, grants, launching, workloads
from hub.control_context import Control
from hub.store.tables import QuotaRow, WorkloadRow
from spawners.engine import EndCause, Exit
from spawners.fake import FakeEngine
from tests.site import NODES, add_person, add_tenant, build_control, settings_in
from tests.store.clients import checker, trail
from tests.store.clients.database import Database

SITE = checker.Site(
    {node.name: node.cpu_milli for node in NODES}, {node.name: node.memory_bytes for node in NODES}
)
LIVE = "(SELECT MIN(id) FROM attempt WHERE released_at IS NULL)"
ENDED = "(SELECT MIN(id) FROM attempt WHERE released_at IS NOT NULL)"
RUNNING = "(SELECT MIN(id) FROM workload WHERE status = 'running')"
WAITING = "(SELECT MIN(id) FROM workload WHERE status = 'queued')"
STOPPED = "(SELECT MIN(id) FROM workload WHERE status = 'stopped')"
DEVICE = "(SELECT MIN(id) FROM device)"
WALLET = "(SELECT MIN(id) FROM account WHERE kind = 'wallet')"
HELD = "(SELECT MIN(id) FROM account WHERE kind = 'held')"
NOT_UNIQUE = (
    "CREATE TABLE {0}_ AS SELECT * FROM {0}; DROP TABLE {0}; ALTER TABLE {0}_ RENAME TO {0}"
)


def moved(kind: str, attempt: str, amount: int, from_: str = WALLET, to: str = HELD) -> str:
    """A posting of its own that balances, and the accounts with it."""
    return f"""
        INSERT INTO posting (key, kind, at, actor, tenant_id, person_id, workload_id, attempt_id, text)
            SELECT 'x', '{kind}', at, actor, tenant_id, person_id, '', {attempt}, ''
            FROM posting ORDER BY id LIMIT 1;
        INSERT INTO entry SELECT MAX(id), {from_}, -{amount} FROM posting;
        INSERT INTO entry SELECT MAX(id), {to}, {amount} FROM posting;
        UPDATE account SET balance = balance - {amount} WHERE id = {from_};
        UPDATE account SET balance = balance + {amount} WHERE id = {to}
    """


DAMAGE = {
    "a device over-granted now": (
        f"UPDATE share SET milli = 1250 WHERE attempt_id = {LIVE}", "is over-granted: 1",
    ),
    "a device that says another amount": (
        f"UPDATE device SET held_milli = held_milli + 1 WHERE id = {DEVICE}", "and its shares",
    ),
    "a share that outlives its attempt": (
        f"UPDATE share SET released_at = NULL WHERE attempt_id = {ENDED}", "still holds a share",
    ),
    "a device over-granted in the past": (
        f"UPDATE share SET milli = 1001 WHERE attempt_id = {ENDED}", "of 1000 milli at",
    ),
    "a node's cores": (
        f"UPDATE attempt SET cpu_milli = 16001 WHERE id = {ENDED}", "of 16000 cpu_milli at",
    ),
    "a node's memory": (
        f"UPDATE attempt SET memory_bytes = memory_bytes * 99 WHERE id = {LIVE}", "memory_bytes at",
    ),
    "a posting that does not balance": (
        f"UPDATE entry SET amount = amount + 1 WHERE account_id = {HELD} AND amount > 0",
        "does not balance",
    ),
    "a posting without entries": (
        "DELETE FROM entry WHERE posting_id = (SELECT MIN(posting_id) FROM entry)", "has no entry",
    ),
    "a posting made twice": (
        f"{NOT_UNIQUE.format('posting')}; INSERT INTO posting SELECT * FROM posting LIMIT 1",
        "was made 2 times",
    ),
    "a balance that its entries do not give": (
        f"UPDATE account SET balance = balance + 5 WHERE id = {WALLET}", "and its entries",
    ),
    "an overdrawn account": (moved("hold", LIVE, 10**12), "was overdrawn by posting"),
    "a lost hold": (moved("hold", ENDED, 5), "its hold of 5 was lost"),
    "a hold for nothing": (moved("hold", "'a-gone'", 5), "5 is held for a-gone"),
    "an attempt that says another hold": (
        f"UPDATE attempt SET held = held - 1 WHERE id = {LIVE}", "its postings",
    ),
    "holds in all": (
        f"UPDATE account SET balance = balance + 5 WHERE id = {HELD}", "is held in all",
    ),
    "paid more than was set aside": (
        moved("settle", LIVE, 10**8, to="(SELECT MIN(id) FROM account WHERE kind = 'spent')"),
        "that was set aside",
    ),
    "a cost that was not paid": (
        f"UPDATE workload SET cost = cost + 1 WHERE id = {STOPPED}", "says it cost",
    ),
    "no status": (f"UPDATE workload SET status = 'asleep' WHERE id = {RUNNING}", "is no status"),
    "running without a place": (
        f"UPDATE workload SET status = 'running' WHERE id = {WAITING}", "its open attempts are []",
    ),
    "waiting with a place": (
        f"UPDATE workload SET status = 'queued' WHERE id = {RUNNING}", "hold a place",
    ),
    "live and ended": (
        f"UPDATE workload SET ended_at = created_at WHERE id = {RUNNING}", "and its end is 20",
    ),
    "ended and wanted": (
        f"UPDATE workload SET target = 'running' WHERE id = {STOPPED}", "its target running",
    ),
    "attempts of nothing": (
        f"UPDATE attempt SET workload_id = 'w-gone' WHERE id = {LIVE}", "w-gone is no workload",
    ),
    "two keys for one workload": (
        f"UPDATE idempotency SET workload_id = {RUNNING}", "answers 5 keys",
    ),
    "a key for nothing": (
        "UPDATE idempotency SET workload_id = 'w-gone' WHERE key = 'waits'", "names no workload",
    ),
    "two attempts of a number": (
        f"UPDATE attempt SET workload_id = {RUNNING}", "attempts number 1",
    ),
    "a broken audit": (
        "UPDATE audit SET previous = 'x' WHERE id = (SELECT MAX(id) FROM audit)", "does not follow",
    ),
    "a device over-granted for a moment": (
        f"INSERT INTO trail (what, id, place, amount) VALUES ('gpu', 'a-1 x', {DEVICE}, 1001)",
        "was over-granted: 1501 of 1000",
    ),
    "a tenant's ceiling": (
        "UPDATE quota SET amount = 1249 WHERE tenant_id = 'physics' AND dimension = 'gpu'",
        "the gpu ceiling of tenant physics was passed: 1250 of 1249",
    ),
    "a person's ceiling": (
        "UPDATE quota SET amount = 749 WHERE person_id = '*' AND dimension = 'gpu'",
        "was passed: 750 of 749",
    ),
    "a person's own ceiling": (
        "UPDATE quota SET amount = 1 WHERE person_id = '*' AND dimension = 'workloads'",
        "was passed: 2 of 1",
    ),
    "a tenant's budget": (
        "UPDATE quota SET amount = 1 WHERE tenant_id = 'physics' AND dimension = 'credits'",
        "the budget of tenant physics was passed",
    ),
    "a move that is not legal": (
        f"UPDATE workload SET status = 'running', ended_at = NULL WHERE id = {STOPPED}",
        "went from stopped to running",
    ),
    "a wrong beginning": (
        "INSERT INTO trail (what, id, place, amount) VALUES ('status', 'w', ' running', 0)",
        "w began as running",
    ),
    "overdrawn for a moment": (
        f"UPDATE account SET balance = -1 WHERE id = {WALLET}; UPDATE account SET balance = 0",
        "was at -1 for a moment",
    ),
    "a line that was taken out": (
        "DELETE FROM audit WHERE id = (SELECT MAX(id) FROM audit)", "1 lines of audit were deleted",
    ),
}  # fmt: skip


def lived_in(control: Control, clock: ManualClock) -> None:
    """Some who run, one who has ended, one who waits; quotas that hold."""
    mia, noa = (add_person(control, name, "physics") for name in ("mia", "noa"))
    asked: list[WorkloadRow] = []
    for number, actor in enumerate((mia, noa)):
        for offer in ("gpu-half", "gpu-quarter"):
            wish = launching.Wish(offer, {}, idempotency_key=f"{number}-{offer}")
            asked.append(launching.launch(control, actor, wish))
            clock.advance(1)
    granted = {row.id: row.attempt_id or "" for row in grants.give_what_fits(control)}
    assert len(granted) == 3, "the fourth passes the tenant's ceiling"
    for attempt in granted.values():
        attempts.mark_ready(control, attempt)
    clock.advance(timedelta(minutes=10))
    workloads.extend(control, mia, asked[0].id, "15m", "longer")
    attempts.finish(control, granted[asked[1].id], Exit(EndCause.EXITED, clock.now(), 0))
    clock.advance(1)
    launching.launch(control, mia, launching.Wish("gpu-half", {}, idempotency_key="waits"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that has been lived in, with its trail."""
    folder = tmp_path_factory.mktemp("sound")
    clock, file = ManualClock(), folder / "sound.sqlite"
    settings = settings_in(folder, database_url=f"sqlite:///{file}")
    control = build_control(settings, clock, FakeEngine(NODES, clock))
    add_tenant(control, "physics")
    with control.store.write() as session:
        for dimension, limit in (("gpu", 1250), ("credits", 50 * MICRO)):
            session.add(
                QuotaRow(tenant_id="physics", person_id="", dimension=dimension, limit=limit)
            )
    plain = Database(f"sqlite:///{file}")
    trail.lay(plain)
    plain.close()
    lived_in(control, clock)
    control.store.close()
    return file


@pytest.fixture
def database(sound: Path, tmp_path: Path) -> Iterator[Database]:
    """A copy of it to be damaged: foreign keys, checks and triggers do not protect it."""
    copy = shutil.copy(sound, tmp_path / "copy.sqlite")
    found = Database(f"sqlite:///{copy}")
    found.run("PRAGMA ignore_check_constraints = ON", "PRAGMA foreign_keys = OFF")
    found.run("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete")
    yield found
    found.close()


def test_a_sound_database_has_no_problem(database: Database) -> None:
    assert checker.problems(database, SITE) == []
    assert database.rows("SELECT COUNT(*) FROM trail WHERE what = 'gpu'") != [(0,)]


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named(database: Database, kind: str) -> None:
    statements, words = DAMAGE[kind]
    database.run(*statements.split(";"))
    found = checker.problems(database, SITE)
    assert [said for said in found if words in said], found


def test_what_is_left_after_the_end_is_named(database: Database) -> None:
    found = " · ".join(checker.problems(database, SITE, quiet=True))
    for what in ("workloads live", "hold a place", "shares are held", "devices", "accounts hold"):
        assert what in found
