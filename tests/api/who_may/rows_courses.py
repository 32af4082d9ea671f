"""The routes of courses and their rosters. *blue* is the course; its parent is the whole site."""

from hub.courses import groups, links
from hub.courses.wishes import Group
from hub.policy import Actor
from hub.store.course_tables import RosterRow
from hub.store.ids import new_id
from tests.api.who_may import rows_room
from tests.api.who_may.callers import EVERYBODY, Rows, a_course, platform
from tests.site import Site

SEEN = "401 200 200 200 200 200 404 200 403 401 503"
STAFF_OF_COURSE = rows_room.STAFF_OF_COURSE
TEACHERS_OF_COURSE = rows_room.TEACHERS_OF_COURSE
TEACHERS_CREATE = "401 403 403 403 201 201 404 201 403 401 503"
NO_SUCH_IN_COURSE = "401 403 403 403 404 404 404 404 403 401 503"


def with_group(site: Site, owner: Actor) -> str:
    name = new_id("g")
    a_course(site, owner)
    made = groups.add(site.control, platform(site), "blue", Group(name))
    return f"blue {made.id}"


def with_link(site: Site, owner: Actor) -> str:
    a_course(site, owner)
    row, _ = links.make(site.control, platform(site), "blue", most=5, expires="1d", group_id="")
    return f"blue {row.id}"


def with_entry(site: Site, owner: Actor) -> str:
    a_course(site, owner)
    row = RosterRow(
        id=new_id("e"), tenant_id="blue", source="csv", key=new_id("k"), name="Ada",
        created_at=site.clock.now(),
    )  # fmt: skip
    with site.control.store.write() as session:
        session.add(row)
    return f"blue {row.id}"


NEW = {
    "id": "sky", "name": "Sky", "parent": "blue", "first_day": "2026-01-12",
    "last_day": "2026-05-29", "lab": {"offer": "cpu"},
}  # fmt: skip
BELOW_A_COURSE = "401 403 403 403 422 422 404 422 403 401 503"
"""Who may add a course there is told that there is none below a course."""
LIST = {"csv": "id,name\n7,Ada\n"}
C = "/courses/{id}"
ROWS: Rows = {
    ("GET", "/courses"): (a_course, None, EVERYBODY),
    ("POST", "/courses"): (a_course, NEW, BELOW_A_COURSE),
    ("POST", "/courses/check"): (a_course, NEW, BELOW_A_COURSE),
    ("POST", "/courses/join"): (
        a_course, {"token": "x"}, "401 404 404 404 404 404 404 404 403 401 503",
    ),
    ("GET", C): (a_course, None, SEEN),
    ("PUT", C): (a_course, {"term": "Spring"}, TEACHERS_OF_COURSE),
    ("POST", f"{C}/clone"): (
        # Its parent is the site, of which none of them is an instructor.
        a_course, {"id": "red", "first_day": "2026-01-12"},
        "401 403 403 403 404 404 404 409 403 401 503",
    ),
    ("POST", f"{C}/end"): (a_course, None, TEACHERS_OF_COURSE),
    ("POST", f"{C}/reopen"): (a_course, None, TEACHERS_OF_COURSE),
    ("POST", f"{C}/lab"): (a_course, None, "401 201 201 201 201 201 404 409 403 401 503"),
    ("GET", f"{C}/groups"): (a_course, None, STAFF_OF_COURSE),
    ("POST", f"{C}/groups"): (
        a_course, {"name": "x" * 90}, "401 403 403 403 422 422 404 422 403 401 503",
    ),
    ("PUT", f"{C}/groups/{{id}}"): (
        with_group, {"name": "x" * 90}, "401 403 403 403 422 422 404 422 403 401 503",
    ),
    ("DELETE", f"{C}/groups/{{id}}"): (with_group, None, TEACHERS_OF_COURSE),
    ("GET", f"{C}/links"): (a_course, None, TEACHERS_OF_COURSE),
    ("POST", f"{C}/links"): (a_course, {}, TEACHERS_CREATE),
    ("DELETE", f"{C}/links/{{id}}"): (with_link, None, TEACHERS_OF_COURSE),
    ("GET", f"{C}/rules"): (a_course, None, TEACHERS_OF_COURSE),
    ("POST", f"{C}/rules"): (
        a_course, {"provider": "none", "claim": "groups", "value": "phys"},
        "401 403 403 403 422 422 404 422 403 401 503",
    ),
    ("DELETE", f"{C}/rules"): (a_course, None, NO_SUCH_IN_COURSE),
    ("GET", f"{C}/roster"): (a_course, None, STAFF_OF_COURSE),
    ("POST", f"{C}/roster/check"): (a_course, LIST, TEACHERS_OF_COURSE),
    ("POST", f"{C}/roster"): (a_course, LIST, TEACHERS_OF_COURSE),
    ("GET", f"{C}/roster/file"): (a_course, None, STAFF_OF_COURSE),
    ("POST", f"{C}/roster/invitations"): (a_course, None, TEACHERS_OF_COURSE),
    ("PUT", f"{C}/roster/{{id}}"): (with_entry, {"role": "assistant"}, TEACHERS_OF_COURSE),
    ("DELETE", f"{C}/roster/{{id}}"): (with_entry, None, TEACHERS_OF_COURSE),
    ("GET", f"{C}/exports"): (a_course, None, TEACHERS_OF_COURSE),
    ("GET", f"{C}/exports/{{id}}"): (
        lambda site, owner: f"{a_course(site, owner)} nobody", None, NO_SUCH_IN_COURSE,
    ),
}  # fmt: skip
