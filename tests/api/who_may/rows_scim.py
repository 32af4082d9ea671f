"""SCIM: services with a key, and nobody else, administrators of the platform included."""

from hub.policy import Actor
from hub.scim import groups, users
from hub.scim.shapes import Group, User
from hub.settings import SCIM_PREFIX
from hub.store.ids import new_id
from tests.api.who_may import keys
from tests.api.who_may.callers import CALLERS, Rows, nothing
from tests.site import Site

_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


def service_alone(status: int) -> str:
    return " ".join(str(status) if caller == "service" else "401" for caller in CALLERS)


def a_user(site: Site, owner: Actor) -> str:
    wanted = User(user_name=new_id("n"))
    return users.create(site.control, keys.service(site), wanted).person.id


def a_group(site: Site, owner: Actor) -> str:
    made = groups.create(site.control, keys.service(site), Group(display_name="staff"))
    return made.group.id or ""


def patch(value: dict[str, str]) -> dict[str, object]:
    return {"schemas": [_PATCH], "Operations": [{"op": "replace", "value": value}]}


ROWS: Rows = {
    ("GET", f"{SCIM_PREFIX}/ServiceProviderConfig"): (nothing, None, service_alone(200)),
    ("GET", f"{SCIM_PREFIX}/ResourceTypes"): (nothing, None, service_alone(200)),
    ("GET", f"{SCIM_PREFIX}/ResourceTypes/{{id}}"): (lambda *_: "User", None, service_alone(200)),
    ("GET", f"{SCIM_PREFIX}/Schemas"): (nothing, None, service_alone(200)),
    ("GET", f"{SCIM_PREFIX}/Schemas/{{id}}"): (lambda *_: _USER, None, service_alone(200)),
    ("GET", f"{SCIM_PREFIX}/Users"): (nothing, None, service_alone(200)),
    ("POST", f"{SCIM_PREFIX}/Users"): (
        nothing, {"schemas": [_USER], "userName": "newcomer"}, service_alone(201),
    ),
    ("GET", f"{SCIM_PREFIX}/Users/{{id}}"): (a_user, None, service_alone(200)),
    ("PUT", f"{SCIM_PREFIX}/Users/{{id}}"): (
        a_user, {"schemas": [_USER], "userName": "renamed"}, service_alone(200),
    ),
    ("PATCH", f"{SCIM_PREFIX}/Users/{{id}}"): (
        a_user, patch({"displayName": "D"}), service_alone(200),
    ),
    ("DELETE", f"{SCIM_PREFIX}/Users/{{id}}"): (a_user, None, service_alone(204)),
    ("GET", f"{SCIM_PREFIX}/Groups"): (nothing, None, service_alone(200)),
    ("POST", f"{SCIM_PREFIX}/Groups"): (
        nothing, {"schemas": [_GROUP], "displayName": "staff"}, service_alone(201),
    ),
    ("GET", f"{SCIM_PREFIX}/Groups/{{id}}"): (a_group, None, service_alone(200)),
    ("PUT", f"{SCIM_PREFIX}/Groups/{{id}}"): (
        a_group, {"schemas": [_GROUP], "displayName": "people"}, service_alone(200),
    ),
    ("PATCH", f"{SCIM_PREFIX}/Groups/{{id}}"): (
        a_group, patch({"displayName": "D"}), service_alone(200),
    ),
    ("DELETE", f"{SCIM_PREFIX}/Groups/{{id}}"): (a_group, None, service_alone(204)),
    ("POST", f"{SCIM_PREFIX}/.search"): (nothing, {"schemas": [_SEARCH]}, service_alone(200)),
    ("POST", f"{SCIM_PREFIX}/Users/.search"): (nothing, {"schemas": [_SEARCH]}, service_alone(200)),
    ("POST", f"{SCIM_PREFIX}/Groups/.search"): (
        nothing, {"schemas": [_SEARCH]}, service_alone(200),
    ),
}  # fmt: skip
