"""Launches, rosters and scores, with a learning system that says what a test wants, and lies."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from aiohttp import web
from sqlmodel import select

from hub import identities, people
from hub.identities import Vouched
from hub.lti import sync
from hub.lti.messages import Context, Launch, Services
from hub.lti.services import LINE_SCOPE, PlatformServices
from hub.lti.systems import Systems
from hub.policy import Actor
from hub.store.access_tables import LtiContextRow, RoleGrantRow
from hub.store.course_tables import RosterRow
from hub.store.tables import AuditRow, PersonRow
from tests.api.who_may.callers import a_course, platform
from tests.peers.lying_platform import INSTRUCTOR, LyingPlatform, lying_platform, member
from tests.site import Answer, Site, add_tenant

C = "/courses/blue/lti"


class Campus:
    """A site whose course *blue* may be linked to a course of the platform; ian teaches blue."""

    def __init__(self, site: Site, liar: LyingPlatform) -> None:
        self.site, self.liar = site, liar

    def launch(self, subject: str, role: str = "member", **more: Any) -> Launch:
        liar = self.liar.issuer
        given = {
            "platform": "lms", "deployment": "d-1", "subject": subject, "name": subject.title(),
            "email": "same@example.org", "role": role, "context": Context("c-1", "Physics"),
            "services": Services(f"{liar}/roster", f"{liar}/lines", "", (LINE_SCOPE,)), **more,
        }  # fmt: skip
        return Launch(**given)

    async def come(
        self, subject: str, role: str = "member", *, add: bool = True, **more: Any
    ) -> Answer:
        """A launch that the Hub has checked."""
        body = {"launch": asdict(self.launch(subject, role, **more)), "add": add}
        return await self.inner("/lti/launch", body)

    async def inner(self, path: str, body: dict[str, Any]) -> Answer:
        transport = httpx.ASGITransport(self.site.hub.inner, raise_app_exceptions=False)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
            answer = await client.post(f"/internal{path}", json=body)
        return Answer(answer.status_code, answer.json())

    async def link(self) -> str:
        """The platform's course leads into blue; its id."""
        with self.site.control.store.write() as session:
            row = session.exec(select(LtiContextRow)).first()
            if row is None:
                row = LtiContextRow(
                    id="lc-1", platform="lms", deployment_id="d-1", context_id="c-1",
                    title="Physics", roster_url=f"{self.liar.issuer}/roster",
                    line_items_url=f"{self.liar.issuer}/lines", scopes=LINE_SCOPE,
                    created_at=self.site.clock.now(),
                )  # fmt: skip
            row.tenant_id, row.tried_at = "blue", self.site.clock.now()  # no look by itself
            session.add(row)
            return row.id

    async def sync(self) -> dict[str, Any]:
        answer = await self.site.call("ian", "POST", f"{C}/sync")
        assert answer.status == 200, answer.body
        (found,) = answer.body["items"]
        return found

    def roles(self, subject: str) -> dict[str, str]:
        """Of whoever came by that name, by tenant, with their reasons."""
        with self.site.control.store.read() as session:
            found = identities.identity_of(session, self.issuer, subject)
            assert found is not None
            rows = session.exec(
                select(RoleGrantRow).where(RoleGrantRow.person_id == found.person_id)
            ).all()
            return {f"{row.tenant_id} {row.source}": row.role for row in rows}

    def lines(self) -> dict[str, bool]:
        """Names on blue's list by the platform's word, and whether they are on it still."""
        with self.site.control.store.read() as session:
            rows = session.exec(select(RosterRow).where(RosterRow.source == "lti:lms")).all()
            return {row.key: row.removed_at is None for row in rows}

    @property
    def issuer(self) -> str:
        return self.liar.platform().identity_issuer


@pytest.fixture
async def liar() -> AsyncIterator[LyingPlatform]:
    async with lying_platform() as platform:
        yield platform


@pytest.fixture
async def campus(tmp_path: Path, liar: LyingPlatform) -> AsyncIterator[Campus]:
    file = tmp_path / "lti.yaml"
    file.write_text(yaml.safe_dump({"platforms": [liar.entry()]}))
    async with Site(tmp_path, lti=file) as site:
        add_tenant(site.control, "blue")
        a_course(site, platform(site))
        site.person("ian", "blue", "instructor")
        yield Campus(site, liar)


# ---- launches -----------------------------------------------------------------------------------


async def test_a_learner_of_a_linked_course_is_in_it_and_nowhere_else(campus: Campus) -> None:
    await campus.link()
    found = await campus.come("ada")
    assert found.body["to"] == "/services/portal/courses/blue/open"
    assert campus.roles("ada") == {"blue lti:lms": "member"}
    assert campus.lines() == {"ada": True}
    again = await campus.come("ada")
    assert again.body["hub_name"] == found.body["hub_name"]


async def test_nobody_is_merged_by_a_name_or_an_address(campus: Campus) -> None:
    await campus.link()
    ada, bob = await campus.come("ada"), await campus.come("bob")
    assert ada.body["hub_name"] != bob.body["hub_name"]


async def test_no_account_is_made_before_that_is_asked(campus: Campus) -> None:
    await campus.link()
    found = await campus.come("ada", add=False)
    assert (found.body["next"], found.body["hub_name"]) == ("who", "")
    with campus.site.control.store.read() as session:
        assert identities.identity_of(session, campus.issuer, "ada") is None


@pytest.mark.parametrize("role", ["member", "assistant", "instructor", ""])
async def test_a_course_that_is_not_linked_makes_nobody_an_account(
    campus: Campus, role: str
) -> None:
    found = await campus.come("ada", role)
    assert found.status == 403
    with campus.site.control.store.read() as session:
        assert identities.identity_of(session, campus.issuer, "ada") is None


async def test_who_has_no_role_there_has_none_here(campus: Campus) -> None:
    await campus.link()
    found = await campus.come("ada", "")
    assert found.status == 403
    assert "learn or teach" in found.body["error"]["message"]


async def test_a_copied_link_to_another_course_opens_neither(campus: Campus) -> None:
    await campus.link()
    found = await campus.come("ada", course="red")
    assert found.status == 403
    assert "another course" in found.body["error"]["message"]


async def test_a_closed_account_stays_closed(campus: Campus) -> None:
    await campus.link()
    found = await campus.come("ada")
    with campus.site.control.store.write() as session:
        person = session.exec(
            select(PersonRow).where(PersonRow.hub_name == found.body["hub_name"])
        ).one()
        people.shut(campus.site.control, session, person, people.ADMIN_CLOSED, "admin")
    again = await campus.come("ada")
    assert (again.status, again.code) == (403, "account-closed")


async def test_a_learning_system_that_the_file_does_not_have_is_none(campus: Campus) -> None:
    assert (await campus.come("ada", platform="other")).status == 404


# ---- links --------------------------------------------------------------------------------------


async def linked_identity(campus: Campus, actor: Actor, subject: str) -> None:
    body = {"launch": asdict(campus.launch(subject, "instructor")), "hub_name": actor.hub_name}
    assert (await campus.inner("/lti/link-identity", body)).status == 200


async def test_an_instructor_links_their_course_to_one_that_they_manage(campus: Campus) -> None:
    ian = people.by_login(campus.site.control, "ian")
    await linked_identity(campus, people.actor_of(campus.site.control, ian.hub_name), "ian")
    found = await campus.come("ian", "instructor")
    assert found.body["hub_name"] == ian.hub_name
    context = found.body["context"]
    assert found.body["to"] == f"/hub/lti/link?context={context}"
    choices = await campus.inner("/lti/choices", {"hub_name": ian.hub_name, "context": context})
    assert choices.body["courses"] == [{"id": "blue", "name": "Blue"}]
    listed = await campus.site.call("ian", "GET", "/lti/contexts")
    assert [item["id"] for item in listed.body["items"]] == [context]
    linked = await campus.site.call("ian", "POST", C, {"context": context})
    assert (linked.status, linked.body["course"]) == (200, "blue")
    assert (await campus.site.call("ian", "POST", C, {"context": context})).status == 200


async def test_only_who_teaches_both_links_them(campus: Campus) -> None:
    campus.site.person("rita", "blue", "instructor")
    add_tenant(campus.site.control, "red")
    ian = people.by_login(campus.site.control, "ian")
    await linked_identity(campus, people.actor_of(campus.site.control, ian.hub_name), "ian")
    context = (await campus.come("ian", "instructor")).body["context"]
    # She manages the course here, and has never taught the one there.
    assert (await campus.site.call("rita", "POST", C, {"context": context})).status == 404
    assert (await campus.site.call("rita", "GET", f"/lti/contexts/{context}")).status == 404
    # He taught the one there, and does not manage this one.
    answer = await campus.site.call("ian", "POST", "/courses/red/lti", {"context": context})
    assert answer.status == 404


async def test_an_identity_of_another_account_is_not_linked(campus: Campus) -> None:
    await campus.link()
    await campus.come("ada")
    ian = people.by_login(campus.site.control, "ian")
    body = {"launch": asdict(campus.launch("ada")), "hub_name": ian.hub_name}
    assert (await campus.inner("/lti/link-identity", body)).status == 409


async def test_ending_a_link_lets_out_whom_it_brought(campus: Campus) -> None:
    context = await campus.link()
    await campus.come("ada")
    token = campus.site.token_of("ian")
    answer = await campus.site.raw(
        "DELETE", f"/services/control/v1{C}/{context}", headers={"Authorization": f"token {token}"}
    )
    assert answer.status_code == 204
    assert campus.roles("ada") == {}
    assert campus.lines() == {"ada": False}
    assert (await campus.come("ada")).status == 403


# ---- rosters ------------------------------------------------------------------------------------


async def test_a_roster_in_pages_is_expected_joined_and_left(campus: Campus) -> None:
    await campus.link()
    await campus.come("ada")
    campus.liar.pages = [[member("ada"), member("bob")], [member("cy", INSTRUCTOR)]]
    assert await campus.sync() == {
        "platform": "lms", "members": 3, "joined": 0, "left": 0, "kept_out": 0, "error": "",
    }  # fmt: skip
    assert campus.lines() == {"ada": True, "bob": True, "cy": True}
    assert (await campus.come("cy", "instructor")).body["to"] == "/services/portal/courses/blue"
    campus.liar.pages = [[member("ada", INSTRUCTOR), member("bob")]]
    found = await campus.sync()
    assert (found["joined"], found["left"]) == (1, 1)
    assert campus.roles("ada") == {"blue lti:lms": "instructor"}
    assert campus.roles("cy") == {}
    assert campus.lines() == {"ada": True, "bob": True, "cy": False}
    assert (await campus.sync())["joined"] == 0


async def test_other_reasons_for_a_role_stay(campus: Campus) -> None:
    from hub import memberships

    await campus.link()
    found = await campus.come("ada")
    with campus.site.control.store.write() as session:
        person = session.exec(
            select(PersonRow).where(PersonRow.hub_name == found.body["hub_name"])
        ).one()
        memberships.give(session, person.id, "blue", "manual", "assistant", campus.site.clock.now())
    campus.liar.pages = [[member("bob")]]
    await campus.sync()
    assert campus.roles("ada") == {"blue manual": "assistant"}


async def remove(campus: Campus, subject: str) -> str:
    """By ian, from the course's list; the entry."""
    listed = (await campus.site.call("ian", "GET", "/courses/blue/roster")).body["items"]
    (entry,) = [one["id"] for one in listed if one["key"] == subject]
    gone = await campus.site.call("ian", "DELETE", f"/courses/blue/roster/{entry}")
    assert gone.status == 200, gone.body
    return entry


async def test_whom_the_staff_removed_neither_a_roster_nor_a_launch_brings_back(
    campus: Campus,
) -> None:
    await campus.link()
    await campus.come("ada")
    campus.liar.pages = [[member("ada"), member("bob")]]
    await campus.sync()
    entry = await remove(campus, "ada")
    await remove(campus, "bob")  # who never came
    found = await campus.sync()
    assert (found["members"], found["joined"], found["kept_out"]) == (2, 0, 2)
    assert campus.roles("ada") == {}
    assert campus.lines() == {"ada": False, "bob": False}
    for subject in ("ada", "bob"):
        refused = await campus.come(subject)
        assert (refused.status, refused.code) == (403, "forbidden")
        assert "took you off its list" in str(refused.body)
    again = {"role": "member"}
    let_in = await campus.site.call("ian", "PUT", f"/courses/blue/roster/{entry}", again)
    assert let_in.body["state"] == "joined", let_in.body
    assert (await campus.come("ada")).status == 200
    assert campus.roles("ada")["blue lti:lms"] == "member"


async def test_whom_the_learning_system_took_off_it_may_bring_back(campus: Campus) -> None:
    await campus.link()
    await campus.come("ada")
    for there in ([member("bob")], [member("ada"), member("bob")]):
        campus.liar.pages = [there]
        assert (await campus.sync())["kept_out"] == 0
    assert campus.roles("ada") == {"blue lti:lms": "member"}


async def test_who_gives_up_a_learning_system_gives_up_what_it_gave(campus: Campus) -> None:
    await campus.link()
    person, _ = identities.sign_in(campus.site.control, Vouched("https://id.example", "s", "Ada"))
    body = {"launch": asdict(campus.launch("ada")), "hub_name": person.hub_name}
    assert (await campus.inner("/lti/link-identity", body)).status == 200
    await campus.come("ada")
    assert campus.roles("ada")["blue lti:lms"] == "member"
    listed = (await campus.site.call(person.login, "GET", "/identities")).body["items"]
    (theirs,) = [one["id"] for one in listed if one["issuer"] == campus.issuer]
    token = campus.site.token_of(person.login)
    gone = await campus.site.call(person.login, "DELETE", f"/identities/{theirs}")
    assert gone.status == 200, gone.body
    assert token not in campus.site.hub.tokens
    assert set(people.actor_of(campus.site.control, person.hub_name).roles) == {"main"}
    other = await campus.come("ada")  # somebody new, who takes the line that waits
    assert other.body["hub_name"] != person.hub_name
    assert campus.roles("ada") == {"blue lti:lms": "member"}


async def test_an_empty_roster_empties_no_course(campus: Campus) -> None:
    await campus.link()
    await campus.come("ada")
    campus.liar.pages = [[]]
    found = await campus.sync()
    assert "nobody in it" in found["error"]
    assert campus.roles("ada") == {"blue lti:lms": "member"}
    shown = (await campus.site.call("ian", "GET", C)).body["items"][0]
    assert "nobody in it" in shown["error"]
    campus.liar.pages = [[member("ada")]]
    await campus.sync()
    shown = (await campus.site.call("ian", "GET", C)).body["items"][0]
    assert (shown["error"], shown["synced_at"] is not None) == ("", True)


def elsewhere(request: web.Request) -> web.Response:
    """A next page on another site: whoever follows it takes the token along."""
    headers = {"Link": '<http://127.0.0.1:1/roster>; rel="next"'}
    return web.json_response({"members": [member("ada")]}, headers=headers)


def endless(request: web.Request) -> web.Response:
    number = int(request.query.get("page", "0")) + 1
    headers = {"Link": f'<{request.url.origin()}/roster?page={number}>; rel="next"'}
    return web.json_response({"members": []}, headers=headers)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (elsewhere, "somewhere else"),
        (endless, "pages"),
        (lambda _: web.Response(status=403), "403"),
        (lambda _: web.Response(status=401), "401"),
        (lambda _: web.Response(text="<html>"), "no list of members"),
        (lambda _: web.json_response([1]), "no list of members"),
        (lambda _: web.Response(text="x" * (2 * 2**20 + 1)), "does not answer"),
    ],
)
async def test_a_roster_that_cannot_be_had_changes_nothing(
    campus: Campus, answer: Any, words: str
) -> None:
    await campus.link()
    await campus.come("ada")
    campus.liar.raw["roster"] = answer
    found = await campus.sync()
    assert words in found["error"]
    assert campus.roles("ada") == {"blue lti:lms": "member"}


async def test_no_roster_is_asked_for_at_an_address_inside(campus: Campus) -> None:
    await campus.link()
    with campus.site.control.store.write() as session:
        row = session.exec(select(LtiContextRow)).one()
        row.roster_url = "https://169.254.169.254/latest/meta-data"
        session.add(row)
    assert "private network" in (await campus.sync())["error"]


async def test_a_token_is_asked_for_with_proof_and_kept(campus: Campus) -> None:
    await campus.link()
    campus.liar.pages = [[member("ada")]]
    await campus.sync()
    await campus.sync()
    (form,) = campus.liar.forms
    assert form["grant_type"] == "client_credentials"
    assert form["scope"].endswith("contextmembership.readonly")
    campus.site.clock.advance(timedelta(hours=1))
    await campus.sync()
    assert len(campus.liar.forms) == 2


async def test_a_launch_looks_at_the_roster_by_itself_but_not_each_time(campus: Campus) -> None:
    await campus.link()
    campus.liar.pages = [[member("ada"), member("bob")]]

    async def looks() -> int:
        await campus.come("ada")
        async with asyncio.timeout(10):
            while len(asyncio.all_tasks()) > 1:
                if all("_look" not in str(task) for task in asyncio.all_tasks()):
                    break
                await asyncio.sleep(0.005)
        return sum(asked.startswith("GET /roster") for asked in campus.liar.asked)

    assert await looks() == 0
    campus.site.clock.advance(timedelta(minutes=11))
    assert await looks() == 1
    assert await looks() == 1
    assert campus.lines() == {"ada": True, "bob": True}


async def test_two_looks_at_once_come_to_the_same(campus: Campus) -> None:
    await campus.link()
    campus.liar.pages = [[member("ada"), member("bob")]]
    systems = Systems(campus.site.settings, campus.site.clock)
    rows = sync.demand_managed(
        campus.site.control, people.actor_of(campus.site.control, "ian"), "blue"
    )
    both = [sync.sync(campus.site.control, systems, "blue", rows, "system") for _ in "ab"]
    found = await asyncio.gather(*both)
    assert [outcome.error for outcomes in found for outcome in outcomes] == ["", ""]
    assert campus.lines() == {"ada": True, "bob": True}


# ---- scores -------------------------------------------------------------------------------------


async def scored(campus: Campus, login: str, **more: Any) -> Answer:
    body = {"login": login, "score": 8, "max": 10, **more}
    return await campus.site.call("ian", "POST", f"{C}/score", body)


async def came(campus: Campus, subject: str) -> str:
    """Their login."""
    hub_name = (await campus.come(subject)).body["hub_name"]
    return people.actor_of(campus.site.control, hub_name).login


async def test_a_score_goes_into_one_line_of_the_gradebook(campus: Campus) -> None:
    await campus.link()
    login = await came(campus, "ada")
    for comment in ("", "good"):
        assert (await scored(campus, login, comment=comment)).status == 200
    assert [line["resourceId"] for line in campus.liar.lines] == ["perijove:blue"]
    first, second = campus.liar.scores
    assert (first["userId"], first["scoreGiven"], first["scoreMaximum"]) == ("ada", 8.0, 10.0)
    assert (first["activityProgress"], first["gradingProgress"]) == ("Completed", "FullyGraded")
    assert "comment" not in first
    assert second["comment"] == "good"
    assert campus.liar.asked[-1] == "POST /lines/1/scores?type=x"
    with campus.site.control.store.read() as session:
        lines = session.exec(select(AuditRow).where(AuditRow.action == "lti-score")).all()
        assert [line.detail["score"] for line in lines] == [8.0, 8.0]


async def test_a_lost_answer_is_asked_for_again_with_the_same_time(
    campus: Campus, monkeypatch: pytest.MonkeyPatch
) -> None:
    await campus.link()
    login = await came(campus, "ada")
    await scored(campus, login)
    seen: list[str] = []

    async def pause(_: float) -> None:
        seen.append("again")

    monkeypatch.setattr("hub.lti.services.asyncio.sleep", pause)
    posts = 0

    def flaky(request: web.Request) -> web.Response:
        nonlocal posts
        posts += 1
        return web.Response(status=(503, 409)[posts - 1])

    campus.liar.raw["lines/1/scores"] = flaky
    assert (await scored(campus, login)).status == 200
    assert (posts, seen) == (2, ["again"])


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500])
async def test_a_score_that_is_refused_is_told(
    campus: Campus, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(PlatformServices.__init__, "__kwdefaults__", {"pauses_s": (0.0,)})
    await campus.link()
    login = await came(campus, "ada")
    campus.liar.raw["lines/1/scores"] = lambda _: web.Response(status=status)
    answer = await scored(campus, login)
    assert (answer.status, str(status) in answer.body["error"]["message"]) == (409, True)


@pytest.mark.parametrize(
    "more", [{"score": -1}, {"max": 0}, {"score": "8"}, {"comment": "x" * 1001}, {"x": 1}]
)
async def test_a_score_that_is_none_is_refused(campus: Campus, more: dict[str, Any]) -> None:
    await campus.link()
    login = await came(campus, "ada")
    assert (await scored(campus, login, **more)).status == 422
    assert campus.liar.scores == []


async def test_a_score_is_for_who_came_from_there(campus: Campus) -> None:
    await campus.link()
    campus.site.person("local", "blue", "member")
    assert (await scored(campus, "local")).status == 409
    assert (await scored(campus, "nobody")).status == 404


async def test_without_a_link_there_is_neither_roster_nor_score(campus: Campus) -> None:
    assert (await campus.site.call("ian", "POST", f"{C}/sync")).status == 409
    assert (await scored(campus, "ian")).status == 409
