"""What a provider says of itself: its end points and its keys, fetched within bounds and kept."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import aiohttp
from joserfc.jwk import Key

from catalog.clock import Clock
from catalog.errors import Unavailable
from hub.auth.providers import Provider, is_safe_address
from hub.auth.tokens import read_keys

KEEP = timedelta(hours=1)
KEEP_FAILURE = timedelta(seconds=5)
NEW_KEYS_AFTER = timedelta(seconds=30)
"""An unknown key makes us look for newer ones, but no more often than this."""
MAX_ANSWER = 2**20
_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
_NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_OPTIONAL = ("userinfo_endpoint", "end_session_endpoint")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The parts of the discovery document that are used; addresses are checked."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    end_session_endpoint: str
    secret_in_body: bool
    """The token end point takes the client's secret in the form only."""
    says_issuer: bool
    """Answers name their issuer (RFC 9207): one that does not is refused."""


class Discovery:
    """Of one provider. Nothing is fetched before it is needed, so a provider that is down keeps
    nobody else from signing in."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self._provider = provider
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._metadata: tuple[datetime, Metadata] | None = None
        self._keys: tuple[datetime, list[Key]] | None = None
        self._failed: tuple[datetime, Unavailable] | None = None

    async def metadata(self) -> Metadata:
        """Raises Unavailable while the provider does not answer, or answers nonsense."""
        async with self._one_at_a_time:
            if self._metadata is None or self._older(self._metadata[0], KEEP):
                self._metadata = (self._clock.now(), await self._careful(self._fetch_metadata))
            return self._metadata[1]

    async def keys(self, *, newer: bool = False) -> list[Key]:
        """The provider's public keys; with `newer`, fetched again if that was a while ago."""
        address = (await self.metadata()).jwks_uri

        async def fetch() -> list[Key]:
            document = await fetch_json(self._provider, address)
            listed = document.get("keys")
            return read_keys(listed if isinstance(listed, list) else [])

        async with self._one_at_a_time:
            limit = NEW_KEYS_AFTER if newer else KEEP
            if self._keys is None or self._older(self._keys[0], limit):
                self._keys = (self._clock.now(), await self._careful(fetch))
            return self._keys[1]

    async def _careful(self, fetch: Any) -> Any:
        """Fetch, unless that failed moments ago: those who wait do not each wait for a timeout."""
        if self._failed is not None and not self._older(self._failed[0], KEEP_FAILURE):
            raise self._failed[1]
        try:
            found = await fetch()
        except Unavailable as error:
            self._failed = (self._clock.now(), error)
            raise
        self._failed = None
        return found

    async def _fetch_metadata(self) -> Metadata:
        provider = self._provider
        address = provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
        document = await fetch_json(provider, address)
        if document.get("issuer") != provider.issuer:
            raise _strange(provider, f"it calls itself {str(document.get('issuer'))[:200]!r}")
        given = {name: self._address(document, name) for name in (*_NEEDED, *_OPTIONAL)}
        for name in _NEEDED:
            if not given[name]:
                raise _strange(provider, f"it names no {name}")
        ways = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return Metadata(
            **given,
            secret_in_body="client_secret_basic" not in ways,
            says_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        )

    def _address(self, document: Mapping[str, Any], name: str) -> str:
        """An end point, empty if there is none. Only a provider on this machine may name places
        on it, or be spoken to in the clear."""
        value = document.get(name)
        if value is None:
            return ""
        local = self._provider.issuer.startswith("http:")
        if not isinstance(value, str) or not is_safe_address(value, loopback=local):
            raise _strange(self._provider, f"its {name} is not an https address")
        return value

    def _older(self, at: datetime, limit: timedelta) -> bool:
        return self._clock.now() - at > limit


async def fetch_json(
    provider: Provider,
    address: str,
    *,
    form: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    refusals: bool = False,
) -> dict[str, Any]:
    """One request to a provider, GET or with `form` POST; no redirect is followed, an answer over
    1 MiB is none. With `refusals` the answer to a 400 or 401 is returned too.

    Raises Unavailable.
    """
    wanted = {"Accept": "application/json", **(headers or {})}
    try:
        async with (
            aiohttp.ClientSession(
                timeout=_TIMEOUT, trust_env=address.startswith("https:"), headers=wanted
            ) as session,
            session.request(
                "GET" if form is None else "POST", address, data=form, allow_redirects=False
            ) as answer,
        ):
            status, body = answer.status, await _bounded(answer)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise Unavailable(
            f"{provider.title} does not answer", next="try again in a minute"
        ) from error
    if status != 200 and not (refusals and status in {400, 401}):
        raise _strange(provider, f"it answered with status {status}")
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _strange(provider, "its answer is not a JSON object")
    return found


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in answer.content.iter_chunked(2**16):
        body += part
        if len(body) > MAX_ANSWER:
            raise ValueError("too large")
    return bytes(body)


def _strange(provider: Provider, why: str) -> Unavailable:
    return Unavailable(
        f"{provider.title} does not work as a sign-in provider: {why}",
        next="tell your administrator",
    )
