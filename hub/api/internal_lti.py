"""The inner door for the Hub's pages of learning systems: launches that hold, and their links.

After a launch the roster of its course is looked at in the background, if that was a while ago.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import Field

from catalog.errors import PerijoveError
from hub import people
from hub.api.schema import Body
from hub.control_context import Control
from hub.lti import arriving, contexts, sync
from hub.lti.arriving import Arrived
from hub.lti.messages import (
    MAX_ADDRESS,
    MAX_DATA,
    MAX_ID,
    MAX_TITLE,
    Context,
    Launch,
    Linking,
    Services,
)
from hub.lti.systems import Systems
from hub.policy import absent

SYNC_EVERY = timedelta(minutes=10)
log = logging.getLogger("perijove.lti")


class ContextBody(Body):
    id: str = Field(min_length=1, max_length=MAX_ID)
    title: str = Field(max_length=MAX_ID)


class LinkingBody(Body):
    return_url: str = Field(max_length=MAX_ADDRESS)
    data: str = Field(max_length=MAX_DATA)


class ServicesBody(Body):
    roster: str = Field(default="", max_length=MAX_ADDRESS)
    line_items: str = Field(default="", max_length=MAX_ADDRESS)
    line_item: str = Field(default="", max_length=MAX_ADDRESS)
    scopes: list[str] = Field(default_factory=list, max_length=20)


class LaunchFacts(Body):
    """A launch whose token the Hub has checked."""

    platform: str = Field(max_length=32)
    deployment: str = Field(min_length=1, max_length=MAX_ID)
    subject: str = Field(min_length=1, max_length=255)
    name: str = Field(default="", max_length=200)
    email: str = Field(default="", max_length=200)
    role: Literal["", "member", "assistant", "instructor"]
    context: ContextBody | None = None
    services: ServicesBody = Field(default_factory=ServicesBody)
    course: str = Field(default="", max_length=MAX_TITLE)
    linking: LinkingBody | None = None

    @property
    def launch(self) -> Launch:
        context, linking, services = self.context, self.linking, self.services
        return Launch(
            self.platform, self.deployment, self.subject, self.name, self.email, self.role,
            Context(context.id, context.title) if context else None,
            Services(
                services.roster, services.line_items, services.line_item, tuple(services.scopes)
            ),
            self.course,
            Linking(linking.return_url, linking.data) if linking else None,
        )  # fmt: skip


class LaunchBody(Body):
    """`add`: an account may be made for who has none."""

    launch: LaunchFacts
    add: bool = False


class LinkBody(Body):
    launch: LaunchFacts
    hub_name: str


class ChoicesBody(Body):
    """The courses to which somebody may link a course of a learning system."""

    hub_name: str
    context: str = Field(default="", max_length=60)


class ChooseBody(ChoicesBody):
    course: str = Field(max_length=60)


def mount(app: FastAPI, control: Control) -> None:
    """Add the routes to the inner application."""
    systems = Systems(control.settings, control.clock)
    _arrivals(app, control, systems, _Background(control, systems))
    _links(app, control)


def _arrivals(app: FastAPI, control: Control, systems: Systems, looks: "_Background") -> None:
    @app.post("/internal/lti/launch")
    async def launch(body: LaunchBody) -> dict[str, str]:
        """Who it is and where they go: see `hub.lti.arriving.Arrived`."""
        platform = systems.platform(body.launch.platform)
        arrived = await asyncio.to_thread(
            arriving.launch_in, control, platform, body.launch.launch, add=body.add
        )
        looks.soon(arrived)
        return {
            "next": arrived.next, "hub_name": arrived.hub_name, "to": arrived.to,
            "context": arrived.context,
        }  # fmt: skip

    @app.post("/internal/lti/link-identity")
    def link_identity(body: LinkBody) -> dict[str, str]:
        """Who is signed in says that the learning system's account is theirs too."""
        platform = systems.platform(body.launch.platform)
        arriving.link_to(control, platform, body.launch.launch, body.hub_name)
        return {"hub_name": body.hub_name}


def _links(app: FastAPI, control: Control) -> None:
    @app.post("/internal/lti/choices")
    def choices(body: ChoicesBody) -> dict[str, Any]:
        """For the pages on which an instructor chooses a course. Without a context only courses."""
        actor = people.actor_of(control, body.hub_name)
        with control.store.read() as session:
            row = contexts.by_id(session, actor, body.context) if body.context else None
            found = contexts.choices(session, actor)
        return {
            "title": row.title if row else "",
            "linked": (row.tenant_id or "") if row else "",
            "courses": [{"id": choice.id, "name": choice.name} for choice in found],
        }

    @app.post("/internal/lti/choose")
    def choose(body: ChooseBody) -> dict[str, str]:
        """Link the context to a course of the instructor's; without a context, see that it is."""
        actor = people.actor_of(control, body.hub_name)
        if body.context:
            contexts.link(control, actor, body.context, body.course)
        with control.store.read() as session:
            found = {choice.id: choice.name for choice in contexts.choices(session, actor)}
        if body.course not in found:
            raise absent(f"course {body.course[:40]!r}")
        return {"id": body.course, "name": found[body.course]}


class _Background:
    """Looks at rosters, one look at a course at a time."""

    def __init__(self, control: Control, systems: Systems) -> None:
        self._control = control
        self._systems = systems
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def soon(self, arrived: Arrived) -> None:
        """Look at the roster of the course that somebody came from, unless that was done lately."""
        if not arrived.context or arrived.next != "in" or arrived.context in self._tasks:
            return
        task = asyncio.create_task(self._look(arrived.context))
        self._tasks[arrived.context] = task
        task.add_done_callback(lambda _: self._tasks.pop(arrived.context, None))

    async def _look(self, context_id: str) -> None:
        try:
            due = await asyncio.to_thread(sync.due, self._control, context_id, SYNC_EVERY)
            if due is not None:
                course, rows = due
                await sync.sync(self._control, self._systems, course, rows, "system")
        except PerijoveError as error:
            log.warning("a roster was not looked at: %s", error.message)
