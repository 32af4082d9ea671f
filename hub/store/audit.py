"""The audit: append-only, each line's hash covers the one before."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from hub.store.tables import AuditRow

_GENESIS = "0" * 64


def record(
    session: Session, at: datetime, actor: str, action: str, target: str, tenant_id: str,
    detail: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Append a line. `detail` holds facts, never secrets or contents."""
    last = session.exec(select(AuditRow).order_by(col(AuditRow.id).desc()).limit(1)).first()
    row = AuditRow(
        at=at, actor=actor, action=action, object=target, tenant_id=tenant_id,
        detail=dict(detail or {}), previous=last.hash if last else _GENESIS, hash="",
    )  # fmt: skip
    row.hash = _hash(row)
    session.add(row)
    session.flush()


def first_broken(session: Session) -> int | None:
    """The id of the first line whose hash or link is wrong; None when the chain holds."""
    previous = _GENESIS
    for row in session.exec(select(AuditRow).order_by(col(AuditRow.id))):
        if row.previous != previous or row.hash != _hash(row):
            return row.id
        previous = row.hash
    return None


def _hash(row: AuditRow) -> str:
    facts = [
        row.previous, row.at.isoformat(), row.actor, row.action, row.object, row.tenant_id,
        row.detail,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
