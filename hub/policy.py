"""Who may do what: one table of action × role × relation, checked beside the effect.

Code names the act (`require(actor, Action.STOP, workload_owner)`); only this table judges. A person
who may not even see a thing is told that it does not exist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from catalog.errors import Forbidden, NotFound


class Action(StrEnum):
    """Every act that a route of the API performs."""

    SIGN_IN = "sign-in"
    READ_SELF = "read-self"
    READ_MENU = "read-menu"
    CHECK = "check"
    LAUNCH = "launch"
    READ_WORKLOAD = "read-workload"
    STOP = "stop"
    EXTEND = "extend"
    REPORT_SAVED = "report-saved"
    REPORT_ACTIVE = "report-active"
    READ_LOGS = "read-logs"
    READ_USAGE = "read-usage"
    READ_INVENTORY = "read-inventory"
    READ_PEOPLE = "read-people"
    MANAGE_PEOPLE = "manage-people"
    INVITE = "invite"
    READ_QUOTA = "read-quota"
    SET_QUOTA = "set-quota"
    GRANT_CREDITS = "grant-credits"
    TRANSFER_CREDITS = "transfer-credits"
    READ_ACCOUNTS = "read-accounts"
    READ_STATEMENT = "read-statement"
    SET_PRICE = "set-price"
    READ_TENANTS = "read-tenants"
    MANAGE_TENANTS = "manage-tenants"
    READ_RESERVATIONS = "read-reservations"
    RESERVE = "reserve"
    READ_AUDIT = "read-audit"
    RELOAD_MENU = "reload-menu"
    MANAGE_NODES = "manage-nodes"
    LINK_IDENTITY = "link-identity"
    MANAGE_ROLES = "manage-roles"
    MANAGE_KEYS = "manage-keys"
    PROVISION = "provision"
    READ_COURSE = "read-course"
    JOIN_COURSE = "join-course"
    ADD_COURSE = "add-course"
    MANAGE_COURSE = "manage-course"
    READ_ROSTER = "read-roster"
    READ_ROOM = "read-room"
    RUN_ROOM = "run-room"
    ASK_VISIT = "ask-visit"
    ANSWER_VISIT = "answer-visit"
    READ_ANNOUNCEMENTS = "read-announcements"
    ANNOUNCE = "announce"
    SET_PERSON_QUOTA = "set-person-quota"
    ASK_QUOTA = "ask-quota"
    DECIDE_QUOTA = "decide-quota"


class Relation(StrEnum):
    """What the actor is to the object."""

    SELF = "self"
    """It is theirs, or it is nobody's in particular (the menu)."""
    TENANT_MEMBER = "tenant-member"
    TENANT_STAFF = "tenant-staff"
    """assistant or instructor of the object's tenant, or of one above it"""
    TENANT_INSTRUCTOR = "tenant-instructor"
    """instructor of the object's tenant, or of one above it"""
    TENANT_ADMIN = "tenant-admin"
    ADMIN_ABOVE = "admin-above"
    """administrator of a tenant above the object's: whose limits bound the object's"""
    SERVICE = "service"
    """another system with a key for this act"""
    PLATFORM_ADMIN = "platform-admin"


_OWN = frozenset({Relation.SELF})
_STAFF = frozenset({Relation.SELF, Relation.TENANT_STAFF, Relation.TENANT_ADMIN})
_ADMIN = frozenset({Relation.TENANT_ADMIN})
_ROOM = frozenset({Relation.TENANT_STAFF, Relation.TENANT_ADMIN})
_TEACH = frozenset({Relation.TENANT_INSTRUCTOR, Relation.TENANT_ADMIN})
_PLATFORM: frozenset[Relation] = frozenset()

TABLE: Mapping[Action, frozenset[Relation]] = {
    Action.SIGN_IN: _OWN,
    Action.READ_SELF: _OWN,
    Action.READ_MENU: _OWN,
    Action.CHECK: _OWN,
    Action.LAUNCH: _OWN,
    Action.READ_WORKLOAD: _STAFF,
    Action.STOP: _STAFF,
    Action.EXTEND: _STAFF,
    Action.REPORT_SAVED: _OWN,
    Action.REPORT_ACTIVE: _OWN,
    Action.READ_LOGS: frozenset({Relation.SELF, Relation.TENANT_ADMIN}),
    Action.READ_USAGE: _OWN,
    Action.READ_INVENTORY: _OWN,
    Action.READ_PEOPLE: _ADMIN,
    Action.MANAGE_PEOPLE: _ADMIN,
    Action.INVITE: _ADMIN,
    Action.READ_QUOTA: _TEACH,
    Action.SET_QUOTA: frozenset({Relation.ADMIN_ABOVE}),
    Action.GRANT_CREDITS: _PLATFORM,
    Action.TRANSFER_CREDITS: _TEACH,
    Action.READ_ACCOUNTS: _TEACH,
    Action.READ_STATEMENT: frozenset({Relation.SELF, Relation.TENANT_ADMIN}),
    Action.SET_PRICE: _PLATFORM,
    Action.READ_TENANTS: _ADMIN,
    Action.MANAGE_TENANTS: _ADMIN,
    Action.READ_RESERVATIONS: _STAFF,
    Action.RESERVE: _ROOM,
    Action.READ_AUDIT: _ADMIN,
    Action.RELOAD_MENU: _PLATFORM,
    Action.MANAGE_NODES: _PLATFORM,
    Action.LINK_IDENTITY: _OWN,
    Action.MANAGE_ROLES: _ADMIN,
    Action.MANAGE_KEYS: _PLATFORM,
    Action.PROVISION: frozenset({Relation.SERVICE}),
    Action.READ_COURSE: _STAFF,
    Action.JOIN_COURSE: _OWN,
    Action.ADD_COURSE: _TEACH,
    Action.MANAGE_COURSE: _TEACH,
    Action.READ_ROSTER: _ROOM,
    Action.READ_ROOM: _ROOM,
    Action.RUN_ROOM: _ROOM,
    Action.ASK_VISIT: _TEACH,
    Action.ANSWER_VISIT: _OWN,
    Action.READ_ANNOUNCEMENTS: _OWN,
    Action.ANNOUNCE: _ROOM,
    Action.SET_PERSON_QUOTA: _TEACH,
    Action.ASK_QUOTA: _OWN,
    Action.DECIDE_QUOTA: _ADMIN,
}
"""Relations that may; a platform administrator may do everything in it, and a service nothing but
the one act of its key."""

_STAFF_ROLES = frozenset({"assistant", "instructor"})
ROOT_TENANT = "main"
PLATFORM_ADMIN_ROLE = "platform-admin"
STRENGTH = ("member", "assistant", "instructor", "admin", PLATFORM_ADMIN_ROLE)
"""Roles, the weakest first."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The person on whose behalf something is done. `roles` is by tenant id."""

    person_id: str
    login: str
    hub_name: str
    tenant_id: str
    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    service: Action | None = None
    """It is no person but another system, with a key for this one act below `tenant_id`."""

    @property
    def platform_admin(self) -> bool:
        return self.roles.get(ROOT_TENANT) == PLATFORM_ADMIN_ROLE

    @property
    def tenants(self) -> frozenset[str]:
        return frozenset(self.roles)


@dataclass(frozen=True, slots=True)
class Object:
    """What is acted on: whose it is, and the path of tenants from its own up to the root."""

    person_id: str | None
    tenant_path: tuple[str, ...]
    name: str


def relations(actor: Actor, target: Object) -> frozenset[Relation]:
    """What `actor` is to `target`."""
    found: set[Relation] = set()
    if actor.platform_admin:
        found.add(Relation.PLATFORM_ADMIN)
    if target.person_id is None or target.person_id == actor.person_id:
        found.add(Relation.SELF)
    for above, tenant in enumerate(target.tenant_path):
        role = actor.roles.get(tenant)
        if role in _STAFF_ROLES:
            found.add(Relation.TENANT_STAFF)
            if role == "instructor":
                found.add(Relation.TENANT_INSTRUCTOR)
        elif role == "admin":
            found.add(Relation.TENANT_ADMIN)
            if above:
                found.add(Relation.ADMIN_ABOVE)
        elif role == "member":
            found.add(Relation.TENANT_MEMBER)
    return frozenset(found)


def allowed(actor: Actor, action: Action, target: Object) -> bool:
    """Whether the table lets `actor` do `action` to `target`."""
    if actor.service is not None:
        known = actor.service is action and Relation.SERVICE in TABLE[action]
        return known and actor.tenant_id in target.tenant_path
    found = relations(actor, target)
    return Relation.PLATFORM_ADMIN in found or bool(found & TABLE[action])


class Denied(Forbidden):
    """The policy said no; the facts are for the audit."""

    def __init__(self, actor: Actor, action: Action, target: Object) -> None:
        super().__init__(
            f"your role does not allow {action.value.replace('-', ' ')}",
            next="ask an administrator of your tenant",
        )
        self.actor_id, self.action, self.object = actor.person_id, action, target.name
        self.tenant_id = target.tenant_path[0] if target.tenant_path else ""


def require(actor: Actor, action: Action, target: Object) -> None:
    """Raise unless allowed: Denied to those who may see it, NotFound (because of that) to all
    others."""
    if allowed(actor, action, target):
        return
    denied = Denied(actor, action, target)
    if target.person_id is not None and not allowed(actor, Action.READ_WORKLOAD, target):
        raise absent(target.name) from denied
    raise denied


def strongest(roles: Sequence[str]) -> str:
    """The strongest of some roles."""
    return max(roles, key=STRENGTH.index)


def absent(name: str) -> NotFound:
    """What is not there and what may not be known to be there are answered with the same words."""
    return NotFound(f"there is no {name}", next="check the name, or ask who may see it")


ANYBODY = Object(None, (), "menu")
"""For acts whose object is nobody's in particular."""

ANYBODY_OF_SITE = Object(None, (ROOT_TENANT,), "site")
"""For acts on the site as a whole: SELF must not be enough, so the table names no relation."""


def tenant_object(path: tuple[str, ...]) -> Object:
    """A tenant, by the way from it up to the root."""
    return Object(None, path, f"tenant {path[0]!r}")
