"""The administrator's desk through the API: the tree, preview, changes and undo, requests."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlmodel import delete, select

from catalog.clock import ManualClock
from catalog.errors import BadValue, Conflict
from hub import quota_desk, quota_preview, tenants
from hub.control_context import Control
from hub.people import actor_of
from hub.quota_desk import Wish
from hub.store.tables import AuditRow, NoticeRow, QuotaRow
from spawners.fake import FakeEngine
from tests.site import NODES, Site, build_control, settings_in


@pytest.fixture
async def site(tmp_path: Path):  # noqa: ANN201 (a fixture)
    """Science with the groups lab and field; art beside it. Deans administer science, not above."""
    async with Site(tmp_path) as site:
        with site.control.store.write() as session:
            session.exec(delete(QuotaRow))
        boss = actor_of(site.control, "admin")
        for name, parent in (
            ("science", "main"), ("art", "main"), ("lab", "science"), ("field", "science"),
        ):  # fmt: skip
            tenants.add(site.control, boss, tenants.NewTenant(name, name.title(), parent))
        site.person("dean", "science", "admin")
        site.person("tess", "lab", "instructor")
        site.person("sam", "lab")
        site.person("otto", "art", "admin")
        yield site


def wish(tenant: str, dimension: str = "gpu", **more: Any) -> dict[str, Any]:
    return {"tenant": tenant, "dimension": dimension, **more}


async def change(site: Site, login: str, *wishes: dict[str, Any]):  # noqa: ANN201
    return await site.call(login, "POST", "/quotas/changes", {"changes": list(wishes)})


async def preview(site: Site, login: str, *wishes: dict[str, Any]) -> dict[str, Any]:
    answer = await site.call(login, "POST", "/quotas/preview", {"changes": list(wishes)})
    assert answer.status == 200, answer.body
    return answer.body


async def tree(site: Site, login: str = "admin", **params: Any) -> list[dict[str, Any]]:
    answer = await site.call(login, "GET", "/quotas/tree", params=params)
    assert answer.status == 200, answer.body
    return answer.body["items"]


def quotas(control: Control) -> set[tuple[Any, ...]]:
    with control.store.read() as session:
        return {
            (r.tenant_id, r.person_id, r.dimension, r.limit, r.guaranteed, r.period)
            for r in session.exec(select(QuotaRow))
        }


# ---- who may --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "body", "status"),
    [
        ("dean", wish("science", limit="4"), 403),  # bounds themself: only from above
        ("dean", wish("lab", limit="4"), 200),
        ("dean", wish("science", person="*", limit="1"), 200),
        ("tess", wish("lab", limit="4"), 403),
        ("tess", wish("lab", person="*", limit="1"), 200),
        ("tess", wish("lab", person="sam", limit="1"), 200),
        ("tess", wish("field", person="*", limit="1"), 403),
        ("tess", wish("lab", person="otto", limit="1"), 404),
        ("tess", wish("lab", person="nobody", limit="1"), 404),
        ("sam", wish("lab", person="sam", limit="4"), 403),
        ("otto", wish("lab", limit="4"), 403),
        ("admin", wish("science", limit="4"), 200),
    ],
)
async def test_limits_of_a_tenant_are_set_from_above_and_of_people_from_within(
    site: Site, login: str, body: dict[str, Any], status: int
) -> None:
    assert (await change(site, login, body)).status == status
    assert (await site.call(login, "PUT", "/quotas", body)).status == status


async def test_guarantees_are_given_from_above(site: Site) -> None:
    assert (await change(site, "admin", wish("science", guaranteed="1"))).status == 200
    body = {"tenant": "lab", "dimension": "gpu", "amount": "1/2"}
    assert (await site.call("tess", "PUT", "/quotas/guaranteed", body)).status == 403
    assert (await site.call("dean", "PUT", "/quotas/guaranteed", body)).status == 200
    body["tenant"] = "science"
    assert (await site.call("dean", "PUT", "/quotas/guaranteed", body)).status == 403


async def test_staff_give_no_more_than_their_tenant_has(site: Site) -> None:
    await change(site, "admin", wish("main", person="*", limit="1/2"))
    own = wish("lab", person="sam", limit="1")
    refused = await change(site, "tess", own)  # the lab has no limit: what is set above holds
    assert (refused.status, "1/2 GPU" in refused.body["error"]["message"]) == (422, True)
    await change(site, "dean", wish("lab", limit="1"))
    assert (await change(site, "tess", own)).status == 200
    assert (await change(site, "tess", wish("lab", person="*", limit="2"))).status == 422
    assert (await change(site, "admin", wish("lab", person="*", limit="2"))).status == 200


async def test_another_period_is_no_way_around_what_is_set_above(site: Site) -> None:
    weekly = wish("main", "gpu-hours", person="*", limit="10", period="week")
    assert (await change(site, "admin", weekly)).status == 200
    for period, status in (("day", 422), ("", 422), ("week", 200)):
        own = wish("lab", "gpu-hours", person="*", limit="10", period=period)
        assert (await change(site, "tess", own)).status == status, period
    daily = wish("lab", "gpu-hours", person="*", limit="10", period="day")
    assert (await change(site, "tess", daily)).status == 422  # seven times as much


async def test_what_is_set_above_for_one_person_binds_the_staff_below(site: Site) -> None:
    each, own = (wish("main", person=who, limit=most) for who, most in (("*", "2"), ("sam", "1/4")))
    assert (await change(site, "admin", each, own)).status == 200
    assert (await change(site, "tess", wish("lab", person="sam", limit="1"))).status == 422
    assert (await change(site, "tess", wish("lab", person="*", limit="1"))).status == 200


# ---- the tree -------------------------------------------------------------------------------


async def test_the_tree_shows_what_is_set_held_and_borrowed(site: Site) -> None:
    await change(
        site, "admin", wish("science", guaranteed="1/4", limit="2"), wish("art", guaranteed="1/4"),
        wish("lab", "gpu-hours", limit="20", period="week"),
    )  # fmt: skip
    await site.run("sam", "gpu-quarter")
    await site.run("sam", "gpu-quarter")
    site.later(minutes=30)
    (main,) = await tree(site)
    assert (main["tenant"], main["children"], main["path"]) == ("main", 2, [])
    art, science = await tree(site, parent="main")
    gpu = science["dimensions"]["gpu"]
    assert (gpu["used"], gpu["guaranteed"], gpu["limit"], gpu["borrowed"]) == (500, 250, 2000, 250)
    assert gpu["text"] == "1/2 GPU used, 1/4 GPU borrowed, 2 GPUs, 1/4 GPU guaranteed"
    assert art["dimensions"]["gpu"]["used"] == 0
    (_, lab) = await tree(site, parent="science")
    assert lab["path"] == ["Main", "Science"]
    assert lab["dimensions"]["workloads"]["used"] == 2
    hours = lab["dimensions"]["gpu-hours"]
    assert (hours["written"], hours["used_in"]) == ("20", "week")
    assert hours["used"] == 500 * 1800
    with site.control.store.read() as session:
        cpu = session.exec(select(QuotaRow).where(QuotaRow.dimension == "cpu")).all()
    assert not cpu
    held = (await site.call("admin", "GET", "/quotas/use")).body["items"]
    for line in (main, art, science, lab):
        for one in [h for h in held if h["tenant"] == line["tenant"]]:
            shown = line["dimensions"][one["dimension"]]
            assert (shown["used"], shown["borrowed"]) == (one["used"], one["borrowed"])


async def test_the_tree_is_found_sorted_and_paged(site: Site) -> None:
    await change(site, "admin", wish("art", limit="3"), wish("science", limit="2"))
    await site.run("sam", "gpu-quarter")
    for sort, first in (
        ("name", "art"), ("-name", "science"), ("limit", "science"), ("-limit", "art"),
        ("-used", "science"), ("-borrowed", "art"),
    ):  # fmt: skip
        assert (await tree(site, parent="main", sort=sort))[0]["tenant"] == first, sort
    answer = await site.call("admin", "GET", "/quotas/tree", params={"parent": "main", "limit": 1})
    assert (len(answer.body["items"]), answer.body["next"]) == (1, "1")
    rest = await tree(site, parent="main", limit=1, cursor=1)
    assert rest[0]["tenant"] == "science"
    assert [t["tenant"] for t in await tree(site, search="LAB")] == ["lab"]
    assert await tree(site, search="%") == []
    bad = await site.call("admin", "GET", "/quotas/tree", params={"sort": "luck"})
    assert bad.status == 422


async def test_administrators_see_their_part_alone(site: Site) -> None:
    assert [t["tenant"] for t in await tree(site, "dean")] == ["science"]
    assert [t["tenant"] for t in await tree(site, "tess")] == ["lab"]
    assert [t["tenant"] for t in await tree(site, "otto", search="a")] == ["art"]
    assert (
        await site.call("otto", "GET", "/quotas/tree", params={"parent": "science"})
    ).status == 403
    assert (await site.call("sam", "GET", "/quotas/tree")).status == 403
    await change(site, "admin", wish("art", limit="3"), wish("lab", limit="2"))
    seen = (await site.call("dean", "GET", "/quotas/changes")).body["items"]
    assert [one["name"] for one in seen] == ["GPU of Lab"]
    quotas_seen = (await site.call("dean", "GET", "/quotas")).body["items"]
    assert {one["tenant"] for one in quotas_seen} == {"lab"}


async def test_the_tree_takes_as_many_statements_for_many_as_for_few(site: Site) -> None:
    counted: list[str] = []
    event.listen(
        site.control.store.engine, "before_cursor_execute", lambda *a: counted.append(a[2])
    )

    async def statements(**params: Any) -> int:
        counted.clear()
        await tree(site, **params)
        return len(counted)

    few = await statements(parent="main", sort="-borrowed")
    boss = actor_of(site.control, "admin")
    for n in range(40):
        tenants.add(site.control, boss, tenants.NewTenant(f"group-{n}", f"Group {n}", "main"))
    assert await statements(parent="main", sort="-borrowed") == few
    assert few < 25


# ---- preview --------------------------------------------------------------------------------


async def test_a_preview_tells_who_is_over_and_changes_nothing(site: Site) -> None:
    await site.run("sam", "gpu-quarter")
    before = quotas(site.control)
    told = await preview(site, "admin", wish("lab", limit="0.1"))
    assert not told["refused"]
    assert told["lines"] == [
        {"name": "GPU of Lab", "before": "no limit", "after": "1/10 GPU", "changes": True}
    ]
    (over,) = told["consequences"]
    assert over["kind"] == "over"
    assert over["text"].startswith(
        "Lab holds 1/4 GPU and may then hold 1/10 GPU. Nothing is stopped"
    )
    assert quotas(site.control) == before
    (sam,) = (await preview(site, "tess", wish("lab", person="*", limit="0.1")))["consequences"]
    assert sam["text"].startswith("sam holds 1/4 GPU")


async def test_a_preview_tells_what_would_start_and_what_never_would(site: Site) -> None:
    await change(site, "admin", wish("lab", limit="1/4"))
    await site.run("sam", "gpu-quarter")
    waiting = await site.launch("sam", "gpu-quarter", name="second")
    await site.settled()
    assert (await site.view("sam", waiting))["status"] == "queued"
    told = await preview(site, "admin", wish("lab", limit="1"))
    assert [(c["kind"], c["workload"]) for c in told["consequences"]] == [("starts", waiting)]
    assert told["consequences"][0]["text"] == "second of sam would start now"
    never = await preview(site, "admin", wish("lab", limit="0.1"))
    assert {c["kind"] for c in never["consequences"]} == {"over", "never"}
    # What was foretold comes true.
    await change(site, "admin", wish("lab", limit="1"))
    await site.until_status("sam", waiting, "running")


async def test_a_preview_names_nothing_of_other_tenants(site: Site) -> None:
    site.person("oz", "art")
    await change(site, "admin", wish("main", limit="1/4"))
    await site.run("sam", "gpu-quarter")
    secret = await site.launch("oz", "gpu-quarter", name="secret")
    await site.settled()
    both = [wish("lab", person="*", limit="0.1"), wish("main", limit="1")]
    told = await preview(site, "admin", *both)
    assert (secret, "secret of oz would start now") in [
        (one["workload"], one["text"]) for one in told["consequences"]
    ]
    # What tess changes decides about places that oz waits for too.
    boss, tess = actor_of(site.control, "admin"), actor_of(site.control, "tess")
    wishes, plan = [Wish("lab", "gpu", "*", limit="0.1")], quota_desk.planned
    with site.control.store.read() as session:
        wider = plan(session, boss, [Wish("main", "gpu", limit="1")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quota_desk, "planned", lambda *args: [*plan(*args), *wider])
        found = quota_preview.preview(site.control, tess, wishes)
    texts = [(one.workload, one.text) for one in found.consequences]
    assert ("", "a workload of another tenant would start now") in texts
    assert not any("secret" in text or "oz" in text for _, text in texts)


async def test_a_preview_names_the_guarantees_that_break(site: Site) -> None:
    await change(site, "admin", wish("science", guaranteed="1"), wish("lab", guaranteed="1"))
    told = await preview(site, "admin", wish("science", guaranteed="1/2"))
    assert told["refused"]
    assert "Science" in told["problems"][0]["message"]
    assert (await change(site, "admin", wish("science", guaranteed="1/2"))).status == 422
    too_much = await preview(site, "admin", wish("art", guaranteed="999"))
    assert "the site has" in too_much["problems"][0]["message"]


async def test_a_preview_tells_who_would_run_on_what_is_lent(site: Site) -> None:
    await change(site, "admin", wish("science", guaranteed="1"))
    running = await site.run("sam", "gpu-quarter")
    assert (await preview(site, "admin", wish("art", guaranteed="1/2")))["consequences"] == []
    told = await preview(
        site, "admin", wish("science", guaranteed="0"), wish("art", guaranteed="1/2")
    )
    assert [(c["kind"], c["workload"]) for c in told["consequences"]] == [("lent", running)]


async def test_what_is_used_up_is_previewed_too(site: Site) -> None:
    await site.run("sam", "gpu-quarter")
    site.later(hours=1)
    told = await preview(site, "admin", wish("lab", "gpu-hours", limit="0.1", period="week"))
    assert told["consequences"][0]["kind"] == "over"
    assert "0.25 GPU-hours are used" in told["consequences"][0]["text"]


# ---- change and undo ------------------------------------------------------------------------


async def test_several_are_changed_or_none_and_taken_back_together(site: Site) -> None:
    none = await change(site, "admin", wish("lab", limit="2"), wish("field", limit="nonsense"))
    assert none.status == 422
    assert quotas(site.control) == set()
    made = await change(site, "admin", wish("lab", limit="2"), wish("field", "memory", limit="8Gi"))
    ids = [one["id"] for one in made.body["items"]]
    again = await change(site, "admin", wish("lab", limit="3"))
    assert [one["before"] for one in again.body["items"]] == ["2 GPUs"]
    refused = await site.call("admin", "POST", "/quotas/changes/undo", {"changes": ids})
    assert (refused.status, refused.code) == (409, "conflict")
    assert "changed since, by admin" in refused.body["error"]["message"]
    assert len(quotas(site.control)) == 2
    everything = [*ids, again.body["items"][0]["id"]]
    undone = await site.call("admin", "POST", "/quotas/changes/undo", {"changes": everything})
    assert undone.status == 200, undone.body
    assert quotas(site.control) == set()
    twice = await site.call("admin", "POST", f"/quotas/changes/{ids[0]}/undo")
    assert (twice.status, twice.code) == (409, "conflict")
    with site.control.store.read() as session:
        acts = [row.action for row in session.exec(select(AuditRow).order_by(AuditRow.id))]  # type: ignore[arg-type]
    assert acts[-6:] == ["set-quota"] * 3 + ["undo-quota"] * 3


async def test_what_was_changed_behind_the_desk_is_not_overwritten(site: Site) -> None:
    made = await change(site, "admin", wish("lab", limit="2"))
    with site.control.store.write() as session:
        row = session.get_one(QuotaRow, ("lab", "", "gpu"))
        row.limit = 5000
        session.add(row)
    undone = await site.call("admin", "POST", f"/quotas/changes/{made.body['items'][0]['id']}/undo")
    assert (undone.status, "5 GPUs now" in undone.body["error"]["message"]) == (409, True)


async def test_two_who_edit_at_once_do_not_overwrite_each_other(site: Site) -> None:
    (_, lab) = await tree(site, parent="science")
    version = lab["dimensions"]["gpu"]["version"]
    first = await change(site, "admin", wish("lab", limit="2", version=version))
    second = await change(site, "dean", wish("lab", limit="3", version=version))
    assert (first.status, second.status) == (200, 409)
    assert "2 GPUs by now" in second.body["error"]["message"]
    late = await site.call("dean", "PUT", "/quotas", wish("lab", limit="3", version=version))
    assert late.status == 409
    seen = (await site.call("dean", "GET", "/quotas")).body["items"][0]["version"]
    assert (await change(site, "dean", wish("lab", limit="3", version=seen))).status == 200


async def test_what_is_asked_for_and_is_so_already_leaves_no_trace(site: Site) -> None:
    await change(site, "admin", wish("lab", limit="2"))
    same = await change(site, "admin", wish("lab", limit="2"), wish("art", limit=None))
    assert (same.status, same.body["items"]) == (200, [])


@pytest.mark.parametrize(
    "body",
    [
        {"changes": []},
        {"changes": [wish("lab", limit="1"), wish("lab", limit="2")]},
        {"changes": [wish("lab", person="sam", guaranteed="1")]},
        {"changes": [wish("lab", "workloads", guaranteed="1")]},
        {"changes": [wish("lab", limit="1", period="week")]},
        {"changes": [wish("lab", limit="-1")]},
        {"changes": [wish("lab", limit="1\0")]},
        {"changes": [wish("lab", "luck", limit="1")]},
        {"changes": [wish("lab", limit="1")] * 101},
    ],
)
async def test_nonsense_is_refused_whole(site: Site, body: dict[str, Any]) -> None:
    assert (await site.call("admin", "POST", "/quotas/changes", body)).status == 422
    assert quotas(site.control) == set()


@pytest.fixture
def control(tmp_path: Path):  # noqa: ANN201 (a fixture)
    clock = ManualClock()
    control = build_control(settings_in(tmp_path), clock, FakeEngine(NODES, clock))
    boss = actor_of(control, "admin")
    for name in ("lab", "art"):
        tenants.add(control, boss, tenants.NewTenant(name, name, "main"))
    yield control
    control.store.close()


_WISH = st.builds(
    Wish,
    tenant=st.sampled_from(["main", "lab", "art"]),
    dimension=st.sampled_from(["gpu", "cpu", "memory", "gpu-hours", "credits"]),
    person=st.sampled_from(["", "*", "admin"]),
    limit=st.sampled_from([None, "none", "0", "1", "2", "7"]),
    guaranteed=st.sampled_from([None, None, "0", "1", "2"]),
    period=st.sampled_from(["", "", "week"]),
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=st.lists(st.lists(_WISH, min_size=1, max_size=4), min_size=1, max_size=4))
def test_changes_and_their_undoing_leave_everything_as_it_was(
    control: Control, batches: list[list[Wish]]
) -> None:
    boss, before = actor_of(control, "admin"), quotas(control)
    made: list[int] = []
    for batch in batches:
        try:
            rows = quota_desk.apply(control, boss, batch)
        except BadValue:  # nothing of it was done
            continue
        made += [row.id or 0 for row in rows]
    after = quotas(control)
    if made:
        back = [row.id or 0 for row in quota_desk.undo(control, boss, made)]
        assert quotas(control) == before
        quota_desk.undo(control, boss, back)  # and an undoing is taken back like any change
        assert quotas(control) == after
        with pytest.raises(Conflict):
            quota_desk.undo(control, boss, made)
        again = quota_desk.changes(control, boss, limit=len(made))[: len(made)]
        quota_desk.undo(control, boss, [row.id or 0 for row in again])
    assert quotas(control) == before


# ---- requests -------------------------------------------------------------------------------

MORE = {"tenant": "lab", "dimension": "gpu", "amount": "1", "reason": "my thesis"}


@pytest.fixture
async def bounded(site: Site) -> Site:
    """Everybody has a quarter; the lab has one and a half."""
    await change(site, "admin", wish("main", person="*", limit="1/4"), wish("lab", limit="1.5"))
    return site


async def ask(site: Site, **changes: Any):  # noqa: ANN201
    return await site.call("sam", "POST", "/quota-requests", MORE | changes)


def told(site: Site, login: str) -> list[str]:
    with site.control.store.read() as session:
        person = actor_id(site, login)
        rows = session.exec(select(NoticeRow).where(NoticeRow.person_id == person))
        return [row.text for row in rows if row.kind.startswith("quota")]


def actor_id(site: Site, login: str) -> str:
    return {"sam": site.sam, "dean": site.dean}[login]  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _ids(request: pytest.FixtureRequest) -> None:
    if "bounded" in request.fixturenames:
        site = request.getfixturevalue("bounded")
        site.sam = actor_of(site.control, hub_name(site, "sam")).person_id
        site.dean = actor_of(site.control, hub_name(site, "dean")).person_id


def hub_name(site: Site, login: str) -> str:
    return site.hub.tokens[site.token_of(login)]


async def test_a_request_is_approved_with_another_amount_and_becomes_the_limit(
    bounded: Site,
) -> None:
    made = await ask(bounded)
    assert made.status == 201, made.body
    assert (made.body["state"], made.body["now"], made.body["text"]) == ("open", "1/4 GPU", "1 GPU")
    assert told(bounded, "dean") == ["sam asks for 1 GPU in Lab"]
    path = f"/quota-requests/{made.body['id']}/decide"
    assert (await bounded.call("tess", "POST", path, {"approve": True})).status == 404
    assert (await bounded.call("sam", "POST", path, {"approve": True})).status == 403
    answer = await bounded.call("dean", "POST", path, {"approve": True, "amount": "1/2"})
    assert (answer.body["state"], answer.body["granted"]) == ("approved", "1/2 GPU")
    assert told(bounded, "sam") == ["you may now have 1/2 GPU in Lab"]
    assert ("lab", bounded.sam, "gpu", 500, 0, "") in quotas(bounded.control)  # type: ignore[attr-defined]
    again = await bounded.call("admin", "POST", path, {"approve": False, "answer": "no"})
    assert again.status == 409
    (change_made,) = (await bounded.call("dean", "GET", "/quotas/changes")).body["items"][:1]
    assert change_made["name"] == "GPU of sam in Lab"


async def test_a_request_is_denied_in_words(bounded: Site) -> None:
    made = await ask(bounded)
    path = f"/quota-requests/{made.body['id']}/decide"
    assert (await bounded.call("dean", "POST", path, {"approve": False})).status == 422
    before = quotas(bounded.control)
    answer = await bounded.call(
        "dean", "POST", path, {"approve": False, "answer": "the term is over"}
    )
    assert (answer.body["state"], answer.body["answer"]) == ("denied", "the term is over")
    assert told(bounded, "sam") == ["your request for 1 GPU in Lab was denied: the term is over"]
    assert quotas(bounded.control) == before


async def test_an_approval_stays_within_what_the_tenant_has(bounded: Site) -> None:
    bounded.person("lee", "lab", "admin")
    path = f"/quota-requests/{(await ask(bounded, amount='3')).body['id']}/decide"
    assert (await bounded.call("lee", "POST", path, {"approve": True})).status == 422
    mine = (await bounded.call("sam", "GET", "/quota-requests")).body["items"]
    assert [one["state"] for one in mine] == ["open"]
    assert (await bounded.call("dean", "POST", path, {"approve": True})).status == 200


async def test_a_withdrawn_request_cannot_be_decided(bounded: Site) -> None:
    made = await ask(bounded)
    path = f"/quota-requests/{made.body['id']}"
    assert (await bounded.call("otto", "POST", f"{path}/withdraw")).status == 404
    assert (await bounded.call("sam", "POST", f"{path}/withdraw")).body["state"] == "withdrawn"
    decided = await bounded.call("dean", "POST", f"{path}/decide", {"approve": True})
    assert decided.status == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"amount": "1/4"}, 422),
        ({"amount": "-1"}, 422),
        ({"reason": "  "}, 422),
        ({"reason": "x" * 501}, 422),
        ({"dimension": "tokens"}, 422),
        ({"dimension": "gpu", "period": "week"}, 422),
        ({"tenant": "art"}, 404),
        ({"tenant": "nowhere"}, 404),
    ],
)
async def test_what_cannot_be_asked_for_is_said_at_once(
    bounded: Site, body: dict[str, Any], status: int
) -> None:
    assert (await ask(bounded, **body)).status == status


async def test_five_requests_may_be_open_and_one_for_each_thing(bounded: Site) -> None:
    dimensions = ("cpu", "memory", "workloads", "gpu-hours", "tokens", "storage")
    await change(bounded, "admin", *(wish("main", d, person="*", limit="1") for d in dimensions))
    asked = [(await ask(bounded, dimension=d, amount="9")).status for d in dimensions]
    assert asked == [201] * 5 + [429]
    assert (await ask(bounded, dimension="cpu", amount="10")).status == 409


async def test_each_sees_the_requests_that_concern_them(bounded: Site) -> None:
    await ask(bounded)
    for login, sees in (("sam", 1), ("dean", 1), ("admin", 1), ("tess", 0), ("otto", 0)):
        found = (await bounded.call(login, "GET", "/quota-requests")).body["items"]
        assert len(found) == sees, login
    mine = await bounded.call("dean", "GET", "/quota-requests", params={"mine": True})
    assert mine.body["items"] == []
