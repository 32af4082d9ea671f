"""The administrator's desk: the tree of quotas, changes of limits, requests for more."""

from hub import quota_desk, quota_requests
from hub.policy import Actor
from hub.quota_desk import Wish
from hub.quota_requests import Asked
from hub.store.tables import QuotaRow
from quotas.limits import Dimension
from tests.api.who_may.callers import PLATFORM_ONLY, TEACHERS, Rows, nothing, platform
from tests.site import Site

WISHES = {"changes": [{"tenant": "blue", "person": "*", "dimension": "gpu", "limit": "1/2"}]}
OF_ALL = {"changes": [{"tenant": "blue", "dimension": "gpu", "limit": "4"}]}


def limited(site: Site, owner: Actor) -> str:
    """What each person of the course may hold, once more by the platform's administrator."""
    state = site.clock.now().second % 7
    wish = Wish("blue", "workloads", "*", str(10 + state))
    again = Wish("blue", "workloads", "*", str(20 + state))
    rows = quota_desk.apply(site.control, platform(site), [wish])
    rows += quota_desk.apply(site.control, platform(site), [again])
    return str(rows[-1].id)


def asked(site: Site, owner: Actor) -> str:
    """By the owner, anew each time."""
    for told in quota_requests.requests(site.control, owner, state="open", mine=True):
        quota_requests.withdraw(site.control, owner, told.row.id)
    with site.control.store.write() as session:
        row = session.get(QuotaRow, ("blue", owner.person_id, "gpu"))
        row = row or QuotaRow(tenant_id="blue", person_id=owner.person_id, dimension="gpu")
        row.limit = 250
        session.add(row)
    wish = Asked("blue", Dimension.GPU, "1/2", "", "thesis")
    return quota_requests.ask(site.control, owner, wish).id


def everybody_limited(site: Site, owner: Actor) -> str:
    """Whoever asks has something to ask more of, and asks in their own tenant."""
    with site.control.store.write() as session:
        for tenant in ("main", "blue", "red"):
            row = session.get(QuotaRow, (tenant, "*", "gpu"))
            row = row or QuotaRow(tenant_id=tenant, person_id="*", dimension="gpu")
            row.limit = 250
            session.add(row)
    return ""


ROWS: Rows = {
    ("GET", "/quotas/tree"): (nothing, None, TEACHERS),
    ("POST", "/quotas/preview"): (nothing, WISHES, "401 403 403 403 200 200 403 200 403 401 503"),
    ("GET", "/quotas/changes"): (nothing, None, TEACHERS),
    ("POST", "/quotas/changes"): (nothing, OF_ALL, PLATFORM_ONLY),
    ("POST", "/quotas/changes/{id}/undo"): (
        limited, None, "401 404 404 404 200 200 404 200 403 401 503",
    ),
    ("POST", "/quotas/changes/undo"): (
        nothing, {"changes": [999]}, "401 404 404 404 404 404 404 404 403 401 503",
    ),
    ("GET", "/quota-requests"): (nothing, None, "401 200 200 200 200 200 200 200 403 401 503"),
    ("POST", "/quota-requests"): (
        everybody_limited, {"dimension": "gpu", "amount": "1/2", "reason": "thesis"},
        "401 201 201 201 201 201 201 201 403 401 503",
    ),
    ("POST", "/quota-requests/{id}/decide"): (
        asked, {"approve": True}, "401 403 404 404 404 200 404 200 403 401 503",
    ),
    ("POST", "/quota-requests/{id}/withdraw"): (
        asked, None, "401 200 404 404 404 403 404 200 403 401 503",
    ),
}  # fmt: skip
