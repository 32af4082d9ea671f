"""Identities: pairs of issuer and subject by which providers vouch for people.

Nothing else says who somebody is. Names and addresses are for display, and two people may share
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from catalog.errors import AccountClosed, Conflict, Forbidden, NotFound
from hub import arrivals, memberships, people
from hub.arrivals import Arrival, arrive
from hub.auth.rules import Standing
from hub.control_context import Control
from hub.lifecycle import Status
from hub.lti.platforms import load_platforms
from hub.policy import ROOT_TENANT, Action, Actor, Object, absent, require
from hub.store import audit
from hub.store.course_tables import RosterRow
from hub.store.ids import new_id
from hub.store.tables import IdentityRow, PasswordRow, PersonRow, WorkloadRow

_LIVE = [status.value for status in Status if status.live]


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a provider proved of somebody; `claims` is all that it says of them."""

    issuer: str
    subject: str
    display_name: str = ""
    email: str = ""
    session_id: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    sub: str = ""
    """What the provider's logouts call them, where that is not `subject`."""


def sign_in(control: Control, vouched: Vouched) -> tuple[PersonRow, Arrival]:
    """The person behind an identity that a provider proved; created on first sight.

    Opens an account that this very provider had closed. Raises Forbidden for whom its rules do not
    admit, AccountClosed.
    """
    with control.store.write() as session:
        person = find_or_add(control, session, vouched)
        if not people.reopen(
            control, session, person, vouched.issuer, by=closed_by(vouched.issuer)
        ):
            raise people.account_closed(person)
        arrival = _arrive(control, session, person, vouched)
        if not arrival.admitted:
            raise not_admitted()
    people.note_sign_in(control, person, vouched.issuer)
    return person, arrival


def find_or_add(
    control: Control, session: Session, vouched: Vouched, *, role: str | None = None
) -> PersonRow:
    """The person of an identity, added on first sight; name and address are taken anew.

    A newcomer belongs where the provider's rules say, else to the root with `role` (by default as
    the rules say, or a member where an issuer has none). The Hub's name for them is minted: nothing
    that a provider says can collide with another's. Raises Forbidden for a newcomer whom its rules
    do not admit.
    """
    found = identity_of(session, vouched.issuer, vouched.subject)
    if found is None:
        person = _newcomer(control, session, vouched, role)
        found = _add_identity(control, session, person, vouched)
    person = session.get_one(PersonRow, found.person_id)
    person.display_name = vouched.display_name[:80] or person.display_name
    person.email = vouched.email[:200] or person.email
    found.session_id = vouched.session_id[:200] or found.session_id
    found.sub = vouched.sub
    session.add_all([person, found])
    session.flush()
    return person


def refresh(control: Control, vouched: Vouched) -> tuple[PersonRow, Arrival]:
    """The provider was asked again. `admitted` is False when its rules do not let the person in any
    more: the caller closes the account. Raises NotFound for an identity that is not known (it was
    unlinked), AccountClosed for an account that is closed: only a sign-in opens it."""
    with control.store.write() as session:
        person = find(session, vouched.issuer, vouched.subject)
        if not person.active:
            raise AccountClosed
        arrival = _arrive(control, session, person, vouched)
        if arrival.admitted and vouched.display_name:
            person.display_name = vouched.display_name[:80]
        session.add(person)
    return person, arrival


def refused(control: Control, issuer: str, subject: str) -> PersonRow | None:
    """Of whom a provider says that they are not there any more; None when nobody is known so."""
    with control.store.read() as session:
        found = identity_of(session, issuer, subject)
        return session.get(PersonRow, found.person_id) if found else None


def logged_out(control: Control, issuer: str, subject: str) -> PersonRow | None:
    """As `refused`, for a subject as the provider's logouts have it."""
    return next(iter(of_logout(control, issuer, subject, "")), None) if subject else None


def link(control: Control, hub_name: str, vouched: Vouched) -> tuple[PersonRow, Arrival]:
    """A second identity for somebody who is signed in and has just proved it too. Again is fine.

    Raises Conflict when it is another person's: two accounts are never merged.
    """
    with control.store.write() as session:
        person = session.exec(select(PersonRow).where(PersonRow.hub_name == hub_name)).first()
        if person is None or not person.active:
            raise AccountClosed
        found = identity_of(session, vouched.issuer, vouched.subject)
        if found is not None and found.person_id != person.id:
            raise Conflict(
                "this sign-in belongs to another account here, and accounts are not merged",
                next="sign in with it to see which, or ask your administrator",
            )
        if found is None:
            found = _add_identity(control, session, person, vouched)
            found.sub = vouched.sub
            _note(control, session, person, "identity-linked", found)
        arrival = _arrive(control, session, person, vouched)
        if not arrival.admitted:
            raise not_admitted()
    return person, arrival


def unlink(control: Control, actor: Actor, identity_id: str) -> tuple[PersonRow, Arrival]:
    """A way in is given up, and with it what its provider's rules or its learning system gave.
    Whose it was. Raises NotFound; Conflict for the last way into the account."""
    systems = load_platforms(control.settings.lti_file)
    with control.store.write() as session:
        found = session.get(IdentityRow, identity_id)
        if found is None or (found.person_id != actor.person_id and not actor.platform_admin):
            raise absent(f"identity {identity_id[:40]!r}")
        person = session.get_one(PersonRow, found.person_id)
        require(actor, Action.LINK_IDENTITY, Object(person.id, (person.tenant_id,), identity_id))
        if not _other_way(session, found):
            raise Conflict(
                "it is the only way to sign in to this account",
                next="link another one first",
            )
        _note(control, session, person, "identity-unlinked", found)
        reasons = {p.source for p in systems if p.identity_issuer == found.issuer}
        reasons |= _leave_lines(session, found) | {arrivals.source_of(found.issuer)}
        session.delete(found)
        session.flush()
        gone = [
            arrivals.depart(control, session, person, reason, actor.person_id)
            for reason in sorted(reasons)
        ]
        lost = frozenset[str]().union(*(one.lost for one in gone))
        return person, Arrival(admitted=True, lost=lost)


def of_person(session: Session, person_id: str) -> list[IdentityRow]:
    """The oldest first."""
    return list(
        session.exec(
            select(IdentityRow)
            .where(IdentityRow.person_id == person_id)
            .order_by(col(IdentityRow.created_at), IdentityRow.id)
        ).all()
    )


def removable(session: Session, row: IdentityRow) -> bool:
    """Whether another way into the account is left without it."""
    return _other_way(session, row)


def of_logout(control: Control, issuer: str, subject: str, session_id: str) -> list[PersonRow]:
    """Who a back-channel logout is about: by subject, or else by the provider's session."""
    with control.store.read() as session:
        query = select(PersonRow).join(IdentityRow).where(IdentityRow.issuer == issuer)
        if subject:
            query = query.where(
                (IdentityRow.sub == subject)
                | ((IdentityRow.sub == "") & (IdentityRow.subject == subject))
            )
        else:
            query = query.where(IdentityRow.session_id == session_id, IdentityRow.session_id != "")
        return list(session.exec(query))


def at_work(control: Control) -> list[str]:
    """Hub names of people with an identity and live work: their providers are asked about them
    although they may ask nothing of us."""
    with control.store.read() as session:
        query = (
            select(PersonRow.hub_name)
            .join(WorkloadRow, col(WorkloadRow.person_id) == PersonRow.id)
            .join(IdentityRow, col(IdentityRow.person_id) == PersonRow.id)
            .where(col(WorkloadRow.status).in_(_LIVE), col(PersonRow.active))
            .distinct()
        )
        return sorted(session.exec(query))


def identity_of(session: Session, issuer: str, subject: str) -> IdentityRow | None:
    """The identity, if it is known."""
    return session.exec(
        select(IdentityRow).where(IdentityRow.issuer == issuer, IdentityRow.subject == subject)
    ).first()


def find(session: Session, issuer: str, subject: str) -> PersonRow:
    """The person of an identity. Raises NotFound."""
    found = identity_of(session, issuer, subject)
    if found is None:
        raise NotFound("nobody here has this identity", next="sign in with it first")
    return session.get_one(PersonRow, found.person_id)


def closed_by(issuer: str) -> str:
    """`PersonRow.closed_by` of an account that a provider closed."""
    return f"provider:{issuer}"


def not_admitted() -> Forbidden:
    """For whom a provider knows and its rules here do not let in."""
    return Forbidden(
        "this site does not admit your account",
        next="ask your administrator, or sign in with another account",
    )


def _arrive(control: Control, session: Session, person: PersonRow, vouched: Vouched) -> Arrival:
    return arrive(control, session, person, vouched.issuer, vouched.claims)


def _newcomer(control: Control, session: Session, vouched: Vouched, role: str | None) -> PersonRow:
    provider = control.providers.get(vouched.issuer)
    standing = Standing(admitted=True, roles={ROOT_TENANT: "member"})
    if provider is not None:
        standing = provider.standing(vouched.claims)
    if not standing.admitted:
        raise not_admitted()
    roles = arrivals.known_roles(session, standing)
    home = next((t for t in (standing.home, ROOT_TENANT, *roles) if t in roles), ROOT_TENANT)
    hub_name = new_id("u")
    return people.add_person(
        control, session, hub_name, hub_name, vouched.display_name[:80], vouched.email[:200],
        home, roles.get(home, "") if role is None else role, actor=vouched.issuer,
        source=arrivals.source_of(vouched.issuer) if provider else memberships.MANUAL,
        starter=not standing.credits.get(home),
    )  # fmt: skip


def _add_identity(
    control: Control, session: Session, person: PersonRow, vouched: Vouched
) -> IdentityRow:
    row = IdentityRow(
        id=new_id("i"), person_id=person.id, issuer=vouched.issuer, subject=vouched.subject,
        created_at=control.clock.now(),
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row


def _leave_lines(session: Session, row: IdentityRow) -> set[str]:
    """The lines that a learning system has for this identity wait again for whoever comes with it;
    the reasons of the roles that they gave."""
    lines = session.exec(
        select(RosterRow).where(
            RosterRow.person_id == row.person_id, RosterRow.issuer == row.issuer,
            RosterRow.key == row.subject, col(RosterRow.source).startswith("lti:"),
        )
    ).all()  # fmt: skip
    for line in lines:
        line.person_id, line.joined_at = None, None
        session.add(line)
    session.flush()
    return {line.source for line in lines}


def _other_way(session: Session, row: IdentityRow) -> bool:
    if session.get(PasswordRow, row.person_id) is not None:
        return True
    return any(other.id != row.id for other in of_person(session, row.person_id))


def _note(
    control: Control, session: Session, person: PersonRow, action: str, row: IdentityRow
) -> None:
    audit.record(
        session, control.clock.now(), person.id, action, person.id, person.tenant_id,
        {"issuer": row.issuer, "identity": row.id},
    )  # fmt: skip
