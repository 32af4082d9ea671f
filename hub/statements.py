"""Statements: what was in the wallets of a person or of a tenant's subtree, what moved between two
times, and what is in them after; as pages, and as files that are written while they are read."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, case, func
from sqlmodel import Session, col, select

from catalog.units import MICRO, format_credits
from hub.control_context import Control
from hub.csv_text import safe_cell
from hub.store.tables import (
    AccountRow,
    EntryRow,
    PersonRow,
    PostingRow,
    TenantRow,
    WorkloadRow,
)
from hub.tenant_paths import TenantPaths
from quotas.ledger import AccountKind

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""No statement begins earlier: nothing was then, and not every time zone knows the first year."""
BATCH = 1000
"""Lines that are read, and written to a file, at once."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose statement: one person's, or that of a tenant and all below it with their people."""

    name: str
    person_id: str = ""
    tenant_ids: frozenset[str] = frozenset()

    @property
    def accounts(self) -> ColumnElement[bool]:
        """Its accounts; the mint is nobody's."""
        whose = (
            col(AccountRow.person_id) == self.person_id
            if self.person_id
            else col(AccountRow.tenant_id).in_(self.tenant_ids)
        )
        return whose & (col(AccountRow.kind) != AccountKind.MINT.value)


@dataclass(frozen=True, slots=True)
class Line:
    """What one posting changed for one owner, in micro-credits: `amount` in the wallet, `held` of
    what is set aside, `used` of what was spent. `balance` is that of the whole scope after it."""

    posting: int
    at: datetime
    kind: str
    tenant: str
    person: str
    amount: int
    held: int
    used: int
    balance: int
    offer: str
    workload: str
    workload_name: str
    text: str


@dataclass(frozen=True, slots=True)
class Sum:
    """What was spent by one person or on one offer; `id` is empty for neither."""

    id: str
    used: int


@dataclass(frozen=True, slots=True)
class Totals:
    """A statement without its lines: what could be spent before and after, and what was used."""

    opening: int
    closing: int
    used: int
    by_offer: tuple[Sum, ...]
    by_person: tuple[Sum, ...]


def of_tenant(session: Session, tenant_id: str) -> Scope:
    ids, paths = session.exec(select(TenantRow.id)).all(), TenantPaths(session)
    below = frozenset(one for one in ids if tenant_id in paths.of(one))
    return Scope(f"tenant-{tenant_id}", tenant_ids=below)


def of_person(person: PersonRow) -> Scope:
    return Scope(f"person-{person.login}", person.id)


def totals(session: Session, scope: Scope, begins: datetime, ends: datetime) -> Totals:
    """As of this transaction. Opening and all lines add up to closing."""
    during = (PostingRow.at >= begins, PostingRow.at < ends)
    return Totals(
        opening=_change(session, scope, AccountKind.WALLET, PostingRow.at < begins),
        closing=_change(session, scope, AccountKind.WALLET, PostingRow.at < ends),
        used=_change(session, scope, AccountKind.SPENT, *during),
        by_offer=_sums(session, scope, func.coalesce(WorkloadRow.offer_id, ""), during),
        by_person=_sums(session, scope, func.coalesce(PersonRow.login, ""), during),
    )


def lines(
    session: Session, scope: Scope, begins: datetime, ends: datetime, *, after: int = 0,
    balance: int = 0, limit: int = BATCH,
) -> list[Line]:  # fmt: skip
    """In the order of their numbers, of at least `limit` postings if there are so many: those of
    one posting stay together. `after` is the last number, `balance` what was there after it."""
    ids = session.exec(
        select(EntryRow.posting_id)
        .join(AccountRow, col(AccountRow.id) == EntryRow.account_id)
        .join(PostingRow, col(PostingRow.id) == EntryRow.posting_id)
        .where(
            scope.accounts, PostingRow.at >= begins, PostingRow.at < ends,
            EntryRow.posting_id > after,
        )
        .group_by(col(EntryRow.posting_id))
        .order_by(col(EntryRow.posting_id))
        .limit(limit)
    ).all()  # fmt: skip
    if not ids:
        return []
    found: list[Line] = []
    for row in _rows(session, scope, ids[0], ids[-1], begins, ends):
        balance += int(row.amount)
        found.append(
            Line(
                row.id, row.at, row.kind, row.tenant, row.login, int(row.amount), int(row.held),
                int(row.used), balance, row.offer, row.workload_id, row.workload, row.text,
            )
        )  # fmt: skip
    return found


def balance_after(session: Session, scope: Scope, begins: datetime, posting: int) -> int:
    """What could be spent after a posting of the statement that begins then."""
    opening = _change(session, scope, AccountKind.WALLET, PostingRow.at < begins)
    return opening + _change(
        session, scope, AccountKind.WALLET, PostingRow.at >= begins, col(PostingRow.id) <= posting
    )


def csv_file(control: Control, scope: Scope, begins: datetime, ends: datetime) -> Iterator[bytes]:
    """RFC 4180 in UTF-8, part by part. Text that a spreadsheet would take for a formula is quoted
    by an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for rows in _batches(control, scope, begins, ends):
        writer.writerows(_cells(row) for row in rows)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


def parquet_file(
    control: Control, scope: Scope, begins: datetime, ends: datetime
) -> Iterator[bytes]:
    """Apache Parquet, one row group a batch, part by part. Credits are decimals of six places."""
    import pyarrow as pa
    from pyarrow import parquet

    credits_ = pa.decimal128(20, 6)
    kinds = {"posting": pa.int64(), "at": pa.timestamp("us", tz="UTC")}
    kinds |= dict.fromkeys(_CREDITS, credits_)
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    sink = _Sink()
    with parquet.ParquetWriter(pa.PythonFile(sink, mode="w"), schema) as writer:
        for rows in _batches(control, scope, begins, ends):
            columns = zip(*(astuple(row) for row in rows), strict=True)
            arrays = [
                pa.array(
                    [_decimal(value) for value in column] if kind == credits_ else column, kind
                )
                for column, kind in zip(columns, schema.types, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield sink.taken()
    yield sink.taken()


COLUMNS = tuple(field.name for field in fields(Line))
_CREDITS = ("amount", "held", "used", "balance")


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any, /) -> int:
        self._parts.append(bytes(data))
        self._at += len(self._parts[-1])
        return len(self._parts[-1])

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _batches(
    control: Control, scope: Scope, begins: datetime, ends: datetime
) -> Iterator[list[Line]]:
    """The opening, the lines, the closing; each read in a transaction of its own, so that a slow
    reader holds nothing up. Postings are never changed, and new ones are not before `ends`."""
    with control.store.read() as session:
        balance = _change(session, scope, AccountKind.WALLET, PostingRow.at < begins)
    yield [_mark(begins, "opening", balance)]
    after = 0
    while True:
        with control.store.read() as session:
            found = lines(session, scope, begins, ends, after=after, balance=balance)
        if not found:
            break
        yield found
        after, balance = found[-1].posting, found[-1].balance
    yield [_mark(ends, "closing", balance)]


def _mark(at: datetime, kind: str, balance: int) -> Line:
    return Line(0, at, kind, "", "", 0, 0, 0, balance, "", "", "", "")


def _rows(
    session: Session, scope: Scope, first: int, last: int, begins: datetime, ends: datetime
) -> Sequence[Any]:
    """A row for each posting and owner, in order."""

    def change(kind: AccountKind) -> Any:
        moved = case((col(AccountRow.kind) == kind.value, EntryRow.amount), else_=0)
        return func.coalesce(func.sum(moved), 0)

    grouped = (
        sa.select(
            col(EntryRow.posting_id).label("posting"),
            col(AccountRow.tenant_id).label("tenant"),
            col(AccountRow.person_id).label("person"),
            change(AccountKind.WALLET).label("amount"),
            change(AccountKind.HELD).label("held"),
            change(AccountKind.SPENT).label("used"),
        )
        .join(AccountRow, col(AccountRow.id) == EntryRow.account_id)
        .where(scope.accounts, EntryRow.posting_id >= first, EntryRow.posting_id <= last)
        .group_by(col(EntryRow.posting_id), col(AccountRow.tenant_id), col(AccountRow.person_id))
        .subquery()
    )
    query = (
        sa.select(
            col(PostingRow.id), col(PostingRow.at), col(PostingRow.kind), grouped.c.tenant,
            func.coalesce(PersonRow.login, "").label("login"),
            grouped.c.amount, grouped.c.held, grouped.c.used,
            func.coalesce(WorkloadRow.offer_id, "").label("offer"), col(PostingRow.workload_id),
            func.coalesce(WorkloadRow.name, "").label("workload"), col(PostingRow.text),
        )
        .join(grouped, grouped.c.posting == PostingRow.id)
        .join(PersonRow, col(PersonRow.id) == grouped.c.person, isouter=True)
        .join(WorkloadRow, col(WorkloadRow.id) == PostingRow.workload_id, isouter=True)
        .where(col(PostingRow.at) >= begins, col(PostingRow.at) < ends)
        .order_by(col(PostingRow.id), grouped.c.tenant, grouped.c.person)
    )  # fmt: skip
    return session.exec(query).all()  # type: ignore[call-overload]  # typed for SQLModel's own select


def _change(session: Session, scope: Scope, kind: AccountKind, *when: Any) -> int:
    found = session.exec(
        select(func.sum(EntryRow.amount))
        .join(AccountRow, col(AccountRow.id) == EntryRow.account_id)
        .join(PostingRow, col(PostingRow.id) == EntryRow.posting_id)
        .where(scope.accounts, AccountRow.kind == kind.value, *when)
    ).one()
    return int(found or 0)


def _sums(session: Session, scope: Scope, by: Any, during: tuple[Any, ...]) -> tuple[Sum, ...]:
    """What was spent, the most first."""
    rows = session.exec(
        select(key := by.label("spent_on"), func.sum(EntryRow.amount))
        .select_from(EntryRow)
        .join(AccountRow, col(AccountRow.id) == EntryRow.account_id)
        .join(PostingRow, col(PostingRow.id) == EntryRow.posting_id)
        .join(WorkloadRow, col(WorkloadRow.id) == PostingRow.workload_id, isouter=True)
        .join(PersonRow, col(PersonRow.id) == AccountRow.person_id, isouter=True)
        .where(scope.accounts, AccountRow.kind == AccountKind.SPENT.value, *during)
        .group_by(key)
    ).all()
    found = [Sum(id, int(used)) for id, used in rows if used]
    return tuple(sorted(found, key=lambda one: (-one.used, one.id)))


def _cells(line: Line) -> list[str]:
    """Numbers as they are; text that cannot act."""
    found: list[str] = []
    for name, value in zip(COLUMNS, astuple(line), strict=True):
        if name in _CREDITS:
            found.append(format_credits(value))
        elif isinstance(value, datetime):
            found.append(value.isoformat().replace("+00:00", "Z"))
        else:
            found.append(safe_cell(str(value)))
    return found


def _decimal(micro: int) -> Decimal:
    return Decimal(micro) / MICRO
