"""Persons: sign-in, one-time links, invitations, activation."""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import func
from sqlmodel import Session, col, select

from catalog.errors import AccountClosed, BadValue, Busy, Conflict, Forbidden, NotFound, NotSignedIn
from catalog.units import parse_credits
from hub import memberships
from hub.control_context import Control
from hub.policy import PLATFORM_ADMIN_ROLE, ROOT_TENANT, Actor, absent
from hub.rare import Rarely
from hub.store import audit, money
from hub.store.course_tables import CourseRow
from hub.store.ids import hash_secret, new_id, new_secret
from hub.store.tables import (
    LinkRow,
    MembershipRow,
    PasswordRow,
    PersonRow,
    QuotaRow,
    TenantRow,
)
from hub.tenant_paths import TenantPaths
from quotas import ledger
from quotas.limits import Dimension

ADMIN_LOGIN = "admin"
LINK_LIFE = timedelta(hours=24)
INVITATION_LIFE = timedelta(days=7)
EACH_PERSON = "*"
_LOGIN = re.compile(r"[a-z][a-z0-9._-]{1,31}")
_MIN_PASSWORD = 10
_MAX_PASSWORD = 256
_TRIES, _TRY_WINDOW = 8, timedelta(minutes=5)
_REFUSALS_SPAN, _MOST_REFUSALS = timedelta(minutes=1), 30
DEFAULT_QUOTA = {
    Dimension.GPU: 2000,
    Dimension.CPU: 16_000,
    Dimension.MEMORY: 64 * 2**30,
    Dimension.WORKLOADS: 20,
}
"""Of each person, until somebody changes it."""


@dataclass(frozen=True, slots=True)
class NewPerson:
    """What is asked of somebody who creates an account."""

    login: str
    password: str
    display_name: str = ""
    email: str = ""


class SignIns:
    """Passwords and how often they were tried. A check takes 64 MiB, and for a moment all of the
    machine: `hub.api.internal` lets people in one after another."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._failures: dict[str, list[datetime]] = {}
        # Verified when the login does not exist, so that the answer takes as long.
        self._decoy = self._hasher.hash(new_secret())

    def hash(self, password: str) -> str:
        """Raises BadValue for a password that is too short or too long."""
        if not _MIN_PASSWORD <= len(password) <= _MAX_PASSWORD:
            raise BadValue(
                f"a password has {_MIN_PASSWORD} to {_MAX_PASSWORD} characters",
                next="choose a longer one" if len(password) < _MIN_PASSWORD else "shorten it",
            )
        return self._hasher.hash(password)

    def verify(self, stored: str | None, password: str) -> bool:
        """Constant work whether or not there is an account."""
        try:
            return self._hasher.verify(stored or self._decoy, password[:_MAX_PASSWORD]) and bool(
                stored
            )
        except (VerificationError, InvalidHashError):
            return False

    def slow_down(self, login: str, now: datetime) -> None:
        """Raise Busy after too many failures for this login."""
        recent = [at for at in self._failures.get(login, []) if now - at < _TRY_WINDOW]
        self._failures[login] = recent
        if len(recent) >= _TRIES:
            raise Busy(
                "too many wrong passwords for this account",
                next="wait five minutes, then try again",
            )

    def failed(self, login: str, now: datetime) -> None:
        if len(self._failures) > 10_000:  # a bound on memory under attack
            self._failures.clear()
        self._failures.setdefault(login, []).append(now)

    def succeeded(self, login: str) -> None:
        self._failures.pop(login, None)


def prepare_site(control: Control) -> None:
    """The root tenant, its quotas and the first administrator's account; safe to repeat."""
    now = control.clock.now()
    with control.store.write() as session:
        if session.get(TenantRow, ROOT_TENANT) is None:
            session.add(TenantRow(id=ROOT_TENANT, name="Main", created_at=now))
            session.flush()
            for dimension, limit in DEFAULT_QUOTA.items():
                session.add(
                    QuotaRow(
                        tenant_id=ROOT_TENANT, person_id=EACH_PERSON, dimension=dimension,
                        limit=limit,
                    )
                )  # fmt: skip
            if budget := parse_credits(control.settings.tenant_credits):
                session.add(
                    QuotaRow(
                        tenant_id=ROOT_TENANT, person_id="", dimension=Dimension.CREDITS,
                        limit=budget,
                    )
                )  # fmt: skip
            session.flush()
        if _by_login(session, ADMIN_LOGIN) is None:
            add_person(
                control, session, ADMIN_LOGIN, ADMIN_LOGIN, "Administrator", "",
                ROOT_TENANT, PLATFORM_ADMIN_ROLE, actor="system",
            )  # fmt: skip


def add_person(  # noqa: PLR0913 (a row's worth of facts, used by three doors below)
    control: Control, session: Session, login: str, hub_name: str, display_name: str, email: str,
    tenant_id: str, role: str, *, actor: str, source: str = memberships.MANUAL,
    starter: bool = True,
) -> PersonRow:  # fmt: skip
    """A new person with a membership (without one if `role` is empty) and starter credits. Raises
    Conflict if the login is taken, Forbidden where a second person could read the first one's
    files."""
    now = control.clock.now()
    if _by_login(session, login) is not None:
        raise Conflict(f"the name {login!r} is taken", next="choose another")
    _second_person(control, session)
    uid = _next_uid(control, session) if control.settings.is_root else None
    person = PersonRow(
        id=new_id("p"), login=login, hub_name=hub_name, display_name=display_name or login,
        email=email, uid=uid, tenant_id=tenant_id, created_at=now,
    )  # fmt: skip
    session.add(person)
    session.flush()
    if role:
        memberships.give(session, person.id, tenant_id, source, role, now)
    amount = parse_credits(control.settings.starter_credits) if starter else 0
    if amount > 0:
        money.post(
            session, money.Owner(TenantPaths(session).payer_of(tenant_id), person.id),
            ledger.grant(amount), money.Cause(f"starter:{person.id}", actor, now, "starter credits"),
        )  # fmt: skip
    audit.record(session, now, actor, "person-added", person.id, tenant_id, {"role": role})
    return person


def _second_person(control: Control, session: Session) -> None:
    if control.settings.is_root or control.settings.trust_everyone:
        return
    if session.exec(select(func.count()).select_from(PersonRow)).one() >= 1:
        raise Forbidden(
            "this site runs without root, so people's files cannot be kept apart:"
            " it serves one person",
            next="start it as root, or with PERIJOVE_TRUST_EVERYONE=true if all trust each other",
        )


def _next_uid(control: Control, session: Session) -> int:
    """Above every uid that a row has, and above the owner of every home on this machine: a home
    that outlived its database, or another installation's, must not pass to a newcomer."""
    highest = session.exec(select(func.max(PersonRow.uid))).one() or 0
    homes = control.settings.spaces_dir.parent.glob("*/homes/*")
    owners: list[int] = []
    for home in homes:
        with contextlib.suppress(FileNotFoundError):  # removed just now
            owners.append(home.lstat().st_uid)
    return max(highest + 1, *(owner + 1 for owner in owners), control.settings.first_uid)


def plain_login(typed: str) -> str:
    """As logins are kept, however somebody typed theirs."""
    return typed.strip().lower()


def sign_in(control: Control, sign_ins: SignIns, login: str, password: str) -> PersonRow:
    """A local account by password. Raises NotSignedIn or Busy, in words that tell nothing."""
    now, login = control.clock.now(), plain_login(login)
    sign_ins.slow_down(login, now)
    with control.store.read() as session:
        person = _by_login(session, login)
        row = session.get(PasswordRow, person.id) if person else None
    right = sign_ins.verify(row.hash if row else None, password)
    if not right or person is None or not person.active:
        sign_ins.failed(login, now)
        with control.store.write() as session:
            audit.record(
                session, now, "anonymous", "sign-in-refused", "password", ROOT_TENANT,
                {"login": login[:60]},
            )  # fmt: skip
        raise NotSignedIn("the name or the password is wrong", next="try again")
    sign_ins.succeeded(login)
    note_sign_in(control, person, "password")
    return person


def note_sign_in(control: Control, person: PersonRow, how: str) -> None:
    """In the audit: by password, by a link, by which issuer."""
    with control.store.write() as session:
        audit.record(session, control.clock.now(), person.id, "sign-in", how, person.tenant_id)


def note_refused(control: Control, refusals: Rarely, how: str, why: str) -> None:
    """In the audit: somebody was not let in by this provider or learning system. Of each no more than
    30 in a minute, so that nobody fills the audit from outside."""
    now = control.clock.now()
    if not refusals.fewer(how, now, _REFUSALS_SPAN, _MOST_REFUSALS):
        return
    with control.store.write() as session:
        audit.record(
            session, now, "anonymous", "sign-in-refused", how, ROOT_TENANT, {"why": why[:200]}
        )


def admin_link(control: Control, *, if_needed: bool = False) -> tuple[str, datetime] | None:
    """A fresh one-time link for the first administrator; older ones die. With `if_needed`: None
    when somebody has set the administrator's password or used a link already."""
    now = control.clock.now()
    with control.store.write() as session:
        admin = _by_login(session, ADMIN_LOGIN)
        used = session.exec(
            select(LinkRow).where(LinkRow.purpose == "admin", col(LinkRow.used_at).is_not(None))
        ).first()
        if if_needed and (used or (admin and session.get(PasswordRow, admin.id))):
            return None
        for old in session.exec(
            select(LinkRow).where(LinkRow.purpose == "admin", col(LinkRow.used_at).is_(None))
        ):
            session.delete(old)
        link, secret = _new_link(
            control, "admin", ROOT_TENANT, PLATFORM_ADMIN_ROLE, "", "system", now + LINK_LIFE
        )
        session.add(link)
        audit.record(session, now, "system", "admin-link", link.id, ROOT_TENANT)
    return f"{control.settings.url}/hub/welcome?token={secret}", link.expires_at


def invite(
    control: Control, actor: Actor, tenant_id: str, role: str, email: str
) -> tuple[str, datetime]:
    """A link that creates one account in a tenant."""
    with control.store.write() as session:
        if session.get(TenantRow, tenant_id) is None:
            raise NotFound(f"there is no tenant {tenant_id!r}", next="see `perijove quota`")
        link, url = invite_within(control, session, actor, tenant_id, role, email)
    return url, link.expires_at


def invite_within(
    control: Control, session: Session, actor: Actor, tenant_id: str, role: str, email: str
) -> tuple[LinkRow, str]:
    """As `invite`, as a part of a transaction; the link, and its address, which is stored nowhere."""
    now = control.clock.now()
    _second_person(control, session)
    link, secret = _new_link(
        control, "invitation", tenant_id, role, email, actor.person_id, now + INVITATION_LIFE
    )
    session.add(link)
    audit.record(session, now, actor.person_id, "invite", link.id, tenant_id, {"role": role})
    return link, f"{control.settings.url}/hub/invitation?token={secret}"


def _new_link(
    control: Control, purpose: str, tenant_id: str, role: str, email: str, created_by: str,
    expires_at: datetime,
) -> tuple[LinkRow, str]:  # fmt: skip
    secret = new_secret()
    link = LinkRow(
        id=new_id("l"), purpose=purpose, secret_hash=hash_secret(secret, control.pepper),
        tenant_id=tenant_id, role=role, email=email, created_by=created_by,
        created_at=control.clock.now(), expires_at=expires_at,
    )  # fmt: skip
    return link, secret


def look_at_link(control: Control, purpose: str, secret: str) -> LinkRow:
    """A link that could be used now; using nothing up. Raises NotFound in words."""
    with control.store.read() as session:
        return _valid_link(control, session, purpose, secret)


def use_admin_link(control: Control, sign_ins: SignIns, secret: str, password: str) -> PersonRow:
    """Consume the link: signs in the first administrator, and sets the password if one is given."""
    now = control.clock.now()
    hashed = sign_ins.hash(password) if password else None
    with control.store.write() as session:
        link = _valid_link(control, session, "admin", secret)
        link.used_at = now
        session.add(link)
        person = _by_login(session, ADMIN_LOGIN)
        if person is None or not person.active:
            raise NotFound("there is no first administrator", next="run `perijove doctor`")
        if hashed:
            session.merge(PasswordRow(person_id=person.id, hash=hashed, changed_at=now))
        audit.record(session, now, person.id, "sign-in", "admin-link", ROOT_TENANT)
    return person


def use_invitation(
    control: Control, sign_ins: SignIns, secret: str, new: NewPerson,
    then: Callable[[Session, PersonRow, LinkRow], None] = lambda *_: None,
) -> PersonRow:  # fmt: skip
    """Consume the link: creates a local account in its tenant. `then` belongs to the same
    transaction."""
    login = plain_login(new.login)
    if not _LOGIN.fullmatch(login):
        raise BadValue(
            "a name has 2 to 32 lower-case letters, digits, dots or dashes, a letter first",
            next="choose another name",
        )
    hashed, now = sign_ins.hash(new.password), control.clock.now()
    with control.store.write() as session:
        link = _valid_link(control, session, "invitation", secret)
        link.used_at = now
        session.add(link)
        person = add_person(
            control, session, login, login, new.display_name.strip()[:80],
            (new.email or link.email)[:200], link.tenant_id, link.role, actor=link.created_by,
            starter=not _is_in_course(session, link.tenant_id),
        )  # fmt: skip
        session.add(PasswordRow(person_id=person.id, hash=hashed, changed_at=now))
        then(session, person, link)
    return person


def _is_in_course(session: Session, tenant_id: str) -> bool:
    """A course has credits of its own for its people."""
    return session.get(CourseRow, TenantPaths(session).course_of(tenant_id)) is not None


def _valid_link(control: Control, session: Session, purpose: str, secret: str) -> LinkRow:
    link = session.exec(
        select(LinkRow).where(
            LinkRow.purpose == purpose,
            LinkRow.secret_hash == hash_secret(secret, control.pepper),
        )
    ).first()
    again = (
        "run `perijove admin-link` on the machine for a new one"
        if purpose == "admin"
        else "ask whoever invited you for a new one"
    )
    if link is None:
        raise NotFound("this link is not known", next=again)
    if link.used_at is not None:
        raise NotFound("this link was used already", next=again)
    if link.expires_at <= control.clock.now():
        raise NotFound("this link has expired", next=again)
    return link


def actor_of(control: Control, hub_name: str) -> Actor:
    """The person behind a Hub name. Raises AccountClosed; NotSignedIn when there is none."""
    with control.store.read() as session:
        person = session.exec(select(PersonRow).where(PersonRow.hub_name == hub_name)).first()
        if person is None:
            raise NotSignedIn("nobody here has this name", next="sign in again")
        if not person.active:
            raise account_closed(person)
        return actor_from(session, person)


def actor_from(session: Session, person: PersonRow) -> Actor:
    roles = session.exec(select(MembershipRow).where(MembershipRow.person_id == person.id)).all()
    return Actor(
        person.id, person.login, person.hub_name, person.tenant_id,
        {row.tenant_id: row.role for row in roles},
    )  # fmt: skip


def by_login(control: Control, login: str) -> PersonRow:
    """Raises NotFound."""
    with control.store.read() as session:
        person = _by_login(session, login)
    if person is None:
        raise absent(f"person {login[:40]!r}")
    return person


def set_active(control: Control, actor: Actor, person: PersonRow, *, active: bool) -> None:
    """Close or reopen an account, as an administrator. Closing is completed by the caller:
    sessions, tokens, servers."""
    if person.id == actor.person_id and not active:
        raise Conflict("you cannot close your own account", next="ask another administrator")
    with control.store.write() as session:
        row = session.get_one(PersonRow, person.id)
        if active:
            reopen(control, session, row, actor.person_id)
        else:
            shut(control, session, row, ADMIN_CLOSED, actor.person_id)


ADMIN_CLOSED = "admin"
"""`PersonRow.closed_by` of an account that only an administrator opens again."""


def account_closed(row: PersonRow) -> AccountClosed:
    """What somebody is told whose account is closed: who can open it."""
    if row.closed_by.startswith("provider:"):
        return AccountClosed(
            "your sign-in provider does not vouch for you any more, so this account is closed",
            next="sign in again if you still belong there, or ask an administrator",
        )
    return AccountClosed()


def shut(control: Control, session: Session, row: PersonRow, by: str, actor: str) -> bool:
    """The account is closed by ``admin``, ``provider:ISSUER`` or ``scim:KEY``. Of several the weightiest
    word counts, an administrator's before a service's before a provider's: or somebody whom a
    service shut out could come back by signing in. Whether anything changed. The caller ends
    sessions, tokens and servers."""
    if not row.active and _weight(by) <= _weight(row.closed_by):
        return False
    row.active, row.closed_by = False, by
    session.add(row)
    audit.record(
        session, control.clock.now(), actor, "person-deactivated", row.id, row.tenant_id,
        {"closed_by": by},
    )  # fmt: skip
    return True


def _weight(closed_by: str) -> int:
    return 2 if closed_by == ADMIN_CLOSED else int(closed_by.startswith("scim:"))


def reopen(control: Control, session: Session, row: PersonRow, actor: str, by: str = "") -> bool:
    """The account is open. `by`: only if that closed it; an administrator leaves it empty. Whether
    it is open now."""
    if row.active:
        return True
    if by and row.closed_by != by:
        return False
    row.active, row.closed_by = True, ""
    session.add(row)
    audit.record(session, control.clock.now(), actor, "person-activated", row.id, row.tenant_id)
    return True


def grant_credits(control: Control, actor: Actor, person: PersonRow, amount: int, key: str) -> None:
    """More credits for a person, once for each key. Raises BadValue unless positive, Conflict for a
    key that was used for another amount."""
    if amount <= 0:
        raise BadValue("a grant is more than zero", next="write it like 25 or 0.5")
    now = control.clock.now()
    with control.store.write() as session:
        posted = money.post_same(
            session, money.Owner(person.tenant_id, person.id), ledger.grant(amount),
            money.Cause(f"grant:{person.id}:{key}", actor.person_id, now, "granted"),
        )  # fmt: skip
        if posted:
            audit.record(
                session, now, actor.person_id, "grant-credits", person.id, person.tenant_id,
                {"micro": amount},
            )  # fmt: skip


def _by_login(session: Session, login: str) -> PersonRow | None:
    return session.exec(select(PersonRow).where(PersonRow.login == login)).first()
