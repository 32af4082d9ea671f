"""What JupyterLab's page may ask below ``perijove/``: signed in as Jupyter signs in, with its XSRF
check, by the owner alone. None of it counts as activity, for a page that is merely open is idle; but
it says when a person last touched it."""
# Jupyter's own packages are in the notebooks' environment only.
# pyright: reportMissingImports=false, reportUntypedBaseClass=false

import json
from typing import Any
from urllib.parse import quote

from jupyter_server.base.handlers import APIHandler
from tornado import web

from .activity import Activity
from .kernels import keeper
from .reporter import Reporter
from .upstream import Away, Refused, Upstream
from .watch import Watch

LONGEST_WAIT_S = 25.0
LONGEST_AGO_S = 86400.0
_AWAY = {
    "code": "unavailable",
    "message": "Perijove does not answer now",
    "next": "your notebook runs on; try again in a moment",
}
_NOT_YOURS = {
    "code": "forbidden",
    "message": "only the owner of this server may do that",
    "next": "ask them",
}


class Owned(APIHandler):
    """Answers the owner; 403 to a visitor."""

    _track_activity = False

    def initialize(self, watch: Watch, upstream: Upstream, owner: str, activity: Activity,
                   reporter: Reporter) -> None:  # fmt: skip
        self.watch, self.upstream, self.owner = watch, upstream, owner
        self.activity, self.reporter = activity, reporter

    async def prepare(self) -> None:
        await super().prepare()
        if not self._finished and getattr(self.current_user, "username", "") != self.owner:
            self._say(403, {"error": _NOT_YOURS})

    async def answer(self, asked: Any) -> None:
        """Await what control was asked, and pass its answer or its error on."""
        try:
            self._say(200, await asked)
        except Refused as refused:
            # What Jupyter itself says with 401 and 403 means another thing to the page.
            self._say(409 if refused.status in {401, 403} else refused.status,
                      {"error": refused.error})  # fmt: skip
        except Away:
            self._say(503, {"error": _AWAY})

    def body(self) -> dict[str, Any]:
        """The JSON object that was sent; empty when it is none."""
        try:
            found = json.loads(self.request.body or b"{}")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise web.HTTPError(400, "the body is not a JSON object")
        return found

    def _say(self, status: int, body: dict[str, Any]) -> None:
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(body))

    def number(self, name: str, usual: float, most: float) -> float:
        """A number of the query, from 0 to `most`."""
        try:
            return min(max(float(self.get_query_argument(name, str(usual))), 0.0), most)
        except ValueError as error:
            raise web.HTTPError(400, f"{name} is not a number") from error


class Look(Owned):
    """``GET perijove/inside?mark=…&wait=20&touched=3``: with `touched`, a person did something in the
    page so many seconds ago."""

    @web.authenticated
    async def get(self) -> None:
        mark = self.get_query_argument("mark", "")[:60]
        if not mark:  # a page has been opened
            keeper.have_ready()
        wait_s = self.number("wait", 0, LONGEST_WAIT_S)
        if self.get_query_argument("touched", ""):
            self.activity.touched(self.number("touched", 0, LONGEST_AGO_S))
            await self.reporter.look(at_once=self.watch.asks_idle)
        await self.answer(self.watch.after(mark, wait_s))


class Extend(Owned):
    """``POST perijove/extend {"key"}``: by as much as was offered."""

    @web.authenticated
    async def post(self) -> None:
        key = str(self.body().get("key", ""))[:100]
        await self.answer(self._extend(key))

    async def _extend(self, key: str) -> dict[str, Any]:
        return self.watch.learn(await self.upstream.post("extend", {}, key))


class StillWorking(Owned):
    """``POST perijove/active``: the person says so."""

    @web.authenticated
    async def post(self) -> None:
        self.activity.touched()
        await self.answer(self._tell())

    async def _tell(self) -> dict[str, Any]:
        await self.reporter.tell()
        return self.watch.learn(await self.upstream.look("", 0))


class Seen(Owned):
    """``POST perijove/announcements/ID/seen``"""

    @web.authenticated
    async def post(self, id: str) -> None:
        await self.answer(self._then_look(f"announcements/{quote(id, safe='')}/seen", {}))

    async def _then_look(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        await self.upstream.post(path, body)
        return self.watch.learn(await self.upstream.look("", 0))


class VisitAnswer(Seen):
    """``POST perijove/visits/ID/answer {"allow"}``"""

    @web.authenticated
    async def post(self, id: str) -> None:
        allow = self.body().get("allow") is True
        await self.answer(self._then_look(f"visits/{quote(id, safe='')}/answer", {"allow": allow}))


class VisitEnd(Seen):
    """``POST perijove/visits/ID/end``"""

    @web.authenticated
    async def post(self, id: str) -> None:
        await self.answer(self._then_look(f"visits/{quote(id, safe='')}/end", {}))


class NoLanguageServers(APIHandler):
    """``GET lsp/status`` where `jupyter_lsp` is not loaded: none, so that the page asks no more."""

    _track_activity = False

    @web.authenticated
    async def get(self) -> None:
        self.finish(json.dumps({"version": 2, "sessions": {}, "specs": {}}))


def routes(
    base_url: str, watch: Watch, upstream: Upstream, owner: str, activity: Activity,
    reporter: Reporter,
) -> list[Any]:  # fmt: skip
    """For `Application.add_handlers`."""
    given = {
        "watch": watch, "upstream": upstream, "owner": owner, "activity": activity,
        "reporter": reporter,
    }  # fmt: skip
    below = f"{base_url}perijove/"
    id_ = r"([\w-]{1,40})"
    return [
        (f"{below}inside", Look, given),
        (f"{below}extend", Extend, given),
        (f"{below}active", StillWorking, given),
        (f"{below}announcements/{id_}/seen", Seen, given),
        (f"{below}visits/{id_}/answer", VisitAnswer, given),
        (f"{below}visits/{id_}/end", VisitEnd, given),
    ]
