"""People, their roles, and invitations."""

from hub import invitations, people
from hub.policy import Actor
from tests.api.who_may.callers import TENANT_ADMINS, Rows, nothing, platform
from tests.site import Site


def the_owner(site: Site, owner: Actor) -> str:
    return owner.login


def an_invitation(site: Site, owner: Actor) -> str:
    people.invite(site.control, platform(site), "blue", "member", "")
    found = invitations.listed(site.control, platform(site), "blue", "open", "", 200)
    return max(found, key=lambda one: one.row.created_at).row.id


ROLE = {"tenant": "blue", "role": "member"}
ROWS: Rows = {
    ("PUT", "/people/{id}/roles"): (
        the_owner, ROLE, "401 403 403 403 403 200 403 200 403 401 503",
    ),
    ("POST", "/people/{id}/password-link"): (
        the_owner, None, "401 403 404 403 403 201 404 201 403 401 503",
    ),
    ("GET", "/invitations"): (nothing, None, TENANT_ADMINS),
    ("DELETE", "/invitations/{id}"): (
        an_invitation, None, "401 404 404 404 404 204 404 204 403 401 503",
    ),
}  # fmt: skip
