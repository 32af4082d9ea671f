"""Learning systems: links to their courses, rosters, scores."""

from hub.policy import Actor
from hub.store.access_tables import LtiContextRow, LtiTeacherRow
from hub.store.ids import new_id
from tests.api.who_may.callers import EVERYBODY, Rows, a_course, nothing
from tests.site import Site

MANAGED = "401 403 403 403 200 200 404 200 403 401 503"


def a_context(site: Site, *, course: str | None = None, teacher: str = "") -> str:
    """A course of a learning system that nobody has in its file."""
    row = LtiContextRow(
        id=new_id("lc"), platform="gone", deployment_id="1", context_id=new_id("c"), title="Blue 1",
        tenant_id=course, created_at=site.clock.now(),
    )  # fmt: skip
    with site.control.store.write() as session:
        found = row.id
        session.add(row)
        session.flush()
        if teacher:
            session.add(LtiTeacherRow(lti_context_id=found, person_id=teacher, at=site.clock.now()))
    return found


def of_the_owner(site: Site, owner: Actor) -> str:
    return a_context(site, teacher=owner.person_id)


def linked(site: Site, owner: Actor) -> str:
    return f"{a_course(site, owner)} {a_context(site, course='blue')}"


ROWS: Rows = {
    ("GET", "/lti/contexts"): (nothing, None, EVERYBODY),
    ("GET", "/lti/contexts/{id}"): (
        of_the_owner, None, "401 200 404 404 404 404 404 200 403 401 503",
    ),
    ("GET", "/courses/{id}/lti"): (a_course, None, MANAGED),
    # A context that is not theirs is none, for those who may link this course as well.
    ("POST", "/courses/{id}/lti"): (
        a_course, {"context": "lc-none"}, "401 404 404 404 404 404 404 404 403 401 503",
    ),
    ("DELETE", "/courses/{id}/lti/{id}"): (
        linked, None, "401 403 403 403 204 204 404 204 403 401 503",
    ),
    # What it names is linked, but to a platform that is gone: told in the answer.
    ("POST", "/courses/{id}/lti/sync"): (linked, None, MANAGED),
    # Linked, and no grades are taken.
    ("POST", "/courses/{id}/lti/score"): (
        linked, {"login": "mia", "score": 1, "max": 2},
        "401 403 403 403 409 409 404 409 403 401 503",
    ),
}  # fmt: skip
