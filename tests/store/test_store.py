"""What a write promises: all or nothing, whatever dies; and what a bad database is told as."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlmodel import SQLModel, select

from catalog.clock import ManualClock
from catalog.errors import BadSetup, Unavailable
from hub.control_context import Control
from hub.store import schema
from hub.store.store import Store
from hub.store.tables import TenantRow
from tests.site import add_tenant

ROOT = Path(__file__).resolve().parents[2]


def tenants(store: Store) -> set[str]:
    with store.read() as session:
        return set(session.exec(select(TenantRow.id)))


def test_an_exception_in_a_write_leaves_nothing(control: Control) -> None:
    def fails_half_way() -> None:
        with control.store.write() as session:
            session.add(TenantRow(id="half", name="Half", created_at=control.clock.now()))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails_half_way()
    assert tenants(control.store) == {"main"}
    add_tenant(control, "whole")  # the next writer is not kept waiting
    assert tenants(control.store) == {"main", "whole"}


def test_a_read_keeps_nothing(control: Control) -> None:
    with control.store.read() as session:
        session.get_one(TenantRow, "main").name = "changed"
        session.flush()
    with control.store.read() as session:
        assert session.get_one(TenantRow, "main").name == "Main"


def test_a_read_sees_one_picture_whatever_is_written_meanwhile(control: Control) -> None:
    with control.store.read() as session:
        before = set(session.exec(select(TenantRow.id)))
        writer = threading.Thread(target=add_tenant, args=(control, "later"))
        writer.start()
        writer.join(20)
        assert set(session.exec(select(TenantRow.id))) == before
    assert tenants(control.store) == {*before, "later"}


def test_a_session_within_a_session_is_a_mistake_and_leaves_the_store_usable(
    control: Control,
) -> None:
    """With as many who do so as there are connections, all would wait for each other."""
    for outer in (control.store.read, control.store.write):
        for inner in (control.store.read, control.store.write):
            with outer(), pytest.raises(RuntimeError, match="within another"), inner():
                raise AssertionError
    add_tenant(control, "whole")
    assert tenants(control.store) == {"main", "whole"}


_DIES = """
import sys, time
from catalog.clock import SystemClock
from hub.store.store import Store
from hub.store.tables import TenantRow
store = Store(sys.argv[1])
with store.write() as session:
    for number in range(200):
        session.add(TenantRow(id=f"t{number}", name="T", created_at=SystemClock().now()))
    session.flush()
    print("flushed", flush=True)
    time.sleep(600)
"""


def test_a_kill_in_a_write_leaves_nothing_and_lets_the_next_write(
    control: Control, database: str
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _DIES, database], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "flushed\n"
    assert tenants(control.store) == {"main"}
    os.kill(child.pid, signal.SIGKILL)
    child.wait(timeout=20)
    child.stdout.close()
    add_tenant(control, "next")
    assert tenants(control.store) == {"main", "next"}
    control.store.check()


def test_times_keep_their_zone(control: Control) -> None:
    with control.store.read() as session:
        made = session.get_one(TenantRow, "main").created_at
    assert made == control.clock.now()
    assert made.utcoffset() is not None
    with pytest.raises(Exception, match="without a zone"), control.store.write() as session:
        session.add(TenantRow(id="x", name="x", created_at=made.replace(tzinfo=None)))


# ---- migrations -----------------------------------------------------------------------------


def differences(store: Store) -> list[object]:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, SQLModel.metadata)


def test_migrations_go_up_match_the_tables_go_down_and_up_again(database: str) -> None:
    store = Store(database)
    schema.upgrade(store)
    assert schema.revision(store) == schema.HEAD
    assert differences(store) == []
    command.downgrade(schema.alembic_config(store), "base")
    assert set(inspect(store.engine).get_table_names()) <= {"alembic_version"}
    schema.upgrade(store)
    assert differences(store) == []
    schema.upgrade(store)  # nothing to do is fine
    store.close()


def test_a_database_from_the_future_is_named(database: str) -> None:
    store = Store(database)
    schema.upgrade(store)
    with store.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BadSetup, match=r"newer version.*9999") as caught:
        schema.upgrade(store)
    assert "restore" in caught.value.next
    store.close()


# ---- what an operator must mend -------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path, clock: ManualClock) -> Path:
    path = tmp_path / "control.sqlite"
    store = Store(f"sqlite:///{path}")
    schema.upgrade(store)
    with store.write() as session:
        session.add(TenantRow(id="main", name="Main", created_at=clock.now()))
    store.close()
    return path


@pytest.mark.parametrize("damage", ["garbage", "head", "middle", "folder"])
def test_a_damaged_file_is_named(file: Path, damage: str) -> None:
    whole = file.read_bytes()
    if damage == "garbage":
        file.write_bytes(b"this is no database" * 1000)
    elif damage == "head":
        file.write_bytes(b"\0" * 100 + whole[100:])
    elif damage == "middle":
        file.write_bytes(whole[:4096] + os.urandom(len(whole) - 4096))
    else:
        file.unlink()
        file.mkdir()
    store = Store(f"sqlite:///{file}")
    with pytest.raises(BadSetup) as caught:
        schema.upgrade(store)
    assert str(file) in caught.value.message
    assert caught.value.next
    store.close()


def test_a_server_that_is_not_there_is_named() -> None:
    store = Store("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(BadSetup, match=r"PostgreSQL at 127\.0\.0\.1 does not answer"):
        schema.upgrade(store)
    store.close()


@pytest.mark.parametrize("url", ["not an address", "nosuch://x/y"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(BadSetup, match="PERIJOVE_DATABASE_URL"):
        Store(url)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for little."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can make a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("this machine does not let root mount a file system")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_changes_nothing_and_passes(tiny_disk: Path, file: Path) -> None:
    moved = tiny_disk / "control.sqlite"
    shutil.copy(file, moved)
    store = Store(f"sqlite:///{moved}")
    assert tenants(store) == {"main"}
    ballast = tiny_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        fill(ballast)
    with pytest.raises(Unavailable, match="full") as caught:
        write_much(store)
    assert caught.value.next
    assert tenants(store) == {"main"}
    ballast.unlink()
    write_much(store)
    assert len(tenants(store)) == 301
    store.check()
    store.close()


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as filling:
        while True:
            filling.write(b"x" * 4096)


def write_much(store: Store) -> None:
    now = ManualClock().now()
    with store.write() as session:
        for number in range(300):
            session.add(TenantRow(id=f"t{number}", name="x" * 500, created_at=now))


def test_a_lost_server_is_said_in_words(control: Control) -> None:
    if control.store.is_sqlite:
        pytest.skip("SQLite has no server to lose")
    with control.store.read() as session:
        session.execute(text("SELECT 1"))
    began = time.monotonic()
    with pytest.raises(Unavailable), control.store.write() as session:
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    add_tenant(control, "after")  # a lost connection is replaced
    assert "after" in tenants(control.store)
    assert time.monotonic() - began < 20
