"""What control does again and again beside its requests."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any


async def again(
    look: Callable[[], Awaitable[Any]], every_s: float, log: logging.Logger, event: str
) -> None:
    """Look until cancelled, with a rest after each look. One that fails is logged as `event`, and the
    next one tries again: a moment without a database must not end it."""
    while True:
        try:
            await look()
        except Exception:  # the round must outlive any single fault
            log.exception(event)
        await asyncio.sleep(every_s)
