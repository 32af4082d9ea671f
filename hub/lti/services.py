"""Calls to a platform's services: tokens for this tool, rosters, and lines of its gradebook."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from authlib.common.urls import add_params_to_uri

from catalog.clock import Clock
from catalog.errors import Conflict, PerijoveError, Unavailable
from hub.auth.discovery import fetch_json
from hub.lti.fetching import Reply, ask
from hub.lti.keys import ToolKeys
from hub.lti.platforms import Platform
from hub.lti.rosters import Member, read_members, strongest_each
from hub.lti.signing import assertion

ROSTER_SCOPE = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
LINE_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem"
SCORE_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/score"
MAX_PAGES, MAX_MEMBERS = 200, 20_000
_PAGE = "500"
_ROSTER_TYPE = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
_LINES_TYPE = "application/vnd.ims.lis.v2.lineitemcontainer+json"
_LINE_TYPE = "application/vnd.ims.lis.v2.lineitem+json"
_SCORE_TYPE = "application/vnd.ims.lis.v1.score+json"
_MARGIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a gradebook; `resource` is what we call it there, in every attempt."""

    resource: str
    label: str
    most: float


@dataclass(frozen=True, slots=True)
class Score:
    """What somebody reached; `at` makes a repeated posting the same one."""

    subject: str
    given: float
    most: float
    comment: str
    at: datetime


class PlatformServices:
    """One per platform. Every call raises Unavailable while the platform does not answer, and
    Conflict when it refuses."""

    def __init__(
        self, platform: Platform, keys: ToolKeys, clock: Clock,
        *, pauses_s: tuple[float, ...] = (0.5, 2.0),
    ) -> None:  # fmt: skip
        self._platform = platform
        self._keys = keys
        self._clock = clock
        self._pauses_s = pauses_s
        self._tokens: dict[str, tuple[datetime, str]] = {}

    async def members(self, roster_url: str) -> dict[str, Member]:
        """Everybody of a course by subject, all pages of it."""
        address = roster_url
        if "limit" not in parse_qs(urlsplit(roster_url).query):
            address = add_params_to_uri(roster_url, [("limit", _PAGE)])
        found: list[Member] = []
        for content in await self._pages(address, [ROSTER_SCOPE], _ROSTER_TYPE):
            try:
                found += read_members(content, mentors=self._platform.mentors)
            except ValueError as error:
                raise self._refusal("the roster", str(error)) from error
            if len(found) > MAX_MEMBERS:
                raise self._refusal("the roster", f"it has over {MAX_MEMBERS} people")
        return strongest_each(found)

    async def line_of(self, lines_url: str, line: Line) -> str:
        """The address of the line for `line.resource`: found, else made."""
        address = add_params_to_uri(lines_url, [("resource_id", line.resource)])
        for content in await self._pages(address, [LINE_SCOPE], _LINES_TYPE):
            listed = content if isinstance(content, list) else []
            for entry in listed:
                # Not every platform heeds the filter.
                if isinstance(entry, dict) and entry.get("resourceId") == line.resource:
                    return str(entry.get("id", ""))
        made = await self._call(
            "POST", lines_url, [LINE_SCOPE], _LINE_TYPE, content_type=_LINE_TYPE,
            content={
                "label": line.label, "scoreMaximum": line.most, "resourceId": line.resource,
                "tag": "perijove",
            },
        )  # fmt: skip
        entry = made.content
        if made.status not in {200, 201} or not isinstance(entry, dict) or not entry.get("id"):
            raise self._refusal("a new line of the gradebook", f"status {made.status}")
        return str(entry["id"])

    async def post(self, line_url: str, score: Score) -> None:
        """Put a score into a line. After a lost answer it is sent again: a platform that has it
        already says so, and that is success."""
        content: dict[str, Any] = {
            "userId": score.subject, "scoreGiven": score.given, "scoreMaximum": score.most,
            "timestamp": score.at.isoformat(timespec="milliseconds"),
            "activityProgress": "Completed", "gradingProgress": "FullyGraded",
        }  # fmt: skip
        if score.comment:
            content["comment"] = score.comment
        tries = iter((*self._pauses_s, None))
        lost = False
        for pause in tries:
            try:
                reply = await self._call(
                    "POST", _scores(line_url), [SCORE_SCOPE], "application/json",
                    content_type=_SCORE_TYPE, content=content,
                )  # fmt: skip
            except Unavailable:
                if pause is None:
                    raise
            else:
                if reply.status in {200, 201, 202, 204} or (lost and reply.status == 409):
                    return
                if reply.status < 500 or pause is None:
                    raise self._refusal("the score", f"status {reply.status}")
            lost = True
            await asyncio.sleep(pause)

    async def _pages(self, address: str, scopes: list[str], accept: str) -> list[Any]:
        found: list[Any] = []
        first, seen = address, {address}
        while address:
            reply = await self._call("GET", address, scopes, accept)
            if reply.status != 200:
                raise self._refusal("the list", f"status {reply.status}")
            found.append(reply.content)
            address = reply.following
            if address and (not _same_place(first, address) or address in seen):
                raise self._refusal("the list", "its next page is somewhere else")
            seen.add(address)
            if len(found) >= MAX_PAGES:
                raise self._refusal("the list", f"it has over {MAX_PAGES} pages")
        return found

    async def _call(
        self, method: str, address: str, scopes: Iterable[str], accept: str, *,
        content_type: str = "", content: dict[str, Any] | None = None,
    ) -> Reply:  # fmt: skip
        """With a token; a token that is refused is replaced once."""
        wanted = " ".join(scopes)
        body = None if content is None else json.dumps(content).encode()
        for fresh in (False, True):
            headers = {
                "Accept": accept,
                "Authorization": f"Bearer {await self._token(wanted, fresh=fresh)}",
            }
            if content_type:
                headers["Content-Type"] = content_type
            reply = await ask(self._platform, method, address, headers=headers, body=body)
            if reply.status != 401:
                break
        return reply

    async def _token(self, scopes: str, *, fresh: bool) -> str:
        kept, now = self._tokens.get(scopes), self._clock.now()
        if kept is not None and not fresh and now < kept[0]:
            return kept[1]
        platform = self._platform
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion(platform, self._keys.current(), now),
            "scope": scopes,
        }
        found = await fetch_json(platform.party, platform.auth_token_url, form=form, refusals=True)
        token, life = found.get("access_token"), found.get("expires_in", 3600)
        if "error" in found or not isinstance(token, str) or not 0 < len(token) <= 8192:
            said = "".join(c for c in str(found.get("error", "")) if c.isprintable())[:80]
            raise self._refusal("a token", said or "it gave none")
        span = (
            timedelta(seconds=min(max(int(life), 0), 86_400)) if isinstance(life, int) else _MARGIN
        )
        self._tokens[scopes] = (now + span - _MARGIN, token)
        return token

    def _refusal(self, what: str, why: str) -> PerijoveError:
        return Conflict(
            f"{self._platform.title} refused {what}: {why}",
            next="look at what the tool may do in the learning system, then try again",
        )


def _scores(line_url: str) -> str:
    """Where the scores of a line go: ``/scores`` behind its path, before its query."""
    parts = urlsplit(line_url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/scores"))


def _same_place(one: str, other: str) -> bool:
    a, b = urlsplit(one), urlsplit(other)
    return (a.scheme, a.netloc) == (b.scheme, b.netloc)
