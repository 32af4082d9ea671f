"""Courses over the REST API."""

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from hub.client.errors import Json
from hub.client.transport import Transport


class Courses:
    """The part of `hub.client.Client` that deals with courses. Every method may raise a
    PerijoveError."""

    _transport: Transport

    def courses(self, state: str = "all", cursor: str | None = None) -> Any:
        """Those that you are in or administer: current, over, all."""
        return self._transport.get("/courses", state=state, cursor=cursor)

    def course(self, id: str) -> Json:
        """One of them."""
        return self._transport.get(_of(id))

    def create_course(self, body: Json) -> Json:
        """Make a course: all of it, or nothing."""
        return self._transport.post("/courses", body)

    def check_course(self, body: Json) -> Json:
        """What making it would say. Nothing is made."""
        return self._transport.post("/courses/check", body)

    def change_course(self, id: str, body: Json) -> Json:
        """What is named of it changes; the rest stays."""
        return self._transport.put(_of(id), body)

    def clone_course(self, id: str, body: Json) -> Json:
        """The course for the next term, without people."""
        return self._transport.post(f"{_of(id)}/clone", body)

    def end_course(self, id: str) -> Json:
        """End it now; repeating it changes nothing."""
        return self._transport.post(f"{_of(id)}/end")

    def reopen_course(self, id: str) -> Json:
        """Let one that was ended go on."""
        return self._transport.post(f"{_of(id)}/reopen")

    def open_lab(self, id: str) -> Json:
        """Your lab of the course: found, or launched."""
        return self._transport.post(f"{_of(id)}/lab")

    def roster(
        self, id: str, *, search: str = "", group: str = "", state: str = "", cursor: str = "",
        limit: int = 100,
    ) -> Json:  # fmt: skip
        """Who is, should be, or was in a course."""
        return self._transport.get(
            f"{_of(id)}/roster", search=search, group=group, state=state, cursor=cursor or None,
            limit=limit,
        )  # fmt: skip

    def check_roster(self, id: str, file: bytes, provider: str = "") -> Json:
        """What a list would do. Nothing is changed."""
        return self._transport.post(f"{_of(id)}/roster/check", _list(file, provider))

    def import_roster(self, id: str, file: bytes, provider: str = "") -> Json:
        """Everybody of a list is on the roster, or nobody."""
        return self._transport.post(f"{_of(id)}/roster", _list(file, provider))

    def roster_file(self, id: str) -> Iterator[bytes]:
        """The roster as CSV."""
        return self._transport.download(f"{_of(id)}/roster/file")

    def course_groups(self, id: str) -> Any:
        """The groups of a course."""
        return self._transport.get(f"{_of(id)}/groups")

    def add_course_group(self, id: str, name: str, limits: dict[str, str]) -> Json:
        """A group with limits of its own."""
        return self._transport.post(f"{_of(id)}/groups", {"name": name, "student_limits": limits})

    def add_course_link(self, id: str, *, most: int, expires: str, group: str) -> Json:
        """A link by which many may join."""
        body = {"most": most, "expires": expires, "group": group}
        return self._transport.post(f"{_of(id)}/links", body)

    def join_course(self, token: str) -> Json:
        """Join the course of a link."""
        return self._transport.post("/courses/join", {"token": token})


def _of(id: str) -> str:
    return f"/courses/{quote(id, safe='') if id not in {'.', '..'} else '-'}"


def _list(file: bytes, provider: str) -> Json:
    return {"file": base64.b64encode(file).decode(), "provider": provider}
