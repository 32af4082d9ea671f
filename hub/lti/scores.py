"""A student's score, back into the gradebook of the learning system that they came from."""

from dataclasses import dataclass

from sqlmodel import Session, col, select

from catalog.errors import Conflict
from hub.closing import in_thread
from hub.control_context import Control
from hub.courses.people import chosen, place_of
from hub.lti import contexts
from hub.lti.services import LINE_SCOPE, Line, Score
from hub.lti.systems import Systems
from hub.policy import Action, Actor
from hub.store import audit
from hub.store.access_tables import LtiContextRow
from hub.store.tables import IdentityRow


@dataclass(frozen=True, slots=True)
class Mark:
    """What somebody of a course reached."""

    login: str
    given: float
    most: float
    comment: str = ""


@dataclass(frozen=True, slots=True)
class _Target:
    context: LtiContextRow
    subject: str
    course_name: str
    person_id: str


async def post(control: Control, systems: Systems, actor: Actor, course_id: str, mark: Mark) -> str:
    """Write a score into the line of this course in the gradebook, which is made when it is first
    needed; the title of the learning system. Safe to repeat: the newest score counts.

    Raises NotFound, Forbidden; Conflict when the learning system does not know the student or lets
    this site write no grades; Unavailable.
    """
    target = await in_thread(_target, control, systems, actor, course_id, mark.login)
    row = target.context
    platform, services = systems.platform(row.platform), systems.services(row.platform)
    score = Score(target.subject, mark.given, mark.most, mark.comment, control.clock.now())
    if row.line_items_url and LINE_SCOPE in row.scopes.split():
        line = Line(f"perijove:{course_id}", target.course_name, mark.most)
        address = await services.line_of(row.line_items_url, line)
    else:
        address = row.line_item_url
    await services.post(address, score)
    await in_thread(_record, control, actor, course_id, target, mark)
    return platform.title


def _target(
    control: Control, systems: Systems, actor: Actor, course_id: str, login: str
) -> _Target:
    with control.store.read() as session:
        place = place_of(session, actor, course_id, Action.MANAGE_COURSE)
        rows = contexts.linked_to(session, course_id)
        if not rows:
            raise Conflict(
                "this course is linked to no course of a learning system",
                next="open a link to this site from there as its instructor",
            )
        (student,) = chosen(session, place, [login])
        graded = [row for row in rows if row.line_item_url or row.line_items_url]
        for row in graded:
            subject = _subject(session, systems, row, student.person.id)
            if subject and (row.line_item_url or LINE_SCOPE in row.scopes.split()):
                return _Target(row, subject, place.name, student.person.id)
    if not graded:
        raise Conflict(
            "the learning system lets this site write no grades",
            next="let the tool use Assignment and Grade Services there, then open it once",
        )
    raise Conflict(
        f"{login[:40]!r} has not come here from the learning system",
        next="scores are for students who opened this course from there",
    )


def _subject(session: Session, systems: Systems, row: LtiContextRow, person_id: str) -> str | None:
    issuer = systems.platform(row.platform).identity_issuer
    return session.exec(
        select(IdentityRow.subject)
        .where(IdentityRow.person_id == person_id, IdentityRow.issuer == issuer)
        .order_by(col(IdentityRow.created_at))
    ).first()


def _record(control: Control, actor: Actor, course_id: str, target: _Target, mark: Mark) -> None:
    with control.store.write() as session:
        audit.record(
            session, control.clock.now(), actor.person_id, "lti-score", target.person_id,
            course_id, {"score": mark.given, "max": mark.most, "platform": target.context.platform},
        )  # fmt: skip
