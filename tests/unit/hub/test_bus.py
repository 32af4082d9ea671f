"""What everybody is told comes a few times, however often it happens."""

import asyncio

import pytest

from hub import bus
from hub.bus import Bus, Hint

ALL = Hint("offers")


async def heard_of(queue: asyncio.Queue[Hint], count: int) -> list[Hint]:
    return [await asyncio.wait_for(queue.get(), 20) for _ in range(count)]


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> Bus:
    monkeypatch.setattr(bus, "TO_ALL_EVERY_S", 0.05)
    found = Bus()
    found.attach(asyncio.get_running_loop())
    return found


async def test_of_many_hints_to_everybody_the_first_and_one_for_the_rest_are_heard(
    site: Bus,
) -> None:
    with site.listen() as queue:
        for _ in range(120):
            site.tell(ALL)
        assert await heard_of(queue, 2) == [ALL, ALL]
        site.tell(Hint("end", "p-1"))
        assert await heard_of(queue, 1) == [Hint("end", "p-1")]
        site.tell(ALL)  # what comes later is told too
        assert await heard_of(queue, 1) == [ALL]


async def test_what_concerns_one_person_is_never_held_back(site: Bus) -> None:
    mine = Hint("workloads", "p-1", "w-1")
    with site.listen() as queue:
        for _ in range(5):
            site.tell(mine)
        assert await heard_of(queue, 5) == [mine] * 5


def test_the_last_hint_of_each_person_is_known_before_the_loop_runs() -> None:
    quiet = Bus()
    quiet.tell(Hint("workloads", "p-1"))
    quiet.tell(ALL)
    assert (quiet.told, quiet.last_told("p-1"), quiet.last_told("p-2")) == (2, 1, 0)
