"""Who comes first is served first, and nobody waits for ever."""

import asyncio

import pytest

from catalog.errors import Busy
from hub.line import Line


def full() -> Busy:
    return Busy("too many people sign in")


async def test_everybody_is_served_in_the_order_they_came_and_never_two_at_once() -> None:
    line, served, inside = Line(1, patience_s=60, most=200, full=full), list[int](), 0

    async def come(number: int) -> None:
        nonlocal inside
        async with line.turn():
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            served.append(number)
            inside -= 1

    await asyncio.gather(*map(come, range(120)))
    assert served == list(range(120))


async def test_a_full_line_says_so_at_once() -> None:
    line = Line(1, patience_s=60, most=1, full=full)
    async with line.turn():
        second = asyncio.create_task(_pass(line))
        await asyncio.sleep(0)
        assert line.waiting == 1
        with pytest.raises(Busy, match="too many people sign in"):
            await _pass(line)
    await second
    assert line.waiting == 0


async def test_whose_patience_ends_leaves_the_line_to_the_others() -> None:
    line = Line(1, patience_s=0.01, most=10, full=full)
    async with line.turn():
        with pytest.raises(Busy, match="too many people sign in"):
            await _pass(line)
    assert line.waiting == 0
    await _pass(line)


async def _pass(line: Line) -> None:
    async with line.turn():
        pass
