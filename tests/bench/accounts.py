"""Accounts for many people of a Perijove, each made by its owner with an invitation's link."""

import asyncio
from collections.abc import Mapping

from tests.bench.target import StartFailedError
from tests.bench.visitor import Tally, Visitor

PASSWORD = "a long enough password"
_TOGETHER = 3
"""Each takes a password's hash, which is heavy by design."""


def sign_up(base: str, links: Mapping[str, str]) -> None:
    """Make an account for each login by its link; the Hub knows all of them then. Raises
    StartFailedError for the first that is refused."""
    asyncio.run(_all(base, links))


async def _all(base: str, links: Mapping[str, str]) -> None:
    door = asyncio.Semaphore(_TOGETHER)

    async def one(login: str, link: str) -> None:
        async with door, Visitor(base, Tally()) as visitor:
            form = await visitor.page(link)
            answer = await visitor.submit(
                form, login=login, password=PASSWORD, password_again=PASSWORD
            )
            if answer.status != 200:
                raise StartFailedError(f"account of {login}: {answer.status} {answer.url}")

    await asyncio.gather(*(one(login, link) for login, link in links.items()))
