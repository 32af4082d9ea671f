"""Credits and prices: tenants' wallets, transfers, the price list, statements."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from sqlmodel import Session, select

from catalog.errors import BadValue
from catalog.units import format_credits, parse_credits
from hub import prices, statements, transfers
from hub.api import schema
from hub.api.access import ActorArg, ControlArg, does
from hub.control_context import Control
from hub.policy import (
    ANYBODY,
    ANYBODY_OF_SITE,
    Action,
    Actor,
    Object,
    absent,
    allowed,
    require,
    tenant_object,
)
from hub.store import money
from hub.store.ids import new_id
from hub.store.tables import PersonRow, TenantRow
from hub.tenant_paths import TenantPaths
from hub.world import tenant_path
from quotas.periods import Period, parse_moment, span_at

router = APIRouter()
"""For acts on the site as a whole."""
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]


@router.get("/accounts", **does(Action.READ_ACCOUNTS))
def accounts(control: ControlArg, actor: ActorArg) -> schema.Page[schema.TenantAccount]:
    """What the tenants that you administer have, and what their people have."""
    return _accounts(control, actor)


@router.post("/tenants/{tenant}/grant", **does(Action.GRANT_CREDITS))
def grant(
    tenant: str, body: schema.GrantBody, control: ControlArg, actor: ActorArg,
    idempotency_key: Key = "",
) -> schema.Page[schema.TenantAccount]:  # fmt: skip
    """Give credits to a tenant, once for each key."""
    require(actor, Action.GRANT_CREDITS, ANYBODY_OF_SITE)
    amount = transfers.amount_of(body.credits)
    transfers.grant_to_tenant(control, actor, tenant, amount, idempotency_key or new_id("g"))
    return _accounts(control, actor)


@router.post("/credits/transfer", **does(Action.TRANSFER_CREDITS))
def transfer(
    body: schema.TransferBody, control: ControlArg, actor: ActorArg, idempotency_key: Key = ""
) -> schema.Page[schema.TenantAccount]:
    """Move credits from a tenant to one below or to a person of it, or back, once for each key."""
    source, target = (
        transfers.Party(side.tenant, side.person, side.inside)
        for side in (body.source, body.target)
    )
    amount = transfers.amount_of(body.credits)
    transfers.transfer(control, actor, source, target, amount, idempotency_key or new_id("t"))
    return _accounts(control, actor)


@router.get("/prices", **does(Action.READ_MENU))
def price_list(control: ControlArg, actor: ActorArg) -> schema.Page[schema.PriceLine]:
    """What the offers on your menu cost, have cost and will cost an hour."""
    require(actor, Action.READ_MENU, ANYBODY)
    menu = control.menu.get()
    offers = list(menu.offers.values()) if actor.platform_admin else menu.seen_by(actor.tenants)
    items = [
        schema.PriceLine(
            offer=line.offer.id, title=line.offer.spec.title,
            per_hour=format_credits(line.per_hour), starts_at=line.starts_at,
            in_effect=line.in_effect,
        )
        for line in prices.price_list(control, offers)
    ]  # fmt: skip
    return schema.Page(items=items, next=None)


@router.put("/prices", **does(Action.SET_PRICE))
def set_price(
    body: schema.PriceBody, control: ControlArg, actor: ActorArg
) -> schema.Page[schema.PriceLine]:
    """Change a price from a time on. What was asked for before keeps the price that was shown."""
    require(actor, Action.SET_PRICE, ANYBODY_OF_SITE)
    begins = body.starts_at and parse_moment(body.starts_at, control.settings.zone, "from")
    prices.set_price(control, actor, body.offer, parse_credits(body.per_hour), begins or None)
    return price_list(control, actor)


From = Annotated[str, Query(alias="from", max_length=40)]
To = Annotated[str, Query(max_length=40)]
Name = Annotated[str, Query(max_length=60)]


@router.get("/statement", **does(Action.READ_STATEMENT))
def statement(
    control: ControlArg, actor: ActorArg, begins: From = "", to: To = "", tenant: Name = "",
    person: Name = "",
    cursor: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> schema.Statement:  # fmt: skip
    """Yours, a person's or a tenant's with all below it: from the first of this month until now,
    unless said otherwise. A page may have a few lines more: those of one posting stay together."""
    starts_at, ends_at = _times(control, begins, to)
    with control.store.read() as session:
        scope = _scope(session, actor, tenant, person)
        totals = statements.totals(session, scope, starts_at, ends_at)
        balance = statements.balance_after(session, scope, starts_at, cursor)
        lines = statements.lines(
            session, scope, starts_at, ends_at, after=cursor, balance=balance, limit=limit + 1
        )
    postings = list(dict.fromkeys(line.posting for line in lines))
    shown = [line for line in lines if line.posting in postings[:limit]]
    return schema.Statement(
        of=scope.name, starts_at=starts_at, ends_at=ends_at,
        opening=format_credits(totals.opening), closing=format_credits(totals.closing),
        used=format_credits(totals.used),
        by_offer=[_spent_on(one) for one in totals.by_offer],
        by_person=[_spent_on(one) for one in totals.by_person],
        items=[_line(line) for line in shown],
        next=str(shown[-1].posting) if len(postings) > limit else None,
    )  # fmt: skip


@router.get("/statement/file", response_class=StreamingResponse, **does(Action.READ_STATEMENT))
def statement_file(
    control: ControlArg, actor: ActorArg, begins: From = "", to: To = "", tenant: Name = "",
    person: Name = "", format: Literal["csv", "parquet"] = "csv",  # noqa: A002 (the API's word)
) -> StreamingResponse:  # fmt: skip
    """The same as a file, with all lines; its first line is the opening, its last the closing."""
    starts_at, ends_at = _times(control, begins, to)
    with control.store.read() as session:
        scope = _scope(session, actor, tenant, person)
    write, kind = {
        "csv": (statements.csv_file, "text/csv; charset=utf-8"),
        "parquet": (statements.parquet_file, "application/vnd.apache.parquet"),
    }[format]
    zone = control.settings.zone
    name = f"{scope.name}_{starts_at.astimezone(zone):%Y-%m-%d}_{ends_at.astimezone(zone):%Y-%m-%d}"
    headers = {"Content-Disposition": f'attachment; filename="{name}.{format}"'}
    return StreamingResponse(
        write(control, scope, starts_at, ends_at), media_type=kind, headers=headers
    )


def _times(control: Control, begins: str, ends: str) -> tuple[datetime, datetime]:
    """The first of this month and now, unless given; nothing that is still to come."""
    now, zone = control.clock.now(), control.settings.zone
    month = span_at(Period.MONTH, now, zone).starts_at or now
    starts_at = parse_moment(begins, zone, "from") if begins else month
    starts_at = max(starts_at, statements.BEGINNING)
    ends_at = min(parse_moment(ends, zone, "to"), now) if ends else now
    if starts_at > ends_at:
        raise BadValue("from, to: the statement would end before it begins", next="swap them")
    return starts_at, ends_at


def _scope(session: Session, actor: Actor, tenant: str, person: str) -> statements.Scope:
    if tenant and person:
        raise BadValue("tenant, person: a statement is of one of them", next="leave one out")
    if tenant:
        about = tenant_object(tenant_path(session, tenant))
        require(actor, Action.READ_ACCOUNTS, about)
        if session.get(TenantRow, tenant) is None:
            raise absent(about.name)
        return statements.of_tenant(session, tenant)
    found = session.exec(
        select(PersonRow).where(PersonRow.login == (person or actor.login))
    ).first()
    name = f"person {(person or actor.login)!r}"
    if found is None:
        raise absent(name)
    target = Object(found.id, tenant_path(session, found.tenant_id), name)
    if not allowed(actor, Action.READ_STATEMENT, target):
        raise absent(name)
    return statements.of_person(found)


def _line(line: statements.Line) -> schema.StatementLine:
    return schema.StatementLine(
        id=str(line.posting), at=line.at, kind=line.kind, tenant=line.tenant, person=line.person,
        amount=format_credits(line.amount), held=format_credits(line.held),
        used=format_credits(line.used), balance=format_credits(line.balance), offer=line.offer,
        workload=line.workload, workload_name=line.workload_name, text=line.text,
    )  # fmt: skip


def _spent_on(one: statements.Sum) -> schema.SpentOn:
    return schema.SpentOn(id=one.id, used=format_credits(one.used))


def _accounts(control: Control, actor: Actor) -> schema.Page[schema.TenantAccount]:
    with control.store.read() as session:
        rows = session.exec(select(TenantRow).order_by(TenantRow.id)).all()
        tree = TenantPaths(session)
        paths = {row.id: tree.of(row.id) for row in rows}
        about = {id: tenant_object(path) for id, path in paths.items()}
        seen = [row for row in rows if allowed(actor, Action.READ_ACCOUNTS, about[row.id])]
        if not seen:
            require(actor, Action.READ_ACCOUNTS, about[actor.tenant_id])
        sums = money.sums(session)
    items = []
    for row in seen:
        below = [sums[id] for id, path in paths.items() if row.id in path and id in sums]
        items.append(
            schema.TenantAccount(
                tenant=row.id, name=row.name,
                balance=format_credits(sums[row.id].own if row.id in sums else 0),
                people=format_credits(sum(one.people for one in below)),
                held=format_credits(sum(one.held for one in below)),
                spent=format_credits(sum(one.spent for one in below)),
            )
        )  # fmt: skip
    return schema.Page(items=items, next=None)
