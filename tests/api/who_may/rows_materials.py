"""The routes of course material and notebook environments."""

from hub.policy import Actor
from hub.store.course_tables import CourseRow
from tests.api.who_may.callers import EVERYBODY, Rows, a_course, nothing
from tests.api.who_may.rows_room import STAFF_OF_COURSE
from tests.site import Site


def with_material(site: Site, owner: Actor) -> str:
    """*blue* is a course with a repository."""
    a_course(site, owner)
    with site.control.store.write() as session:
        row = session.get_one(CourseRow, "blue")
        row.material_url = "https://git.example.org/blue.git"
        session.add(row)
    return "blue"


ROWS: Rows = {
    ("GET", "/environments"): (nothing, None, EVERYBODY),
    ("POST", "/courses/{id}/material/fetch"): (with_material, {}, STAFF_OF_COURSE),
}
