"""Providers are asked again about people who signed in: what they say now counts here."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Protocol

from catalog.clock import Clock
from catalog.errors import NotFound, NotSignedIn, PerijoveError, Unavailable
from hub.auth import kept
from hub.auth.kept import Kept, Voucher
from hub.auth.oidc import GivenUp, NotAdmitted, OpenIdClient
from hub.control_door import ControlDoor

REST = timedelta(seconds=30)
"""A provider that did not answer is left alone for so long."""
PATIENCE_S = 5.0
"""A person's own request waits no longer for a provider; the answer counts when it comes."""
AT_ONCE = 4
"""So many people are asked about at the same time, of those who ask nothing themselves."""
MOST_LOCKS = 10_000

log = logging.getLogger(__name__)


class HubUser(Protocol):
    """What is used of JupyterHub's User."""

    @property
    def name(self) -> str: ...

    async def get_auth_state(self) -> Kept | None: ...

    async def save_auth_state(self, auth_state: Kept | None) -> None: ...


class Refresher:
    """One in the Hub. For each person one question at a time: a refresh token that is sent twice
    looks like a stolen one."""

    def __init__(
        self, clients: Mapping[str, OpenIdClient], door: ControlDoor, clock: Clock
    ) -> None:
        self._clients = clients
        self._door = door
        self._clock = clock
        self._locks: OrderedDict[str, asyncio.Lock] = OrderedDict()
        self._rests_until: dict[tuple[str, str], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def look(self, user: HubUser) -> None:
        """Ask each provider of this person whose time it is, and wait a little for the answer.

        Control has heard of it when this returns, or will. Raises nothing: what a provider that is
        down would have said changes nothing.
        """
        if not any(self._due(name, user.name, v) for name, v in await self._vouchers(user)):
            return
        task = self.soon(self.ask(user))
        await asyncio.wait({task}, timeout=PATIENCE_S)

    async def look_after(
        self, names: Iterable[str], user_of: Callable[[str], HubUser | None]
    ) -> None:
        """As `look`, for people whose work goes on while they are away; a few at a time."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> None:
            async with slots:
                user = user_of(name)
                if user is not None:
                    await self.ask(user)

        await asyncio.gather(*(one(name) for name in names))

    async def ask(self, user: HubUser, *, now: str = "") -> bool:
        """Ask the providers whose time it is, and the one named `now` whatever its time. Whether
        that one could be asked: False when it gave nothing to ask with."""
        asked = False
        async with self._lock_of(user.name):
            for name, voucher in await self._vouchers(user):
                if name == now or self._due(name, user.name, voucher):
                    asked = asked or name == now
                    try:
                        await self._ask_one(user, name, voucher)
                    except PerijoveError as error:
                        log.warning("refresh of %s at %s: %s", user.name, name, error.message)
        return asked

    def soon(self, work: Awaitable[Any]) -> asyncio.Task[None]:
        """Do it beside what is being done now; its failure is logged."""

        async def done() -> None:
            try:
                await work
            except Exception:
                log.exception("asking a provider again failed")

        task = asyncio.create_task(done())
        self._tasks.add(task)  # the loop itself keeps no hold of it
        task.add_done_callback(self._tasks.discard)
        return task

    async def _ask_one(self, user: HubUser, name: str, voucher: Voucher) -> None:
        client = self._clients[name]
        try:
            proof = await client.refresh(voucher)
        except GivenUp:
            await self._given_up(user, client, voucher)
            return
        except NotAdmitted:
            await self._refused(user, client, voucher)
            return
        except (Unavailable, NotSignedIn) as error:
            # What does not hold says something of one person; no answer, of the provider.
            self._let_rest(name, user.name if isinstance(error, NotSignedIn) else "")
            raise
        # Before anything else: the voucher that was sent may be worth nothing any more.
        await self._keep(user, name, proof.voucher)
        try:
            await self._door.call("POST", "/identities/refresh", proof.as_body())
        except NotFound:
            await self._keep(user, name, None)  # it was unlinked

    async def _given_up(self, user: HubUser, client: OpenIdClient, voucher: Voucher) -> None:
        if client.provider.ends_by_refusal == "account":
            await self._refused(user, client, voucher)
            return
        log.info("%s ended the session of %s", client.provider.name, user.name)
        # As a logout would name them.
        body = {"issuer": client.provider.issuer, "subject": voucher.subject}
        await self._door.call("POST", "/identities/sign-out", body)
        await self._keep(user, client.provider.name, None)

    async def _refused(self, user: HubUser, client: OpenIdClient, voucher: Voucher) -> None:
        """Control first: while it is away the voucher stays, and this is tried again."""
        log.warning("%s vouches no more for %s", client.provider.name, user.name)
        body = {"issuer": client.provider.issuer, "subject": voucher.known_as}
        await self._door.call("POST", "/identities/refused", body)
        await self._keep(user, client.provider.name, None)

    async def _keep(self, user: HubUser, name: str, voucher: Voucher | None) -> None:
        before = await user.get_auth_state()
        await user.save_auth_state(kept.with_voucher(before, name, voucher))

    async def _vouchers(self, user: HubUser) -> list[tuple[str, Voucher]]:
        found = kept.vouchers(await user.get_auth_state())
        return [(name, v) for name, v in found.items() if name in self._clients]

    def _due(self, name: str, person: str, voucher: Voucher) -> bool:
        now, span = self._clock.now().timestamp(), self._clients[name].provider.refresh_span
        rests = max(self._rests_until.get((name, who), 0) for who in ("", person))
        return span is not None and rests <= now and now - voucher.at >= span.total_seconds()

    def _let_rest(self, name: str, person: str) -> None:
        now = self._clock.now()
        if len(self._rests_until) > MOST_LOCKS:
            self._rests_until.clear()
        self._rests_until[name, person] = (now + REST).timestamp()

    def _lock_of(self, name: str) -> asyncio.Lock:
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._locks.move_to_end(name)
        if len(self._locks) > MOST_LOCKS:
            old, found = next(iter(self._locks.items()))
            if not found.locked():
                del self._locks[old]
        return lock
