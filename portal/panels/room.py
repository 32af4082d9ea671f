"""The room of a course, live: who is in and what their labs do, and what staff do for them."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

import panel as pn

from catalog.errors import PerijoveError
from portal.door import Portal
from portal.panels.client import ControlClient
from portal.panels.look import WIDGETS, framed, opened_page, text, trouble
from portal.panels.room_table import RoomTable

REFRESH_MS = 4000
EXTEND = {"15 minutes": "15m", "30 minutes": "30m", "1 hour": "1h", "2 hours": "2h"}
_ACTS = {
    "start": "Start the lab",
    "stop": "Stop the lab",
    "extend": "Extend",
    "credits": "Give credits",
}
_VISIT = {
    "asked": "has not answered yet",
    "granted": "lets you in",
    "denied": "does not want it",
    "ended": "the visit is over",
    "lapsed": "did not answer in time",
}


def asked_course() -> str:
    """The course of ``?course=ID``, as a part of an address."""
    given = pn.state.session_args.get("course", [b""])[0].decode(errors="replace")
    return quote(given[:60], safe="")


def room_page(portal: Portal) -> pn.Template:
    """The page of ``?course=ID``."""
    room = Room(ControlClient(portal, opened_page()), asked_course())
    pn.state.onload(room.open)
    return framed(portal, room.view)


class Room:
    """One open room. Every callback makes one client call and shows the answer."""

    def __init__(self, client: ControlClient, course: str) -> None:
        self._client, self._course = client, course
        self._looking = asyncio.Lock()
        self._key = ""
        self._table = RoomTable(sizing_mode="stretch_width", visible=False)
        self._table.on_msg(self._message)
        self._counts = text('<p class="muted">Opening the room…</p>', margin=0)
        self._whom = text("", margin=0)
        self._table.param.watch(lambda _: self._say_whom(), ["chosen", "rows"])
        self._told = text("", visible=False, margin=0)
        self._visits = text("", visible=False, margin=0)
        self._by = pn.widgets.Select(
            label="By", options=EXTEND, value="30m", width=130, stylesheets=[WIDGETS], margin=0
        )
        self._credits = pn.widgets.TextInput(
            label="Credits each",
            value="5",
            width=110,
            max_length=30,
            stylesheets=[WIDGETS],
            margin=0,
        )
        self._reason = pn.widgets.TextInput(
            label="Why (the student reads it)", value="", max_length=200, stylesheets=[WIDGETS],
            placeholder="You asked for help with exercise 3",
        )  # fmt: skip
        self._ask = pn.Column(visible=False, sizing_mode="stretch_width")
        self._sure = pn.Row(visible=False)
        self.view = self._lay_out()

    async def open(self) -> None:
        """Fill it, then keep it fresh."""
        with contextlib.suppress(PerijoveError):  # the room itself says what is wrong
            course = await self._client.get(f"courses/{self._course}")
            self._table.may_visit = self._give.visible = course["may"]["manage"]
        await self.refresh()
        pn.state.add_periodic_callback(self.refresh, period=REFRESH_MS)  # type: ignore[arg-type]

    async def refresh(self) -> None:
        """Look once more; what the visitor has chosen stays."""
        if self._looking.locked():
            return
        async with self._looking:
            try:
                seen = await self._client.get(f"courses/{self._course}/room")
            except PerijoveError as error:
                self._counts.object = trouble(error.message, error.next)
                return
            self._counts.object = counts_html(seen)
            self._table.rows = seen["people"]
            self._table.visible = True
            await self._look_at_visits()

    def _lay_out(self) -> pn.Column:
        start, stop, extend, give = (self._button(verb) for verb in _ACTS)
        self._give = _beside(self._credits, give, visible=False)
        bar = pn.FlexBox(
            start, stop, _beside(self._by, extend), self._give,
            align_items="end", gap="10px 22px", sizing_mode="stretch_width",
        )  # fmt: skip
        return pn.Column(
            self._counts, self._whom, bar, self._sure, self._told, self._ask, self._visits, self._table,
            sizing_mode="stretch_width", styles={"gap": "10px"},
        )  # fmt: skip

    def _button(self, verb: str) -> pn.widgets.Button:
        kind: Any = "primary" if verb == "start" else "default"
        button = pn.widgets.Button(
            label=_ACTS[verb], color=kind, stylesheets=[WIDGETS], align="end", margin=0
        )

        async def press(_: object) -> None:
            await self._act(verb) if verb != "stop" else self._ask_whether()

        button.on_click(press)
        return button

    def _chosen(self) -> list[str]:
        """Logins, or all students where nobody is chosen."""
        return list(self._table.chosen) or ["*"]

    def _say_whom(self) -> None:
        students = sum(1 for row in self._table.rows if row["role"] == "member")
        chosen = len(self._table.chosen)
        if not chosen and not students:
            self._whom.object = "<p>No students are in this course yet: add them under People.</p>"
            return
        whom = f"the {_people(chosen)} chosen" if chosen else _students(students)
        self._whom.object = (
            f"<p>For <strong>{whom}</strong>"
            f"{'' if chosen else ' (choose some below for fewer)'}:</p>"
        )

    def _ask_whether(self) -> None:
        """Nothing is stopped by one press."""
        people = self._chosen()
        whom = "all students" if people == ["*"] else _people(len(people))
        yes = pn.widgets.Button(label=f"Yes, stop {whom}", color="danger", stylesheets=[WIDGETS])
        no = pn.widgets.Button(label="Cancel", stylesheets=[WIDGETS])

        async def go(_: object) -> None:
            self._sure.visible = False
            await self._act("stop", people)

        yes.on_click(go)
        no.on_click(self._leave_it)
        self._sure[:] = [yes, no]
        self._sure.visible = True

    async def _act(self, verb: str, people: Sequence[str] = ()) -> None:
        body: dict[str, Any] = {"people": list(people) or self._chosen()}
        if verb == "extend":
            body["by"] = self._by.value
        if verb == "credits":
            body["credits"] = (self._credits.value_input or self._credits.value).strip()
        self._say(f'<p class="muted" role="status">{escape(_ACTS[verb])}…</p>')
        try:
            done = await self._client.post(f"courses/{self._course}/room/{verb}", body)
        except PerijoveError as error:
            self._say(trouble(error.message, error.next))
            return
        names = {row["login"]: row["name"] or row["login"] for row in self._table.rows}
        self._say(outcomes_html(_ACTS[verb], done["items"], names))
        await self.refresh()

    def _leave_it(self, _: object) -> None:
        self._sure.visible = self._ask.visible = False

    def _say(self, html: str) -> None:
        self._told.object, self._told.visible = html, bool(html)

    def _message(self, event: Any) -> None:
        login = event.data.get("ask") if isinstance(event.data, dict) else None
        row = next((row for row in self._table.rows if row["login"] == login), None)
        if row is not None:
            self._open_question(row)

    def _open_question(self, row: Mapping[str, Any]) -> None:
        name = row["name"] or row["login"]
        send = pn.widgets.Button(label=f"Ask {name}", color="primary", stylesheets=[WIDGETS])
        no = pn.widgets.Button(label="Cancel", stylesheets=[WIDGETS])

        async def go(_: object) -> None:
            reason = (self._reason.value_input or self._reason.value).strip()
            self._ask.visible = False
            await self._ask_visit(str(row["login"]), reason)

        send.on_click(go)
        no.on_click(self._leave_it)
        said = text(
            f"<p><strong>Open the server of {escape(name)}?</strong> They are asked first, and see"
            " your name and why. It lasts an hour at most and is on record.</p>"
        )
        self._ask[:] = [said, self._reason, pn.Row(send, no)]
        self._ask.visible = True

    async def _ask_visit(self, login: str, reason: str) -> None:
        try:
            await self._client.post(
                f"courses/{self._course}/visits", {"login": login, "reason": reason}
            )
        except PerijoveError as error:
            self._say(trouble(error.message, error.next))
            return
        await self._look_at_visits()

    async def _look_at_visits(self) -> None:
        try:
            mine = (await self._client.get("visits"))["items"]
        except PerijoveError:
            return  # the room itself has said what is wrong
        names = {row["login"]: row["name"] or row["login"] for row in self._table.rows}
        here = [one for one in mine if one["course"] == self._course and one["student"] in names]
        self._visits.object = visits_html(here, names)
        self._visits.visible = bool(here)


def _beside(*widgets: pn.viewable.Viewable, visible: bool = True) -> pn.Row:
    """What belongs together, on one line."""
    return pn.Row(*widgets, align="end", margin=0, visible=visible, styles={"gap": "10px"})


def counts_html(seen: Mapping[str, Any]) -> str:
    """How many are where, and which lab hour is on."""
    counts = seen["counts"]
    words = ("running", "starting", "waiting", "away")
    tiles = "".join(
        f"<div><strong>{int(counts[word])}</strong>{word if word != 'running' else 'in'}</div>"
        for word in words
    )
    on = seen["session"]
    session = "No lab hours now."
    if on:
        there = sum(1 for one in seen["people"] if one["attended"] and one["role"] == "member")
        session = f"{on['name'] or 'Lab hours'} now: {there} of the students have been here."
    shown = f'<div class="sum" role="status">{tiles}</div><p class="muted">{escape(session)}</p>'
    return shown + ready_html(seen.get("ready"))


def ready_html(ready: Mapping[str, Any] | None) -> str:
    """Whether all is there for the lab hours that are on or come next, in one line. What somebody has
    to do something about stands out, and comes before what is in order."""
    if not ready:
        return ""
    said, parts = str(ready["text"]), ready.get("parts", ())
    if ready["state"] != "wrong":
        return f'<p class="muted">{escape(said)}.</p>'
    head = said.removesuffix(", ".join(str(part["text"]) for part in parts)).removesuffix(": ")
    lines = "".join(
        f"<li>{escape(str(part['text']))}</li>"
        for part in sorted(parts, key=lambda part: part["state"] != "wrong")
    )
    return (
        f'<div class="verdict waits" role="alert"><p><strong>{escape(head)}</strong></p>'
        f"<ul>{lines}</ul></div>"
    )


def outcomes_html(act: str, items: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """What came of an act for each; what did not work comes first and is never left out."""
    done = [one for one in items if one["done"]]
    failed = [one for one in items if not one["done"]]

    def line(one: Mapping[str, Any]) -> str:
        name = names.get(str(one["login"]), str(one["login"]))
        return f"<li><strong>{escape(name)}</strong>: {escape(str(one['message']))}</li>"

    head = f"<p><strong>{escape(act)}: done for {len(done)}</strong>"
    head += f", not for {len(failed)}</p>" if failed else "</p>"
    failures = f"<ul>{''.join(map(line, failed))}</ul>" if failed else ""
    each = f"<ul>{''.join(map(line, done))}</ul>" if done else ""
    more = f"<details><summary>Each of them</summary>{each}</details>" if each else ""
    kind = "waits" if failed else "fits"
    return f'<div class="verdict {kind}" role="status">{head}{failures}{more}</div>'


def visits_html(visits: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """The visitor's own requests and what became of them; a link where the student agreed."""

    def line(one: Mapping[str, Any]) -> str:
        name = escape(names.get(str(one["student"]), str(one["student"])))
        link = ""
        if one["state"] == "granted":
            link = " – its door is being opened" if not one["url"] else (
                f' – <a href="{escape(str(one["url"]), quote=True)}" target="_blank"'
                f' rel="noopener">open the server of {name}</a>'
            )  # fmt: skip
        return f"<li><strong>{name}</strong> {_VISIT.get(one['state'], '')}{link}</li>"

    lines = "".join(map(line, visits))
    return f"<p><strong>Servers that you asked to open</strong></p><ul>{lines}</ul>"


def _students(count: int) -> str:
    return "the one student" if count == 1 else f"all {count} students"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"
