"""Many servers that come up at once are looked at together, and each start hears of its own."""

import asyncio

import pytest

from catalog.errors import PerijoveError, Unavailable
from hub import coming_up, starting
from hub.coming_up import ComingUp
from hub.starting import Started
from tests.site import Site


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Started | Unavailable | None]:
    """What a look at each attempt finds, set by the test."""
    found: dict[str, Started | Unavailable | None] = {}

    def started(_: object, attempt_id: str) -> Started | None:
        what = found.get(attempt_id)
        if isinstance(what, Unavailable):
            raise what
        return what

    monkeypatch.setattr(starting, "started", started)
    monkeypatch.setattr(coming_up, "LOOK_EVERY_S", 0.001)
    return found


async def test_each_hears_of_its_own_server_and_of_its_end(
    site: Site, seen: dict[str, Started | Unavailable | None]
) -> None:
    watch = ComingUp(site.control)
    waits = {name: asyncio.create_task(watch.up(name, 60)) for name in ("a", "b", "c")}
    again = asyncio.create_task(watch.up("a", 60))
    seen["a"] = Started("http://a", "t")
    assert await waits["a"] == await again == Started("http://a", "t")
    seen["b"] = Unavailable("it ended while starting (killed)")
    with pytest.raises(Unavailable, match="killed"):
        await waits["b"]
    assert not waits["c"].done()
    seen["c"] = Started("http://c", "t")
    assert await waits["c"] == Started("http://c", "t")


async def test_who_has_waited_long_enough_is_told_to_ask_again(site: Site) -> None:
    watch = ComingUp(site.control)
    assert await watch.up("a", 0.01) is None
    assert watch._waiting == {}


async def test_a_look_for_all_of_a_class_is_one_trip_to_a_thread(
    site: Site, seen: dict[str, Started | Unavailable | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, looks = ComingUp(site.control), list[int]()
    real = watch._look

    def look(attempt_ids: list[str]) -> dict[str, Started | PerijoveError]:
        looks.append(len(attempt_ids))
        return real(attempt_ids)

    monkeypatch.setattr(watch, "_look", look)
    waits = [asyncio.create_task(watch.up(f"a{n}", 60)) for n in range(120)]
    await asyncio.sleep(0)
    seen.update({f"a{n}": Started(f"http://{n}", "t") for n in range(120)})
    found = await asyncio.gather(*waits)
    assert [one.url for one in found if one] == [f"http://{n}" for n in range(120)]
    assert sum(looks) <= 3 * 120
    assert max(looks) == 120
