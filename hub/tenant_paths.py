"""The tree of tenants, read once for a transaction."""

from sqlmodel import Session, select

from hub.store.tables import TenantRow


class TenantPaths:
    """The way up from each tenant. As of when it was made: make it anew after a tenant moved."""

    def __init__(self, session: Session) -> None:
        self._parents = dict(session.exec(select(TenantRow.id, TenantRow.parent_id)).all())

    def of(self, tenant_id: str) -> tuple[str, ...]:
        """From the tenant up to the root."""
        path: list[str] = []
        current: str | None = tenant_id
        while current is not None and current not in path:
            path.append(current)
            current = self._parents.get(current)
        return tuple(path)
