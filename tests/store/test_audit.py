"""The audit is added to, never changed: the database refuses, and whoever gets round it is seen."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from hub.control_context import Control
from hub.store import audit
from hub.store.audit import Soundness
from hub.store.tables import AuditRow
from tests.peers.tampering import open_audit


def written(control: Control, many: int) -> list[AuditRow]:
    for number in range(many):
        with control.store.write() as session:
            audit.record(
                session, control.clock.now(), "a", "act", f"o{number}", "main", {"n": number}
            )
    with control.store.read() as session:
        return list(session.exec(select(AuditRow).order_by(col(AuditRow.id))))


def found(control: Control, noted: str = "") -> Soundness:
    with control.store.read() as session:
        return audit.verify(session, noted)


def tamper(control: Control, statement: str, line: int | None) -> None:
    with control.store.write() as session:
        open_audit(session)
        session.connection().execute(text(statement), {"line": line})


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "TRUNCATE audit"]
)
def test_the_database_refuses_to_change_a_line(control: Control, statement: str) -> None:
    written(control, 3)
    if control.store.is_sqlite and statement.startswith("TRUNCATE"):
        pytest.skip("SQLite has no TRUNCATE")
    with (
        pytest.raises(DBAPIError, match="the audit is append-only"),
        control.store.write() as session,
    ):
        session.connection().execute(text(statement))
    assert found(control).sound


@pytest.mark.parametrize(
    "change",
    ["actor = 'x'", "action = 'x'", "object = 'x'", "tenant_id = 'x'", "detail = '{\"n\": 9}'",
     "at = '2020-01-01 00:00:00+00'", "previous = hash", "hash = 'x'"],
)  # fmt: skip
def test_any_change_of_a_line_is_seen(control: Control, change: str) -> None:
    lines = written(control, 5)
    tamper(control, f"UPDATE audit SET {change} WHERE id = :line", lines[-3].id)  # noqa: S608
    assert found(control).broken == lines[-3].id
    with control.store.read() as session:
        assert audit.first_broken(session) == lines[-3].id


def test_a_line_that_is_gone_is_missed_wherever_it_was(control: Control) -> None:
    lines = written(control, 6)
    tamper(control, "DELETE FROM audit WHERE id = :line", lines[-3].id)
    assert found(control).broken == lines[-2].id


def test_lines_cut_off_the_end_are_missed_also_after_new_ones(control: Control) -> None:
    lines = written(control, 6)
    tamper(control, "DELETE FROM audit WHERE id >= :line", lines[-2].id)
    seen = found(control)
    assert (seen.sound, seen.broken, seen.missing, seen.lines) == (False, None, 2, len(lines) - 2)
    written(control, 1)
    assert found(control).broken is not None


def test_who_forges_the_end_too_is_betrayed_by_an_end_that_was_noted(control: Control) -> None:
    lines = written(control, 6)
    noted = found(control).end
    assert noted == lines[-1].hash
    written(control, 2)
    assert found(control, noted).sound
    tamper(control, "DELETE FROM audit WHERE id >= :line", lines[-1].id)
    with control.store.write() as session:
        session.connection().execute(
            text("UPDATE audit_end SET lines = :lines, hash = :hash"),
            {"lines": len(lines) - 1, "hash": lines[-2].hash},
        )
    assert found(control).sound
    assert not found(control, noted).sound


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(detail=st.dictionaries(st.text('abcü"\\ ', max_size=5), st.text(max_size=5) | st.integers()))
def test_what_a_detail_holds_survives_the_database(
    control: Control, detail: dict[str, str | int]
) -> None:
    clean = {key: value for key, value in detail.items() if "\0" not in str(value)}
    with control.store.write() as session:
        audit.record(session, control.clock.now(), "a", "act", "o", "main", clean)
    assert found(control).sound
