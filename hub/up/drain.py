"""Before the end: have control stop every workload and settle it."""

import asyncio

from catalog.errors import Unavailable
from hub.up.door import ControlDoor
from hub.up.terminal import Terminal

_POLL_S = 0.3
_ANSWER_WITHIN_S = 5.0
"""Control may be restarting at this moment; longer than this, it is down."""


async def drain(
    door: ControlDoor, terminal: Terminal, within_s: float, hurry: asyncio.Event
) -> None:
    """Ask control to stop all workloads; wait until none is left, `within_s`, or `hurry`.

    What is left runs on under its own shim, and the next `up` adopts it: the person is told.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    if not await _asked(door, loop.time() + _ANSWER_WITHIN_S, hurry):
        terminal.say("control does not answer: notebooks are left running, `up` adopts them again")
        return
    shown = 0
    while not hurry.is_set():
        left = await _left(door)
        if left == 0:
            return
        if left is not None and left != shown:
            terminal.say(f"waiting for {left} workload{'s' if left > 1 else ''} to end")
            shown = left
        if loop.time() > until:
            terminal.say("what is left runs on until its deadline; the next `up` adopts it")
            return
        await _pause(_POLL_S, hurry)


async def _asked(door: ControlDoor, until: float, hurry: asyncio.Event) -> bool:
    loop = asyncio.get_running_loop()
    while not hurry.is_set():
        try:
            await asyncio.to_thread(door.ask, "POST", "/internal/drain")
        except Unavailable:
            if loop.time() > until:
                return False
            await _pause(_POLL_S, hurry)
        else:
            return True
    return False


async def _left(door: ControlDoor) -> int | None:
    try:
        return int((await asyncio.to_thread(door.ask, "GET", "/internal/drain")).get("left", 0))
    except (Unavailable, ValueError, TypeError):
        return None


async def _pause(seconds: float, hurry: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(hurry.wait(), seconds)
    except TimeoutError:
        return
