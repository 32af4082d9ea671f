"""The policy, judged for every action × role × relation against a table that reviewers read.

The rule behind each letter is written again here, so that a change of the policy is a change of
two files.
"""

import pytest

from catalog.errors import Forbidden, NotFound
from hub.policy import ROOT_TENANT, TABLE, Action, Actor, Object, allowed, require

ROLES = ("member", "assistant", "instructor", "admin")
GOLDEN = {
    # action: may the owner, then each role of the object's tenant that is not the owner
    Action.SIGN_IN: "o",
    Action.READ_SELF: "o",
    Action.READ_MENU: "o",
    Action.CHECK: "o",
    Action.LAUNCH: "o",
    Action.READ_WORKLOAD: "o assistant instructor admin",
    Action.STOP: "o assistant instructor admin",
    Action.EXTEND: "o assistant instructor admin",
    Action.REPORT_SAVED: "o",
    Action.REPORT_ACTIVE: "o",
    Action.READ_LOGS: "o admin",
    Action.READ_USAGE: "o",
    Action.READ_INVENTORY: "o",
    Action.READ_PEOPLE: "admin",
    Action.MANAGE_PEOPLE: "admin",
    Action.INVITE: "admin",
    Action.READ_QUOTA: "instructor admin",
    Action.SET_QUOTA: "",
    Action.GRANT_CREDITS: "",
    Action.TRANSFER_CREDITS: "instructor admin",
    Action.READ_ACCOUNTS: "instructor admin",
    Action.READ_STATEMENT: "o admin",
    Action.SET_PRICE: "",
    Action.READ_TENANTS: "admin",
    Action.MANAGE_TENANTS: "admin",
    Action.READ_RESERVATIONS: "o assistant instructor admin",
    Action.RESERVE: "assistant instructor admin",
    Action.READ_AUDIT: "admin",
    Action.RELOAD_MENU: "",
    Action.MANAGE_NODES: "",
    Action.LINK_IDENTITY: "o",
    Action.MANAGE_ROLES: "admin",
    Action.MANAGE_KEYS: "",
    Action.PROVISION: "",
    Action.READ_COURSE: "o assistant instructor admin",
    Action.JOIN_COURSE: "o",
    Action.ADD_COURSE: "instructor admin",
    Action.MANAGE_COURSE: "instructor admin",
    Action.READ_ROSTER: "assistant instructor admin",
    Action.READ_ROOM: "assistant instructor admin",
    Action.RUN_ROOM: "assistant instructor admin",
    Action.ASK_VISIT: "instructor admin",
    Action.ANSWER_VISIT: "o",
    Action.READ_ANNOUNCEMENTS: "o",
    Action.ANNOUNCE: "assistant instructor admin",
    Action.SET_PERSON_QUOTA: "instructor admin",
    Action.ASK_QUOTA: "o",
    Action.DECIDE_QUOTA: "admin",
}
BY_ADMINS_ABOVE = frozenset({Action.SET_QUOTA})
"""What an administrator may do to the tenants below their own, and not to their own."""
THEIRS = Object("p-owner", ("blue", ROOT_TENANT), "workload 'w-1'")


def actor(role: str, tenant: str = "blue", person: str = "p-other") -> Actor:
    return Actor(person, "x", "x", tenant, {tenant: role})


def test_every_action_is_judged() -> None:
    assert set(GOLDEN) == set(TABLE) == set(Action)


@pytest.mark.parametrize("action", list(Action))
def test_who_may(action: Action) -> None:
    owner = actor("member", person="p-owner")
    may = [role for role in ROLES if allowed(actor(role), action, THEIRS)]
    found = " ".join((["o"] if allowed(owner, action, THEIRS) else []) + may)
    assert found == GOLDEN[action]


@pytest.mark.parametrize("action", list(Action))
def test_roles_of_another_tenant_and_of_one_below_give_nothing(action: Action) -> None:
    for role in (*ROLES, "platform-admin", "", "owner"):
        assert not allowed(actor(role, "red"), action, THEIRS)
        above = Object("p-owner", (ROOT_TENANT,), "workload 'w-1'")
        assert not allowed(actor(role, "blue"), action, above)


@pytest.mark.parametrize("action", list(Action))
def test_roles_of_the_tenants_above_count_and_the_platform_may_everything(action: Action) -> None:
    for role in ROLES:
        above, more = actor(role, ROOT_TENANT), role == "admin" and action in BY_ADMINS_ABOVE
        assert allowed(above, action, THEIRS) == (more or allowed(actor(role), action, THEIRS))
    assert allowed(actor("platform-admin", ROOT_TENANT), action, THEIRS)


@pytest.mark.parametrize("action", list(Action))
def test_a_service_may_do_the_one_act_of_its_key_below_its_tenant(action: Action) -> None:
    key = Actor("", "key", "", "blue", service=Action.PROVISION)
    assert allowed(key, action, THEIRS) == (action is Action.PROVISION)
    elsewhere = Object(None, ("red", ROOT_TENANT), "tenant 'red'")
    assert not allowed(key, action, elsewhere)
    forged = Actor("", "key", "", "blue", {"blue": "admin"}, service=Action.SET_QUOTA)
    assert not allowed(forged, action, THEIRS)


def test_a_stranger_is_told_that_it_is_not_there_and_a_colleague_that_he_may_not() -> None:
    with pytest.raises(NotFound, match="there is no workload 'w-1'"):
        require(actor("member"), Action.STOP, THEIRS)
    with pytest.raises(Forbidden, match="read logs"):
        require(actor("assistant"), Action.READ_LOGS, THEIRS)
    require(actor("instructor"), Action.STOP, THEIRS)
