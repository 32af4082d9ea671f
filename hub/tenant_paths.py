"""The tree of tenants, read once for a transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from hub.store.store import READS_ONLY
from hub.store.tables import TenantRow

_KEPT = "tenant-paths"
COURSE = "course"
"""The kind of tenant whose people have a wallet and limits of their own there."""


class TenantPaths:
    """The way up from each tenant. As of when it was made: make it anew after a tenant moved."""

    def __init__(self, session: Session) -> None:
        self._parents, self._courses = _read(session)

    def of(self, tenant_id: str) -> tuple[str, ...]:
        """From the tenant up to the root."""
        path: list[str] = []
        current: str | None = tenant_id
        while current is not None and current not in path:
            path.append(current)
            current = self._parents.get(current)
        return tuple(path)

    def course_of(self, tenant_id: str) -> str:
        """The course that a tenant is, or is a group of; empty outside of courses."""
        return next((tenant for tenant in self.of(tenant_id) if tenant in self._courses), "")

    def payer_of(self, tenant_id: str) -> str:
        """The tenant whose wallet a person pays from for work there: a course's groups share it."""
        return self.course_of(tenant_id) or tenant_id

    def person_scope(self, tenant_id: str, person_id: str) -> str:
        """What a person holds in a course counts for itself; all that is outside of courses counts
        together. ``"person:p-1@physics-101"``, ``"person:p-1"``."""
        course = self.course_of(tenant_id)
        return f"person:{person_id}@{course}" if course else f"person:{person_id}"


def _read(session: Session) -> tuple[dict[str, str | None], frozenset[str]]:
    """Parents by id, and which are courses. In a transaction that only reads, they stay as they are:
    whoever asks there again is not asked of the database again."""
    kept = session.info.get(_KEPT)
    if kept is None:
        rows = session.exec(select(TenantRow.id, TenantRow.parent_id, TenantRow.kind)).all()
        parents = {id_: parent for id_, parent, _ in rows}
        kept = parents, frozenset(id_ for id_, _, kind in rows if kind == COURSE)
        if session.info.get(READS_ONLY):
            session.info[_KEPT] = kept
    return kept


def below(column: Any, roots: Sequence[str]) -> ColumnElement[bool]:
    """A condition of the database: a tenant's id is one of `roots`, or of a tenant below one."""
    tree = select(TenantRow.id).where(col(TenantRow.id).in_(roots)).cte(recursive=True)
    tree = tree.union(select(TenantRow.id).where(col(TenantRow.parent_id) == tree.c.id))
    return column.in_(select(tree.c.id))
