"""Somebody is vouched for: roles by rules, places on the lists of courses, starter credits.

One function for every door: OpenID providers, learning systems, SCIM. It may be repeated at any
time, and is: each time with what is true then.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from hub import departures, memberships
from hub.auth.rules import Standing, judge, merged, says
from hub.control_context import Control
from hub.courses import enrolment
from hub.policy import PLATFORM_ADMIN_ROLE, ROOT_TENANT
from hub.store import audit, money
from hub.store.access_tables import RoleGrantRow
from hub.store.course_tables import CourseRow, CourseRuleRow, RosterRow
from hub.store.tables import AccountRow, MembershipRow, PersonRow, TenantRow
from hub.tenant_paths import TenantPaths
from quotas import ledger
from quotas.ledger import AccountKind

log = logging.getLogger("perijove.people")

CSV = "csv"
"""The source of a roster that somebody typed or uploaded."""
ROSTER = "roster"
"""The reason of a role that comes from such a list."""
NOBODY = Standing(admitted=False)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came of it. `lost`: tenants in which the person has no role any more; the caller ends
    their API tokens then (`HubApi.end_tokens`), which nothing inside a transaction can."""

    admitted: bool
    gained: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()


def arrive(
    control: Control, session: Session, person: PersonRow, issuer: str, claims: Mapping[str, Any],
    *, source: str = "", roster: tuple[str, str] | None = None,
) -> Arrival:  # fmt: skip
    """`issuer` says `claims` of a person: give what follows from it, and take back what no more does.

    The rules of that provider in ``oidc.yaml`` and those of courses count; roles that they give have
    the reason `source`, by default ``rule:ISSUER``. `roster` is the kind of list and who the person
    is on it; by default what the provider's roster claim says. Of an issuer without an entry in
    ``oidc.yaml`` there are only lists. When the provider's rules do not admit the person, nothing is
    changed and `admitted` is False: the caller decides what that means.
    """
    provider = control.providers.get(issuer)
    if provider is not None:
        standing, claims = provider.standing(claims), provider.believed(claims)
        roster = roster or (CSV, provider.roster_key(claims))
        if not standing.admitted:
            return Arrival(admitted=False)
    else:
        standing = Standing(admitted=True)
    before = _tenants_of(session, person)
    source = source or source_of(issuer)
    _give_roles(control, session, person, source, _roles(session, issuer, standing, claims), issuer)
    if roster is not None and roster[1]:
        _take_places(control, session, person, issuer, roster)
    _starter_credits(control, session, person, issuer, standing)
    return _settle(control, session, person, standing, before, source)


def depart(
    control: Control, session: Session, person: PersonRow, source: str, actor: str
) -> Arrival:
    """Nothing that came from this source counts any more. Safe to repeat."""
    before = _tenants_of(session, person)
    _give_roles(control, session, person, source, {}, actor)
    return _settle(control, session, person, Standing(admitted=False), before, source)


def provision(
    control: Control, session: Session, person: PersonRow, issuer: str, claims: Mapping[str, Any],
    *, source: str, below: str,
) -> Arrival:  # fmt: skip
    """As `arrive`, for a service that provisions people of `issuer`: in `below` they are members
    whatever is said of them, rules give roles there and under it alone, and nobody becomes a
    platform administrator by it."""
    provider, paths = control.providers.get(issuer), TenantPaths(session)
    standing = judge("rules", provider.rules, provider.believed(claims)) if provider else NOBODY
    found = [
        (tenant, role)
        for tenant, role in _roles(session, issuer, standing, claims).items()
        if below in paths.of(tenant) and role != PLATFORM_ADMIN_ROLE
    ]
    before, roles = _tenants_of(session, person), merged([(below, "member"), *found])
    _give_roles(control, session, person, source, roles, source)
    return _settle(control, session, person, standing, before, source)


def source_of(issuer: str) -> str:
    """The reason of roles that rules about an issuer's claims give."""
    return f"rule:{issuer}"


def known_roles(session: Session, standing: Standing) -> dict[str, str]:
    """Its roles in tenants that there are; the others are told to the operator."""
    missing = [t for t in standing.roles if session.get(TenantRow, t) is None]
    for tenant in missing:
        log.warning("a rule of oidc.yaml names the tenant %r, which there is not", tenant)
    return {t: role for t, role in standing.roles.items() if t not in missing}


def _roles(
    session: Session, issuer: str, standing: Standing, claims: Mapping[str, Any]
) -> dict[str, str]:
    """By tenant, of the provider's rules and of those of courses that are not over."""
    found = list(known_roles(session, standing).items())
    courses = session.exec(
        select(CourseRuleRow)
        .join(CourseRow, col(CourseRow.tenant_id) == CourseRuleRow.tenant_id)
        .where(CourseRuleRow.issuer == issuer, col(CourseRow.ended_at).is_(None))
        .order_by(CourseRuleRow.tenant_id)
    ).all()
    found += [
        (rule.tenant_id, rule.role) for rule in courses if says(claims, rule.claim, rule.value)
    ]
    return merged(found)


def _give_roles(
    control: Control, session: Session, person: PersonRow, source: str, roles: Mapping[str, str],
    actor: str,
) -> None:  # fmt: skip
    """Make `roles` all that the source gives: in courses by enrolment, elsewhere as they are."""
    paths, now = TenantPaths(session), control.clock.now()
    had = session.exec(
        select(RoleGrantRow.tenant_id).where(
            RoleGrantRow.person_id == person.id, RoleGrantRow.source == source
        )
    ).all()
    in_courses = {paths.course_of(tenant) for tenant in roles} - {""}
    for tenant in set(had) - set(roles):
        course = paths.course_of(tenant)
        if course and course not in in_courses:
            enrolment.leave(
                control, session, course, person, source=source, actor=actor, end_now=False
            )
        elif not course:
            memberships.withdraw(session, person.id, tenant, source)
    for tenant, role in roles.items():
        course = paths.course_of(tenant)
        if not course:
            memberships.give(session, person.id, tenant, source, role, now)
            continue
        group = next((t for t in roles if t != course and paths.course_of(t) == course), "")
        enrolment.enrol(
            control, session, course, person, role=roles.get(course, role), source=source,
            group_id=group, actor=actor,
        )  # fmt: skip


def _take_places(
    control: Control, session: Session, person: PersonRow, issuer: str, roster: tuple[str, str]
) -> None:
    """Lines of courses' lists that wait for just this person. Lines for another provider, or for
    an invitation, are not theirs whatever name they carry."""
    kind, key = roster
    lines = session.exec(
        select(RosterRow).where(
            RosterRow.source == kind, RosterRow.key == key,
            RosterRow.issuer == issuer,
            col(RosterRow.person_id).is_(None), col(RosterRow.removed_at).is_(None),
        )
    ).all()  # fmt: skip
    for line in lines:
        line.person_id = person.id
        session.add(line)
        session.flush()
        enrolment.enrol(
            control, session, line.tenant_id, person, role=line.role,
            source=ROSTER if kind == CSV else kind, group_id=line.group_id, actor=issuer,
        )  # fmt: skip


def _starter_credits(
    control: Control, session: Session, person: PersonRow, issuer: str, standing: Standing
) -> None:
    """Once for each person, provider and tenant. A tenant that has a wallet gives them from it, and
    while it has too few nobody gets any; else they are new, as the site's starter credits are."""
    paths, now = TenantPaths(session), control.clock.now()
    for tenant in known_roles(session, standing):
        amount = standing.credits.get(tenant, 0)
        key = f"rule-credits:{issuer}:{tenant}:{person.id}"
        if not amount or money.was_posted(session, key):
            continue
        giver, taker = money.Owner(tenant), money.Owner(paths.payer_of(tenant), person.id)
        posting = ledger.grant(amount)
        if _has_wallet(session, tenant):
            if money.balance(session, giver, AccountKind.WALLET) < amount:
                log.warning("tenant %r has too few credits for the newcomer %s", tenant, person.id)
                continue
            posting = ledger.transfer(amount, giver, taker)
        money.post(session, taker, posting, money.Cause(key, issuer, now, "starter credits"))


def _has_wallet(session: Session, tenant_id: str) -> bool:
    query = select(AccountRow.id).where(
        AccountRow.tenant_id == tenant_id, AccountRow.person_id == "",
        AccountRow.kind == AccountKind.WALLET.value,
    )  # fmt: skip
    return session.exec(query).first() is not None


def _settle(
    control: Control, session: Session, person: PersonRow, standing: Standing,
    before: frozenset[str], source: str,
) -> Arrival:  # fmt: skip
    """After the roles were changed: the person's home, their work, and the audit."""
    after = _tenants_of(session, person)
    if person.tenant_id not in after:
        person.tenant_id = _new_home(standing, after) or person.tenant_id
        session.add(person)
    departures.leave(control, session, person)
    gained, lost = after - before, before - after
    if gained or lost:
        audit.record(
            session, control.clock.now(), source, "roles-changed", person.id, person.tenant_id,
            {"gained": sorted(gained), "lost": sorted(lost)},
        )  # fmt: skip
    return Arrival(admitted=True, gained=gained, lost=lost)


def _new_home(standing: Standing, tenants: frozenset[str]) -> str:
    """Where somebody belongs who has lost their place where they belonged."""
    wished = [standing.home, *standing.roles, ROOT_TENANT]
    return next((tenant for tenant in wished if tenant in tenants), "")


def _tenants_of(session: Session, person: PersonRow) -> frozenset[str]:
    return frozenset(
        session.exec(
            select(MembershipRow.tenant_id).where(MembershipRow.person_id == person.id)
        ).all()
    )
