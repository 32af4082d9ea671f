"""Idle work is asked and then stops; what works, or is answered for, runs on. The test owns the clock."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub import starting
from hub.bus import Hint
from hub.idle import IdleKeeper
from hub.store.tables import AttemptRow
from tests.site import MENU, PATIENCE_S, V1, Answer, Site

SPAN, ASK = timedelta(hours=2), timedelta(minutes=10)
QUIET = SPAN - ASK


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """GPU offers stop after two idle hours, as the site comes; `cpu` after one, by its own word."""
    menu = tmp_path / "menu.yaml"
    menu.write_text(MENU.read_text().replace("    icon: cpu\n", "    icon: cpu\n    idle: 1h\n", 1))
    async with Site(tmp_path, menu=menu) as built:
        built.person("mia")
        built.person("noa")
        yield built


async def started(site: Site, offer: str = "gpu-quarter", login: str = "mia") -> str:
    """Running for eight hours, with a server that has a token of its own."""
    workload = await site.run(login, offer, set={"duration": "8h"})
    starting._keep_token(site.control, site.row(workload).attempt_id or "", f"s-{workload}")
    return workload


async def tells(site: Site, workload: str, idle_s: int = 0) -> Answer:
    """Its server says when it was last at work."""
    answer = await site.raw(
        "POST", f"{V1}/workloads/{workload}/inside/active", json={"idle_s": idle_s},
        headers={"Authorization": f"token s-{workload}"},
    )  # fmt: skip
    return Answer(answer.status_code, answer.json())


async def passes(site: Site, workload: str, span: timedelta, *, idle: bool = True) -> None:
    """Time in which its server tells now and then, as it does, that nothing happened."""
    begun = site.clock.now()
    while site.clock.now() - begun < span:
        site.clock.advance(min(timedelta(minutes=10), begun + span - site.clock.now()))
        known = attempt_of(site, workload).active_at or begun
        idle_s = int((site.clock.now() - known).total_seconds()) if idle else 0
        assert (await tells(site, workload, idle_s)).status == 200
        await site.beat()


def attempt_of(site: Site, workload: str) -> AttemptRow:
    row = site.row(workload)
    with site.control.store.read() as session:
        return session.get_one(AttemptRow, row.attempt_id)


def asked(site: Site, workload: str) -> datetime | None:
    return attempt_of(site, workload).idle_stop_at


async def until_asked(site: Site, login: str = "mia", offer: str = "gpu-quarter") -> str:
    workload = await started(site, offer, login)
    await tells(site, workload)
    await passes(site, workload, QUIET)
    assert asked(site, workload)
    return workload


async def notices(site: Site, login: str = "mia") -> list[dict[str, Any]]:
    return (await site.call(login, "GET", "/notices")).body["items"]


async def test_it_is_asked_first_and_stops_if_nobody_answers(site: Site) -> None:
    workload = await started(site)
    await tells(site, workload)
    last = site.clock.now()
    await passes(site, workload, QUIET - timedelta(minutes=1))
    assert asked(site, workload) is None
    await passes(site, workload, timedelta(minutes=1))

    stops_at = asked(site, workload)
    assert stops_at == last + SPAN
    seen = await site.view("mia", workload)
    assert datetime.fromisoformat(seen["idle_stop_at"]) == stops_at
    assert datetime.fromisoformat(seen["active_at"]) == last
    (told,) = [one for one in await notices(site) if one["kind"] == "idle"]
    assert "has been idle for 1h50m" in told["text"]
    assert "gives its GPU to others" in told["text"]

    await passes(site, workload, ASK - timedelta(minutes=1))
    assert (await site.view("mia", workload))["status"] == "running"
    await passes(site, workload, timedelta(minutes=1))
    ended = await site.until_status("mia", workload, "stopped")
    assert (ended["reason_code"], ended["next"]) == ("idle", "start it again")
    assert ended["reason"] == "it was idle for 2h; files in your home and open tabs stay"
    await site.settled()
    assert site.clean() == []

    answer = await site.call("mia", "POST", f"/workloads/{workload}/relaunch", {})
    await site.until_status("mia", answer.body["id"], "running")


async def test_the_page_in_jupyterlab_is_told_at_once(site: Site) -> None:
    workload = await until_asked(site)
    answer = await site.raw(
        "GET", f"{V1}/workloads/{workload}/inside", headers={"Authorization": f"token s-{workload}"}
    )
    assert datetime.fromisoformat(answer.json()["idle"]["stops_at"]) == asked(site, workload)
    await tells(site, workload)
    again = await site.raw(
        "GET", f"{V1}/workloads/{workload}/inside", headers={"Authorization": f"token s-{workload}"}
    )
    assert again.json()["idle"] is None
    assert again.json()["mark"] != answer.json()["mark"]


async def test_a_busy_kernel_keeps_it(site: Site) -> None:
    workload = await started(site)
    await passes(site, workload, SPAN * 2, idle=False)
    assert asked(site, workload) is None
    assert site.row(workload).status == "running"


async def test_a_busy_kernel_keeps_it_between_two_words_of_its_server(site: Site) -> None:
    menu = site.control.menu._path
    menu.write_text(menu.read_text().replace("idle: 1h", "idle: 1m"))
    site.control.menu.reload()
    workload = await started(site, "cpu")
    for _ in range(4):
        await tells(site, workload)
        for _ in range(11):
            site.later(seconds=10)
            await site.beat()
            assert asked(site, workload) is None
    site.later(seconds=10)  # by now it would have told of any work
    await site.beat()
    assert asked(site, workload) == site.clock.now() + timedelta(seconds=30)


async def test_gpu_work_beside_the_kernels_keeps_it(site: Site) -> None:
    workload = await started(site)
    await tells(site, workload)
    site.engine.gpu_percent = 40
    await passes(site, workload, SPAN * 2)
    assert asked(site, workload) is None
    site.engine.gpu_percent = 0
    await passes(site, workload, QUIET + timedelta(minutes=2))
    assert asked(site, workload)


@pytest.mark.parametrize(("cores", "kept"), [(0.5, True), (0.01, False)])
async def test_processor_work_keeps_it_and_an_open_page_does_not(
    site: Site, cores: float, kept: bool
) -> None:
    workload = await started(site)
    await tells(site, workload)
    attempt = site.row(workload).attempt_id or ""
    begun = site.clock.now()
    for _ in range(23):
        await passes(site, workload, timedelta(minutes=5))
        site.engine.processor[attempt] = cores * (site.clock.now() - begun).total_seconds()
    assert (asked(site, workload) is None) == kept


@pytest.mark.parametrize(("path", "body"), [("active", None), ("extend", {"by": "15m"})])
async def test_answered_or_extended_it_runs_on(site: Site, path: str, body: Any) -> None:
    workload = await until_asked(site)
    answer = await site.call("mia", "POST", f"/workloads/{workload}/{path}", body)
    assert (answer.status, answer.body["idle_stop_at"]) == (200, None), answer.body
    await passes(site, workload, QUIET - timedelta(minutes=5))
    assert asked(site, workload) is None
    await passes(site, workload, timedelta(minutes=10))
    assert asked(site, workload)  # and is asked again when it is idle again
    assert site.row(workload).status == "running"


async def test_work_that_begins_after_the_question_takes_it_back(site: Site) -> None:
    workload = await until_asked(site)
    site.engine.gpu_percent = 30
    await passes(site, workload, timedelta(minutes=2))
    assert asked(site, workload) is None
    assert site.row(workload).status == "running"


async def test_a_server_that_does_not_tell_is_never_stopped(site: Site) -> None:
    """One that never told (another environment), and one that fell silent."""
    never, silent = await started(site), await started(site, login="noa")
    await tells(site, silent)
    for _ in range(10):
        site.later(minutes=20)
        await site.beat()
    assert asked(site, never) is None
    assert asked(site, silent) is None


async def test_a_crash_between_question_and_stop_gives_the_question_its_time_again(
    site: Site,
) -> None:
    workload = await until_asked(site)
    site.later(minutes=5)
    await site.crash()
    site.later(hours=1)
    now = site.clock.now()
    await site.beat()
    assert site.row(workload).status == "running"
    assert asked(site, workload) == now + ASK
    await passes(site, workload, ASK + timedelta(minutes=1))
    assert (await site.until_status("mia", workload, "stopped"))["reason_code"] == "idle"
    await site.settled()
    assert site.clean() == []


async def test_while_everything_slept_nobody_could_answer(site: Site) -> None:
    workload = await until_asked(site)
    site.later(hours=1)
    now = site.clock.now()
    await tells(site, workload, int((QUIET + timedelta(hours=1)).total_seconds()))
    await site.beat()
    assert site.row(workload).status == "running"
    assert asked(site, workload) == now + ASK


async def test_open_pages_are_told_that_a_question_got_its_time_again(site: Site) -> None:
    workload = await until_asked(site)
    site.later(minutes=5)
    await asyncio.sleep(0)  # what was told before
    wanted = Hint("workloads", site.row(workload).person_id, workload)
    with site.control.bus.listen() as hints:
        IdleKeeper(site.control).keep()
        async with asyncio.timeout(PATIENCE_S):
            while await hints.get() != wanted:
                pass


async def test_an_offer_has_its_own_time_and_off_is_for_ever(site: Site) -> None:
    workload = await started(site, "cpu")
    await tells(site, workload)
    await passes(site, workload, timedelta(minutes=50))
    assert asked(site, workload)
    menu = site.control.menu._path
    menu.write_text(menu.read_text().replace("idle: 1h", "idle: off"))
    site.control.menu.reload()
    await passes(site, workload, timedelta(minutes=30))
    assert asked(site, workload) is None
    assert site.row(workload).status == "running"


async def test_what_was_taken_off_the_menu_is_left_alone(site: Site) -> None:
    workload = await until_asked(site)
    menu = site.control.menu._path
    menu.write_text(menu.read_text().replace("gpu-quarter", "gpu-fourth"))
    site.control.menu.reload()
    await passes(site, workload, ASK * 2)
    assert asked(site, workload) is None
    assert site.row(workload).status == "running"


async def test_nothing_is_asked_of_what_ends_by_then_anyhow(site: Site) -> None:
    workload = await site.run("mia", set={"duration": "2h"})
    starting._keep_token(site.control, site.row(workload).attempt_id or "", f"s-{workload}")
    await tells(site, workload)
    await passes(site, workload, timedelta(minutes=115))
    assert asked(site, workload) is None


async def test_nobody_answers_for_another(site: Site) -> None:
    workload = await until_asked(site)
    assert (await site.call("noa", "POST", f"/workloads/{workload}/active")).status == 404
    other = await started(site, login="noa")
    answer = await site.raw(
        "POST", f"{V1}/workloads/{workload}/inside/active", json={"idle_s": 0},
        headers={"Authorization": f"token s-{other}"},
    )  # fmt: skip
    assert answer.status_code in {401, 403, 404}
    assert asked(site, workload)
