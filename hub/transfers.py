"""Credits on their way: granted to a tenant, moved down to a course or a person, and back up.

Each movement happens once for each key. Who may move is whoever administers where it comes from.
"""

from dataclasses import dataclass

from sqlmodel import Session, select

from catalog.errors import BadValue, NotFound
from catalog.units import format_credits, parse_credits
from hub.control_context import Control
from hub.policy import Action, Actor, Object, absent, allowed, require
from hub.store import audit, money
from hub.store.ids import new_id
from hub.store.tables import MembershipRow, PersonRow, TenantRow
from hub.tenant_paths import TenantPaths
from hub.world import tenant_path
from quotas import ledger
from quotas.ledger import AccountKind, Owner


@dataclass(frozen=True, slots=True)
class Party:
    """A side of a movement: a tenant by id, or a person by login. Exactly one of the two.

    Of a person with a `course` it is the wallet that they have in that course.
    """

    tenant: str = ""
    person: str = ""
    course: str = ""

    @property
    def name(self) -> str:
        if not self.person:
            return f"tenant {self.tenant[:60]!r}"
        place = f" in {self.course[:60]!r}" if self.course else ""
        return f"person {self.person[:40]!r}{place}"


@dataclass(frozen=True, slots=True)
class _Wallet:
    """A party that exists, with its place in the tree."""

    owner: Owner
    path: tuple[str, ...]
    name: str

    @property
    def tenants_own(self) -> Object:
        """As the policy sees it: nobody's own, so that a person's relation to it is not enough."""
        return Object(None, self.path, self.name)


def amount_of(text: str) -> int:
    """What people write → micro-credits. Raises BadValue for zero, less, and the absurd."""
    amount = parse_credits(text)
    if amount <= 0:
        raise BadValue("credits: an amount is more than zero", next="write it like 25 or 0.5")
    if amount > ledger.MOST:
        raise BadValue(
            f"credits: {text.strip()[:25]} is absurd",
            next=f"at most {format_credits(ledger.MOST)} are moved at once",
        )
    return amount


def grant_to_tenant(
    control: Control, actor: Actor, tenant_id: str, amount: int, key: str
) -> None:  # fmt: skip
    """New credits in a tenant's wallet, once for each key. Raises NotFound; Conflict for a key that
    was used for another amount."""
    now = control.clock.now()
    with control.store.write() as session:
        if session.get(TenantRow, tenant_id) is None:
            raise NotFound(f"there is no tenant {tenant_id[:60]!r}", next="see the list of tenants")
        posted = money.post_same(
            session, Owner(tenant_id), ledger.grant(amount),
            money.Cause(f"grant:tenant:{tenant_id}:{key}", actor.person_id, now, "granted"),
        )  # fmt: skip
        if posted:
            audit.record(
                session, now, actor.person_id, "grant-credits", tenant_id, tenant_id,
                {"micro": amount},
            )  # fmt: skip


def transfer(
    control: Control, actor: Actor, source: Party, target: Party, amount: int, key: str
) -> None:
    """Move credits down the tree or back up, once for each key of the actor.

    Raises Forbidden or NotFound by the policy, BadValue for a way that there is not, Refused when
    the source has less, Conflict for a key that was used for something else.
    """
    with control.store.write() as session:
        transfer_within(control, session, actor, source, target, amount, key)


def transfer_within(
    control: Control, session: Session, actor: Actor, source: Party, target: Party, amount: int,
    key: str,
) -> None:  # fmt: skip
    """As `transfer`, as a part of a transaction of the caller; without a key it is one of its own."""
    now = control.clock.now()
    giver = _giver(session, actor, source)
    taker = _wallet(session, target)
    if taker is None or not _may_know(actor, giver, taker):
        raise absent(target.name)
    _demand_way(giver, taker)
    # A person's line stands in the person's statement, whichever side it is.
    about = giver.owner if giver.owner.person_id else taker.owner
    text = f"from {giver.name} to {taker.name}"
    posted = money.post_same(
        session, about, ledger.transfer(amount, giver.owner, taker.owner),
        money.Cause(
            f"transfer:{actor.person_id}:{key or new_id('t')}", actor.person_id, now, text
        ),
    )  # fmt: skip
    if posted:
        audit.record(
            session, now, actor.person_id, "transfer-credits", taker.name, giver.path[0],
            {"micro": amount, "from": giver.name},
        )  # fmt: skip


def _giver(session: Session, actor: Actor, source: Party) -> _Wallet:
    """Whoever may not take from it is not told whether it is there."""
    found = _wallet(session, source)
    if found is not None and allowed(actor, Action.TRANSFER_CREDITS, found.tenants_own):
        return found
    if source.tenant:
        require(actor, Action.TRANSFER_CREDITS, Object(None, (), source.name))
    raise absent(source.name)


def _may_know(actor: Actor, giver: _Wallet, taker: _Wallet) -> bool:
    """A tenant above the giver is no secret; all else the actor must administer."""
    above = not taker.owner.person_id and taker.path[0] in giver.path
    return above or allowed(actor, Action.TRANSFER_CREDITS, taker.tenants_own)


def _demand_way(giver: _Wallet, taker: _Wallet) -> None:
    if giver.owner == taker.owner:
        raise BadValue("to: it is where the credits come from", next="name another wallet")
    if giver.owner.person_id and taker.owner.person_id:
        raise BadValue(
            "to: credits do not go from person to person",
            next="move them to the tenant first, and from there to the other",
        )
    if not ledger.may_flow(giver.path, taker.path):
        raise BadValue(
            f"to: {taker.name} is neither below nor above {giver.name}",
            next="move them up to the tenant above both, and down from there",
        )


def _wallet(session: Session, party: Party) -> _Wallet | None:
    if bool(party.tenant) == bool(party.person):
        raise BadValue(
            "from, to: each names either a tenant or a person", next="give exactly one of the two"
        )
    if party.course and not party.person:
        raise BadValue("in: it goes with a person", next="leave it out, or name a person")
    if party.tenant:
        if session.get(TenantRow, party.tenant) is None:
            return None
        return _Wallet(Owner(party.tenant), tenant_path(session, party.tenant), party.name)
    person = session.exec(select(PersonRow).where(PersonRow.login == party.person)).first()
    if person is None:
        return None
    paths = TenantPaths(session)
    if party.course:
        return _wallet_in(session, paths, party, person)
    # Where the person belongs to a course, its wallet is the one that pays for their work.
    place = paths.payer_of(person.tenant_id)
    return _Wallet(Owner(place, person.id), paths.of(place), party.name)


def _wallet_in(
    session: Session, paths: TenantPaths, party: Party, person: PersonRow
) -> _Wallet | None:
    """Of somebody who is, or was, in a course: what they have left there can go back, too."""
    course = paths.course_of(party.course)
    owner = Owner(course, person.id)
    known = session.get(MembershipRow, (person.id, course)) is not None
    if not course or not (known or money.balance(session, owner, AccountKind.WALLET)):
        return None
    return _Wallet(owner, paths.of(course), party.name)
