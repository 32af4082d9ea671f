"""People ask for more; administrators of the tenant, or above it, answer. An answer stays."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, func, or_, select

from catalog.errors import BadValue, Busy, Conflict
from hub import history, quota_desk, tenants_seen
from hub.bus import Hint
from hub.control_context import Control
from hub.policy import Action, Actor, Object, absent, allowed, require, tenant_object
from hub.quota_desk import Wish
from hub.store import audit
from hub.store.desk_tables import QuotaRequestRow
from hub.store.ids import new_id
from hub.store.tables import MembershipRow, NoticeRow, PersonRow, TenantRow
from hub.tenant_paths import TenantPaths
from hub.world import Limits
from quotas.amounts import parse_amount, write_amount
from quotas.limits import Dimension
from quotas.periods import Period, demand_period

OPEN_AT_ONCE = 5
"""Of one person."""
STATES = ("open", "approved", "denied", "withdrawn")


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for: `amount` as people write it, in all and not on top."""

    tenant: str
    dimension: Dimension
    amount: str
    period: str
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """A request as the actor sees it; `now` is the person's own limit there, None for none."""

    row: QuotaRequestRow
    login: str
    name: str
    tenant_name: str
    decided_by: str
    now: int | None
    may_decide: bool


def ask(control: Control, actor: Actor, asked: Asked) -> QuotaRequestRow:
    """Ask for more in a tenant of one's own; its administrators are told.

    Raises BadValue for what would change nothing, Conflict for what is asked for already, Busy when
    five requests are open.
    """
    amount = parse_amount(asked.dimension, asked.amount)
    demand_period(asked.dimension, Period(asked.period), person=True)
    with control.store.write() as session:
        paths = TenantPaths(session)
        path = _own_path(session, actor, paths, asked.tenant)
        require(actor, Action.ASK_QUOTA, Object(actor.person_id, path, "request"))
        _demand_more(session, actor, asked, amount)
        _demand_few(session, actor, asked)
        row = QuotaRequestRow(
            id=new_id("q"), person_id=actor.person_id, tenant_id=asked.tenant,
            dimension=asked.dimension.value, amount=amount, period=asked.period,
            reason=_words(asked.reason, "reason"), asked_at=control.clock.now(),
        )  # fmt: skip
        session.add(row)
        session.flush()
        text = f"{actor.login} asks for {_what(row)} in {_name(session, row.tenant_id)}"
        told = _tell_administrators(control, session, path, text)
        _record(control, session, actor, "ask-quota", row)
    _hint(control, told)
    return row


def decide(
    control: Control, actor: Actor, request_id: str, *, approve: bool, amount: str = "",
    answer: str = "",
) -> QuotaRequestRow:  # fmt: skip
    """Approve, perhaps another amount, which becomes the person's own limit; or deny in words.
    The person is told. Raises Conflict when it was decided or withdrawn before."""
    with control.store.write() as session:
        row = _found(session, actor, request_id)
        require(actor, Action.DECIDE_QUOTA, _tenant(session, row))
        _demand_open(row)
        dimension = Dimension(row.dimension)
        if approve:
            row.granted = parse_amount(dimension, amount) if amount else row.amount
            person = session.get_one(PersonRow, row.person_id).login
            wish = Wish(
                row.tenant_id, row.dimension, person, write_amount(dimension, row.granted),
                period=row.period,
            )  # fmt: skip
            quota_desk.make(control, session, actor, [wish])
        row.state = "approved" if approve else "denied"
        row.answer = answer.strip() if approve else _words(answer, "answer")
        row.decided_at, row.decided_by = control.clock.now(), actor.person_id
        session.add(row)
        _tell_person(control, session, row)
        _record(control, session, actor, "approve-quota" if approve else "deny-quota", row)
    control.wake()
    _hint(control, [row.person_id])
    return row


def withdraw(control: Control, actor: Actor, request_id: str) -> QuotaRequestRow:
    """The person asks no more. Raises Conflict when it was decided before."""
    with control.store.write() as session:
        row = _found(session, actor, request_id)
        path = TenantPaths(session).of(row.tenant_id)
        require(actor, Action.ASK_QUOTA, Object(row.person_id, path, f"request {request_id!r}"))
        _demand_open(row)
        row.state, row.decided_at = "withdrawn", control.clock.now()
        session.add(row)
        _record(control, session, actor, "withdraw-quota", row)
    return row


def requests(
    control: Control, actor: Actor, *, state: str = "", mine: bool = False, offset: int = 0,
    limit: int = 50,
) -> list[Told]:  # fmt: skip
    """One's own requests, and with `mine` no others; else those that one may decide too. The newest
    first, one more than `limit` where there is more."""
    query = select(QuotaRequestRow)
    own = QuotaRequestRow.person_id == actor.person_id
    if mine:
        query = query.where(own)
    elif not actor.platform_admin:
        seen = tenants_seen.seen(actor, Action.DECIDE_QUOTA)
        query = query.where(or_(own, col(QuotaRequestRow.tenant_id).in_(select(seen.c.id))))
    if state:
        query = query.where(QuotaRequestRow.state == state)
    order = query.order_by(col(QuotaRequestRow.asked_at).desc(), col(QuotaRequestRow.id))
    with control.store.read() as session:
        rows = session.exec(order.offset(offset).limit(limit + 1)).all()
        return _told(session, actor, rows)


def one(control: Control, actor: Actor, request_id: str) -> Told:
    """A request as the actor sees it."""
    with control.store.read() as session:
        return _told(session, actor, [_found(session, actor, request_id)])[0]


def _told(session: Session, actor: Actor, rows: Sequence[QuotaRequestRow]) -> list[Told]:
    ids = {row.person_id for row in rows} | {row.decided_by for row in rows}
    people = {p.id: p for p in session.exec(select(PersonRow).where(col(PersonRow.id).in_(ids)))}
    tenants = {row.tenant_id for row in rows}
    named = select(TenantRow.id, TenantRow.name).where(col(TenantRow.id).in_(tenants))
    names = dict(session.exec(named).all())
    if not rows:
        return []
    limits, paths = Limits(session), TenantPaths(session)
    return [
        Told(
            row, people[row.person_id].login, people[row.person_id].display_name,
            names.get(row.tenant_id, row.tenant_id),
            people[row.decided_by].login if row.decided_by in people else "",
            limits.scopes(row.tenant_id, row.person_id)[0].limits.get(Dimension(row.dimension)),
            allowed(actor, Action.DECIDE_QUOTA, tenant_object(paths.of(row.tenant_id))),
        )
        for row in rows
    ]  # fmt: skip


def _own_path(
    session: Session, actor: Actor, paths: TenantPaths, tenant_id: str
) -> tuple[str, ...]:
    """The way up from a tenant that the actor belongs to, or that is above one of those."""
    known = session.get(TenantRow, tenant_id) is not None
    belongs = any(tenant_id in paths.of(tenant) for tenant in actor.roles)
    if not known or not (belongs or actor.platform_admin):
        raise absent(f"tenant {tenant_id[:40]!r}")
    return paths.of(tenant_id)


def _demand_more(session: Session, actor: Actor, asked: Asked, amount: int) -> None:
    limits = Limits(session).scopes(asked.tenant, actor.person_id)[0].limits
    own, show = limits.get(asked.dimension), asked.dimension.show
    if own is None:
        raise BadValue(
            f"dimension: you have no limit of your own on {asked.dimension.label} there",
            next="what is denied to you is limited for all of the tenant: ask its administrator",
        )
    if amount <= own:
        raise BadValue(
            f"amount: you may have {show(own)} already, and ask for {show(amount)}",
            next="ask for more than that",
        )


def _demand_few(session: Session, actor: Actor, asked: Asked) -> None:
    mine = select(QuotaRequestRow).where(
        QuotaRequestRow.person_id == actor.person_id, QuotaRequestRow.state == "open"
    )
    same = mine.where(
        QuotaRequestRow.tenant_id == asked.tenant, QuotaRequestRow.dimension == asked.dimension
    )
    if session.exec(same).first() is not None:
        raise Conflict(
            f"you have asked for {asked.dimension.label} there already",
            next="wait for the answer, or withdraw that request first",
        )
    count = session.exec(select(func.count()).select_from(mine.subquery())).one()
    if count >= OPEN_AT_ONCE:
        raise Busy(f"{OPEN_AT_ONCE} requests of yours are open", next="wait for an answer")


def _words(text: str, name: str) -> str:
    """Raises BadValue for none."""
    if not text.strip():
        raise BadValue(f"{name}: it is empty", next="say why, in a few words")
    return text.strip()


def _found(session: Session, actor: Actor, request_id: str) -> QuotaRequestRow:
    row = session.get(QuotaRequestRow, request_id)
    if row is None or not (
        row.person_id == actor.person_id
        or allowed(actor, Action.DECIDE_QUOTA, _tenant(session, row))
    ):
        raise absent(f"request {request_id[:40]!r}")
    return row


def _tenant(session: Session, row: QuotaRequestRow) -> Object:
    return tenant_object(TenantPaths(session).of(row.tenant_id))


def _demand_open(row: QuotaRequestRow) -> None:
    if row.state != "open":
        raise Conflict(
            f"this request is {row.state} already",
            next="change the person's limit instead, or ask anew",
        )


def _what(row: QuotaRequestRow, amount: int | None = None) -> str:
    shown = Dimension(row.dimension).show(row.amount if amount is None else amount)
    return f"{shown}{Period(row.period).each}"


def _name(session: Session, tenant_id: str) -> str:
    return session.get_one(TenantRow, tenant_id).name


def _tell_administrators(
    control: Control, session: Session, path: Sequence[str], text: str
) -> list[str]:
    """Those of the nearest tenant that has some; the site's otherwise. Whom was told."""
    now = control.clock.now()
    for tenant in path:
        found = session.exec(
            select(MembershipRow.person_id).where(
                MembershipRow.tenant_id == tenant, MembershipRow.role == "admin"
            )
        ).all()
        for person in found:
            _notice(control, session, person, tenant, "quota-asked", text)
        if found:
            return list(found)
    history.tell_operators(session, now, "quota-asked", text)
    return []


def _tell_person(control: Control, session: Session, row: QuotaRequestRow) -> None:
    name, said = _name(session, row.tenant_id), f": {row.answer}" if row.answer else ""
    if row.state == "approved":
        text = f"you may now have {_what(row, row.granted)} in {name}{said}"
    else:
        text = f"your request for {_what(row)} in {name} was denied{said}"
    _notice(control, session, row.person_id, row.tenant_id, f"quota-{row.state}", text)


def _notice(
    control: Control, session: Session, person: str, tenant: str, kind: str, text: str
) -> None:
    session.add(
        NoticeRow(
            id=new_id("n"), person_id=person, tenant_id=tenant, kind=kind, text=text,
            at=control.clock.now(), mail_due=True,
        )
    )  # fmt: skip


def _hint(control: Control, people: Sequence[str]) -> None:
    for person in people:
        control.bus.tell(Hint("notices", person))


def _record(
    control: Control, session: Session, actor: Actor, action: str, row: QuotaRequestRow
) -> None:
    detail = {
        "request": row.id, "dimension": row.dimension, "amount": row.amount, "period": row.period,
        "granted": row.granted, "answer": row.answer,
    }  # fmt: skip
    audit.record(
        session, control.clock.now(), actor.person_id, action, row.person_id, row.tenant_id, detail
    )
