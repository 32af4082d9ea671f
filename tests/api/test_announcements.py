"""Announcements: who is told what, when; who may tell; nothing that was written is more than text."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import BadValue
from hub import announcements
from hub.announcements import Wish
from hub.store import audit
from tests.site import Site, add_tenant


@pytest.fixture
async def campus(tmp_path: Path) -> AsyncIterator[Site]:
    """Physics has a course *blue* with a group; *red* is beside it."""
    async with Site(tmp_path) as site:
        add_tenant(site.control, "physics")
        add_tenant(site.control, "blue", "physics")
        add_tenant(site.control, "blue-quiz", "blue")
        add_tenant(site.control, "red")
        site.person("mia", "blue")
        site.person("gus", "blue-quiz")
        site.person("rob", "red")
        site.person("ana", "blue", "assistant")
        site.person("otto", "red", "admin")
        site.person("dean", "physics", "admin")
        yield site


async def say(site: Site, login: str, tenant: str, text: str, **more: Any) -> dict[str, Any]:
    body = {"tenant": tenant, "text": text, **more}
    answer = await site.call(login, "POST", "/announcements", body)
    assert answer.status == 201, answer.body
    return answer.body


async def told(site: Site, login: str, **params: Any) -> list[str]:
    answer = await site.call(login, "GET", "/announcements", params=params)
    return [one["text"] for one in answer.body["items"]]


async def test_everybody_of_the_tenant_and_below_is_told_and_nobody_else(campus: Site) -> None:
    await say(campus, "ana", "blue", "to the course")
    await say(campus, "dean", "physics", "to the department")
    await say(campus, "admin", "main", "to all")
    campus.later(seconds=1)
    assert set(await told(campus, "mia")) == {"to the course", "to the department", "to all"}
    assert set(await told(campus, "gus")) == {"to the course", "to the department", "to all"}
    assert set(await told(campus, "dean")) == {"to the department", "to all"}
    assert await told(campus, "rob") == ["to all"]
    assert await told(campus, "admin") == ["to all"]


async def test_it_is_there_from_its_start_to_its_end(campus: Site) -> None:
    now = campus.clock.now()
    starts, ends = now + timedelta(hours=2), now + timedelta(hours=3)
    made = await say(
        campus, "ana", "blue", "the lab is open", starts_at=starts.isoformat(),
        ends_at=ends.isoformat(),
    )  # fmt: skip
    assert made["state"] == "scheduled"
    assert await told(campus, "mia") == []
    campus.later(hours=2)
    assert await told(campus, "mia") == ["the lab is open"]
    campus.later(hours=1)
    assert await told(campus, "mia") == []


async def test_without_an_end_it_stays_a_day(campus: Site) -> None:
    await say(campus, "ana", "blue", "hello")
    campus.later(hours=23, minutes=59)
    assert await told(campus, "mia") == ["hello"]
    campus.later(minutes=1)
    assert await told(campus, "mia") == []


async def test_who_has_read_it_sees_it_no_more_and_others_do(campus: Site) -> None:
    made = await say(campus, "ana", "blue", "hello")
    for _ in range(2):  # safe to repeat
        answer = await campus.call("mia", "POST", f"/announcements/{made['id']}/seen")
        assert (answer.status, answer.body["seen"]) == (200, True)
    assert await told(campus, "mia") == []
    assert await told(campus, "mia", seen=True) == ["hello"]
    assert await told(campus, "gus") == ["hello"]
    listed = await campus.call("ana", "GET", "/announcements/all")
    assert [one["seen_by"] for one in listed.body["items"]] == [1]


async def test_a_stranger_cannot_even_learn_that_it_exists(campus: Site) -> None:
    made = await say(campus, "ana", "blue", "hello")
    seen = await campus.call("rob", "POST", f"/announcements/{made['id']}/seen")
    gone = await campus.call("otto", "DELETE", f"/announcements/{made['id']}")
    nothing = await campus.call("otto", "DELETE", "/announcements/m-nothing000")
    assert (seen.status, gone.status, nothing.status) == (404, 404, 404)
    message = gone.body["error"]["message"].replace(made["id"], "ID")
    assert message == nothing.body["error"]["message"].replace("m-nothing000", "ID")


async def test_one_that_has_not_begun_is_not_read_by_its_id(campus: Site) -> None:
    later = (campus.clock.now() + timedelta(hours=1)).isoformat()
    made = await say(campus, "ana", "blue", "a surprise", starts_at=later)
    answer = await campus.call("mia", "POST", f"/announcements/{made['id']}/seen")
    assert answer.status == 404


@pytest.mark.parametrize(
    ("login", "tenant", "status"),
    [
        ("mia", "blue", 403),
        ("ana", "physics", 404),  # hers is below it: she is nobody there
        ("ana", "main", 404),
        ("ana", "blue-quiz", 201),
        ("otto", "blue", 404),
        ("otto", "no-such-thing", 404),
    ],
)
async def test_staff_tell_their_own_people(
    campus: Site, login: str, tenant: str, status: int
) -> None:
    answer = await campus.call(login, "POST", "/announcements", {"tenant": tenant, "text": "x"})
    assert answer.status == status


async def test_withdrawn_is_gone_at_once_and_stays_on_record(campus: Site) -> None:
    made = await say(campus, "ana", "blue", "wrong room")
    for _ in range(2):
        answer = await campus.call("ana", "DELETE", f"/announcements/{made['id']}")
        assert (answer.status, answer.body["state"]) == (200, "withdrawn")
    assert await told(campus, "mia") == []
    listed = await campus.call("dean", "GET", "/announcements/all", params={"state": "over"})
    assert [one["text"] for one in listed.body["items"]] == ["wrong room"]
    lines = (await campus.call("admin", "GET", "/audit")).body["items"]
    acts = [line["action"] for line in lines if line["object"] == made["id"]]
    assert sorted(acts) == ["announce", "withdraw-announcement"]
    with campus.control.store.read() as session:
        assert audit.first_broken(session) is None


async def test_staff_list_what_is_below_them_by_state(campus: Site) -> None:
    await say(campus, "ana", "blue", "now")
    starts = (campus.clock.now() + timedelta(hours=1)).isoformat()
    await say(campus, "dean", "physics", "soon", starts_at=starts)
    await say(campus, "otto", "red", "red")

    async def listed(login: str, **params: str) -> list[str]:
        answer = await campus.call(login, "GET", "/announcements/all", params=params)
        assert answer.status == 200, answer.body
        return sorted(one["text"] for one in answer.body["items"])

    assert await listed("ana") == ["now"]
    assert await listed("dean") == ["now", "soon"]
    assert await listed("dean", state="scheduled") == ["soon"]
    assert await listed("dean", tenant="blue") == ["now"]
    assert await listed("otto") == ["red"]
    assert await listed("admin") == ["now", "red", "soon"]
    strange = await campus.call("otto", "GET", "/announcements/all", params={"tenant": "blue"})
    assert strange.status == 404


async def test_pages_are_whole_and_in_order(campus: Site) -> None:
    texts: list[str] = []
    for number in range(5):
        await say(campus, "ana", "blue", f"message {number}")
        texts.insert(0, f"message {number}")
        campus.later(seconds=number % 2)  # some of the same moment
    found, cursor = [], ""
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await campus.call("mia", "GET", "/announcements", params=params)).body
        found += page["items"]
        if not (cursor := page["next"]):
            break
    starts = [one["starts_at"] for one in found]
    assert sorted(one["text"] for one in found) == sorted(texts)
    assert starts == sorted(starts, reverse=True)
    bad = await campus.call("mia", "GET", "/announcements", params={"cursor": "m-nothing"})
    assert bad.status == 422


async def test_the_same_key_says_it_once(campus: Site) -> None:
    body = {"tenant": "blue", "text": "hello"}
    first = await campus.call("ana", "POST", "/announcements", body, key="k1")
    again = await campus.call("ana", "POST", "/announcements", body, key="k1")
    other = await campus.call("ana", "POST", "/announcements", body | {"text": "no"}, key="k1")
    assert first.body["id"] == again.body["id"]
    assert (other.status, other.code) == (409, "conflict")
    assert await told(campus, "mia") == ["hello"]


@pytest.mark.parametrize(
    "change",
    [
        {"text": ""},
        {"text": " \n\t "},
        {"text": "\u202e\u200b\u0007"},
        {"text": "x" * 1001},
        {"level": "panic"},
        {"starts_at": "yesterday"},
        {"ends_at": "2020-01-01"},
        {"ends_at": "2999-01-01"},
        {"starts_at": "2026-06-02", "ends_at": "2026-06-01"},
        {"html": "<b>"},
        {"text": 7},
    ],
    ids=str,
)
async def test_nonsense_is_refused_and_nothing_is_said(
    campus: Site, change: dict[str, Any]
) -> None:
    body = {"tenant": "blue", "text": "hello"} | change
    answer = await campus.call("ana", "POST", "/announcements", body)
    assert answer.status == 422, answer.body
    assert await told(campus, "mia") == []


async def test_nobody_shouts_without_end(campus: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "MOST_OF_A_TENANT", 2)
    await say(campus, "ana", "blue", "one")
    await say(campus, "ana", "blue", "two")
    third = {"tenant": "blue", "text": "three"}
    assert (await campus.call("ana", "POST", "/announcements", third)).status == 409
    campus.later(days=1, seconds=1)
    assert (await campus.call("ana", "POST", "/announcements", third)).status == 201


@given(st.text(alphabet=st.characters(), max_size=200))
def test_what_is_kept_of_a_text_is_plain(text: str) -> None:
    try:
        kept = announcements.sound_text(text)
    except BadValue:
        return
    assert kept == kept.strip()
    assert all(letter == "\n" or letter.isprintable() for letter in kept)
    assert announcements.sound_text(kept) == kept
    kept.encode()


NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
SPANS = st.one_of(st.none(), st.timedeltas(timedelta(days=-400), timedelta(days=800)))


@given(SPANS, SPANS)
def test_times_are_sound_or_refused(start: timedelta | None, end: timedelta | None) -> None:
    wish = Wish(
        "blue", "x", "info", start if start is None else NOW + start,
        end if end is None else NOW + end,
    )  # fmt: skip
    try:
        starts_at, ends_at = announcements.sound_times(wish, NOW)
    except BadValue:
        return
    assert NOW <= starts_at < ends_at <= starts_at + announcements.LONGEST_SPAN
    assert wish.ends_at in {None, ends_at}
