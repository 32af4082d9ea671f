"""Who there is, for administrators: filtered, sorted and paged in the database.

Platform administrators see everybody. Others see who belongs to a tenant that they administer or to
one below it, and who has a role there; of the latter no more than that role.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, func, or_, true
from sqlmodel import Session, col, select

from catalog.errors import BadValue
from hub.control_context import Control
from hub.policy import ANYBODY_OF_SITE, Action, Actor, allowed, require, tenant_object
from hub.store.access_tables import RoleGrantRow
from hub.store.tables import AccountRow, MembershipRow, PersonRow, TenantRow
from hub.tenant_paths import below
from quotas.ledger import AccountKind

Sort = Literal["login", "name", "balance", "since", "-login", "-name", "-balance", "-since"]
State = Literal["", "active", "closed"]
_FAR = 2**62


@dataclass(frozen=True, slots=True)
class Asked:
    """Which people, in which order, from where on. An empty field asks nothing; `tenant` is with
    all below it."""

    search: str = ""
    tenant: str = ""
    role: str = ""
    state: State = ""
    sort: Sort = "login"
    cursor: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class RoleOf:
    """A role in a tenant and the reasons for it (`RoleGrantRow.source`)."""

    tenant: str
    tenant_name: str
    role: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A person. `home` says whether they belong to a tenant of the reader's; else the balance
    (micro-credits) is none of the reader's business and 0."""

    person: PersonRow
    home: bool
    balance: int
    roles: tuple[RoleOf, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A page, how many there are in all, and where the next page begins; empty at the end."""

    lines: tuple[Line, ...]
    total: int
    next: str


def find(control: Control, actor: Actor, asked: Asked) -> Found:
    """A page of the people whom the actor may see. Three statements, however many there are.

    Raises Denied for who administers nothing, BadValue for a cursor that is none.
    """
    with control.store.read() as session:
        view = _View(actor)
        wanted = and_(view.may_see(), *_filters(view, asked))
        total = session.exec(select(func.count()).select_from(PersonRow).where(wanted)).one()
        key, down = _key(asked.sort), asked.sort.startswith("-")
        query = select(PersonRow, view.at_home(), _balance(), key).where(wanted)
        if asked.cursor:
            query = query.where(_after(key, asked))
        order = (key.desc(), col(PersonRow.id).desc()) if down else (key, col(PersonRow.id))
        rows = session.exec(query.order_by(*order).limit(asked.limit + 1)).all()
        shown = rows[: asked.limit]
        lines = _lines(session, view, [row[:3] for row in shown])
    more = len(rows) > asked.limit
    return Found(lines, total, _cursor(asked.sort, shown[-1][3], shown[-1][0].id) if more else "")


def visible(session: Session, actor: Actor, person_id: str) -> bool:
    """Whether the actor may see that this person exists."""
    if not any(allowed(actor, Action.READ_PEOPLE, tenant_object((t,))) for t in actor.roles):
        return False
    query = select(PersonRow.id).where(PersonRow.id == person_id, _View(actor).may_see())
    return session.exec(query).first() is not None


def line_of(session: Session, actor: Actor, person: PersonRow) -> Line:
    """One person as the actor sees them; they must be visible."""
    view = _View(actor)
    query = select(PersonRow, view.at_home(), _balance()).where(PersonRow.id == person.id)
    return _lines(session, view, session.exec(query).all())[0]


class _View:
    """What one reader may see, as conditions of the database."""

    def __init__(self, actor: Actor) -> None:
        roots = [
            tenant for tenant in actor.roles
            if allowed(actor, Action.READ_PEOPLE, tenant_object((tenant,)))
        ]  # fmt: skip
        if not roots and not actor.platform_admin:
            require(actor, Action.READ_PEOPLE, ANYBODY_OF_SITE)
        self._roots = None if actor.platform_admin else roots

    def tenants(self, column: Any) -> ColumnElement[bool] | None:
        """Whether a tenant is one that the reader administers; None when all are."""
        return None if self._roots is None else below(column, self._roots)

    def at_home(self) -> ColumnElement[bool]:
        own = self.tenants(col(PersonRow.tenant_id))
        return true() if own is None else own

    def may_see(self) -> ColumnElement[bool]:
        return true() if self._roots is None else or_(self.at_home(), self.has_role())

    def has_role(self, *more: ColumnElement[bool]) -> ColumnElement[bool]:
        own = self.tenants(col(MembershipRow.tenant_id))
        mine = [own] if own is not None else []
        return col(PersonRow.id).in_(select(MembershipRow.person_id).where(*mine, *more))


def _filters(view: _View, asked: Asked) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if asked.search:
        found.append(
            or_(
                *(
                    col(column).icontains(asked.search, autoescape=True)
                    for column in (PersonRow.login, PersonRow.display_name, PersonRow.email)
                )
            )
        )
    if asked.state:
        found.append(col(PersonRow.active).is_(asked.state == "active"))
    if asked.tenant or asked.role:
        there: list[ColumnElement[bool]] = []
        if asked.tenant:
            there.append(below(col(MembershipRow.tenant_id), [asked.tenant]))
        if asked.role:
            there.append(col(MembershipRow.role) == asked.role)
        found.append(view.has_role(*there))
    return found


def _balance() -> Any:
    """Of the wallet where a person belongs."""
    found = select(AccountRow.balance).where(
        AccountRow.person_id == PersonRow.id, AccountRow.tenant_id == PersonRow.tenant_id,
        AccountRow.kind == AccountKind.WALLET.value,
    )  # fmt: skip
    return func.coalesce(found.scalar_subquery(), 0)


def _key(sort: Sort) -> Any:
    match sort.removeprefix("-"):
        case "name":
            return col(PersonRow.display_name)
        case "since":
            return col(PersonRow.created_at)
        case "balance":
            return _balance()
        case _:
            return col(PersonRow.login)


def _after(key: Any, asked: Asked) -> ColumnElement[bool]:
    value, id_ = _read(asked)
    if asked.sort.startswith("-"):
        beyond, same = key < value, col(PersonRow.id) < id_
    else:
        beyond, same = key > value, col(PersonRow.id) > id_
    return or_(beyond, and_(key == value, same))


def _cursor(sort: Sort, value: Any, id_: str) -> str:
    said = value.isoformat() if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([sort, said, id_]).encode()).decode()


def _read(asked: Asked) -> tuple[Any, str]:
    """Where the last page ended, in the type of what is sorted by."""
    try:
        sort, value, id_ = json.loads(base64.urlsafe_b64decode(asked.cursor))
        if sort != asked.sort or not isinstance(id_, str) or "\0" in f"{value}{id_}":
            raise TypeError
        match sort.removeprefix("-"):
            case "since":
                return _moment(value), id_
            case "balance":
                return min(max(int(value), -_FAR), _FAR), id_
            case _:
                return str(value), id_
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadValue(
            "cursor: this is not where a page of this list ended",
            next="use `next` of the last page, with the same sort",
        ) from error


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _lines(session: Session, view: _View, rows: Sequence[Any]) -> tuple[Line, ...]:
    roles = _roles(session, view, [person.id for person, *_ in rows])
    return tuple(
        Line(person, bool(home), balance if home else 0, tuple(roles.get(person.id, [])))
        for person, home, balance in rows
    )


def _roles(session: Session, view: _View, ids: Sequence[str]) -> dict[str, list[RoleOf]]:
    query = (
        select(MembershipRow, TenantRow.name, RoleGrantRow.source)
        .join(TenantRow, col(TenantRow.id) == MembershipRow.tenant_id)
        .join(
            RoleGrantRow,
            and_(
                col(RoleGrantRow.person_id) == MembershipRow.person_id,
                col(RoleGrantRow.tenant_id) == MembershipRow.tenant_id,
            ),
            isouter=True,
        )
        .where(col(MembershipRow.person_id).in_(ids))
        .order_by(MembershipRow.tenant_id, RoleGrantRow.source)
    )
    own = view.tenants(col(MembershipRow.tenant_id))
    if own is not None:
        query = query.where(own)
    found: dict[str, dict[str, RoleOf]] = {}
    for row, name, source in session.exec(query):
        of_one = found.setdefault(row.person_id, {})
        before = of_one[row.tenant_id].reasons if row.tenant_id in of_one else ()
        reasons = (*before, source) if source else before
        of_one[row.tenant_id] = RoleOf(row.tenant_id, name, row.role, reasons)
    return {person: list(roles.values()) for person, roles in found.items()}
