"""A large campus in a database: 500 tenants and 10,000 people, the same each time.

``python -m tests.campus FILE`` fills the database of a site that is not running.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlmodel import Session, SQLModel, col, select

from hub.store.access_tables import RoleGrantRow
from hub.store.store import Store
from hub.store.tables import AccountRow, MembershipRow, PersonRow, QuotaRow, TenantRow
from quotas.ledger import AccountKind

SCHOOLS, GROUPS = 20, 24
"""20 schools with 24 groups each: 500 tenants, and the root."""
PEOPLE = 10_000
AT = datetime(2026, 1, 5, tzinfo=UTC)


def fill(session: Session, people: int = PEOPLE) -> None:
    """Tenants, people with their roles and wallets, and limits for every twentieth person."""
    tenants = list(_tenants())
    for tenant in tenants:  # parents first
        session.add(tenant)
    session.flush()
    leaves = [tenant.id for tenant in tenants if tenant.kind == "group"]
    for n in range(people):
        session.add(_person(n, leaves[n % len(leaves)]))
    session.flush()
    for n in range(people):
        session.add_all(_belongings(n, leaves[n % len(leaves)]))
    for n, tenant in enumerate(leaves):
        session.add(QuotaRow(tenant_id=tenant, person_id="", dimension="gpu", limit=1000 * (n % 9)))
        session.add(QuotaRow(tenant_id=tenant, person_id="*", dimension="cpu", limit=8000))
    session.flush()


def _tenants() -> Iterator[TenantRow]:
    for school in range(SCHOOLS):
        id_ = f"school-{school:02}"
        yield TenantRow(
            id=id_, parent_id="main", name=f"School {school}", kind="department", created_at=AT
        )
        for group in range(GROUPS):
            yield TenantRow(
                id=f"{id_}-group-{group:02}", parent_id=id_, name=f"Group {group} of {school}",
                kind="group", created_at=AT,
            )  # fmt: skip


def _id(n: int) -> str:
    return f"p-{n:010}"


def _person(n: int, tenant: str) -> PersonRow:
    return PersonRow(
        id=_id(n), login=f"person{n:05}", hub_name=f"h-{n:010}", tenant_id=tenant, created_at=AT,
        display_name=f"Person {n}",
    )  # fmt: skip


def _belongings(n: int, tenant: str) -> Iterator[SQLModel]:
    role, id_ = "instructor" if n % 100 == 0 else "member", _id(n)
    yield MembershipRow(person_id=id_, tenant_id=tenant, role=role)
    yield RoleGrantRow(person_id=id_, tenant_id=tenant, source="manual", role=role, created_at=AT)
    for kind in (AccountKind.WALLET, AccountKind.HELD, AccountKind.SPENT):
        account = f"{kind.value}:{tenant}:{id_}"
        yield AccountRow(id=account, kind=kind.value, tenant_id=tenant, person_id=id_)
    if n % 20 == 0:
        yield QuotaRow(tenant_id=tenant, person_id=id_, dimension="gpu", limit=500)


def main(file: Path) -> None:
    """Fill it once."""
    store = Store(f"sqlite:///{file}")
    with store.write() as session:
        if session.exec(select(TenantRow).where(col(TenantRow.id) == "school-00")).first() is None:
            fill(session)
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
