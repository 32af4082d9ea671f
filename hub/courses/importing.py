"""A list taken in for a course that is there already, with the lab hours that follow it."""

from catalog.errors import Conflict
from hub.control_context import Control
from hub.courses import access, hours, roster, terms
from hub.courses.notices import tell_staff
from hub.courses.roster import Taken
from hub.courses.wishes import People
from hub.policy import Action, Actor
from hub.reservations import tell_all


def take_in(control: Control, actor: Actor, course_id: str, people: People) -> Taken:
    """Everybody of the list is on the roster, or nobody. Lab hours for as many as there are
    students grow along; where that cannot be held, they stay, and the staff is told."""
    with control.store.write() as session:
        course = access.find(session, actor, course_id, Action.MANAGE_COURSE)
        if terms.is_over(course, control.clock.now()):
            raise Conflict("this course is over", next="open it again, or clone it")
        taken = roster.take(control, session, actor, course, people)
        for problem in hours.refit(control, session, actor, course):
            tell_staff(
                control, session, course_id, hours.NOTICE,
                f"there are too few places for all students: {problem}",
            )  # fmt: skip
    tell_all(control)
    return taken
