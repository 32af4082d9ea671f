"""The Hub's pages of learning systems (LTI 1.3): off to one, back with a launch, and what an
instructor chooses on the way. Everything here answers below ``/hub/lti/``."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from jupyterhub.handlers.base import BaseHandler
from tornado import web

from catalog.clock import Clock
from catalog.errors import BadValue, NotFound, NotSignedIn, PerijoveError
from hub.auth.providers import is_safe_address
from hub.lti.keys import ToolKeys
from hub.lti.platforms import Platform
from hub.lti.signing import course_item, links_response
from hub.lti.tool import LtiTool
from hub.lti.trips import TRIP_LIFE, WAIT_LIFE, Seals, Waiting, WaitingRoom
from hub.settings import PORTAL_PREFIX, Settings

_BROWSER, _TICKET = "perijove-lti", "perijove-lti-ticket"
_STATUS = {"unavailable": 503, "not-found": 404, "bad-value": 400}
_FRAMES = frozenset({"iframe", "frame", "embed", "object", "fencedframe"})


@dataclass(frozen=True)
class LtiDesk:
    """What these pages share: the tools by name, the keys, and launches that wait for a choice."""

    tools: dict[str, LtiTool]
    keys: ToolKeys
    clock: Clock
    seals: Seals
    room: WaitingRoom = field(repr=False)

    @classmethod
    def of(cls, settings: Settings, platforms: list[Platform], clock: Clock) -> "LtiDesk":
        """For the platforms of this site."""
        tools = {found.name: LtiTool(found, settings.url, clock) for found in platforms}
        seals = Seals(bytes.fromhex(settings.secret("cookie_secret")), clock)
        keys = ToolKeys(settings.home / "secrets")
        return cls(tools, keys, clock, seals, WaitingRoom(clock))


class LtiPage(BaseHandler):
    """A page below ``/hub/lti/``."""

    _query: dict[str, list[bytes]]

    def initialize(self) -> None:
        """The query carries hints and tokens: it is taken out before anything can log it."""
        self._query = dict(self.request.query_arguments)
        self.request.uri, self.request.query = self.request.path, ""
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")

    @property
    def answer(self) -> dict[str, list[bytes]]:
        """What came along, in the address or as a form."""
        return {**self._query, **self.request.body_arguments}

    @property
    def desk(self) -> LtiDesk:
        return self.settings["authenticator"].lti

    @property
    def door(self) -> Any:
        return self.settings["authenticator"].door

    def tool(self, name: str) -> LtiTool:
        """Raises NotFound for a name that nobody gave."""
        found = self.desk.tools.get(name)
        if found is None:
            raise NotFound("there is no such learning system here", next="start from the menu")
        return found

    def one(self, name: str) -> str:
        """A parameter; one that was given twice counts as absent."""
        values = self.answer.get(name, [])
        return values[0].decode(errors="replace") if len(values) == 1 else ""

    async def say(self, error: PerijoveError) -> None:
        """A page with the error in plain words."""
        self.log.warning("%s: %s", self.request.path, error.message)
        self.set_status(_STATUS.get(error.code, 403))
        tool = self.desk.tools.get(self.path_args[0] if self.path_args else "")
        if tool is not None:
            self.let_frame(tool)  # or the learning system would show an empty frame
        await self.show("notice.html", heading=error.message, text=error.next)

    async def note_refused(self, name: str, error: PerijoveError) -> None:
        """For the audit: this system sent somebody who was not let in. That nobody answered, or that
        there is no such system, says nothing of anybody."""
        if name not in self.desk.tools or error.code == "unavailable":
            return
        try:
            body = {"how": f"lti:{name}", "why": error.message[:1000]}
            await self.door.call("POST", "/identities/not-let-in", body)
        except PerijoveError as failed:
            self.log.warning("a refused launch was not noted: %s", failed.message)

    async def show(self, template: str, **values: Any) -> None:
        self.finish(await self.render_template(template, **values))

    def let_frame(self, tool: LtiTool, *more: str) -> None:
        """The learning system may show this page inside of its own."""
        origins = " ".join(("'self'", *tool.platform.origins, *more))
        self.set_header("Content-Security-Policy", f"frame-ancestors {origins}")

    def keep(self, tool: LtiTool, name: str, value: str, life_s: float) -> None:
        """A cookie for this tool's pages alone. A learning system's pages are on another site, and
        may frame ours: over https it goes along there, apart for each that frames."""
        parts = [f"{name}={value}", f"Path={tool.path}", f"Max-Age={int(life_s)}", "HttpOnly"]
        if tool.site.startswith("https:"):
            parts += ["Secure", "SameSite=None", "Partitioned"]
        self.add_header("Set-Cookie", "; ".join(parts))

    async def enter(self, hub_name: str, to: str) -> None:
        """They are signed in, as if they had never been another person in this browser."""
        user: Any = self.user_from_username(hub_name)
        kept = await user.get_auth_state()  # of another way in: it stays
        user = await self.auth_to_user({"name": hub_name, "admin": False, "auth_state": kept})
        self._jupyterhub_user = user
        self.set_session_cookie()
        self.set_login_cookie(user)
        self.redirect(to)

    @property
    def form_token(self) -> str:
        xsrf: Any = self.xsrf_token
        return xsrf.decode("ascii")


class KeysPage(LtiPage):
    """The public keys of this tool, the same for every platform."""

    def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "public, max-age=300")
        self.finish(json.dumps(self.desk.keys.published()))


class BeginPage(LtiPage):
    """A learning system wants to launch: off to it, to be told who comes."""

    def check_xsrf_cookie(self) -> None:
        """Another site begins here; nothing is done but to send the browser back there."""

    async def get(self, name: str) -> None:
        try:
            tool = self.tool(name)
            asked = {key: value for key in self.answer if (value := self.one(key))}
            tool.check_login(asked)
        except PerijoveError as error:
            await self.say(error)
            return
        if self._framed and asked["target_link_uri"] != tool.linking_url:
            self.let_frame(tool)
            await self.show("lti_open.html", title=tool.platform.title, fields=asked)
            return
        browser = self.get_cookie(_BROWSER, "") or secrets.token_urlsafe(24)
        trip = self.desk.seals.begin(name, browser)
        self.keep(tool, _BROWSER, browser, TRIP_LIFE.total_seconds())
        self.redirect(tool.address(trip, asked))

    async def post(self, name: str) -> None:
        await self.get(name)

    @property
    def _framed(self) -> bool:
        """JupyterLab runs in no frame of another site, and browsers keep cookies from frames."""
        return self.request.headers.get("Sec-Fetch-Dest", "") in _FRAMES


class LaunchPage(LtiPage):
    """Back from a learning system with its word of who it is."""

    def check_xsrf_cookie(self) -> None:
        """Another site's form posts here; its signature and the state are the proof."""

    async def get(self, name: str) -> None:
        error = NotSignedIn(
            "this address is opened from a course",
            next="go to your learning system and start there",
        )
        await self.say(error if name in self.desk.tools else NotFound("there is nothing here"))

    async def post(self, name: str) -> None:
        try:
            tool = self.tool(name)
            answer = {key: value for key in self.answer if (value := self.one(key))}
            browser = self.get_cookie(_BROWSER, "")
            trip = self.desk.seals.back(name, answer.get("state", ""), browser)
            launch = await tool.finish(trip, answer)
            arrived = await self.door.call(
                "POST", "/lti/launch", {"launch": asdict(launch), "add": launch.linking is not None}
            )
        except PerijoveError as error:
            await self.note_refused(name, error)
            await self.say(error)
            return
        if arrived["next"] == "in":
            await self.enter(arrived["hub_name"], arrived["to"])
            return
        waiting = Waiting(launch, arrived["hub_name"], arrived["context"])
        ticket = self.desk.room.enter(waiting)
        if arrived["next"] == "pick":
            await offer_courses(self, tool, ticket, waiting)
            return
        # A page of its own: only a visit by GET from another site brings the Hub's own cookie.
        self.keep(tool, _TICKET, ticket, WAIT_LIFE.total_seconds())
        self.redirect(f"{tool.path}/who")


class WhoPage(LtiPage):
    """Somebody is new here: an account of their own, or one that they have already."""

    async def get(self, name: str) -> None:
        waiting = self.desk.room.look(name, self.get_cookie(_TICKET, ""))
        if waiting is None:
            await self.say(_too_late())
            return
        tool, user = self.tool(name), self.current_user
        if user is None and not tool.platform.link_first:
            await self._come_in(waiting, add=True)
            return
        try:
            facts = await self.door.call("GET", f"/persons/{user.name}") if user else {}
        except PerijoveError as error:
            await self.say(error)
            return
        await self.show(
            "lti_who.html", title=tool.platform.title, called=waiting.launch.name,
            login=facts.get("login", ""), path=f"{tool.path}/who", form_xsrf=self.form_token,
            sign_in=f"/hub/login?{urlencode({'next': f'{tool.path}/who'})}",
        )  # fmt: skip

    async def post(self, name: str) -> None:
        waiting = self.desk.room.look(name, self.get_cookie(_TICKET, ""))
        user: Any = self.current_user
        if waiting is None or (self.one("choice") == "mine" and user is None):
            await self.say(_too_late())
            return
        if self.one("choice") == "mine":
            try:
                body = {"launch": asdict(waiting.launch), "hub_name": user.name}
                await self.door.call("POST", "/lti/link-identity", body)
            except PerijoveError as error:
                await self.say(error)
                return
        await self._come_in(waiting, add=True)

    async def _come_in(self, waiting: Waiting, *, add: bool) -> None:
        try:
            body = {"launch": asdict(waiting.launch), "add": add}
            arrived = await self.door.call("POST", "/lti/launch", body)
        except PerijoveError as error:
            await self.note_refused(waiting.launch.platform, error)
            await self.say(error)
            return
        self.desk.room.leave(self.get_cookie(_TICKET, ""))
        self.keep(self.tool(waiting.launch.platform), _TICKET, "", 0)
        await self.enter(arrived["hub_name"], arrived["to"])


class PickPage(LtiPage):
    """An instructor has chosen a course for a link: the answer goes to the learning system."""

    def check_xsrf_cookie(self) -> None:
        """In a frame the browser may keep every cookie back: the ticket is the proof, once."""

    async def post(self, name: str) -> None:
        ticket = self.one("ticket")
        waiting = self.desk.room.look(name, ticket)
        if waiting is None or waiting.launch.linking is None:
            await self.say(_too_late())
            return
        tool, items = self.tool(name), []
        try:
            if self.one("choice") != "nothing":
                body = {"hub_name": waiting.hub_name, "context": waiting.context}
                found = await self.door.call(
                    "POST", "/lti/choose", body | {"course": self.one("course")[:60]}
                )
                items = [course_item(found["id"], found["name"], tool.launch_url)]
        except PerijoveError as error:
            await self.say(error)
            return
        self.desk.room.leave(ticket)
        signed = links_response(
            tool.platform, self.desk.keys.current(), self.desk.clock.now(), waiting.launch, items
        )
        return_url = waiting.launch.linking.return_url
        self.let_frame(tool, _origin(return_url))
        await self.show(
            "lti_answer.html", title=tool.platform.title, address=return_url, token=signed
        )


class LinkPage(LtiPage):
    """An instructor says which course here their course in the learning system is."""

    @web.authenticated
    async def get(self) -> None:
        context = self.one("context")
        try:
            found = await self._choices(context)
        except PerijoveError as error:
            await self.say(error)
            return
        if found["linked"]:
            self.redirect(f"{PORTAL_PREFIX}/courses/{found['linked']}")
            return
        await self._form(context, found)

    @web.authenticated
    async def post(self) -> None:
        context, course = self.one("context"), self.one("course")[:60]
        try:
            if not course:
                raise BadValue("no course was chosen", next="choose one, or make a new one")
            body = {"hub_name": self._name, "context": context, "course": course}
            found = await self.door.call("POST", "/lti/choose", body)
        except PerijoveError as error:
            await self.say(error)
            return
        self.redirect(f"{PORTAL_PREFIX}/courses/{found['id']}")

    async def _form(self, context: str, found: dict[str, Any]) -> None:
        new = f"{PORTAL_PREFIX}/courses/new?{urlencode({'lti': context})}"
        await self.show(
            "lti_link.html", title=found["title"], courses=found["courses"], context=context,
            new=new, form_xsrf=self.form_token,
        )  # fmt: skip

    async def _choices(self, context: str) -> dict[str, Any]:
        if not context:
            raise NotFound("there is no such course", next="open the link in your course again")
        body = {"hub_name": self._name, "context": context[:60]}
        return await self.door.call("POST", "/lti/choices", body)

    @property
    def _name(self) -> str:
        user: Any = self.current_user
        return str(user.name)


async def offer_courses(page: LtiPage, tool: LtiTool, ticket: str, waiting: Waiting) -> None:
    """The courses that an instructor may put a link to into theirs."""
    linking = waiting.launch.linking
    body = {"hub_name": waiting.hub_name, "context": waiting.context}
    try:
        if linking is None or not is_safe_address(linking.return_url, loopback=tool.platform.local):
            raise BadValue(
                f"{tool.platform.title} wants the link at an address that is not its own",
                next="tell your administrator",
            )
        found = await page.door.call("POST", "/lti/choices", body)
    except PerijoveError as error:
        await page.say(error)
        return
    linked = found["linked"]
    courses = [c for c in found["courses"] if not linked or c["id"] == linked]
    page.let_frame(tool, _origin(linking.return_url))
    await page.show(
        "lti_pick.html", title=tool.platform.title, context=found["title"], courses=courses,
        linked=linked, ticket=ticket, path=f"{tool.path}/pick",
    )  # fmt: skip


def _too_late() -> NotSignedIn:
    return NotSignedIn(
        "this took too long, or it began in another browser",
        next="go back to the course and open the link again",
    )


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


_NAME = r"([a-z0-9-]{1,32})"
HANDLERS: list[tuple[str, Any]] = [
    (r"/lti/jwks", KeysPage),
    (r"/lti/link", LinkPage),
    (rf"/lti/{_NAME}/login", BeginPage),
    (rf"/lti/{_NAME}/launch", LaunchPage),
    (rf"/lti/{_NAME}/deep-link", LaunchPage),
    (rf"/lti/{_NAME}/who", WhoPage),
    (rf"/lti/{_NAME}/pick", PickPage),
]
