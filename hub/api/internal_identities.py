"""The inner door for the Hub's sign-in pages: identities that a provider proved, or takes back."""

import asyncio
from typing import Any

from fastapi import FastAPI
from pydantic import Field

from hub import closing, identities, people
from hub.api.schema import Body
from hub.arrivals import Arrival
from hub.control_context import Control
from hub.hub_api import HubApi
from hub.identities import Vouched, closed_by
from hub.rare import Rarely
from hub.store.tables import PersonRow


class IdentityBody(Body):
    issuer: str = Field(min_length=1, max_length=1000)
    subject: str = Field(default="", max_length=255)
    session_id: str = ""


class GoneBody(IdentityBody):
    """`by_logout`: the subject is as the provider's logouts have it."""

    by_logout: bool = False


class VouchedBody(IdentityBody):
    display_name: str = ""
    email: str = ""
    claims: dict[str, Any] = Field(default_factory=dict[str, Any])
    sub: str = Field(default="", max_length=255)

    @property
    def vouched(self) -> Vouched:
        return Vouched(
            self.issuer, self.subject, self.display_name, self.email, self.session_id, self.claims,
            self.sub,
        )  # fmt: skip


class LinkIdentityBody(VouchedBody):
    hub_name: str


class RefusedBody(Body):
    """`how` is the provider's issuer, or ``lti:PLATFORM``."""

    how: str = Field(min_length=1, max_length=1000)
    why: str = Field(max_length=1000)


def mount(app: FastAPI, control: Control, hub: HubApi) -> None:
    """Add the routes to the inner application."""
    _proofs(app, control, hub)
    _refusals(app, control)
    _ends(app, control, hub)


def _proofs(app: FastAPI, control: Control, hub: HubApi) -> None:
    @app.post("/internal/identities/sign-in")
    async def sign_in(body: VouchedBody) -> dict[str, str]:
        person, arrival = await asyncio.to_thread(identities.sign_in, control, body.vouched)
        await _after(hub, person, arrival)
        return {"hub_name": person.hub_name, "login": person.login}

    @app.post("/internal/identities/link")
    async def link(body: LinkIdentityBody) -> dict[str, str]:
        person, arrival = await asyncio.to_thread(
            identities.link, control, body.hub_name, body.vouched
        )
        await _after(hub, person, arrival)
        return {"hub_name": person.hub_name, "login": person.login}

    @app.post("/internal/identities/refresh")
    async def refresh(body: VouchedBody) -> dict[str, bool]:
        """What the provider says now. Whom its rules admit no more is out."""
        person, arrival = await asyncio.to_thread(identities.refresh, control, body.vouched)
        if not arrival.admitted:
            await _close(control, hub, person, body.issuer)
            return {"open": False}
        await _after(hub, person, arrival)
        return {"open": True}

    @app.get("/internal/identities/at-work")
    async def at_work() -> dict[str, list[str]]:
        return {"people": await asyncio.to_thread(identities.at_work, control)}


def _refusals(app: FastAPI, control: Control) -> None:
    noted = Rarely()

    @app.post("/internal/identities/not-let-in")
    async def not_let_in(body: RefusedBody) -> dict[str, bool]:
        """A sign-in or a launch that the Hub's pages, or control, refused."""
        await asyncio.to_thread(people.note_refused, control, noted, body.how, body.why)
        return {"noted": True}


def _ends(app: FastAPI, control: Control, hub: HubApi) -> None:
    @app.post("/internal/identities/refused")
    async def refused(body: GoneBody) -> dict[str, bool]:
        """The provider does not vouch for somebody any more: their account is closed, until it
        does again or an administrator opens it."""
        find = identities.logged_out if body.by_logout else identities.refused
        person = await asyncio.to_thread(find, control, body.issuer, body.subject)
        if person is not None:
            await _close(control, hub, person, body.issuer)
        return {"closed": person is not None}

    @app.post("/internal/identities/sign-out")
    async def sign_out(body: IdentityBody) -> dict[str, list[dict[str, str]]]:
        """What a provider's back-channel logout asks for: sessions end, tokens for scripts do not.
        Whose they were."""
        found = await asyncio.to_thread(
            identities.of_logout, control, body.issuer, body.subject, body.session_id
        )
        for person in found:
            await hub.end_sessions(person.hub_name, tokens=False)
        return {"people": [{"hub_name": person.hub_name} for person in found]}


async def _close(control: Control, hub: HubApi, person: PersonRow, issuer: str) -> None:
    await closing.close(control, hub, person, by=closed_by(issuer), actor=issuer)


async def _after(hub: HubApi, person: PersonRow, arrival: Arrival) -> None:
    """Tokens for scripts die with a role: they were made by somebody who had it."""
    if arrival.lost:
        await hub.end_tokens(person.hub_name)
