"""Somebody who can write to the database at will, past what guards the audit."""

from sqlalchemy import text
from sqlmodel import Session

_ON_SQLITE = ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete")
_ON_POSTGRES = ("ALTER TABLE audit DISABLE TRIGGER audit_no_change",)


def open_audit(session: Session) -> None:
    """From here on, in this database, lines of the audit can be changed."""
    sqlite = session.get_bind().dialect.name == "sqlite"
    for statement in _ON_SQLITE if sqlite else _ON_POSTGRES:
        session.connection().execute(text(statement))
