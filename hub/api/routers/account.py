"""What a person sees of themselves: the meter, the statement, notices."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import func
from sqlmodel import Session, col, select

from catalog.errors import NotFound
from catalog.units import format_credits
from hub import launching
from hub.api import schema
from hub.api.access import ActorArg, ControlArg, does
from hub.api.views import budget_lines, fair_share_lines, gpu_hours, meter, tenant_names
from hub.picture import look
from hub.policy import ANYBODY, Action, Actor, absent, require
from hub.site import site_view
from hub.store import money
from hub.store.course_tables import CourseRow
from hub.store.tables import (
    AccountRow,
    AttemptRow,
    EntryRow,
    NoticeRow,
    PersonRow,
    PostingRow,
    TenantRow,
    WorkloadRow,
)
from hub.tenant_paths import TenantPaths
from quotas.ledger import AccountKind

router = APIRouter()
_KINDS = {"balance": AccountKind.WALLET, "held": AccountKind.HELD, "spent": AccountKind.SPENT}


@router.get("/me", **does(Action.READ_SELF))
def me(control: ControlArg, actor: ActorArg) -> schema.Me:
    """You, what is left of your quotas, and what every screen has to say about this site."""
    require(actor, Action.READ_SELF, ANYBODY)
    picture = look(control, actor)
    with control.store.read() as session:
        standing = launching.standing_of(control, session, actor, picture)
        held, spent = _account(session, actor, "held"), _account(session, actor, "spent")
        unread = session.exec(
            select(func.count())
            .select_from(NoticeRow)
            .where(NoticeRow.person_id == actor.person_id, col(NoticeRow.read_at).is_(None))
        ).one()
        person = session.get_one(PersonRow, actor.person_id)
        shown = person_view(session, person, dict(actor.roles))
        wallets = _wallets(session, actor)
    return schema.Me(
        person=shown,
        platform_admin=actor.platform_admin,
        balance=format_credits(standing.balance),
        held=format_credits(held),
        spent=format_credits(spent),
        meter=[*budget_lines(control, standing), *meter(standing, held, spent)],
        fair_share=fair_share_lines(standing),
        site=site_view(control, admin=actor.platform_admin),
        unread=unread,
        wallets=wallets,
    )


@router.get("/usage", **does(Action.READ_USAGE))
def usage(
    control: ControlArg, actor: ActorArg,
    cursor: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    tenant: Annotated[str, Query(max_length=60)] = "",
) -> schema.Usage:  # fmt: skip
    """Your statement: every movement of your own credits, or of yours in the course `tenant`, the
    newest first."""
    require(actor, Action.READ_USAGE, ANYBODY)
    with control.store.read() as session:
        owner = _owner(session, actor, tenant)
        lines = _statement(session, owner, cursor, limit)
        mine = session.exec(
            select(AttemptRow).where(
                AttemptRow.person_id == actor.person_id,
                (AttemptRow.payer == owner.tenant_id)
                if tenant
                else col(AttemptRow.id).is_not(None),
            )
        ).all()
        balance = money.balance(session, owner, AccountKind.WALLET)
        held = money.balance(session, owner, AccountKind.HELD)
        spent = money.balance(session, owner, AccountKind.SPENT)
    return schema.Usage(
        balance=format_credits(balance),
        held=format_credits(held),
        spent=format_credits(spent),
        gpu_hours=gpu_hours(mine, control.clock.now()),
        items=lines,
        next=lines[-1].id if len(lines) == limit else None,
    )


@router.get("/notices", **does(Action.READ_SELF))
def notices(control: ControlArg, actor: ActorArg) -> schema.Page[schema.Notice]:
    """What you should know, the newest first."""
    require(actor, Action.READ_SELF, ANYBODY)
    with control.store.read() as session:
        rows = session.exec(
            select(NoticeRow)
            .where(NoticeRow.person_id == actor.person_id)
            .order_by(col(NoticeRow.at).desc())
            .limit(100)
        ).all()
    return schema.Page(items=[_notice(row) for row in rows], next=None)


@router.post("/notices/{notice_id}/read", **does(Action.READ_SELF))
def read_notice(notice_id: str, control: ControlArg, actor: ActorArg) -> schema.Notice:
    """Mark one as read; `all` marks every one and answers the newest."""
    require(actor, Action.READ_SELF, ANYBODY)
    now = control.clock.now()
    with control.store.write() as session:
        query = select(NoticeRow).where(NoticeRow.person_id == actor.person_id)
        if notice_id != "all":
            query = query.where(NoticeRow.id == notice_id)
        rows = session.exec(query.order_by(col(NoticeRow.at).desc())).all()
        if not rows:
            raise NotFound("there is no such notice", next="see the list of notices")
        for row in rows:
            row.read_at = row.read_at or now
            session.add(row)
    return _notice(rows[0])


def person_view(session: Session, person: PersonRow, roles: dict[str, str]) -> schema.PersonView:
    """A person with their roles and what they can spend."""
    names = tenant_names(session)
    owner = money.Owner(TenantPaths(session).payer_of(person.tenant_id), person.id)
    return schema.PersonView(
        login=person.login,
        display_name=person.display_name,
        email=person.email,
        active=person.active,
        hub_name=person.hub_name,
        memberships=[
            schema.MembershipView(tenant=tenant, tenant_name=names.get(tenant, tenant), role=role)
            for tenant, role in roles.items()
        ],
        balance=format_credits(money.balance(session, owner, AccountKind.WALLET)),
    )


def _account(session: Session, actor: Actor, kind: str) -> int:
    return money.balance(session, _owner(session, actor, ""), AccountKind(kind))


def _owner(session: Session, actor: Actor, tenant_id: str) -> money.Owner:
    """Whose wallet: theirs in a course, where they have or had one, or their own. Raises NotFound."""
    paths = TenantPaths(session)
    if not tenant_id:
        return money.Owner(paths.payer_of(actor.tenant_id), actor.person_id)
    owner = money.Owner(paths.payer_of(tenant_id), actor.person_id)
    had = session.exec(
        select(AccountRow.id).where(
            AccountRow.tenant_id == owner.tenant_id, AccountRow.person_id == owner.person_id
        )
    ).first()
    if had is None and tenant_id not in actor.roles:
        raise absent(f"tenant {tenant_id[:40]!r}")
    return owner


def _wallets(session: Session, actor: Actor) -> list[schema.Wallet]:
    """In each course that they are in."""
    rows = session.exec(
        select(TenantRow.id, TenantRow.name)
        .join(CourseRow, col(CourseRow.tenant_id) == TenantRow.id)
        .where(col(TenantRow.id).in_(actor.roles))
        .order_by(TenantRow.name, TenantRow.id)
    ).all()
    accounts = session.exec(
        select(AccountRow.tenant_id, AccountRow.kind, AccountRow.balance).where(
            AccountRow.person_id == actor.person_id,
            col(AccountRow.tenant_id).in_([course for course, _ in rows]),
        )
    ).all()
    found = {(tenant, kind): amount for tenant, kind, amount in accounts}
    return [
        schema.Wallet(
            course=course, name=name,
            **{
                word: format_credits(found.get((course, kind.value), 0))
                for word, kind in _KINDS.items()
            },
        )
        for course, name in rows
    ]  # fmt: skip


def _statement(
    session: Session, owner: money.Owner, cursor: int, limit: int
) -> list[schema.UsageLine]:
    """Postings about this wallet; the amounts of all of them add up to the balance."""
    query = (
        select(PostingRow, func.coalesce(WorkloadRow.name, ""))
        .join(WorkloadRow, col(WorkloadRow.id) == PostingRow.workload_id, isouter=True)
        .where(PostingRow.person_id == owner.person_id, PostingRow.tenant_id == owner.tenant_id)
        .order_by(col(PostingRow.id).desc())
        .limit(limit)
    )
    if cursor:
        query = query.where(col(PostingRow.id) < cursor)
    rows = session.exec(query).all()
    ids = [posting.id or 0 for posting, _ in rows]
    amounts = _changes(session, owner, ids, AccountKind.WALLET)
    paid = _changes(session, owner, ids, AccountKind.SPENT)
    return [
        schema.UsageLine(
            id=str(posting.id), at=posting.at, kind=posting.kind,
            amount=format_credits(amounts.get(posting.id or 0, 0)),
            workload=posting.workload_id, workload_name=name,
            text=_said(posting.text, paid.get(posting.id or 0, 0)),
        )
        for posting, name in rows
    ]  # fmt: skip


def _changes(
    session: Session, owner: money.Owner, posting_ids: list[int], kind: AccountKind
) -> dict[int, int]:
    """By posting: the change of one kind of account. The wallet's alone add up to the balance."""
    rows = session.exec(
        select(EntryRow.posting_id, EntryRow.amount)
        .join(AccountRow, col(AccountRow.id) == EntryRow.account_id)
        .where(
            col(EntryRow.posting_id).in_(posting_ids), AccountRow.kind == kind.value,
            AccountRow.person_id == owner.person_id, AccountRow.tenant_id == owner.tenant_id,
        )
    ).all()  # fmt: skip
    return dict(rows)


def _said(text: str, paid: int) -> str:
    """A settlement leaves the wallet alone: it was set aside before."""
    return f"{text}: {format_credits(paid)} of what was set aside" if paid > 0 else text


def _notice(row: NoticeRow) -> schema.Notice:
    return schema.Notice(
        id=row.id, at=row.at, kind=row.kind, workload=row.workload_id, text=row.text,
        read=row.read_at is not None,
    )  # fmt: skip
