"""Which control may reconcile: on PostgreSQL an advisory lock elects one; on SQLite there is one."""

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from hub.store.store import Store

_LEADER_LOCK = 7_365_124
"""Key of the session's advisory lock; arbitrary, the product's own."""


class Leader:
    """Holds a connection of its own for as long as it leads: losing it is losing the lead, so that
    a control that was cut off from the database and one that took over never both lead."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection: Connection | None = None

    def leads(self) -> bool:
        """Whether this control leads now; tries to become the leader when nobody is."""
        if self._store.is_sqlite:
            return True
        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                return True
            return self._campaign()
        except DBAPIError:
            self.resign()
            return False

    def resign(self) -> None:
        """Give the lead away; the database frees the lock with the connection."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _campaign(self) -> bool:
        connection = self._store.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        won = connection.execute(
            text("SELECT pg_try_advisory_lock(:key)"), {"key": _LEADER_LOCK}
        ).scalar()
        if won:
            self._connection = connection
        else:
            connection.close()
        return bool(won)
