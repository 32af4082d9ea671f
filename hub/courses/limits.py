"""Limits of a course: of all of it, of each person in it, of each person of a group."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from sqlmodel import Session, col, select

from catalog.errors import BadValue, Forbidden
from catalog.units import parse_bytes, parse_credits, parse_milli
from hub import quota_desk
from hub.control_context import Control
from hub.courses.wishes import Written
from hub.people import EACH_PERSON
from hub.policy import Action, Actor, Object, allowed, require
from hub.quota_desk import Cell
from hub.store.tables import QuotaRow
from hub.tenant_paths import TenantPaths
from quotas.limits import Dimension
from quotas.periods import Period, demand_period

Amounts = Mapping[Dimension, int]
_UNITS = {
    Dimension.MEMORY: parse_bytes,
    Dimension.STORAGE: parse_bytes,
    Dimension.CREDITS: parse_credits,
    Dimension.GPU: parse_milli,
    Dimension.CPU: parse_milli,
}


def parse(place: str, written: Written, *, person: bool) -> dict[Dimension, int]:
    """``{"gpu": "0.25"}`` → base units. Raises BadValue naming the place."""
    found: dict[Dimension, int] = {}
    for name, text in written.items():
        if name not in set(Dimension):
            raise BadValue(
                f"{place}: there is no {name[:40]!r} to limit", next=f"use {', '.join(Dimension)}"
            )
        dimension = Dimension(name)
        demand_period(dimension, Period.NEVER, person=person)
        try:
            found[dimension] = _amount(dimension, text.strip())
        except BadValue as error:
            raise BadValue(f"{place}.{name}: {error.message}", next=error.next) from error
    return found


def show(dimension: Dimension, amount: int) -> str:
    """Base units → what `parse` reads: ``gpu`` 250 → ``"0.25"``, ``memory`` 2**31 → ``"2Gi"``."""
    match dimension:
        case Dimension.MEMORY | Dimension.STORAGE:
            for unit, name in ((2**30, "Gi"), (2**20, "Mi")):
                if amount and amount % unit == 0:
                    return f"{amount // unit}{name}"
            return str(amount)
        case Dimension.GPU_HOURS:
            return _decimal(amount, 3_600_000)
        case Dimension.CREDITS:
            return _decimal(amount, 1_000_000)
        case Dimension.WORKLOADS | Dimension.TOKENS:
            return str(amount)
        case _:
            return _decimal(amount, 1000)


def read(session: Session, tenant_id: str, person_id: str = "") -> dict[str, str]:
    """What is set for a tenant as a whole, or (``*``) for each person of it."""
    rows = session.exec(
        select(QuotaRow).where(
            QuotaRow.tenant_id == tenant_id, QuotaRow.person_id == person_id,
            col(QuotaRow.limit).is_not(None),
        )
    ).all()  # fmt: skip
    return {row.dimension: show(Dimension(row.dimension), row.limit or 0) for row in rows}


def set_own(
    control: Control, session: Session, actor: Actor, course_id: str, amounts: Amounts, *,
    carried: bool = False,
) -> None:  # fmt: skip
    """The limits of the course as a whole, all of them. Who sets them must administer the tenant
    above, unless they are `carried` over from the term before. Raises Forbidden."""
    if amounts == _set_now(session, course_id, ""):
        return
    if not carried:
        require(actor, Action.SET_QUOTA, _object(session, course_id))
    _write(control, session, actor, course_id, "", amounts)


def set_each(
    control: Control, session: Session, actor: Actor, tenant_id: str, amounts: Amounts, place: str
) -> None:
    """The limits of each person of a course or of one of its groups, all of them.

    Nobody gives more to each than the course has; where nothing bounds the course, not more than
    each person had before, unless they administer the tenant above. Raises BadValue, Forbidden.
    """
    if amounts == _set_now(session, tenant_id, EACH_PERSON):
        return
    target = _object(session, tenant_id)
    require(actor, Action.SET_PERSON_QUOTA, target)
    if not allowed(actor, Action.SET_QUOTA, target):
        for dimension, amount in amounts.items():
            _demand_within(session, tenant_id, dimension, amount, place)
    _write(control, session, actor, tenant_id, EACH_PERSON, amounts)


def _demand_within(
    session: Session, tenant_id: str, dimension: Dimension, amount: int, place: str
) -> None:
    paths = TenantPaths(session)
    path, course = paths.of(tenant_id), paths.course_of(tenant_id)
    above = path[path.index(course) + 1 :] if course else path[1:]
    rows = session.exec(
        select(QuotaRow).where(
            QuotaRow.dimension == dimension.value, col(QuotaRow.tenant_id).in_(path),
            col(QuotaRow.person_id).in_(["", EACH_PERSON]), col(QuotaRow.limit).is_not(None),
        )
    ).all()  # fmt: skip
    whole = [row.limit or 0 for row in rows if not row.person_id]
    each = {row.tenant_id: row.limit or 0 for row in rows if row.person_id}
    everybody = [each[tenant] for tenant in above if tenant in each][:1]
    if any(not row.person_id and row.tenant_id not in above for row in rows):
        everybody = []  # an administrator has said what the course has
    bound = min([*whole, *everybody], default=None)
    if bound is None or amount <= bound:
        return
    if bound in whole:
        raise BadValue(
            f"{place}.{dimension}: {dimension.show(amount)} for each is more than the"
            f" {dimension.show(bound)} of the course",
            next="choose less, or ask an administrator for more for the course",
        )
    raise Forbidden(
        f"{place}.{dimension}: {dimension.show(amount)} is more than the {dimension.show(bound)}"
        " that everybody may have, and the course has no limit of its own",
        next="choose less, or ask an administrator to give the course a limit",
    )


def _write(
    control: Control, session: Session, actor: Actor, tenant_id: str, person_id: str,
    amounts: Amounts,
) -> None:  # fmt: skip
    before = _set_now(session, tenant_id, person_id)
    for dimension in sorted({*before, *amounts}):
        if before.get(dimension) == amounts.get(dimension):
            continue
        cell = Cell(tenant_id, person_id, dimension)
        there = quota_desk.state_of(session, cell)
        after = replace(there, limit=amounts.get(dimension), period="")
        quota_desk.put(control, session, actor, quota_desk.Change(cell, there, after))
    session.flush()


def _set_now(session: Session, tenant_id: str, person_id: str) -> dict[Dimension, int]:
    rows = session.exec(
        select(QuotaRow).where(
            QuotaRow.tenant_id == tenant_id, QuotaRow.person_id == person_id,
            col(QuotaRow.limit).is_not(None),
        )
    ).all()  # fmt: skip
    return {Dimension(row.dimension): row.limit or 0 for row in rows}


def _object(session: Session, tenant_id: str) -> Object:
    return Object(None, TenantPaths(session).of(tenant_id), f"tenant {tenant_id!r}")


def _amount(dimension: Dimension, text: str) -> int:
    if dimension is Dimension.GPU_HOURS:
        amount = parse_milli(text) * 3600
    elif dimension in _UNITS:
        amount = partial(_UNITS[dimension], text)()
    elif text.isascii() and text.isdigit():
        amount = int(text)
    else:
        raise BadValue(f"{text[:20]!r} is not a whole number", next="write it like 5")
    if not 0 <= amount < 2**62:
        raise BadValue(f"{text[:20]!r} is absurd", next="use a smaller number")
    return amount


def _decimal(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    if not rest:
        return str(whole)
    digits = len(str(unit)) + 2
    return f"{whole}.{rest * 10**digits // unit:0{digits}d}".rstrip("0")
