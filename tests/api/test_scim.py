"""SCIM 2.0: people come, change and above all go, by the word of their provider."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from scim2_tester import Status, check_server
from sqlmodel import select

from hub import identities, memberships, people
from hub.auth.rules import Rule
from hub.identities import Vouched
from hub.settings import SCIM_PREFIX
from hub.store.access_tables import RoleGrantRow
from hub.store.tables import AuditRow, IdentityRow, PasswordRow, PersonRow
from tests.api.who_may import keys
from tests.peers.scim_tester import Client
from tests.site import Site, add_tenant

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
RULES = [
    Rule(when={"groups": ["Physics staff"]}, tenant="physics", role="admin"),
    Rule(when={"groups": ["Rulers"]}, tenant="main", role="platform-admin"),
    Rule(when={"groups": ["Chemists"]}, tenant="chemistry", role="admin"),
]  # type: ignore[list-item]


class Service:
    """A provider that provisions people with a key."""

    def __init__(self, site: Site, tenant: str = "main", **more: Any) -> None:
        self.site = site
        issued = keys.add_key(site, tenant, **more)
        self.id, self.key = issued.row.id, issued.secret

    async def ask(
        self, method: str, path: str, body: Any = None, *, params: Any = None, **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.site.raw(
            method, SCIM_PREFIX + path, json=body, params=params,
            headers={"Authorization": f"Bearer {self.key}", **named},
        )  # fmt: skip

    async def user(self, name: str, **more: Any) -> dict[str, Any]:
        body = {"schemas": [USER], "userName": name, "externalId": f"x-{name}", **more}
        answer = await self.ask("POST", "/Users", body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def group(self, name: str, *members: str) -> dict[str, Any]:
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": m} for m in members]}
        answer = await self.ask("POST", "/Groups", body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def patch(self, path: str, *operations: dict[str, Any]) -> httpx.Response:
        return await self.ask("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    async def found(self, path: str, text: str) -> list[str]:
        answer = await self.ask("GET", path, params={"filter": text})
        assert answer.status_code == 200, answer.text
        listed = answer.json().get("Resources", [])
        return [one.get("userName") or one["displayName"] for one in listed]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as made:
        keys.add_provider(made, RULES)
        for tenant in ("physics", "chemistry"):
            add_tenant(made.control, tenant)
        yield made


def person(site: Site, id_: str) -> PersonRow:
    with site.control.store.read() as session:
        return session.get_one(PersonRow, id_)


def role(site: Site, id_: str, tenant: str) -> str:
    with site.control.store.read() as session:
        return memberships.role_in(session, id_, tenant)


def subjects(site: Site, id_: str) -> list[tuple[str, str]]:
    with site.control.store.read() as session:
        rows = session.exec(select(IdentityRow).where(IdentityRow.person_id == id_)).all()
    return [(row.issuer, row.subject) for row in rows]


async def test_scim2_tester_finds_nothing(site: Site) -> None:
    client = Client(site, Service(site).key, asyncio.get_running_loop())
    results = await asyncio.to_thread(check_server, client)
    bad = [(r.title, str(r.reason)) for r in results if r.status is not Status.SUCCESS]
    assert bad == []
    assert len(results) > 70
    assert {r.resource_type for r in results} >= {"User", "Group"}


async def test_sign_in_finds_whom_scim_made(site: Site) -> None:
    made = await Service(site).user("Mia@example.edu", displayName="Mia")
    assert subjects(site, made["id"]) == [(keys.ISSUER, "x-Mia@example.edu")]
    by_name = await Service(site, subject="user-name", issuer="https://other.edu").user("mia")
    assert subjects(site, by_name["id"]) == [("https://other.edu", "mia")]
    vouched = Vouched(keys.ISSUER, "x-Mia@example.edu", "Mia by sign-in")
    signed_in, _ = identities.sign_in(site.control, vouched)
    assert signed_in.id == made["id"]
    assert person(site, made["id"]).display_name == "Mia by sign-in"


@pytest.mark.parametrize("value", [False, "False", "false"])
async def test_deactivation_ends_tokens_sessions_and_servers_at_once(
    site: Site, value: bool | str
) -> None:
    service = Service(site)
    made = await service.user("mia")
    mia = person(site, made["id"])
    workload = await site.run(mia.login, "cpu")
    sent = await service.patch(
        f"/Users/{mia.id}", {"op": "Replace", "path": "active", "value": value}
    )
    assert (sent.status_code, sent.json()["active"]) == (200, False)
    refused = await site.call(mia.login, "GET", "/me")
    assert (refused.status, refused.code) == (403, "account-closed")
    await site.until(lambda: site.row(workload).status == "stopped", lambda: "it stopped")
    assert person(site, mia.id).closed_by == f"scim:{service.id}"
    again = await service.patch(f"/Users/{mia.id}", {"op": "replace", "value": {"active": True}})
    assert again.json()["active"] is True
    assert (await site.call(mia.login, "GET", "/me")).status == 200


async def test_a_user_that_is_deleted_is_closed_and_may_come_back(site: Site) -> None:
    service = Service(site)
    made = await service.user("mia")
    mia = person(site, made["id"])
    await service.group("Physics staff", mia.id)
    assert (await service.ask("DELETE", f"/Users/{mia.id}")).status_code == 204
    assert (await service.ask("GET", f"/Users/{mia.id}")).status_code == 404
    assert (await service.ask("DELETE", f"/Users/{mia.id}")).status_code == 404
    assert (await site.call(mia.login, "GET", "/me")).status == 403
    assert role(site, mia.id, "physics") == role(site, mia.id, "main") == ""
    back = await service.user("mia")
    assert back["id"] == mia.id
    assert (await site.call(mia.login, "GET", "/me")).status == 200
    assert role(site, mia.id, "physics") == ""


async def test_while_the_hub_is_away_closing_is_unfinished_and_repeating_finishes_it(
    site: Site,
) -> None:
    service = Service(site)
    made = await service.user("mia")
    site.hub.down = True
    assert (await service.ask("DELETE", f"/Users/{made['id']}")).status_code == 503
    assert not person(site, made["id"]).active
    site.hub.down = False
    assert (await service.ask("DELETE", f"/Users/{made['id']}")).status_code == 204


async def test_whom_an_administrator_closed_no_service_opens(site: Site) -> None:
    service = Service(site)
    made = await service.user("mia")
    login = person(site, made["id"]).login
    await site.call("admin", "POST", f"/people/{login}/deactivate")
    for sent in (
        await service.patch(f"/Users/{made['id']}", {"op": "replace", "value": {"active": True}}),
        await service.ask(
            "PUT", f"/Users/{made['id']}", {"schemas": [USER], "userName": "mia", "active": True}
        ),
    ):
        assert (sent.status_code, sent.json()["active"]) == (200, False)
    assert person(site, made["id"]).closed_by == "admin"


async def test_groups_give_roles_and_take_them_back(site: Site) -> None:
    service = Service(site)
    mia, max_ = await service.user("mia"), await service.user("max")
    group = await service.group("Physics staff", mia["id"])
    assert role(site, mia["id"], "physics") == "admin"
    assert role(site, max_["id"], "physics") == ""
    path = f"/Groups/{group['id']}"
    await service.patch(path, {"op": "Add", "path": "members", "value": [{"value": max_["id"]}]})
    assert role(site, max_["id"], "physics") == "admin"
    await service.patch(path, {"op": "remove", "path": f'members[value eq "{mia["id"]}"]'})
    assert role(site, mia["id"], "physics") == ""
    # As Entra writes it.
    await service.patch(path, {"op": "Remove", "path": "members", "value": [{"value": max_["id"]}]})
    assert role(site, max_["id"], "physics") == ""
    await service.patch(path, {"op": "add", "value": {"members": [{"value": mia["id"]}]}})
    assert role(site, mia["id"], "physics") == "admin"
    await service.patch(path, {"op": "replace", "path": "displayName", "value": "Others"})
    assert role(site, mia["id"], "physics") == ""
    await service.patch(path, {"op": "replace", "path": "displayName", "value": "Physics staff"})
    with site.control.store.read() as session:
        given = session.get(RoleGrantRow, (mia["id"], "physics", f"scim:{service.id}"))
    assert given
    assert given.role == "admin"
    shown = (await service.ask("GET", f"/Users/{mia['id']}")).json()["groups"]
    assert [one["display"] for one in shown] == ["Physics staff"]
    await service.ask("DELETE", path)
    assert role(site, mia["id"], "physics") == ""
    assert role(site, mia["id"], "main") == "member"


async def test_a_role_that_somebody_else_gave_stays(site: Site) -> None:
    service = Service(site)
    mia = await service.user("mia")
    with site.control.store.write() as session:
        memberships.give(session, mia["id"], "physics", "manual", "member", site.clock.now())
    group = await service.group("Physics staff", mia["id"])
    await service.ask("DELETE", f"/Groups/{group['id']}")
    assert role(site, mia["id"], "physics") == "member"


async def test_who_loses_a_role_loses_the_api_tokens_too(site: Site) -> None:
    service = Service(site)
    mia = await service.user("mia")
    group = await service.group("Physics staff", mia["id"])
    login = person(site, mia["id"]).login
    token = {"Authorization": f"token {site.token_of(login)}"}
    await service.ask("DELETE", f"/Groups/{group['id']}")
    answer = await site.raw("GET", "/services/control/v1/me", headers=token)
    assert answer.status_code == 401


async def test_no_group_makes_a_platform_administrator_nor_reaches_other_tenants(
    site: Site,
) -> None:
    everywhere, physics = Service(site), Service(site, "physics", issuer=keys.ISSUER)
    ruler, chemist = await everywhere.user("ruler"), await physics.user("chemist")
    await everywhere.group("Rulers", ruler["id"])
    await physics.group("Chemists", chemist["id"])
    assert role(site, ruler["id"], "main") == "member"
    assert role(site, chemist["id"], "chemistry") == ""
    assert role(site, chemist["id"], "physics") == "member"


async def test_a_key_sees_and_changes_only_what_it_made(site: Site) -> None:
    one, other = Service(site), Service(site, issuer="https://other.edu")
    mia, group = await one.user("mia"), await one.group("staff")
    assert (await other.ask("GET", "/Users")).json()["totalResults"] == 0
    for method, path, body in (
        ("GET", f"/Users/{mia['id']}", None), ("DELETE", f"/Users/{mia['id']}", None),
        ("PUT", f"/Users/{mia['id']}", {"schemas": [USER], "userName": "x"}),
        ("GET", f"/Groups/{group['id']}", None), ("DELETE", f"/Groups/{group['id']}", None),
    ):  # fmt: skip
        assert (await other.ask(method, path, body)).status_code == 404
    stolen = {"schemas": [GROUP], "displayName": "x", "members": [{"value": mia["id"]}]}
    answer = await other.ask("POST", "/Groups", stolen)
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    await other.user("mia")  # the same name at another provider is another person
    assert person(site, mia["id"]).active


async def test_local_accounts_and_platform_administrators_are_out_of_reach(site: Site) -> None:
    service = Service(site)
    for name, protect in (("boss", "role"), ("local", "password")):
        made = await service.user(name)
        with site.control.store.write() as session:
            if protect == "role":
                memberships.give(
                    session, made["id"], "main", "manual", "platform-admin", site.clock.now()
                )
            else:
                now = site.clock.now()
                session.add(PasswordRow(person_id=made["id"], hash="h", changed_at=now))
        for sent in (
            await service.patch(
                f"/Users/{made['id']}", {"op": "replace", "value": {"active": False}}
            ),
            await service.ask("DELETE", f"/Users/{made['id']}"),
        ):
            assert sent.status_code == 403
        assert person(site, made["id"]).active


async def test_an_identity_is_never_taken_from_somebody_else(site: Site) -> None:
    """The administrator of physics gets a key; the chemist who signed in before stays out of it."""
    chemist = site.person("chemist", "chemistry")
    with site.control.store.write() as session:
        session.add(
            IdentityRow(
                id="i-1", person_id=chemist.person_id, issuer=keys.ISSUER, subject="s-1",
                created_at=site.clock.now(),
            )
        )  # fmt: skip
    service = Service(site, "physics")
    wanted = {"schemas": [USER], "userName": "me", "externalId": "s-1"}
    refused = await service.ask("POST", "/Users", wanted)
    assert (refused.status_code, refused.json()["scimType"]) == (409, "uniqueness")
    mine = await service.user("me")
    sent = await service.patch(
        f"/Users/{mine['id']}", {"op": "replace", "path": "externalId", "value": "s-1"}
    )
    assert sent.status_code == 409
    assert subjects(site, chemist.person_id) == [(keys.ISSUER, "s-1")]


async def test_who_signed_in_before_is_taken_on(site: Site) -> None:
    physicist = site.person("physicist", "physics")
    with site.control.store.write() as session:
        session.add(
            IdentityRow(
                id="i-1", person_id=physicist.person_id, issuer=keys.ISSUER, subject="x-phy",
                created_at=site.clock.now(),
            )
        )  # fmt: skip
    made = await Service(site, "physics").user("phy", displayName="The physicist")
    assert made["id"] == physicist.person_id
    assert person(site, made["id"]).display_name == "The physicist"


async def test_names_are_compared_without_case_and_are_taken_once(site: Site) -> None:
    service = Service(site)
    await service.user("Jörg.Ünal@Example.edu")
    body = {"schemas": [USER], "userName": "JÖRG.ÜNAL@example.EDU", "externalId": "other"}
    refused = await service.ask("POST", "/Users", body)
    assert (refused.status_code, refused.json()["scimType"]) == (409, "uniqueness")
    for text in (
        'userName eq "jörg.ünal@example.edu"', 'USERNAME Eq "JÖRG.Ünal@example.edu"',
        f'{USER}:userName sw "JÖRG"', 'userName ew "@EXAMPLE.edu" and active eq true',
        'externalId eq "x-Jörg.Ünal@Example.edu"', 'not (userName eq "x")', "userName pr",
        'id eq "nobody" or displayName co "@EXAMPLE"', 'meta.created gt "2020-01-01T00:00:00Z"',
    ):  # fmt: skip
        assert await service.found("/Users", text) == ["Jörg.Ünal@Example.edu"], text
    for text in (
        'userName eq "j%"', 'userName co "_org"', 'externalId eq "X-jörg.ünal@example.edu"',
        "active eq false", 'userName ne "jörg.ünal@example.edu"',
    ):  # fmt: skip
        assert await service.found("/Users", text) == [], text


@pytest.mark.parametrize(
    "text",
    ["userName", "userName eq", 'name.familyName eq "x"', 'password eq "x"', "((((", 'id lk "x"',
     "active eq 7", "userName eq 7", 'meta.created gt "soon"', "x" * 3000,
     " and ".join(["id pr"] * 60)],
)  # fmt: skip
async def test_a_filter_that_cannot_be_is_told_so(site: Site, text: str) -> None:
    answer = await Service(site).ask("GET", "/Users", params={"filter": text})
    assert answer.status_code == 400
    assert answer.json()["schemas"] == [ERROR]
    assert answer.json()["scimType"] == "invalidFilter"


async def test_lists_are_paged(site: Site) -> None:
    service = Service(site)
    names = {(await service.user(f"u{n}"))["userName"] for n in range(5)}
    seen: list[str] = []
    for start in (1, 3, 5, 7):
        page = (await service.ask("GET", "/Users", params={"startIndex": start, "count": 2})).json()
        assert page["totalResults"] == 5
        seen += [one["userName"] for one in page.get("Resources", [])]
    assert sorted(seen) == sorted(names)
    none = (await service.ask("GET", "/Users", params={"count": 0})).json()
    assert (none["totalResults"], none.get("Resources", [])) == (5, [])
    odd = await service.ask("GET", "/Users", params={"startIndex": "-7", "count": "-1"})
    assert odd.json()["totalResults"] == 5
    bad = await service.ask("GET", "/Users", params={"count": "many"})
    assert (bad.status_code, bad.json()["scimType"]) == (400, "invalidValue")
    both = (await service.ask("POST", "/.search", {"count": 4, "startIndex": 4})).json()
    assert (both["totalResults"], len(both["Resources"])) == (5, 2)


async def test_attributes_can_be_chosen_and_members_left_out(site: Site) -> None:
    service = Service(site)
    mia = await service.user("mia", displayName="Mia", title="Dr")
    await service.group("staff", mia["id"])
    some = (await service.ask("GET", f"/Users/{mia['id']}", params={"attributes": "title"})).json()
    assert set(some) == {"schemas", "id", "title"}
    page = await service.ask("GET", "/Groups", params={"excludedAttributes": "members"})
    assert "members" not in page.json()["Resources"][0]


async def test_versions_guard_against_lost_changes(site: Site) -> None:
    service = Service(site)
    made = await service.ask("POST", "/Users", {"schemas": [USER], "userName": "mia"})
    path, tag = f"/Users/{made.json()['id']}", made.headers["etag"]
    assert made.json()["meta"]["version"] == tag
    assert made.headers["location"].endswith(SCIM_PREFIX + path)
    assert (await service.ask("GET", path, If_None_Match=tag)).status_code == 304
    body = {"schemas": [USER], "userName": "mia", "title": "Dr"}
    changed = await service.ask("PUT", path, body, If_Match=tag)
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    for method in ("PUT", "DELETE"):
        late = await service.ask(method, path, body if method == "PUT" else None, If_Match=tag)
        assert late.status_code == 412
    assert (await service.ask("PUT", path, body, If_Match="*")).status_code == 200
    assert (await service.ask("GET", path, If_None_Match=tag)).status_code == 200


async def test_what_entra_sends_is_understood(site: Site) -> None:
    service = Service(site)
    extension = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    made = await service.user(
        "mia", schemas=[USER, extension], emails=[{"type": "work", "value": "m@x", "primary": True}],
        phoneNumbers=[{"type": "mobile", "value": "1"}], password="secret", active=True,
        **{extension: {"department": "Physics"}},
    )  # fmt: skip
    assert set(made) & {"phoneNumbers", "password", extension} == set()
    sent = await service.patch(
        f"/Users/{made['id']}",
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "new@x"},
        {"op": "Add", "path": "name.givenName", "value": "Mia"},
        {"op": "Replace", "value": {"name.familyName": "Li", "displayName": "Mia Li"}},
        {"op": "Replace", "path": f"{extension}:department", "value": "Chemistry"},
        {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "2"},
    )
    assert sent.status_code == 200, sent.text
    assert (person(site, made["id"]).email, sent.json()["name"]) == (
        "new@x", {"givenName": "Mia", "familyName": "Li"},
    )  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"nonsense", b'{"schemas": []}', b'{"userName": 7}', b"\xff\xfe", b"[" * 5000,
     b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"a\\u0000b"}',
     b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"   "}',
     b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"a\\nb"}',
     b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"' + b"u" * 999 + b'"}',
     b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"a","title":"'
     + b"t" * 20_000 + b'"}'],
)  # fmt: skip
async def test_nonsense_makes_nobody(site: Site, body: bytes) -> None:
    service = Service(site)
    answer = await site.raw(
        "POST", f"{SCIM_PREFIX}/Users", content=body,
        headers={"Authorization": f"Bearer {service.key}"},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["schemas"]) == (400, [ERROR])
    assert (await service.ask("GET", "/Users")).json()["totalResults"] == 0


async def test_a_patch_is_done_whole_or_not_at_all(site: Site) -> None:
    service = Service(site)
    made = await service.user("mia", displayName="Mia")
    sent = await service.patch(
        f"/Users/{made['id']}",
        {"op": "replace", "path": "displayName", "value": "Other"},
        {"op": "replace", "path": "active", "value": "perhaps"},
    )
    assert sent.status_code == 400
    assert person(site, made["id"]).display_name == "Mia"


async def test_addresses_that_are_none_are_told_in_scims_shape(site: Site) -> None:
    service = Service(site)
    for method, path, status in (
        ("GET", "/Nothing", 404), ("DELETE", "/Users", 405), ("POST", "/ServiceProviderConfig", 405),
        ("GET", "/Schemas/none", 404), ("GET", "/Users/none", 404),
    ):  # fmt: skip
        answer = await service.ask(method, path)
        assert (answer.status_code, answer.json()["status"]) == (status, str(status))
        assert answer.json()["schemas"] == [ERROR]


async def test_what_a_key_does_is_in_the_audit_under_its_name(site: Site) -> None:
    service = Service(site)
    mia = await service.user("mia")
    group = await service.group("Physics staff", mia["id"])
    await service.patch(f"/Users/{mia['id']}", {"op": "replace", "value": {"active": False}})
    await service.ask("DELETE", f"/Groups/{group['id']}")
    await service.ask("DELETE", f"/Users/{mia['id']}")
    with site.control.store.read() as session:
        rows = session.exec(select(AuditRow).where(AuditRow.actor == f"scim:{service.id}")).all()
    counted = Counter(row.action for row in rows)
    for action in (
        "scim-user-added", "scim-user-changed", "scim-user-removed", "scim-group-added",
        "scim-group-removed", "person-deactivated", "identity-provisioned", "roles-changed",
    ):  # fmt: skip
        assert counted[action] >= 1, action
    assert people.by_login(site.control, person(site, mia["id"]).login).closed_by
