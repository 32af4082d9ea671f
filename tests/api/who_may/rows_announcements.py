"""Announcements, and what running work is told of itself."""

from datetime import timedelta

from hub import announcements, attempts, grants, launching
from hub.policy import Actor
from hub.store.course_tables import VisitRow
from tests.api.who_may.callers import OWNER_ONLY, Rows, nothing, platform
from tests.site import Site


def announced(site: Site, owner: Actor) -> str:
    """To everybody of the course."""
    wish = announcements.Wish("blue", "The lab begins.")
    return announcements.announce(site.control, platform(site), wish).row.id


def announced_to_all(site: Site, owner: Actor) -> str:
    wish = announcements.Wish("main", "Maintenance on Friday.")
    return announcements.announce(site.control, platform(site), wish).row.id


def running(site: Site, owner: Actor) -> str:
    workload = launching.launch(site.control, owner, launching.Wish("cpu", {})).id
    grants.give_what_fits(site.control)
    attempts.mark_ready(site.control, site.row(workload).attempt_id or "")
    return workload


def running_and_announced(site: Site, owner: Actor) -> str:
    return f"{running(site, owner)} {announced_to_all(site, owner)}"


def visited(site: Site, owner: Actor) -> str:
    workload, now, visitor = running(site, owner), site.clock.now(), platform(site)
    with site.control.store.write() as session:
        visit = VisitRow(
            id=f"v-{workload}", workload_id=workload, tenant_id="blue", student_id=owner.person_id,
            visitor_id=visitor.person_id, asked_at=now, ends_at=now + timedelta(hours=1),
        )  # fmt: skip
        session.add(visit)
        session.flush()
        return f"{workload} {visit.id}"


I = "/workloads/{id}/inside"  # noqa: E741 (one letter, as W is in the table)
HELLO = {"tenant": "blue", "text": "Hello"}
READERS = "401 200 200 200 200 200 404 404 403 401 503"
WRITERS = "401 403 403 200 200 200 404 200 403 401 503"

ROWS: Rows = {
    ("GET", "/announcements"): (
        announced, None, "401 200 200 200 200 200 200 200 403 401 503",
    ),
    ("GET", "/announcements/all"): (
        announced, None, "401 403 403 200 200 200 200 200 403 401 503",
    ),
    ("POST", "/announcements"): (nothing, HELLO, WRITERS.replace("200", "201")),
    ("DELETE", "/announcements/{id}"): (announced, None, WRITERS),
    ("POST", "/announcements/{id}/seen"): (announced, None, READERS),
    ("GET", I): (running, None, OWNER_ONLY),
    ("POST", f"{I}/extend"): (running, {"by": "15m"}, OWNER_ONLY),
    ("POST", f"{I}/active"): (running, {"idle_s": 60}, OWNER_ONLY),
    ("POST", f"{I}/announcements/{{id}}/seen"): (running_and_announced, None, OWNER_ONLY),
    ("POST", f"{I}/visits/{{id}}/answer"): (
        # No administrator agrees in a student's place.
        visited, {"allow": True}, OWNER_ONLY.replace("404 200 ", "404 403 "),
    ),
    ("POST", f"{I}/visits/{{id}}/end"): (visited, None, OWNER_ONLY),
}  # fmt: skip
