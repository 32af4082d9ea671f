"""A new password for somebody who forgot theirs: a one-time link, never a word from mouth to mouth."""

from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from catalog.errors import AccountClosed, Conflict, NotFound
from hub.control_context import Control
from hub.people import SignIns
from hub.policy import Actor
from hub.store import audit
from hub.store.ids import hash_secret, new_id, new_secret
from hub.store.tables import IdentityRow, LinkRow, PasswordRow, PersonRow

PURPOSE = "password"
LIFE = timedelta(hours=24)
_AGAIN = "ask an administrator for a new one"


def new_link(control: Control, actor: Actor, person: PersonRow) -> tuple[str, datetime]:
    """The address at which the person sets a password, and until when. Earlier ones are dead.

    The caller has asked the policy. Raises Conflict for accounts that are closed, or belong to an
    identity provider.
    """
    now, secret = control.clock.now(), new_secret()
    with control.store.write() as session:
        _demand_local(session, person)
        for old in _open_links(session, person.id):
            session.delete(old)
        link = LinkRow(
            id=new_id("l"), purpose=PURPOSE, secret_hash=hash_secret(secret, control.pepper),
            tenant_id=person.tenant_id, person_id=person.id, created_by=actor.person_id,
            created_at=now, expires_at=now + LIFE,
        )  # fmt: skip
        session.add(link)
        audit.record(
            session, now, actor.person_id, "password-link", person.id, person.tenant_id
        )  # fmt: skip
    return f"{control.settings.url}/hub/password?token={secret}", link.expires_at


def look(control: Control, secret: str) -> PersonRow:
    """Whose link it is; using nothing up. Raises NotFound in words."""
    with control.store.read() as session:
        return session.get_one(PersonRow, _valid(control, session, secret).person_id)


def use(control: Control, sign_ins: SignIns, secret: str, password: str) -> PersonRow:
    """Consume the link: the password is set. Raises BadValue for one that is too short."""
    hashed, now = sign_ins.hash(password), control.clock.now()
    with control.store.write() as session:
        link = _valid(control, session, secret)
        person = session.get_one(PersonRow, link.person_id)
        if not person.active:
            raise AccountClosed
        link.used_at = now
        session.add(link)
        session.merge(PasswordRow(person_id=person.id, hash=hashed, changed_at=now))
        audit.record(session, now, person.id, "password-set", person.id, person.tenant_id)
    sign_ins.succeeded(person.login)
    return person


def _demand_local(session: Session, person: PersonRow) -> None:
    if not person.active:
        raise Conflict("this account is closed", next="open it first")
    has_password = session.get(PasswordRow, person.id) is not None
    identity = session.exec(select(IdentityRow.id).where(IdentityRow.person_id == person.id))
    if not has_password and identity.first() is not None:
        raise Conflict(
            "this person signs in with an identity provider", next="set the password there"
        )


def _open_links(session: Session, person_id: str) -> list[LinkRow]:
    return list(
        session.exec(
            select(LinkRow).where(
                LinkRow.purpose == PURPOSE, LinkRow.person_id == person_id,
                col(LinkRow.used_at).is_(None),
            )
        )
    )  # fmt: skip


def _valid(control: Control, session: Session, secret: str) -> LinkRow:
    link = session.exec(
        select(LinkRow).where(
            LinkRow.purpose == PURPOSE,
            LinkRow.secret_hash == hash_secret(secret, control.pepper),
        )
    ).first()
    if link is None:
        raise NotFound("this link is not known", next=_AGAIN)
    if link.used_at is not None:
        raise NotFound("this link was used already", next=_AGAIN)
    if link.expires_at <= control.clock.now():
        raise NotFound("this link has expired", next=_AGAIN)
    return link
