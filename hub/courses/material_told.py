"""What a person is told about the material of their course when their lab starts.

The program that brings it runs as the student and says one line in the server's log: it is theirs,
so nothing of it is repeated but numbers and codes that are known here.
"""

import json
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from hub import history
from hub.control_context import Control
from hub.store.course_tables import CourseRow
from hub.store.tables import AttemptRow, EventRow, NoticeRow, WorkloadRow
from hub.tenant_paths import TenantPaths
from spawners.local.material import SAYS

NOTICE = "material"
_DONE = "done"
_FAILED = {
    "late": "it is large and still being copied; it appears in the folder by and by",
    "no-room": "there is no room left in your home: delete what you do not need, and start again",
    "not-writable": "its folder in your home cannot be written to",
    "in-the-way": "a file of yours has the name of its folder: rename the file, and start again",
    "broken": "it could not be read here; tell the course's staff",
}
_HAPPENED = (
    ("new", "{n} new"),
    ("updated", "{n} updated"),
    ("merged", "{n} updated beside your changes"),
    ("kept", "{n} kept as you changed them"),
    ("back", "{n} that you had deleted are back"),
    ("renamed", "{n} of yours renamed to make room"),
)


def tell(control: Control, attempt_id: str) -> None:
    """Once the server is up: what was brought, in the workload's events; what went wrong, in a
    notice too. Repeatable."""
    with control.store.read() as session:
        attempt = session.get(AttemptRow, attempt_id)
        if attempt is None or not _course(session, attempt.tenant_id):
            return
    code, text = in_words(control.engine.log(attempt_id).decode(errors="replace"))
    if text:
        _tell(control, attempt.workload_id, text, notice=code != _DONE)


def tell_missing(control: Control, workload_id: str) -> None:
    """The lab starts without material that the course has: none could be fetched yet."""
    text = "the lab starts without the course's material: it could not be fetched yet"
    _tell(control, workload_id, text, notice=True)


def in_words(log: str) -> tuple[str, str]:
    """What the last word about material in a server's log comes to: its code and what to tell, both
    empty when there is nothing to tell."""
    said: dict[str, Any] = {}
    for line in log.splitlines():
        if line.startswith(SAYS):
            said = _parsed(line.removeprefix(SAYS)) or said
    code = said.get("code")
    if code == _DONE:
        parts = [words.format(n=n) for name, words in _HAPPENED if (n := _count(said, name))]
        return _DONE, f"course material: {', '.join(parts)}" if parts else ""
    if isinstance(code, str) and code in _FAILED:
        return code, f"course material: {_FAILED[code]}"
    return "", ""


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _count(said: dict[str, Any], name: str) -> int:
    value = said.get(name)
    return min(value, 1_000_000) if isinstance(value, int) and value > 0 else 0


def _course(session: Session, tenant_id: str) -> CourseRow | None:
    return session.get(CourseRow, TenantPaths(session).course_of(tenant_id))


def _tell(control: Control, workload_id: str, text: str, *, notice: bool) -> None:
    now = control.clock.now()
    with control.store.write() as session:
        row = session.get(WorkloadRow, workload_id)
        if row is None or _told(session, row, text):
            return
        history.tell_event(session, row, now, text)
        if notice:
            _notify(session, row, now, text)
    history.hint(control.bus, row)


def _notify(session: Session, row: WorkloadRow, now: datetime, text: str) -> None:
    """What they have not read yet of an earlier lab here is brought up to date instead: it is not told
    twice."""
    unread = session.exec(
        select(NoticeRow).where(
            NoticeRow.person_id == row.person_id, NoticeRow.tenant_id == row.tenant_id,
            NoticeRow.kind == NOTICE, col(NoticeRow.workload_id).is_not(None),
            col(NoticeRow.read_at).is_(None),
        ).order_by(col(NoticeRow.at).desc()).limit(1)
    ).first()  # fmt: skip
    if unread is None:
        history.tell_notice(session, row, now, NOTICE, text)
    else:
        unread.text, unread.at, unread.workload_id = text, now, row.id


def _told(session: Session, row: WorkloadRow, text: str) -> bool:
    """In this attempt: a start may be asked for again."""
    attempt = session.get(AttemptRow, row.attempt_id) if row.attempt_id else None
    query = select(EventRow.id).where(EventRow.workload_id == row.id, EventRow.text == text)
    if attempt is not None:
        query = query.where(col(EventRow.at) >= attempt.created_at)
    return session.exec(query.limit(1)).first() is not None
