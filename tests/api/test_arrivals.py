"""What a provider says becomes roles, places and credits here, and stops being so when it does not
say it any more."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from catalog.errors import AccountClosed, Conflict, Forbidden, NotFound
from catalog.units import MICRO
from hub import closing, identities, memberships, people, transfers
from hub.arrivals import arrive
from hub.auth.providers import Provider
from hub.identities import Vouched
from hub.policy import Actor
from hub.store import money
from hub.store.course_tables import CourseRuleRow, RosterRow
from hub.store.tables import AttemptRow, AuditRow, NoticeRow, PersonRow, QuotaRow, TenantRow
from quotas import ledger
from quotas.ledger import AccountKind, Owner
from tests.site import Answer, Site, add_course, add_tenant

UNI, LAB = "https://id.uni.example", "https://login.lab.example"
PHYSICS = {"when": {"groups": "physics"}, "tenant": "physics", "home": True, "credits": 25}


def provider(issuer: str, **more: Any) -> Provider:
    entry = {
        "name": issuer.split(".")[1], "title": "There", "issuer": issuer, "client_id": "c",
        "client_secret": "s", "allowed": "everyone",
    }  # fmt: skip
    return Provider.model_validate(entry | more)


def use(site: Site, *found: Provider) -> None:
    site.control.providers = {one.issuer: one for one in found}


def ada(issuer: str = UNI, subject: str = "ada", **claims: Any) -> Vouched:
    return Vouched(issuer, subject, "Ada", "ada@example.org", "s1", claims)


def plain_tenant(site: Site, tenant_id: str) -> None:
    with site.control.store.write() as session:
        session.add(
            TenantRow(
                id=tenant_id, parent_id="main", name=tenant_id.title(), kind="department",
                created_at=site.clock.now(),
            )
        )  # fmt: skip


def a_course(site: Site, course: str, **more: Any) -> None:
    add_tenant(site.control, course)
    add_course(site.control, course, **more)


def expected(site: Site, course: str, key: str, **more: Any) -> None:
    with site.control.store.write() as session:
        fields = {"source": "csv", "issuer": UNI, **more}
        session.add(
            RosterRow(
                id=f"e-{key[:5]}-{course}", tenant_id=course, key=key,
                created_at=site.clock.now(), **fields,
            )
        )  # fmt: skip


def roles(site: Site, person: PersonRow) -> dict[str, str]:
    return dict(people.actor_of(site.control, person.hub_name).roles)


def wallet(site: Site, tenant: str, person: str = "") -> int:
    with site.control.store.read() as session:
        return money.balance(session, Owner(tenant, person), AccountKind.WALLET)


def row_of(site: Site, person: PersonRow) -> PersonRow:
    with site.control.store.read() as session:
        return session.get_one(PersonRow, person.id)


async def inner(site: Site, path: str, body: Any) -> Answer:
    """What the Hub's pages ask of control."""
    assert site.hub.inner is not None
    transport = httpx.ASGITransport(site.hub.inner, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
        answer = await client.post(f"/internal/identities/{path}", json=body)
    return Answer(answer.status_code, answer.json())


# ---- rules --------------------------------------------------------------------------------------


async def test_a_newcomer_belongs_where_the_rules_say(site: Site) -> None:
    plain_tenant(site, "physics")
    use(site, provider(UNI, rules=[PHYSICS]))
    person, arrival = identities.sign_in(site.control, ada(groups=["physics"]))
    assert roles(site, person) == {"main": "member", "physics": "member"}
    assert (person.tenant_id, arrival.admitted) == ("physics", True)
    assert wallet(site, "physics", person.id) == 25 * MICRO
    assert wallet(site, "main", person.id) == 0


async def test_without_rules_a_newcomer_is_a_member_with_the_sites_credits(site: Site) -> None:
    use(site, provider(UNI))
    person, _ = identities.sign_in(site.control, ada())
    assert roles(site, person) == {"main": "member"}
    assert wallet(site, "main", person.id) == 100 * MICRO


async def test_nobody_comes_in_whom_nothing_admits(site: Site) -> None:
    use(site, provider(UNI, allowed="rules", rules=[PHYSICS]))
    with pytest.raises(Forbidden):
        identities.sign_in(site.control, ada(groups=["chemistry"]))
    with site.control.store.read() as session:
        assert identities.identity_of(session, UNI, "ada") is None


async def test_credits_come_once_and_from_the_tenant_if_it_has_a_wallet(site: Site) -> None:
    plain_tenant(site, "physics")
    use(site, provider(UNI, rules=[PHYSICS]))
    transfers.grant_to_tenant(
        site.control, people.actor_of(site.control, "admin"), "physics", 30 * MICRO, "k"
    )
    first, _ = identities.sign_in(site.control, ada(groups=["physics"]))
    second, _ = identities.sign_in(site.control, ada(subject="eve", groups=["physics"]))
    assert (wallet(site, "physics"), wallet(site, "physics", first.id)) == (5 * MICRO, 25 * MICRO)
    assert wallet(site, "physics", second.id) == 0  # too few for her: nobody gets a part
    for _ in range(3):
        identities.refresh(site.control, ada(groups=["physics"]))
    assert wallet(site, "physics", first.id) == 25 * MICRO
    transfers.grant_to_tenant(
        site.control, people.actor_of(site.control, "admin"), "physics", 20 * MICRO, "k2"
    )
    identities.refresh(site.control, ada(subject="eve", groups=["physics"]))
    assert (wallet(site, "physics"), wallet(site, "physics", second.id)) == (0, 25 * MICRO)
    assert site.leaks() == []


async def test_a_rule_for_a_tenant_that_there_is_not_gives_nothing(site: Site) -> None:
    use(site, provider(UNI, allowed="rules", rules=[PHYSICS]))
    person, _ = identities.sign_in(site.control, ada(groups=["physics"]))
    assert roles(site, person) == {}
    answer = await site.call(person.login, "POST", "/workloads", {"offer": "cpu"})
    assert (answer.status, answer.code) == (403, "denied")
    assert "no role" in answer.body["error"]["message"]


async def test_what_an_administrator_gave_a_rule_does_not_take(site: Site) -> None:
    plain_tenant(site, "physics")
    use(site, provider(UNI, rules=[PHYSICS]))
    person, _ = identities.sign_in(site.control, ada(groups=["physics"]))
    with site.control.store.write() as session:
        memberships.give(session, person.id, "physics", "manual", "instructor", site.clock.now())
    _, arrival = identities.refresh(site.control, ada(groups=[]))
    assert roles(site, person) == {"main": "member", "physics": "instructor"}
    assert arrival.lost == frozenset()


# ---- a role that is lost ------------------------------------------------------------------------


async def in_physics(site: Site) -> Actor:
    plain_tenant(site, "physics")
    use(site, provider(UNI, rules=[{**PHYSICS, "credits": 0}]))
    with site.control.store.write() as session:
        for dimension, limit in people.DEFAULT_QUOTA.items():
            session.add(
                QuotaRow(tenant_id="physics", person_id="*", dimension=dimension, limit=limit)
            )
    person, _ = identities.sign_in(site.control, ada(groups=["physics"]))
    with site.control.store.write() as session:
        cause = money.Cause("test", "system", site.clock.now(), "for main")
        money.post(session, Owner("main", person.id), ledger.grant(5 * MICRO), cause)
    return people.actor_of(site.control, person.hub_name)


async def test_running_work_is_warned_and_then_ends_and_what_waits_is_cancelled(site: Site) -> None:
    actor = await in_physics(site)
    running = await site.run(actor.login, "cpu", set={"duration": "2h"})
    elsewhere = await site.run(actor.login, "cpu", set={"duration": "2h"}, tenant="main")
    whole = await site.run("mia", "gpu-whole")
    waiting = await site.launch(actor.login, "gpu-whole")
    assert (await site.view(actor.login, waiting))["status"] == "queued"
    token = site.token_of(actor.login)

    body = {"issuer": UNI, "subject": "ada", "claims": {"groups": []}}
    assert (await inner(site, "refresh", body)).body == {"open": True}

    assert token not in site.hub.tokens  # tokens for scripts die with a role
    assert (await site.view(actor.login, waiting))["status"] == "stopped"
    rows = [site.row(running), site.row(elsewhere)]
    with site.control.store.read() as session:
        attempt, other = (session.get_one(AttemptRow, row.attempt_id) for row in rows)
        told = session.exec(select(NoticeRow.text).where(NoticeRow.workload_id == running)).all()
    left = attempt.lease_ends_at - site.clock.now()
    assert timedelta(minutes=15) <= left < timedelta(minutes=15, seconds=2)
    assert other.lease_ends_at - site.clock.now() > timedelta(hours=1)
    assert any("no role in Physics any more" in text and "15m" in text for text in told)
    refused = await site.call(actor.login, "POST", f"/workloads/{running}/extend", {"by": "1h"})
    assert (refused.status, refused.code) == (409, "conflict")
    denied = await site.call(actor.login, "POST", "/check", {"offer": "cpu", "tenant": "physics"})
    assert denied.status == 404

    await inner(site, "refresh", body)  # again: nobody is told twice
    with site.control.store.read() as session:
        again = session.exec(select(NoticeRow.text).where(NoticeRow.workload_id == running)).all()
    assert again == told
    site.later(minutes=16)
    await site.until_status(actor.login, running, "stopped")
    assert (await site.view(actor.login, elsewhere))["status"] == "running"
    assert (await site.view("mia", whole))["status"] == "running"
    assert site.leaks() == []


async def test_the_home_that_is_lost_is_left_for_one_that_there_is(site: Site) -> None:
    actor = await in_physics(site)
    assert actor.tenant_id == "physics"
    _, arrival = identities.refresh(site.control, ada(groups=[]))
    after = people.actor_of(site.control, actor.hub_name)
    assert (after.tenant_id, dict(after.roles)) == ("main", {"main": "member"})
    assert arrival.lost == {"physics"}
    with site.control.store.read() as session:
        line = session.exec(select(AuditRow).where(AuditRow.action == "roles-changed")).all()[-1]
    assert line.detail == {"gained": [], "lost": ["physics"]}
    assert line.actor == f"rule:{UNI}"


# ---- courses ------------------------------------------------------------------------------------


async def test_rules_of_courses_bring_people_in_and_out(site: Site) -> None:
    use(site, provider(UNI), provider(LAB))
    a_course(site, "phys101")
    a_course(site, "over", ended_at=site.clock.now())
    with site.control.store.write() as session:
        for course in ("phys101", "over"):
            session.add(
                CourseRuleRow(
                    tenant_id=course, issuer=UNI, claim="groups", value="p1", role="member"
                )
            )
        session.add(
            CourseRuleRow(
                tenant_id="phys101", issuer=UNI, claim="staff", value="true", role="instructor"
            )
        )
    person, _ = identities.sign_in(site.control, ada(groups=["p1"]))
    assert roles(site, person) == {"main": "member", "phys101": "member"}
    identities.refresh(site.control, ada(groups=["p1"], staff=True))
    assert roles(site, person)["phys101"] == "instructor"
    identities.refresh(site.control, ada())
    assert roles(site, person) == {"main": "member"}
    elsewhere, _ = identities.sign_in(site.control, ada(LAB, groups=["p1"]))
    assert roles(site, elsewhere) == {"main": "member"}


async def test_a_line_of_a_list_is_taken_by_a_verified_address_of_its_provider_alone(
    site: Site,
) -> None:
    use(site, provider(UNI), provider(LAB))
    for course, issuer in (("mine", UNI), ("theirs", LAB), ("invited", "")):
        a_course(site, course)
        expected(site, course, "ada@example.org", issuer=issuer)
    a_course(site, "struck")
    expected(site, "struck", "ada@example.org", removed_at=site.clock.now())
    said: Any = {"email": "Ada@Example.org", "email_verified": False}
    sure: Any = said | {"email_verified": True}
    person, _ = identities.sign_in(site.control, Vouched(UNI, "ada", claims=said))
    assert roles(site, person) == {"main": "member"}
    identities.refresh(site.control, Vouched(UNI, "ada", claims=sure))
    assert roles(site, person) == {"main": "member", "mine": "member"}
    with site.control.store.read() as session:
        line = session.exec(select(RosterRow).where(RosterRow.tenant_id == "mine")).one()
    assert (line.person_id, line.joined_at is not None) == (person.id, True)
    # Whoever else says that address now finds the line taken.
    other, _ = identities.sign_in(site.control, Vouched(UNI, "eve", claims=sure))
    assert roles(site, other) == {"main": "member"}


async def test_a_learning_systems_list_goes_by_its_own_subject(site: Site) -> None:
    a_course(site, "moodle1")
    issuer = "lti:https://moodle.example#c1"
    expected(site, "moodle1", "77", source="lti:moodle", issuer=issuer)
    with site.control.store.write() as session:
        person = identities.find_or_add(site.control, session, Vouched(issuer, "77"), role="")
        arrive(site.control, session, person, issuer, {}, roster=("lti:moodle", "77"))
    assert roles(site, person) == {"moodle1": "member"}


async def test_a_learning_system_that_took_anothers_name_takes_no_places(site: Site) -> None:
    a_course(site, "moodle2")
    old, new = (f"lti:https://{name}.example#c1" for name in ("old", "new"))
    expected(site, "moodle2", "77", source="lti:moodle", issuer=old)
    with site.control.store.write() as session:
        person = identities.find_or_add(site.control, session, Vouched(new, "77"), role="")
        arrive(site.control, session, person, new, {}, roster=("lti:moodle", "77"))
    assert roles(site, person) == {}


# ---- who it is ----------------------------------------------------------------------------------


async def test_the_same_subject_name_and_address_of_two_issuers_are_two_people(site: Site) -> None:
    use(site, provider(UNI), provider(LAB))
    first, _ = identities.sign_in(site.control, ada(UNI))
    second, _ = identities.sign_in(site.control, ada(LAB))
    again, _ = identities.sign_in(site.control, ada(UNI))
    assert first.id == again.id != second.id


async def test_many_sign_ins_at_once_of_one_newcomer_make_one_person(site: Site) -> None:
    plain_tenant(site, "physics")
    use(site, provider(UNI, rules=[PHYSICS]))
    found = await asyncio.gather(
        *(
            asyncio.to_thread(identities.sign_in, site.control, ada(groups=["physics"]))
            for _ in range(8)
        )
    )
    assert len({person.id for person, _ in found}) == 1
    assert wallet(site, "physics", found[0][0].id) == 25 * MICRO


async def test_a_second_identity_is_linked_once_and_never_takes_anothers(site: Site) -> None:
    plain_tenant(site, "physics")
    use(site, provider(UNI), provider(LAB, rules=[PHYSICS]))
    mine, _ = identities.sign_in(site.control, ada(UNI))
    theirs, _ = identities.sign_in(site.control, ada(LAB, "eve"))
    for _ in range(2):
        identities.link(site.control, mine.hub_name, ada(LAB, groups=["physics"]))
    assert roles(site, mine) == {"main": "member", "physics": "member"}
    with pytest.raises(Conflict, match="another account"):
        identities.link(site.control, mine.hub_name, ada(LAB, "eve"))
    same, _ = identities.sign_in(site.control, ada(LAB, groups=["physics"]))
    assert same.id == mine.id != theirs.id
    with pytest.raises(AccountClosed):
        identities.link(site.control, "u-nobody", ada(LAB, "new"))


async def test_a_way_in_is_given_up_while_another_is_left(site: Site) -> None:
    plain_tenant(site, "physics")
    use(site, provider(UNI), provider(LAB, rules=[PHYSICS]))
    mine, _ = identities.sign_in(site.control, ada(UNI))
    site.later(minutes=1)
    identities.link(site.control, mine.hub_name, ada(LAB, groups=["physics"]))
    listed = (await site.call(mine.login, "GET", "/identities")).body["items"]
    assert [(i["provider"], i["removable"]) for i in listed] == [("uni", True), ("lab", True)]
    token = site.token_of(mine.login)
    gone = await site.call(mine.login, "DELETE", f"/identities/{listed[1]['id']}")
    assert [(i["provider"], i["removable"]) for i in gone.body["items"]] == [("uni", False)]
    assert roles(site, mine) == {"main": "member"}
    assert token not in site.hub.tokens
    last = await site.call(mine.login, "DELETE", f"/identities/{listed[0]['id']}")
    assert (last.status, last.code) == (409, "conflict")
    for stranger in ("mia", mine.login):
        missing = await site.call(stranger, "DELETE", "/identities/i-0000000000")
        assert missing.status == 404
    theirs = await site.call("mia", "DELETE", f"/identities/{listed[0]['id']}")
    assert theirs.status == 404
    with pytest.raises(NotFound):
        identities.refresh(site.control, ada(LAB, groups=["physics"]))


# ---- gone ---------------------------------------------------------------------------------------


async def test_whom_the_provider_refuses_is_out_with_all_that_runs(site: Site) -> None:
    use(site, provider(UNI))
    person, _ = identities.sign_in(site.control, ada())
    workload = await site.run(person.login, "cpu")
    token = site.token_of(person.login)
    headers = {"Authorization": f"token {token}"}
    assert (await site.raw("GET", "/services/control/v1/me", headers=headers)).status_code == 200
    answer = await inner(site, "refused", {"issuer": UNI, "subject": "ada"})
    assert answer.body == {"closed": True}
    assert token not in site.hub.tokens
    said = await site.raw("GET", "/services/control/v1/me", headers=headers)
    assert (said.status_code, said.json()["error"]["code"]) == (403, "account-closed")
    unknown = {"Authorization": "token never-seen"}
    assert (await site.raw("GET", "/services/control/v1/me", headers=unknown)).status_code == 401
    seen = await site.until_status("admin", workload, "stopped")
    assert seen["reason_code"] == "deactivated"
    assert (await inner(site, "refused", {"issuer": UNI, "subject": "nobody"})).body == {
        "closed": False
    }


async def test_whom_the_rules_admit_no_more_is_closed_at_the_refresh(site: Site) -> None:
    plain_tenant(site, "physics")
    use(site, provider(UNI, allowed="rules", rules=[PHYSICS]))
    person, _ = identities.sign_in(site.control, ada(groups=["physics"]))
    body = {"issuer": UNI, "subject": "ada", "claims": {"groups": []}}
    assert (await inner(site, "refresh", body)).body == {"open": False}
    assert row_of(site, person).closed_by == f"provider:{UNI}"
    assert (await inner(site, "refresh", body | {"claims": {"groups": ["physics"]}})).status == 403
    back, _ = identities.sign_in(site.control, ada(groups=["physics"]))
    assert (back.id, row_of(site, back).active) == (person.id, True)


async def test_only_who_closed_an_account_or_an_administrator_opens_it(site: Site) -> None:
    use(site, provider(UNI), provider(LAB))
    person, _ = identities.sign_in(site.control, ada(UNI))
    identities.link(site.control, person.hub_name, ada(LAB))
    hub: Any = site.hub
    await closing.close(site.control, hub, person, by=f"provider:{UNI}", actor=UNI)
    with pytest.raises(AccountClosed):
        identities.sign_in(site.control, ada(LAB))
    admin = people.actor_of(site.control, "admin")
    await closing.deactivate(site.control, hub, admin, person)
    with pytest.raises(AccountClosed):
        identities.sign_in(site.control, ada(UNI))
    await closing.close(site.control, hub, person, by=f"provider:{UNI}", actor=UNI)
    assert row_of(site, person).closed_by == "admin"  # whom an administrator closed stays so
    people.set_active(site.control, admin, person, active=True)
    assert identities.sign_in(site.control, ada(LAB))[0].id == person.id


async def test_whom_a_service_shut_out_too_no_sign_in_lets_back(site: Site) -> None:
    use(site, provider(UNI))
    person, _ = identities.sign_in(site.control, ada())
    hub: Any = site.hub
    await closing.close(site.control, hub, person, by=f"provider:{UNI}", actor=UNI)
    await closing.close(site.control, hub, person, by="scim:k-1", actor="scim:k-1")
    assert row_of(site, person).closed_by == "scim:k-1"
    with pytest.raises(AccountClosed):
        identities.sign_in(site.control, ada())
    await closing.close(site.control, hub, person, by=f"provider:{UNI}", actor=UNI)
    assert row_of(site, person).closed_by == "scim:k-1"


async def test_a_logout_goes_by_the_name_that_logouts_use(site: Site) -> None:
    use(site, provider(UNI, subject_claim="oid"))
    found = Vouched(UNI, "oid-1", "Ada", sub="pairwise-1")
    person, _ = identities.sign_in(site.control, found)
    by_sub = {"issuer": UNI, "subject": "pairwise-1"}
    assert (await inner(site, "sign-out", by_sub)).body["people"] == [{"hub_name": person.hub_name}]
    by_oid = await inner(site, "sign-out", {"issuer": UNI, "subject": "oid-1"})
    assert by_oid.body["people"] == []
    assert (await inner(site, "refused", by_sub)).body == {"closed": False}
    assert (await inner(site, "refused", by_sub | {"by_logout": True})).body == {"closed": True}
    assert not row_of(site, person).active


async def test_refused_sign_ins_are_in_the_audit_and_cannot_fill_it(site: Site) -> None:
    body = {"how": UNI, "why": "the answer of Uni does not hold: it has expired"}
    for _ in range(40):
        assert (await inner(site, "not-let-in", body)).status == 200
    assert (await inner(site, "not-let-in", {"how": "lti:lms", "why": "no"})).status == 200
    with site.control.store.read() as session:
        rows = session.exec(select(AuditRow).where(AuditRow.action == "sign-in-refused")).all()
    assert [row.object for row in rows] == [UNI] * 30 + ["lti:lms"]
    assert (rows[0].actor, rows[0].detail) == ("anonymous", {"why": body["why"]})


async def test_a_logout_ends_sessions_and_says_whose(site: Site) -> None:
    use(site, provider(UNI))
    person, _ = identities.sign_in(site.control, ada())
    answer = await inner(site, "sign-out", {"issuer": UNI, "session_id": "s1"})
    assert answer.body == {"people": [{"hub_name": person.hub_name}]}
    assert site.hub.ended_sessions == [person.hub_name]
    for nobody in ({"session_id": "s2"}, {"subject": "eve"}, {"session_id": ""}):
        assert (await inner(site, "sign-out", {"issuer": UNI, **nobody})).body == {"people": []}


async def test_the_hub_asks_about_people_at_work_alone(site: Site) -> None:
    use(site, provider(UNI))
    person, _ = identities.sign_in(site.control, ada())
    identities.sign_in(site.control, ada(subject="idle"))
    await site.run("mia", "cpu")
    await site.run(person.login, "cpu")
    assert identities.at_work(site.control) == [person.hub_name]
