"""Those who start at once: each sees how many are before them, and nobody sees an error."""

from datetime import timedelta

import pytest

from catalog.errors import Unavailable
from hub import attempts
from hub.start_line import Ahead, seconds_for
from hub.store.tables import AttemptRow
from tests.site import Site

CLASS = ("ada", "bea", "cem", "dan", "eva")


async def arrive(site: Site) -> dict[str, str]:
    """Everybody asks, in this order, and everybody is granted a place that is slow to come up."""
    site.engine.up_after_s = 60
    labs: dict[str, str] = {}
    for login in CLASS:
        site.person(login)
        labs[login] = await site.launch(login, "cpu")
        site.later(seconds=1)
    await site.beat()
    return labs


async def before(site: Site, labs: dict[str, str]) -> list[tuple[int, int | None]]:
    views = [(await site.view(login, labs[login]))["progress"] for login in labs]
    return [(view["before"], view["about_s"]) for view in views]


async def test_each_sees_how_many_are_before_them(site: Site) -> None:
    labs = await arrive(site)
    assert [place for place, _ in await before(site, labs)] == [0, 1, 2, 3, 4]
    said = (await site.view("dan", labs["dan"]))["progress"]["text"]
    assert said.endswith("; 3 are before you")
    said = (await site.view("bea", labs["bea"]))["progress"]["text"]
    assert said.endswith("; 1 is before you")
    await site.call("bea", "POST", f"/workloads/{labs['bea']}/stop")
    await site.until_status("bea", labs["bea"], "stopped")
    del labs["bea"]
    assert [place for place, _ in await before(site, labs)] == [0, 1, 2, 3]


async def test_a_start_that_hangs_is_before_nobody(site: Site) -> None:
    labs = await arrive(site)
    hangs = site.row(labs["ada"]).attempt_id
    with site.control.store.write() as session:
        attempt = session.get_one(AttemptRow, hangs)
        attempt.launched_at = site.clock.now() - timedelta(minutes=2)
        session.add(attempt)
    assert [place for place, _ in await before(site, labs)] == [0, 0, 1, 2, 3]


async def test_how_long_it_takes_is_told_by_those_who_came_up_lately(site: Site) -> None:
    labs = await arrive(site)
    for login in ("ada", "bea", "cem"):
        attempts.mark_ready(site.control, site.row(labs.pop(login)).attempt_id or "")
    assert await before(site, labs) == [(0, None), (1, 7)]  # 3 in 10 s; the first needs no number
    said = (await site.view("eva", labs["eva"]))["progress"]["text"]
    assert said.endswith("; 1 is before you, about 7 s")
    site.later(seconds=11)
    assert await before(site, labs) == [(0, None), (1, None)], "nobody came up lately"


async def test_a_hub_that_is_busy_is_no_error_of_anybody(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refused = site.hub.start, list[str]()

    async def busy(name: str, server: str) -> None:
        if refused.count(server) < 2:
            refused.append(server)
            raise Unavailable("the Hub is busy: too many are starting")
        await real(name, server)

    monkeypatch.setattr(site.hub, "start", busy)
    labs = await arrive(site)
    site.engine.up_after_s = 0
    for login, lab in labs.items():
        view = await site.until_status(login, lab, "running")
        assert view["reason"] == ""
    assert len(refused) == 2 * len(CLASS)


def test_words() -> None:
    assert Ahead(0, 3).text == ""
    assert Ahead(2, 6).text == "2 are before you, about 6 s"
    assert [seconds_for(n, 30) for n in (1, 15, 16)] == [1, 5, 6]
    assert seconds_for(4, 2) is None
