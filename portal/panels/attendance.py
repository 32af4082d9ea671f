"""Who was in the lab hours of a course: a table of students by sessions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

import panel as pn

from catalog.errors import PerijoveError
from portal.door import Portal
from portal.panels.client import ControlClient
from portal.panels.look import framed, opened_page, text, trouble
from portal.panels.room import asked_course

SHOWN = 12
"""Sessions side by side; the file has all of them."""


def attendance_page(portal: Portal) -> pn.Template:
    """The page of ``?course=ID``."""
    client, course = ControlClient(portal, opened_page()), asked_course()
    view = pn.Column(text('<p class="muted">Reading…</p>'), sizing_mode="stretch_width")

    async def load() -> None:
        try:
            found = await client.get(f"courses/{course}/attendance")
        except PerijoveError as error:
            view[:] = [text(trouble(error.message, error.next))]
            return
        view[:] = [text(attendance_html(found))]

    pn.state.onload(load)
    return framed(portal, view)


def attendance_html(found: Mapping[str, Any]) -> str:
    """Minutes of each student in each of the last sessions, and in how many they were."""
    sessions: Sequence[Mapping[str, Any]] = found["sessions"]
    if not sessions:
        return '<p class="muted">No lab hours have begun yet.</p>'
    last = sessions[-SHOWN:]
    head = "".join(f'<th scope="col">{_when(one)}</th>' for one in last)
    totals = "".join(f"<td>{_there(found, one['key'])}</td>" for one in last)
    rows = "".join(_row(line, last, len(sessions)) for line in found["people"])
    more = len(sessions) - len(last)
    said = f"<p class='muted'>{more} earlier lab hours are in the file.</p>" if more else ""
    return (
        f'{said}<div class="scroll" tabindex="0" role="region" aria-label="Attendance table"><table>'
        f'<thead><tr><th scope="col">Student</th><th scope="col">In all</th>{head}</tr></thead>'
        f'<tbody>{rows}</tbody><tfoot><tr><th scope="row">Students there</th><td></td>{totals}'
        "</tr></tfoot></table></div>"
    )


def _row(line: Mapping[str, Any], sessions: Sequence[Mapping[str, Any]], of: int) -> str:
    minutes = line["minutes"]
    cells = "".join(
        f"<td>{int(minutes[one['key']])} min</td>" if one["key"] in minutes else "<td>–</td>"
        for one in sessions
    )
    name = escape(line["name"] or line["login"])
    return f'<tr><th scope="row">{name}</th><td>{len(minutes)} of {of}</td>{cells}</tr>'


def _there(found: Mapping[str, Any], key: str) -> int:
    return sum(1 for line in found["people"] if key in line["minutes"])


def _when(one: Mapping[str, Any]) -> str:
    at = datetime.fromisoformat(one["starts_at"])
    return f"{escape(one['name'])}<br>{at:%d %b %H:%M} UTC"
