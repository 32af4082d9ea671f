"""Requests to addresses that a platform states: never into this site's own network by its word.

Hosts that the operator wrote into the file may have any address. Others have to be public ones. A
name is resolved once, judged, and that address is used; no redirect is followed.
"""

import asyncio
import ipaddress
import json
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from catalog.errors import Conflict, Unavailable
from hub.auth.providers import is_safe_address
from hub.lti.platforms import Platform

MAX_ANSWER = 2 * 2**20
_TIMEOUT = aiohttp.ClientTimeout(total=20, connect=5)
_HIDDEN = tuple(
    ipaddress.ip_network(net)
    for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
"""Ways to write an IPv4 address as an IPv6 one: what is behind them is not judged here."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Reply:
    """What a platform answered; `following` is the address of the next page, or empty."""

    status: int
    body: bytes = field(repr=False)
    following: str = ""

    @property
    def content(self) -> Any:
        """Its JSON, or None."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class _Pinned(AbstractResolver):
    """Knows one name."""

    def __init__(self, host: str, addresses: list[Address]) -> None:
        self._host = host
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if host != self._host:
            raise OSError("another host than the one that was judged")
        return [
            ResolveResult(
                hostname=host, host=str(address), port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=0, flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
            if family in {socket.AF_UNSPEC, socket.AF_INET if address.version == 4 else socket.AF_INET6}
        ]  # fmt: skip

    async def close(self) -> None:
        """Nothing is open."""


async def ask(
    platform: Platform, method: str, url: str, *, headers: dict[str, str],
    body: bytes | None = None,
) -> Reply:  # fmt: skip
    """One request. Raises Conflict for an address where nothing may be asked, Unavailable when
    nobody answers or the answer is over 2 MiB."""
    host = _demand_safe(platform, url)
    addresses = await _judged(platform, host)
    connector = aiohttp.TCPConnector(resolver=_Pinned(host, addresses), limit=4)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=_TIMEOUT, headers=headers
            ) as session,
            session.request(method, url, data=body, allow_redirects=False) as answer,
        ):
            following = str(answer.links.get("next", {}).get("url", ""))
            return Reply(answer.status, await _bounded(answer), following)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise Unavailable(
            f"{platform.title} does not answer", next="try again in a minute"
        ) from error


def is_public(address: Address) -> bool:
    """Whether an address is outside of everybody's own networks."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in net for net in _HIDDEN):
            return False
    return address.is_global and not address.is_multicast


def _demand_safe(platform: Platform, url: str) -> str:
    if not is_safe_address(url, loopback=platform.local):
        raise _not_there(platform, "it is not https")
    return urlsplit(url).hostname or ""


async def _judged(platform: Platform, host: str) -> list[Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable(
            f"{platform.title} does not answer: its name {host[:80]!r} is not known",
            next="try again in a minute",
        ) from error
    # A scope ("%eth0") is no part of an address that anybody may state.
    addresses = list(dict.fromkeys(ipaddress.ip_address(str(one[4][0])) for one in found))
    if host not in platform.hosts and not all(map(is_public, addresses)):
        raise _not_there(platform, "it is inside of a private network")
    return addresses


def _not_there(platform: Platform, why: str) -> Conflict:
    return Conflict(
        f"{platform.title} names an address that this site does not ask: {why}",
        next="an administrator can look at the addresses in lti.yaml and at the learning system",
    )


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in answer.content.iter_chunked(2**16):
        body += part
        if len(body) > MAX_ANSWER:
            raise ValueError("too large")
    return bytes(body)
