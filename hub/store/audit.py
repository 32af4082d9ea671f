"""The audit: append-only, each line's hash covers the one before.

The database itself refuses to change or delete a line. Where the audit ends is kept beside it, so
that lines cut off its end are missed; who can write to the database at will could forge both, and
is found out by an end that was noted elsewhere (`perijove audit verify --noted`).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from hub.store.tables import AuditEndRow, AuditRow

_GENESIS = "0" * 64
_END = 1
_AT_ONCE = 1000


def record(
    session: Session, at: datetime, actor: str, action: str, target: str, tenant_id: str,
    detail: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Append a line. `detail` holds facts, never secrets or contents."""
    end = session.get(AuditEndRow, _END) or AuditEndRow(id=_END, lines=0, hash="")
    row = AuditRow(
        at=at, actor=actor, action=action, object=target, tenant_id=tenant_id,
        detail=dict(detail or {}), previous=end.hash or _GENESIS, hash="",
    )  # fmt: skip
    row.hash = _hash(row)
    end.lines, end.hash = end.lines + 1, row.hash
    session.add_all([row, end])
    session.flush()


@dataclass(frozen=True, slots=True)
class Soundness:
    """What a look at the whole audit found. `broken` is the first line that does not follow from
    the one before it, `missing` how many were cut off the end; both None when all is well."""

    lines: int
    end: str
    broken: int | None = None
    missing: int | None = None
    noted: bool = True
    """A line that was noted elsewhere is still there as it was."""

    @property
    def sound(self) -> bool:
        return self.broken is None and self.missing is None and self.noted


def verify(session: Session, noted: str = "") -> Soundness:
    """Read the whole audit, in little memory. `noted` is a hash that some line once had."""
    previous, lines, seen = _GENESIS, 0, not noted
    rows = session.exec(
        select(AuditRow).order_by(col(AuditRow.id)).execution_options(yield_per=_AT_ONCE)
    )
    for row in rows:
        if row.previous != previous or row.hash != _hash(row):
            return Soundness(lines, previous, broken=row.id, noted=seen)
        previous, lines, seen = row.hash, lines + 1, seen or row.hash == noted
        session.expunge(row)
    end = session.get(AuditEndRow, _END)
    known = end.lines if end else 0
    cut = known != lines or (end.hash if end else "") != (previous if lines else "")
    return Soundness(lines, previous, missing=max(known - lines, 0) if cut else None, noted=seen)


def first_broken(session: Session) -> int | None:
    """The first line that is wrong, or the one after the last where lines were cut off; None when
    the chain holds."""
    found = verify(session)
    if found.broken is not None or found.sound:
        return found.broken
    return found.lines + 1


def _hash(row: AuditRow) -> str:
    facts = [
        row.previous, row.at.isoformat(), row.actor, row.action, row.object, row.tenant_id,
        row.detail,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
