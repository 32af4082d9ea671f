"""Reading the audit: administrators of tenants see the lines of theirs."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from hub import audit_words
from hub.control_context import Control
from hub.policy import ANYBODY_OF_SITE, Action, Actor, allowed, require, tenant_object
from hub.store import audit
from hub.store.audit import Soundness
from hub.store.tables import AuditRow, PersonRow
from hub.tenant_paths import below


@dataclass(frozen=True, slots=True)
class Asked:
    """Which lines; an empty field asks nothing. `actor` and `object` are ids or logins, `tenant` is
    with all below it, `before` the id of the last line of the page before."""

    actor: str = ""
    action: str = ""
    object: str = ""
    tenant: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A line, with logins of the people that it names, and its facts in words."""

    row: AuditRow
    actor_login: str
    object_login: str
    told: dict[str, str]


def find(control: Control, actor: Actor, asked: Asked) -> list[Entry]:
    """The newest first. Raises Denied for who administers nothing."""
    roots = [t for t in actor.roles if allowed(actor, Action.READ_AUDIT, tenant_object((t,)))]
    if not roots:
        require(actor, Action.READ_AUDIT, ANYBODY_OF_SITE)
    with control.store.read() as session:
        query = select(AuditRow).order_by(col(AuditRow.id).desc()).limit(asked.limit)
        for above in ([] if actor.platform_admin else [roots]) + (
            [[asked.tenant]] if asked.tenant else []
        ):
            query = query.where(below(col(AuditRow.tenant_id), above))
        for column, wanted in (
            (col(AuditRow.actor), asked.actor), (col(AuditRow.object), asked.object),
        ):  # fmt: skip
            if wanted:
                query = query.where(column.in_([wanted, *_ids_of(session, wanted)]))
        if asked.action:
            query = query.where(AuditRow.action == asked.action)
        if asked.since:
            query = query.where(col(AuditRow.at) >= asked.since)
        if asked.until:
            query = query.where(col(AuditRow.at) < asked.until)
        if asked.before:
            query = query.where(col(AuditRow.id) < asked.before)
        rows = session.exec(query).all()
        logins = _logins(session, {id_ for row in rows for id_ in _named(row)})
    return [
        Entry(
            row, logins.get(row.actor, ""), logins.get(row.object, ""),
            audit_words.told(row.detail, logins),
        )
        for row in rows
    ]  # fmt: skip


def verify(control: Control, actor: Actor, noted: str) -> Soundness:
    """Read all of it. For administrators of the platform: it is one chain for everybody."""
    require(actor, Action.READ_AUDIT, ANYBODY_OF_SITE)
    with control.store.read() as session:
        return audit.verify(session, noted)


def _ids_of(session: Session, login: str) -> list[str]:
    return list(session.exec(select(PersonRow.id).where(PersonRow.login == login)))


def _named(row: AuditRow) -> Iterator[str]:
    """Ids of people, and of other things."""
    yield from (row.actor, row.object)
    yield from (str(row.detail[fact]) for fact in audit_words.PEOPLE if fact in row.detail)


def _logins(session: Session, ids: set[str]) -> dict[str, str]:
    query = select(PersonRow.id, PersonRow.login).where(col(PersonRow.id).in_(ids))
    return dict(session.exec(query).all())
