"""The routes of a course's console."""

from hub.policy import Actor
from hub.store.course_tables import VisitRow
from tests.api.who_may.callers import Rows, a_course, platform
from tests.site import Site

STAFF_OF_COURSE = "401 403 403 200 200 200 404 200 403 401 503"
TEACHERS_OF_COURSE = "401 403 403 403 200 200 404 200 403 401 503"


def asked(site: Site, owner: Actor) -> str:
    """Somebody asks the owner to look into their lab."""
    from tests.api.test_who_may import running

    lab, visitor = running(site, owner), platform(site).person_id
    with site.control.store.write() as session:
        row = VisitRow(
            id=f"v-{lab}", workload_id=lab, tenant_id="blue", student_id=owner.person_id,
            visitor_id=visitor, asked_at=site.clock.now(),
        )  # fmt: skip
        session.add(row)
    return f"v-{lab}"


NOBODY = {"people": ["mia"]}
C = "/courses/{id}"
ROWS: Rows = {
    ("GET", f"{C}/room"): (a_course, None, STAFF_OF_COURSE),
    ("GET", f"{C}/room/file"): (a_course, None, STAFF_OF_COURSE),
    ("POST", f"{C}/room/start"): (a_course, NOBODY, STAFF_OF_COURSE),
    ("POST", f"{C}/room/stop"): (a_course, NOBODY, STAFF_OF_COURSE),
    ("POST", f"{C}/room/extend"): (a_course, NOBODY, STAFF_OF_COURSE),
    ("POST", f"{C}/room/credits"): (a_course, NOBODY | {"credits": "1"}, TEACHERS_OF_COURSE),
    ("GET", f"{C}/attendance"): (a_course, None, STAFF_OF_COURSE),
    ("GET", f"{C}/attendance/file"): (a_course, None, STAFF_OF_COURSE),
    ("GET", f"{C}/spending"): (a_course, None, STAFF_OF_COURSE),
    ("POST", f"{C}/visits"): (
        a_course, {"login": "mia"}, "401 403 403 403 409 409 404 409 403 401 503",
    ),
    ("GET", "/visits"): (a_course, None, "401 200 200 200 200 200 200 200 403 401 503"),
    ("POST", "/visits/{id}/answer"): (
        asked, {"allow": True}, "401 200 404 404 404 404 404 403 403 401 503",
    ),
    ("POST", "/visits/{id}/end"): (asked, None, "401 200 404 404 404 404 404 200 403 401 503"),
}  # fmt: skip
