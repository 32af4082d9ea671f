"""Recent use in the store: folded at any time, as often as one likes, it stays the same."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session, SQLModel, create_engine, select

from hub import fair_share
from hub.store.tables import AttemptRow, RecentUseRow, TenantRow
from quotas.limits import Dimension

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    engine = create_engine(f"sqlite:///{tmp_path / 'use.sqlite'}")
    SQLModel.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(TenantRow(id="main", name="Main", created_at=NOW))
        session.add(TenantRow(id="art", name="Art", parent_id="main", created_at=NOW))
        session.flush()
        yield session
    engine.dispose()


def attempt(
    number: int, begun: datetime, ended: datetime | None, tenant: str = "art"
) -> AttemptRow:
    return AttemptRow(
        id=f"a-{number}", workload_id=f"w-{number}", tenant_id=tenant, person_id="mia",
        number=1, node="n0", cpu_milli=1000, memory_bytes=2**30, gpu_milli=250,
        price_per_hour=0, held=0, created_at=begun, lease_ends_at=begun + HOUR, released_at=ended,
    )  # fmt: skip


def gpu(session: Session, scope: str, at: datetime) -> float:
    return fair_share.read(session, at, WEEK)[scope][Dimension.GPU]


def test_a_person_and_all_tenants_above_have_used_it(session: Session) -> None:
    session.add(attempt(1, NOW - 2 * HOUR, NOW - HOUR))
    session.add(attempt(2, NOW - HOUR, None, "main"))
    used = fair_share.read(session, NOW, timedelta(days=10**5))
    assert used["person:mia"][Dimension.GPU] == pytest.approx(250 * 7200, rel=1e-3)
    assert used["tenant:art"][Dimension.GPU] == pytest.approx(250 * 3600, rel=1e-3)
    assert used["tenant:main"][Dimension.GPU] == pytest.approx(250 * 7200, rel=1e-3)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 200) | st.none()), max_size=6),
    st.lists(st.integers(-60, 1000), max_size=5),
)
def test_folding_changes_nothing_however_often_and_when(
    session: Session, spans: list[tuple[int, int | None]], folds: list[int]
) -> None:
    """At each minute what has ended by then is in the store; a clock that jumps is among them."""
    for row in [*session.exec(select(AttemptRow)), *session.exec(select(RecentUseRow))]:
        session.delete(row)
    session.flush()
    rows = [
        attempt(
            n, NOW + timedelta(minutes=b), None if e is None else NOW + timedelta(minutes=b + e)
        )
        for n, (b, e) in enumerate(spans)
    ]
    end = NOW + timedelta(minutes=1000)
    for row in rows:
        session.add(row)
    whole = gpu(session, "person:mia", end)
    for row in rows:
        session.delete(row)
    session.flush()
    for minute in folds:
        at = NOW + timedelta(minutes=minute)
        _as_of(
            session,
            rows,
            max([at, *(NOW + timedelta(minutes=m) for m in folds[: folds.index(minute)])]),
        )
        fair_share.fold(session, at, WEEK)
        fair_share.fold(session, at, WEEK)
    _as_of(session, rows, end)
    assert gpu(session, "person:mia", end) == pytest.approx(whole, rel=1e-6, abs=1e-3)


def _as_of(session: Session, rows: list[AttemptRow], at: datetime) -> None:
    """The attempts that began by then, with the ends that had come."""
    for row in rows:
        if row.created_at <= at:
            released = row.released_at if row.released_at and row.released_at <= at else None
            session.merge(AttemptRow(**{**row.model_dump(), "released_at": released}))
    session.flush()


def test_what_has_faded_is_forgotten(session: Session) -> None:
    session.add(attempt(1, NOW - 2 * HOUR, NOW - HOUR))
    fair_share.fold(session, NOW, WEEK)
    assert len(session.exec(select(RecentUseRow)).all()) > 1
    fair_share.fold(session, NOW + 500 * WEEK, WEEK)
    assert [row.scope_id for row in session.exec(select(RecentUseRow))] == [fair_share.FOLDED]


def test_a_clock_that_went_back_folds_nothing(session: Session) -> None:
    session.add(attempt(1, NOW - 2 * HOUR, NOW - HOUR))
    fair_share.fold(session, NOW, WEEK)
    before = gpu(session, "person:mia", NOW)
    fair_share.fold(session, NOW - 3 * HOUR, WEEK)
    assert gpu(session, "person:mia", NOW) == pytest.approx(before)
